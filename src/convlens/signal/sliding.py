"""Slide windows along some axes of an array, laid out as compute needs it.

Compute takes (n, c, *space) with up to three axes of space. SciPy's functions take an array and
the axes to filter. This file turns one into the other, with as few copies as the layout allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from convlens.compute.dispatching import execute
from convlens.compute.operands.arrays import to_tensor
from convlens.compute.operands.operands import Operands
from convlens.compute.operations import avg_pool, max_pool
from convlens.compute.reading.remembering import recall_conv

__all__ = ["MOST_AXES", "PLAIN", "Ends", "Numbers", "correlate_along", "pool_along"]

Numbers = np.ndarray[Any, Any]
Ends = Mapping[int, tuple[int, int]]

MOST_AXES = 3
"""The number of axes that compute can slide along at once."""

PLAIN = {"auto": False, "direct": True, "fft": False}
"""The methods of `scipy.signal.convolve`, and whether each forbids compute to transform."""

LONG_ROW = 16
"""The elements from which an axis behind the window stays in place rather than being moved."""


def correlate_along(x: Numbers, weight: Numbers, ends: Ends, method: str = "auto") -> Numbers:
    """Return the sums of products of `weight` and the part of `x` under it, along some axes.

    `x` and `weight` have equally many axes and the same element type, which compute convolves.
    `ends` maps each axis to slide along to its zero padding (before, after); along the other axes
    `x` and `weight` are broadcast. `method` is "auto", "direct" or "fft", as in
    `scipy.signal.convolve`. `weight` is not conjugated.

    >>> correlate_along(np.array([[1.0, 2.0, 4.0]]), np.array([[-1.0, 1.0]]), {1: (1, 0)})
    array([[1., 1., 2.]])
    """
    sliding = tuple(sorted(ends))
    if not sliding:
        return np.asarray(x * weight)
    if len(sliding) > MOST_AXES:
        return _correlate_by_taps(x, weight, ends, method)
    others = [axis for axis in range(x.ndim) if axis not in sliding]
    if any(weight.shape[axis] > 1 for axis in others):
        return _correlate_many(x, weight, ends, method)
    folded = _fold(x, sliding)
    rank = folded.array.ndim - 2
    size, padding = [1] * rank, [(0, 0)] * rank
    for place, axis in zip(folded.places, sliding, strict=True):
        size[place], padding[place] = weight.shape[axis], ends[axis]
    kernel = weight.reshape(1, 1, *size)
    return folded.unfold(_correlate(folded.array, kernel, padding, 1, method))


def pool_along(operation: str, x: Numbers, sizes: Mapping[int, int], ends: Ends) -> Numbers:
    """Return the maxima or means of windows of `sizes` elements along up to three axes.

    `operation` is "max_pool" or "avg_pool". `ends` maps each axis to its padding (before, after),
    which never wins a maximum and is 0 in a mean.

    >>> pool_along("max_pool", np.array([[1, 5, 2], [3, 0, 4]]), {0: 2}, {0: (1, 0)})
    array([[1, 5, 2],
           [3, 5, 4]])
    """
    sliding = tuple(sorted(sizes))
    folded = _fold(x, sliding)
    rank = folded.array.ndim - 2
    size, padding = [1] * rank, [(0, 0)] * rank
    for place, axis in zip(folded.places, sliding, strict=True):
        size[place], padding[place] = sizes[axis], ends[axis]
    pool: Callable[..., Any] = max_pool if operation == "max_pool" else avg_pool
    return folded.unfold(np.asarray(pool(folded.array, tuple(size), stride=1, padding=padding)))


def _correlate_by_taps(x: Numbers, weight: Numbers, ends: Ends, method: str) -> Numbers:
    """Slide along more than three axes: correlate with one tap of an axis at a time, and sum."""
    axis = min(ends, key=lambda axis: weight.shape[axis])
    rest = {other: pair for other, pair in ends.items() if other != axis}
    wide = np.pad(x, [ends[a] if a == axis else (0, 0) for a in range(x.ndim)])
    taps = weight.shape[axis]
    outputs = wide.shape[axis] - taps + 1
    index = [slice(None)] * x.ndim
    total: Numbers | None = None
    for tap in range(taps):
        index[axis] = slice(tap, tap + outputs)
        y = correlate_along(wide[tuple(index)], np.take(weight, [tap], axis), rest, method)
        total = y if total is None else total + y
    return np.asarray(total)


@dataclass(frozen=True)
class _Folded:
    """An array as (n, 1, *space); `places` gives the position in space of each sliding axis.

    `order` says how the axes of the array were moved, and `shape` gives their sizes after that.
    `sliding` counts the axes to slide along in the moved order.
    """

    array: Numbers
    places: tuple[int, ...]
    order: tuple[int, ...]
    shape: tuple[int, ...]
    sliding: tuple[int, ...]

    def unfold(self, y: Numbers) -> Numbers:
        """Return a result of shape (n, 1, *outputs) with the axes in their original order."""
        shape = list(self.shape)
        for place, axis in zip(self.places, self.sliding, strict=True):
            shape[axis] = y.shape[2 + place]
        return _in_order(y.reshape(shape), self.order)


def _runs(ndim: int, sliding: tuple[int, ...]) -> list[list[int]]:
    """Return the axes from the first that slides on; neighbours that do not slide are one run.

    >>> _runs(5, (1, 4))
    [[1], [2, 3], [4]]
    """
    runs: list[list[int]] = []
    for axis in range(sliding[0], ndim):
        if runs and axis not in sliding and runs[-1][-1] not in sliding:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    return runs


def _fold(x: Numbers, sliding: tuple[int, ...]) -> _Folded:
    """Lay out x for windows along some axes: as a view if rows stay long, else with these last.

    >>> _fold(np.ones((4, 5, 6, 7)), (1,)).array.shape, _fold(np.ones((4, 5, 3)), (1,)).array.shape
    ((4, 1, 5, 42), (12, 1, 5))
    """
    runs = _runs(x.ndim, sliding)
    space = [prod(x.shape[axis] for axis in run) for run in runs]
    if len(runs) <= MOST_AXES and (x.ndim - 1 in sliding or space[-1] >= LONG_ROW):
        places = tuple(place for place, run in enumerate(runs) if run[0] in sliding)
        array = x.reshape(prod(x.shape[: sliding[0]]), 1, *space)
        return _Folded(array, places, tuple(range(x.ndim)), x.shape, sliding)
    others = [axis for axis in range(x.ndim) if axis not in sliding]
    order = (*others, *sliding)
    moved = x.transpose(order)
    count = len(sliding)
    array = moved.reshape(prod(moved.shape[:-count]), 1, *moved.shape[-count:])
    last = tuple(range(x.ndim - count, x.ndim))
    return _Folded(array, tuple(range(count)), order, moved.shape, last)


def _correlate_many(x: Numbers, weight: Numbers, ends: Ends, method: str) -> Numbers:
    """Correlate with many kernels: axes of x are the batch, of weight kernels, of both groups."""
    sliding = sorted(ends)
    others = [axis for axis in range(x.ndim) if axis not in sliding]
    batch = [axis for axis in others if weight.shape[axis] == 1]
    kernels = [axis for axis in others if axis not in batch and x.shape[axis] == 1]
    groups = [axis for axis in others if axis not in batch and axis not in kernels]
    count = prod(x.shape[axis] for axis in groups)
    order = (*batch, *groups, *kernels, *sliding)
    space = [x.shape[axis] for axis in sliding]
    size = [weight.shape[axis] for axis in sliding]
    array = x.transpose(order).reshape(prod(x.shape[axis] for axis in batch), count, *space)
    kernel = weight.transpose(*groups, *kernels, *batch, *sliding).reshape(-1, 1, *size)
    y = _correlate(array, kernel, [ends[axis] for axis in sliding], count, method)
    lead = [max(x.shape[axis], weight.shape[axis]) for axis in order[: len(others)]]
    return _in_order(y.reshape(*lead, *y.shape[2:]), order)


def _in_order(y: Numbers, order: Sequence[int]) -> Numbers:
    """Move axis i of y to order[i]; the result is contiguous."""
    return np.ascontiguousarray(y.transpose(np.argsort(order)))


def _correlate(
    x: Numbers, kernel: Numbers, padding: list[tuple[int, int]], groups: int, method: str
) -> Numbers:
    """Return (n, groups * k, *outputs) from compute, as plain sums if `method` is "direct"."""
    problem = recall_conv(Operands(x, kernel), padding=padding, groups=groups)
    y, _ = execute(problem, to_tensor(x), to_tensor(kernel), exact=PLAIN[method])
    return np.asarray(y)
