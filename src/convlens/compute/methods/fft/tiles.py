"""Divide an input into overlapping tiles, each transformed separately: overlap-save.

A tile of L positions gives the (L - extent) // stride + 1 outputs whose windows lie in it. Long
tiles waste little on the overlap, and short ones stay in the cache. A price for every possible size
decides.

Source: Oppenheim & Schafer, *Discrete-Time Signal Processing*, section 8.7.3 (overlap-save).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import frexp, isfinite, prod
from typing import Any

import numpy as np
from torch import Tensor

from convlens.compute.methods.reach import refuses_lengths
from convlens.compute.problems import Conv, Unsuited
from convlens.windows import Window

__all__ = ["Tiles", "choose", "power_of_two", "refuses_numbers"]

Prices = np.ndarray[Any, np.dtype[np.float64]]
DEAR = 2**28
"""The most bytes that the transforms of the kernels may take."""


@dataclass(frozen=True)
class Tiles:
    """Tiles along every axis: the `length` of each, the `step` between two, and their `count`.

    A tile gives step / stride outputs per axis.
    """

    length: tuple[int, ...]
    step: tuple[int, ...]
    count: tuple[int, ...]

    @property
    def points(self) -> int:
        """The positions of one tile."""
        return prod(self.length)


def refuses_numbers(problem: Conv) -> str | None:
    """Return why no Fourier transform can convolve arrays of this kind, or None."""
    if problem.dtype not in ("float32", "float64"):
        return f"it transforms float32 and float64, not {problem.dtype}"
    if problem.gradient:
        return "it gives no gradient by itself"
    kernels = problem.channels_out * problem.channels // problem.groups
    least = 16 * kernels * prod(window.extent for window in problem.windows)
    if least > DEAR:
        return f"the transforms of its kernels would take {least / 2**20:.0f} MB and more"
    return refuses_lengths(problem)


def power_of_two(weight: Tensor) -> float:
    """Return a power of two near the largest weight.

    Kernels are divided by it before they are transformed, so that transforms overflow or underflow
    only where the result does. Raises Unsuited if the largest weight is infinite or NaN.

    >>> import torch
    >>> power_of_two(torch.tensor([0.0, -3.0]))
    2.0
    """
    largest = float(weight.detach().abs().max())
    if not isfinite(largest):
        raise Unsuited("a weight is not finite, and a Fourier transform would spread it")
    if largest == 0:
        return 1.0
    return 2.0 ** (frexp(largest)[1] - 1)


def choose(
    problem: Conv,
    lengths: Sequence[Sequence[int]],
    price: Callable[[tuple[Prices, ...], Prices], Prices],
) -> tuple[Tiles, float]:
    """Return the cheapest tiles with the given lengths of each axis, and their price.

    `price(length, count)` takes arrays of one shape: for every choice the length per axis, and
    the number of tiles. `lengths` ascend; the last is used where no other is long enough.

    >>> problem = Conv(space=(100,), windows=(Window(5),), dtype="float32")
    >>> choose(problem, [[4, 16, 64, 128]], lambda length, count: count * length[0])[0]
    Tiles(length=(128,), step=(124,), count=(1,))
    >>> choose(problem, [[4, 8, 16, 52]], lambda length, count: count * length[0])[0].count
    (2,)
    """
    windows = problem.windows
    axes = []
    for window, outputs, allowed in zip(windows, problem.outputs, lengths, strict=True):
        axes.append(_axis(window, outputs, allowed, (200, 32, 14)[len(windows) - 1]))
    grids = np.meshgrid(*(np.arange(len(axis)) for axis in axes), indexing="ij")
    rows = [np.array(axis, np.float64)[grid] for axis, grid in zip(axes, grids, strict=True)]
    count = np.prod([row[..., 2] for row in rows], axis=0)
    prices = price(tuple(row[..., 0] for row in rows), count)
    best = np.unravel_index(int(np.argmin(prices)), prices.shape)
    chosen = [axis[int(i)] for axis, i in zip(axes, best, strict=True)]
    length, step, counts = zip(*chosen, strict=True)
    return Tiles(length, step, counts), float(prices[best])


def _axis(
    window: Window, outputs: int, allowed: Sequence[int], most: int
) -> list[tuple[int, int, int]]:
    """Return the (length, step, count) worth trying along one axis, about `most` of them."""
    low = min(bisect_left(allowed, window.extent), len(allowed) - 1)
    whole = window.span(outputs)
    high = min(max(bisect_left(allowed, whole), low), len(allowed) - 1)
    found: dict[int, tuple[int, int, int]] = {}
    for length in allowed[low : high + 1]:
        fresh = (length - window.extent) // window.stride + 1
        count = -(-outputs // fresh)
        found.setdefault(count, (length, fresh * window.stride, count))  # the shortest for a count
    worthy = list(found.values())[::-1]
    return worthy[:: -(-len(worthy) // most)]
