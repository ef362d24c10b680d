"""Rows of the input as the windows see them: padding put in, every stride-th element drawn out.

Python gives the positions as a table, `sources`; the words here move the numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from convlens.compute.kernels.words import (
    LANES,
    WIDTH,
    evens,
    get,
    load,
    load_some,
    number,
    put,
    store,
    store_some,
    word,
    zero,
)
from convlens.windows import Window, padded_source

__all__ = ["clear", "copy", "edge", "middle", "pack_row", "sources"]


def sources(window: Window, n: int, mode: str) -> np.ndarray[Any, Any]:
    """Return for every position that windows cover, from the first on, which of n inputs it is.

    -1 stands for a zero. The windows are those of a convolution.

    >>> sources(Window(3, before=1, after=1), 4, "zeros").tolist()
    [-1, 0, 1, 2, 3, -1]
    """
    count = (window.outputs(n) - 1) * window.stride + window.extent
    table = np.arange(-window.before, count - window.before, dtype=np.int64)
    for at in np.flatnonzero((table < 0) | (table >= n)):
        found = padded_source(int(table[at]), n, mode)
        table[at] = -1 if found is None else found
    return table


def middle(window: Window, n: int) -> tuple[int, int]:
    """Return between which positions of `sources` the input lies as it is, one after another.

    >>> middle(Window(3, before=1, after=1), 4)
    (1, 5)
    """
    count = (window.outputs(n) - 1) * window.stride + window.extent
    return min(window.before, count), min(window.before + n, count)


def copy(to: int, source: int, n: int) -> None:
    """Copy n elements."""
    i = 0
    while i + LANES <= n:
        store(to, i, load(source, i))
        i += LANES
    if i < n:
        if n >= LANES:  # the last vector again covers some that were copied: no loop over the rest
            store(to, n - LANES, load(source, n - LANES))
        else:
            store_some(to, 0, load_some(source, 0, n), n)


def clear(to: int, n: int) -> None:
    """Write n zeros."""
    i = 0
    while i < n:
        store_some(to, i, zero(), n - i)
        i += LANES


def edge(to: int, q: int, row: int, table: int, position: int) -> None:
    """Write to element q what stands at a padded position: some input, or a zero."""
    found = word(table, position)
    if found < 0:
        put(to, q, number(0))
    else:
        put(to, q, get(row, found))


def pack_row(
    to: int, row: int, table: int, first: int, last: int, start: int, stride: int, length: int
) -> None:
    """Write to element q of `to`, for q < length, the input at padded position start + q * stride.

    `row` is the address of a row of the input, `table` that of its `sources`; `first` and `last`
    are its `middle`.
    """
    low = min(length, max(0, (first - start + stride - 1) // stride))
    high = max(low, min(length, (last - start + stride - 1) // stride))
    for q in range(low):
        edge(to, q, row, table, start + q * stride)
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
        edge(to, q, row, table, start + q * stride)
