"""Recompute results that a transform leaves in doubt, in the way that is probably the fastest.

A few outputs are summed directly. For more, their tiles or the whole input are transformed again in
float64. If even that leaves much in doubt, another method sums everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from math import prod
from typing import Any

import torch
from torch import Tensor

from convlens.compute.kernels.launching import threads
from convlens.compute.kernels.rows import packing
from convlens.compute.methods.fft.tiles import Tiles
from convlens.compute.problems import Conv
from convlens.windows import Window

__all__ = ["Regions", "way"]

DIRECT, PLAIN = 4.9, 1.6
"""The cycles of a product of four vectors, where doubtful results are summed and where all are."""
WIDER, GATHER, ANEW = 3.0, 6e5, 9e6
"""The time of a transform in float64 over one in float32; the cycles to gather a pair of tiles for
it, and to start another method."""


def way(problem: Conv, lanes: int, tasks: int, cycles: float, products: int, pairs: int) -> str:
    """Return how to compute what is in doubt: "directly", by "tiles", "wide", or all "plainly".

    There are `tasks` transforms of two tiles, of `cycles` each. `pairs` of them have doubtful
    results, which are sums of `products` products of four vectors.

    >>> problem = Conv(space=(10**6,), windows=(Window(2047),), dtype="float32")
    >>> [way(problem, 8, 36, 1.5e5, n * 800 * 2047, n) for n in (1, 36)]
    ['tiles', 'wide']
    >>> way(problem, 8, 36, 1.5e5, 2 * 2047, 1)
    'directly'
    """
    each = problem.channels // problem.groups / threads()
    fours = problem.batch * problem.channels_out * prod(problem.outputs) / (4 * lanes)
    prices = {
        "directly": products * each * DIRECT,
        "plainly": fours * prod(problem.size) * each * PLAIN + ANEW,
    }
    if problem.dtype == "float32":
        prices["wide"] = WIDER * tasks * cycles / threads()
        if problem.groups == 1:
            prices["tiles"] = pairs * (WIDER * cycles / min(2, threads()) + GATHER)
    return min(prices, key=lambda name: prices[name])


class Regions:
    """Pairs of tiles of a problem, each computed as a separate convolution in float64.

    `make(problem)` returns `run(x, y)` for such a problem.
    """

    def __init__(
        self,
        problem: Conv,
        tiles: Tiles,
        make: Callable[[Conv], Callable[[Tensor, Tensor], None]],
    ) -> None:
        windows = problem.windows
        self.problem, self.tiles = problem, tiles
        self.sources = [
            torch.from_numpy(packing.sources(window, n, problem.padding_mode))
            for window, n in zip(windows, problem.space, strict=True)
        ]
        self.space = tuple(
            step + window.extent - 1 for step, window in zip(tiles.step, windows, strict=True)
        )
        bare = tuple(Window(window.size, dilation=window.dilation) for window in windows)
        own = replace(
            problem, batch=2, space=self.space, windows=bare, dtype="float64", padding_mode="zeros"
        )
        self.run, self.outputs = make(own), own.outputs

    def __call__(self, x: Tensor, y: Tensor, pairs: list[int]) -> None:
        """Fill the outputs of these pairs of tiles in y (n, k, *outputs) from x (n, c, *space)."""
        places = list(product(range(self.problem.batch), *map(range, self.tiles.count)))
        given = torch.zeros(2, self.problem.channels, *self.space, dtype=torch.float64)
        result = torch.empty(2, self.problem.channels_out, *self.outputs, dtype=torch.float64)
        for pair in pairs:
            some = [
                (n, [at * step for at, step in zip(place, self.tiles.step, strict=True)])
                for n, *place in places[2 * pair : 2 * pair + 2]
            ]
            given.zero_()
            for part, (n, origin) in zip(given, some, strict=False):
                self._gather(part, x[n], origin)
            self.run(given, result)
            for part, (n, origin) in zip(result, some, strict=False):
                ends = zip(origin, self.tiles.step, self.problem.outputs, strict=True)
                sizes = [min(step, outputs - at) for at, step, outputs in ends]
                wanted: Any = (..., *(slice(size) for size in sizes))
                at: Any = (n, ..., *map(_span, origin, sizes))
                y[at] = part[wanted].to(y.dtype)

    def _gather(self, part: Tensor, x: Tensor, origin: list[int]) -> None:
        """Write the input that the windows of a tile read, with its padding."""
        where: list[slice] = []
        for axis, (source, begin) in enumerate(zip(self.sources, origin, strict=True)):
            read = source[begin : begin + self.space[axis]]
            x = x.index_select(axis + 1, read.clamp(min=0))
            x = torch.where((read >= 0).reshape(-1, *[1] * (x.ndim - axis - 2)), x, 0)
            where.append(slice(len(read)))
        at: Any = (..., *where)
        part[at] = x


def _span(begin: int, size: int) -> slice:
    return slice(begin, begin + size)
