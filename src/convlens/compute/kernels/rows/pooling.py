"""Pool along rows: combine rows of the input, shift and combine in place, and pick by stride.

`combine` is the maximum or the sum. Its *identity*, which changes nothing, fills the padding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convlens.compute.kernels.language.words import (
    LANES,
    WIDTH,
    add,
    broadcast,
    combine,
    div,
    evens,
    get,
    load,
    load_some,
    mul,
    number,
    put,
    splat,
    store,
    store_some,
    zero,
)
from convlens.compute.kernels.records import Fixed, Pointer

__all__ = ["PoolCounts", "PoolDraw", "combine_rows", "draw", "fill", "halve", "mean", "pick"]


@dataclass(frozen=True, kw_only=True)
class PoolCounts:
    """The numbers of elements in a mean, along each axis: int64, but of the element type in `w`."""

    d: Pointer
    h: Pointer
    w: Pointer


@dataclass(frozen=True, kw_only=True)
class PoolDraw:
    """The windows along a row: `size` taps, `dilation` apart, one window every `stride`.

    `SIZE` and `STRIDE` are 0 if the kernel reads `size` and `stride` instead. If `MEAN` is 1, sums
    are divided by counts.
    """

    MEAN: Fixed
    SIZE: Fixed
    STRIDE: Fixed
    size: int
    stride: int
    dilation: int


def fill(to: int, identity: int, n: int) -> None:
    """Write the identity n times."""
    i = 0
    while i < n:
        store_some(to, i, broadcast(identity, 0), n - i)
        i += LANES


def combine_rows(
    to: int, source: int, planes: int, plane_step: int, rows: int, row_step: int, n: int,
    identity: int,
) -> None:  # fmt: skip
    """Combine rows of planes into one row of n elements, column by column."""
    i = 0
    while i + 4 * LANES <= n:
        a = broadcast(identity, 0)
        b, c, d = a, a, a
        for plane in range(planes):
            row = source + (plane * plane_step + i) * WIDTH
            for _ in range(rows):
                a = combine(a, load(row, 0))
                b = combine(b, load(row, LANES))
                c = combine(c, load(row, 2 * LANES))
                d = combine(d, load(row, 3 * LANES))
                row += row_step * WIDTH
        store(to, i, a)
        store(to, i + LANES, b)
        store(to, i + 2 * LANES, c)
        store(to, i + 3 * LANES, d)
        i += 4 * LANES
    while i < n and n >= LANES:
        i = min(i, n - LANES)  # the last vector overlaps the one before it
        a = broadcast(identity, 0)
        for plane in range(planes):
            row = source + (plane * plane_step + i) * WIDTH
            for _ in range(rows):
                a = combine(a, load(row, 0))
                row += row_step * WIDTH
        store(to, i, a)
        i += LANES
    if n < LANES:
        a = broadcast(identity, 0)
        for plane in range(planes):
            row = source + plane * plane_step * WIDTH
            for _ in range(rows):
                a = combine(a, load_some(row, 0, n))
                row += row_step * WIDTH
        store_some(to, 0, a, n)


def halve(to: int, source: int, fresh: int, n: int) -> None:
    """Combine n elements of `to` with those of `source`, or copy these if `fresh` is not 0.

    `source` may be later in the same memory as `to`. Whole vectors are written.
    """
    i = 0
    while i < n:
        if fresh != 0:
            store(to, i, load(source, i))
        else:
            store(to, i, combine(load(to, i), load(source, i)))
        i += LANES


def every(row: int, i: int, a: PoolDraw) -> Any:
    """Return a vector of every STRIDE-th element from element i on."""
    if a.STRIDE == 4:
        return evens(
            evens(load(row, i), load(row, i + LANES)),
            evens(load(row, i + 2 * LANES), load(row, i + 3 * LANES)),
        )
    if a.STRIDE == 2:
        return evens(load(row, i), load(row, i + LANES))
    return load(row, i)


def window_at(row: int, i: int, a: PoolDraw) -> Any:
    """Return a vector of combined windows, a STRIDE apart, the first starting at element i."""
    v = every(row, i, a)
    if a.SIZE != 0:
        for e in range(1, a.SIZE):
            v = combine(v, every(row, i + e * a.dilation, a))
    else:
        for e in range(1, a.size):
            v = combine(v, every(row, i + e * a.dilation, a))
    return v


def mean(sums: Any, counts: Any, times: int) -> Any:
    """Return the sums divided by their counts, each multiplied by `times`."""
    # Adding 0 turns a negative zero into a positive one, as padding among the elements does.
    return div(add(sums, zero()), mul(splat(number(times)), counts))


def draw(y: int, row: int, n: int, counts: int, times: int, a: PoolDraw) -> None:
    """Write n combined windows along a row, a STRIDE of 1, 2 or 4 apart.

    If MEAN, divide them by their counts, each multiplied by `times`.
    """
    q = 0
    while q + LANES <= n:
        v = window_at(row, q * a.STRIDE, a)
        if a.MEAN != 0:
            v = mean(v, load(counts, q), times)
        store(y, q, v)
        q += LANES
    if q < n:
        v = window_at(row, q * a.STRIDE, a)
        if a.MEAN != 0:
            v = mean(v, load_some(counts, q, n - q), times)
        store_some(y, q, v, n - q)


def pick(y: int, row: int, n: int, counts: int, times: int, a: PoolDraw) -> None:
    """Write n windows of one tap as `draw` does, with any stride."""
    for q in range(n):
        put(y, q, get(row, q * a.stride))
    if a.MEAN != 0:
        q = 0
        while q < n:
            v = mean(load_some(y, q, n - q), load_some(counts, q, n - q), times)
            store_some(y, q, v, n - q)
            q += LANES
