"""Find the largest or smallest element under a footprint, in any element type, without rounding.

A row of the footprint consists of runs of neighbours. Each step doubles a run: the extremes of 2n
neighbours come from those of n. Two such runs that overlap cover a run of any length.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor
from typing import Any

import numpy as np

from convlens.signal.ndimage_arguments import extend, to_type
from convlens.signal.sliding import Ends, Numbers

__all__ = ["extreme_under", "holds"]


def holds(dtype: np.dtype[Any], cval: Any) -> bool:
    """Return whether an element type holds a border value; floats hold any, rounded.

    >>> holds(np.dtype("uint8"), 7), holds(np.dtype("uint8"), -1), holds(np.dtype("f4"), 0.1)
    (True, False, True)
    """
    if dtype.kind == "f":
        return True
    low, high = _limits(dtype)
    return bool(low <= cval <= high and cval == int(cval))


def extreme_under(
    x: Numbers,
    mask: Numbers,
    ends: Ends,
    border: str,
    cval: Any,
    dtype: np.dtype[Any],
    *,
    least: bool,
) -> Numbers:
    """Return the largest (or `least`) of the elements under the True elements of `mask`.

    `mask` has as many axes as `x`; `ends` says how many elements it reads (before, after) each. If
    the type of `x` cannot hold `cval`, `cval` is compared separately. Raises ValueError if such a
    `cval` wins and the type `dtype` of the result cannot hold it.

    >>> x = np.array([2**53 + 1, 5, 2**53 + 3])
    >>> mask = np.array([True, False, True])
    >>> extreme_under(x, mask, {0: (1, 1)}, "edge", 0, x.dtype, least=False)
    array([9007199254740993, 9007199254740995, 9007199254740995])
    """
    if border != "constant" or holds(x.dtype, cval):
        return to_type(_extremes(extend(x, ends, border, cval), mask, x.shape, least), dtype)
    low, high = _limits(x.dtype)
    inner = _extremes(extend(x, ends, border, high if least else low), mask, x.shape, least)
    inside = np.ones(x.shape, bool)
    some = _extremes(extend(inside, ends, border, False), mask, x.shape, False)
    outside = _extremes(extend(~inside, ends, border, True), mask, x.shape, False)
    wins = outside & (~some | _beats(cval, inner, least))
    y = to_type(inner, dtype)
    if wins.any():
        y = np.where(wins, _as_type(cval, dtype), y)
    return y


def _extremes(wide: Numbers, mask: Numbers, shape: tuple[int, ...], least: bool) -> Numbers:
    """Return the extremes under the mask, in an array of `shape`, from the padded array `wide`."""
    choose = np.minimum if least else np.maximum
    level, reach = 0, wide
    y: Numbers | None = None
    for power, start, index in sorted(_parts(mask), key=lambda part: part[0]):
        while level < power:  # `reach` holds extremes of 2**level neighbours along the last axis
            step = 2**level
            reach, level = choose(reach[..., :-step], reach[..., step:]), level + 1
        at = (*index, start)
        part = reach[tuple(slice(a, a + n) for a, n in zip(at, shape, strict=True))]
        y = part.copy() if y is None else choose(y, part, out=y)
    return np.asarray(y)


def _parts(mask: Numbers) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Yield (power, start, row) of runs of 2**power neighbours that together cover the mask."""
    for index in np.ndindex(*mask.shape[:-1]):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], mask[index].astype(np.int8), [0]])))
        for start, stop in edges.reshape(-1, 2).tolist():
            power = (stop - start).bit_length() - 1
            yield power, start, index
            if stop - start > 2**power:
                yield power, stop - 2**power, index


def _limits(dtype: np.dtype[Any]) -> tuple[int, int]:
    if dtype.kind == "b":
        return 0, 1
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def _beats(cval: Any, inner: Numbers, least: bool) -> Numbers:
    """Return where a border value wins over integers, without rounding either."""
    if cval != cval or abs(cval) == float("inf"):
        return np.full(inner.shape, cval != cval or (cval < 0) == least)
    low, high = _limits(inner.dtype)
    if least:  # cval < inner
        return inner > floor(cval) if low <= cval < high else np.full(inner.shape, cval < low)
    return inner < ceil(cval) if low < cval <= high else np.full(inner.shape, cval > high)


def _as_type(cval: Any, dtype: np.dtype[Any]) -> Numbers:
    """Return a winning border value in the type of the result, converted as in C."""
    if dtype.kind not in "ui":
        return to_type(np.asarray(cval, np.float64), dtype)
    if cval != cval or not -(2**63) <= cval < 2**64:
        raise ValueError(
            f"`cval` (={cval!r}) wins beyond the border, but {dtype} cannot hold it; use another "
            "`cval`, or float64 as `output`"
        )
    bits = 8 * dtype.itemsize
    whole = int(cval) % 2**bits
    return np.asarray(whole).astype(f"u{dtype.itemsize}").astype(dtype)
