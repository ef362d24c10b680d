"""Interleave results that were computed as one row per phase."""

from __future__ import annotations

from convlens.compute.kernels.language.words import (
    LANES,
    WIDTH,
    get,
    high,
    load,
    low,
    put,
    store,
    store_some,
)
from convlens.compute.kernels.rows.packing import copy

__all__ = ["interleave", "interleave_2", "interleave_4"]


def interleave(to: int, source: int, apart: int, count: int, n: int) -> None:
    """Write n elements, taken in turn from `count` rows that are `apart` elements apart.

    Whole vectors are read from each row.
    """
    if count == 1:
        copy(to, source, n)
    elif count == 2:
        interleave_2(to, source, apart, n)
    elif count == 4:
        interleave_4(to, source, apart, n)
    else:
        for phase in range(count):
            row = source + phase * apart * WIDTH
            for q in range((n - phase + count - 1) // count):
                put(to, q * count + phase, get(row, q))


def interleave_2(to: int, source: int, apart: int, n: int) -> None:
    """Interleave two rows."""
    i = 0
    while i < n:
        a, b = load(source, i // 2), load(source, i // 2 + apart)
        if n - i >= 2 * LANES:
            store(to, i, low(a, b))
            store(to, i + LANES, high(a, b))
        else:
            store_some(to, i, low(a, b), n - i)
            store_some(to, i + LANES, high(a, b), n - i - LANES)
        i += 2 * LANES


def interleave_4(to: int, source: int, apart: int, n: int) -> None:
    """Interleave four rows."""
    i = 0
    while i < n:
        a, b = load(source, i // 4), load(source, i // 4 + apart)
        c, d = load(source, i // 4 + 2 * apart), load(source, i // 4 + 3 * apart)
        even, odd = low(a, c), low(b, d)
        more_even, more_odd = high(a, c), high(b, d)
        if n - i >= 4 * LANES:
            store(to, i, low(even, odd))
            store(to, i + LANES, high(even, odd))
            store(to, i + 2 * LANES, low(more_even, more_odd))
            store(to, i + 3 * LANES, high(more_even, more_odd))
        else:
            store_some(to, i, low(even, odd), n - i)
            store_some(to, i + LANES, high(even, odd), n - i - LANES)
            store_some(to, i + 2 * LANES, low(more_even, more_odd), n - i - 2 * LANES)
            store_some(to, i + 3 * LANES, high(more_even, more_odd), n - i - 3 * LANES)
        i += 4 * LANES
