"""Pack rows of the input as windows read them: with padding, and every stride-th element.

Python prepares tables of positions: `sources`, or for rows, which may be long, only the `ends`
before and after the `middle`, which the input fills unchanged. The kernel functions move the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convlens.compute.kernels.language.words import (
    LANES,
    WIDTH,
    evens,
    get,
    load,
    load_some,
    number,
    odds,
    put,
    store,
    store_some,
    word,
    zero,
)
from convlens.compute.kernels.records import Pointer
from convlens.compute.kernels.shapes import Axes
from convlens.windows import Window, padded_source

__all__ = [
    "Packing", "clear", "copy", "covered", "edge", "ends", "ends_or_none", "middle",
    "pack_band", "pack_row", "sources",
]  # fmt: skip


def sources(window: Window, n: int, mode: str) -> np.ndarray[Any, Any]:
    """Return, for every position that windows cover, the index of its input among n; -1 for a zero.

    The windows are those of a convolution.

    >>> sources(Window(3, before=1, after=1), 4, "zeros").tolist()
    [-1, 0, 1, 2, 3, -1]
    """
    first, last = middle(window, n)
    outside = ends(window, n, mode)
    inside = np.arange(first - window.before, last - window.before, dtype=np.int64)
    return np.concatenate([outside[:first], inside, outside[first:]])


def ends(window: Window, n: int, mode: str) -> np.ndarray[Any, Any]:
    """Return `sources` without its `middle`: the part before it, then the part after it.

    >>> ends(Window(3, before=1, after=1), 4, "reflect").tolist()
    [1, 2]
    """
    first, last = middle(window, n)
    positions = [*range(first), *range(last, covered(window, n))]
    found = [padded_source(at - window.before, n, mode) for at in positions]
    return np.array([-1 if source is None else source for source in found], np.int64)


def ends_or_none(window: Window, n: int, mode: str) -> np.ndarray[Any, Any] | None:
    """Return the `ends`, or None if all are zeros and `pack_line` supports the stride.

    >>> ends_or_none(Window(3, before=1, after=1), 4, "zeros")
    """
    return None if mode == "zeros" and window.stride <= 2 else ends(window, n, mode)


def covered(window: Window, n: int) -> int:
    """Return how many positions the windows cover.

    >>> covered(Window(3, before=1, after=1), 4)
    6
    """
    return window.span(window.outputs(n))


def middle(window: Window, n: int) -> tuple[int, int]:
    """Return the first and the end position of `sources` between which the input is unchanged.

    >>> middle(Window(3, before=1, after=1), 4)
    (1, 5)
    """
    count = covered(window, n)
    return min(window.before, count), min(window.before + n, count)


def copy(to: int, source: int, n: int) -> None:
    """Copy n elements."""
    i = 0
    while i + LANES <= n:
        store(to, i, load(source, i))
        i += LANES
    if i < n:
        if n >= LANES:  # the last vector overlaps the one before it, which avoids a loop
            store(to, n - LANES, load(source, n - LANES))
        else:
            store_some(to, 0, load_some(source, 0, n), n)


def clear(to: int, n: int) -> None:
    """Write n zeros."""
    i = 0
    while i < n:
        store_some(to, i, zero(), n - i)
        i += LANES


def edge(to: int, q: int, row: int, ends: int, i: int) -> None:
    """Write to element q the input, or the zero, at position i of the ends."""
    found = word(ends, i)
    if found < 0:
        put(to, q, number(0))
    else:
        put(to, q, get(row, found))


def clear_whole(to: int, n: int) -> None:
    """Write n zeros, rounded up to whole vectors."""
    i = 0
    while i < n:
        store(to, i, zero())
        i += LANES


def copy_whole(to: int, source: int, stride: int, n: int) -> None:
    """Copy n elements, a stride of 1 or 2 apart; fill the last vector with zeros."""
    i = 0
    if stride == 1:
        while i + LANES <= n:
            store(to, i, load(source, i))
            i += LANES
        if i < n:
            store(to, i, load_some(source, i, n - i))
    else:
        while i + LANES < n:
            store(to, i, evens(load(source, 2 * i), load(source, 2 * i + LANES)))
            i += LANES
        if i < n:
            rest = 2 * (n - i) - 1
            a, b = load_some(source, 2 * i, rest), load_some(source, 2 * i + LANES, rest - LANES)
            store(to, i, evens(a, b))


def pack_line(
    to: int, row: int, first: int, last: int, start: int, stride: int, length: int
) -> None:
    """Pack as `pack_row` does for a stride of 1 or 2 and zero ends, in whole vectors.

    Up to a vector after the `length` elements is overwritten.
    """
    low = min(length, max(0, (first - start + stride - 1) // stride))
    high = max(low, min(length, (last - start + stride - 1) // stride))
    clear_whole(to, low)
    copy_whole(to + low * WIDTH, row + (start + low * stride - first) * WIDTH, stride, high - low)
    clear_whole(to + high * WIDTH, length - high)


def pack_two(
    to: int, other: int, row: int, first: int, last: int, start: int, n: int, m: int
) -> None:
    """Write every other input from padded position `start` on to `to`, the others to `other`.

    The first n go to `to` and the first m to `other`. All ends are zeros.
    """
    low = max(0, (first - start + 1) // 2)  # from this pair on, neither element is padding
    clear(to, min(low, n))
    clear(other, min(low, m))
    if low > 0 and start + 2 * low - 1 >= first and low <= m and last > first:
        put(other, low - 1, get(row, start + 2 * low - 1 - first))
    inside = row + (start + 2 * low - first) * WIDTH
    count = max(0, last - start - 2 * low)
    i = 0
    while 2 * (i + LANES) <= count and low + i + LANES <= min(n, m):
        a, b = load(inside, 2 * i), load(inside, 2 * i + LANES)
        store(to, low + i, evens(a, b))
        store(other, low + i, odds(a, b))
        i += LANES
    while low + i < max(n, m):
        a = load_some(inside, 2 * i, count - 2 * i)
        b = load_some(inside, 2 * i + LANES, count - 2 * i - LANES)
        store_some(to, low + i, evens(a, b), n - low - i)
        store_some(other, low + i, odds(a, b), m - low - i)
        i += LANES


def pack_row(
    to: int, row: int, ends: int, first: int, last: int, start: int, stride: int, length: int
) -> None:
    """Write to element q of `to`, for q < length, the input at padded position start + q * stride.

    `row` is the address of a row of the input, `ends` that of its `ends`; `first` and `last` are
    its `middle`.
    """
    low = min(length, max(0, (first - start + stride - 1) // stride))
    high = max(low, min(length, (last - start + stride - 1) // stride))
    for q in range(low):
        edge(to, q, row, ends, start + q * stride)
    inside = row + (start + low * stride - first) * WIDTH
    to_inside = to + low * WIDTH
    n = high - low
    if stride == 1:
        copy(to_inside, inside, n)
    elif stride == 2:
        i = 0
        while i + LANES < n:
            both = evens(load(inside, 2 * i), load(inside, 2 * i + LANES))
            store(to_inside, i, both)
            i += LANES
        if i < n:
            rest = 2 * (n - i) - 1
            both = evens(
                load_some(inside, 2 * i, rest), load_some(inside, 2 * i + LANES, rest - LANES)
            )
            store_some(to_inside, i, both, n - i)
    else:
        for i in range(n):
            put(to_inside, i, get(inside, i * stride))
    for q in range(high, length):
        edge(to, q, row, ends, start + q * stride - last + max(first, 0))


@dataclass(frozen=True, kw_only=True)
class Packing:
    """The layout of a band of the input that `pack_band` packs.

    For each of `planes`, `depth_dilation` apart, for each of `phases` rows within a stride and each
    of `slots` columns (the `starts`), there are `lines` lines of `length` elements. `depth_table`
    and `row_table` are `sources`; `column_ends` are `ends_or_none`, for rows whose input is
    unchanged from `column_first` to `column_last`. They cover the positions before `depth_end`,
    `row_end` and `column_end`.
    """

    depth_table: Pointer
    row_table: Pointer
    column_ends: Pointer
    starts: Pointer
    planes: int
    depth_dilation: int
    depth_end: int
    row_stride: int
    column_stride: int
    row_end: int
    column_first: int
    column_last: int
    column_end: int
    phases: int
    slots: int
    lines: int
    length: int


def pack_band(
    x: int, to: int, d: int, top: int, left: int, channels: int, a: Packing, space: Axes
) -> None:
    """Pack a band of the input; d, top and left are the padded positions where it begins.

    `x` is the first of `channels` channels of shape `space`. Positions beyond the tables are left
    unwritten. Up to a vector after the last line is overwritten.
    """
    first, last, step = a.column_first, a.column_last, a.column_stride
    for c in range(channels):
        for p in range(a.planes):
            plane = -1
            if d + p * a.depth_dilation < a.depth_end:
                plane = word(a.depth_table, d + p * a.depth_dilation)
            for phase in range(a.phases):
                for slot in range(a.slots):
                    begin = left + word(a.starts, slot)
                    whole = (a.column_end - begin + step - 1) // step
                    count = max(0, min(a.length, whole))
                    two = (
                        a.column_ends == 0
                        and a.column_stride == 2
                        and a.slots == 2
                        and word(a.starts, 1) == 1
                    )
                    if two and slot == 1:
                        to += a.lines * a.length * WIDTH
                        continue
                    for line in range(a.lines):
                        position = top + line * a.row_stride + phase
                        found = -1
                        if position < a.row_end and plane >= 0:
                            found = word(a.row_table, position)
                        row = x + ((c * space.d + plane) * space.h + found) * space.w * WIDTH
                        other = to + a.lines * a.length * WIDTH
                        more = max(0, min(a.length, (a.column_end - begin) // 2))
                        # In the order of memory, so that the next line overwrites the excess.
                        if found < 0 and two:
                            clear(to, count)
                            clear(other, more)
                        elif found < 0:
                            clear_whole(to, count)
                        elif two:
                            pack_two(to, other, row, first, last, begin, count, more)
                        elif a.column_ends == 0:
                            pack_line(to, row, first, last, begin, step, count)
                        else:
                            pack_row(to, row, a.column_ends, first, last, begin, step, count)
                        to += a.length * WIDTH
