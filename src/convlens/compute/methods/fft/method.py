"""Convolve long and large kernels through Fourier transforms of tiles, by overlap-save.

Two tiles are the real and the imaginary part of one transform: two tiles of a signal or image or,
if an image is a single tile, those of two images. Each transform runs in memory that fits the
second-level cache (see `transforms.overlap`).

Errors spread evenly over two tiles: in float32, they are about 2e-7 of the root mean square of the
outputs, whatever the size of an output. Outputs whose own products are too small for that error are
recomputed (see `transforms.doubting` and `fft.again`).

Source: Stockham, *High-speed convolution and correlation*, AFIPS 28 (1966).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.launching import Launch, address_of, threads
from convlens.compute.kernels.machine import WIDTHS, machine
from convlens.compute.kernels.speed import Estimate
from convlens.compute.kernels.transforms import doubting, overlap
from convlens.compute.kernels.transforms.butterflies import butterflies
from convlens.compute.methods.fft.again import Regions, way
from convlens.compute.methods.fft.doubts import SLACK, doubts_of
from convlens.compute.methods.fft.geometry import geometry_of, schedules_of
from convlens.compute.methods.fft.layout import FourierLayout, cycles, radices_of, smooth
from convlens.compute.methods.fft.tiles import (
    Prices,
    Tiles,
    choose,
    power_of_two,
    refuses_numbers,
)
from convlens.compute.methods.method import ConvMethod, Fill
from convlens.compute.problems import Conv, Problem, Unfit, Unsuited
from convlens.windows import Window

__all__ = ["METHOD", "estimate", "prepare", "refuses"]

TINY = {"float32": 2.0**-105, "float64": 2.0**-900}
"""The limit for the largest weight of a kernel, below which other methods compute."""
HIDDEN, BEGUN = 0.81, 6000.0
"""The cycles that pass for one of the model, and those to start a pair of tiles."""

CORES = min(16, os.cpu_count() or 1)
"""The number of cores that tiles are chosen for: bits must not depend on the number of threads."""
FEW = 30_000
"""The products of four vectors in a pair of tiles for which another task packs them again."""

Numbers = np.ndarray[Any, Any]


def refuses(problem: Conv) -> str | None:
    """Return why this method cannot compute the problem, or None.

    >>> refuses(Conv(space=(4,), windows=(Window(2),), dtype="float32"))
    >>> refuses(Conv(space=(4,), windows=(Window(2, stride=2),), dtype="float32"))
    'it computes every output, most of which a stride of (2,) would leave out'
    """
    if problem.device != "cpu":
        return f"it runs on the CPU, not on {problem.device}"
    reason = refuses_numbers(problem)
    strides = tuple(window.stride for window in problem.windows)
    if reason is None and prod(strides) > 1:
        return f"it computes every output, most of which a stride of {strides} would leave out"
    return reason


def estimate(problem: Conv) -> Estimate:
    """Return about what it takes.

    >>> estimate(Conv(space=(10**6,), windows=(Window(2047),), dtype="float32")).cycles < 6e7
    True
    """
    pairs, cycles = _tiles(problem)[1:]
    tasks = problem.groups * pairs
    return Estimate(cycles=-(-tasks // threads()) * cycles, seconds=5e-6)


@functools.lru_cache(512)
def _tiles(problem: Conv) -> tuple[Tiles, int, float]:
    """Return the tiles to use, the pairs of them, and about how many cycles a pair takes."""
    lanes = machine().lanes(problem.dtype)
    windows = problem.windows
    each, outs = problem.channels // problem.groups, problem.channels_out // problem.groups
    line = len(windows) == 1
    multiples = [lanes * lanes] if line else [1, lanes, lanes][-len(windows) :]
    allowed = [
        smooth(n + window.before + window.after, multiple)
        for n, window, multiple in zip(problem.space, windows, multiples, strict=True)
    ]

    def price(length: tuple[Prices, ...], count: Prices) -> Prices:
        """Return the cycles of all pairs when every core has its share."""
        vectors = np.prod(length, axis=0) / lanes
        held = 2 * lanes * WIDTHS[problem.dtype] * vectors * (each + (outs > 1))
        far = np.maximum(0.0, np.log2(held / machine().level2))
        kernels = 2 * lanes * WIDTHS[problem.dtype] * vectors * each * outs
        away = np.maximum(0.0, np.log2(kernels / machine().level2))
        passes = np.zeros(vectors.shape)
        for axis, size in enumerate(length):
            last = axis == len(length) - 1
            passes += _cycles_of(size / lanes if last else size, last)
        cycles_each = (each + outs) * (passes + 54 + 10 * far)
        cycles_each += (12 + 8 * away) * each * outs
        tasks = problem.groups * np.ceil(problem.batch * count / 2)
        all_of_them = np.ceil(tasks / CORES) * CORES
        taken: Prices = all_of_them * (HIDDEN * vectors * cycles_each + BEGUN)
        return taken

    tiles, total = choose(problem, allowed, price)
    pairs = -(-problem.batch * prod(tiles.count) // 2)
    return tiles, pairs, total / max(1, -(-problem.groups * pairs // CORES) * CORES)


def _cycles_of(lengths: Prices, rows: bool) -> Prices:
    """Return the cycles of transforms of these lengths in vectors; long columns miss the cache."""
    found, places = np.unique(lengths, return_inverse=True)
    table = np.array([cycles(radices_of(int(length))) for length in found])
    if not rows:
        table *= np.where(found * 2 * machine().vector > 2 * machine().level1, 3, 1)
    return np.asarray(table[places.reshape(lengths.shape)])


def prepare(problem: Conv, weight: Tensor, bias: Tensor | None) -> Fill:
    """Return `run(x, y)`, which fills y (n, k, *outputs) from x (n, c, *space).

    Raises Unsuited for weights that are infinite or NaN, or so small that their transforms are
    subnormal.
    """
    return FourierRun(problem, weight.detach(), bias)


class FourierRun:
    """The kernels of one problem, packed for its weights: `__call__(x, y)` fills y.

    What the transform leaves in doubt is recomputed (see `fft.again`). `slack` is the number of
    roundings of the type that make one of the promised ones. A `part` of a problem is never passed
    on to other methods.
    """

    def __init__(
        self,
        problem: Conv,
        weight: Tensor,
        bias: Tensor | None,
        slack: float = 1.0,
        part: bool = False,
    ) -> None:
        self.problem, self.weight, self.bias = problem, weight, bias
        self.part = part
        self._made: dict[Problem, FourierRun] = {}  # in float64, made when needed
        tiles, pairs, self.cycles = _tiles(problem)
        lanes, width = machine().lanes(problem.dtype), WIDTHS[problem.dtype]
        layout = FourierLayout.of(tiles, lanes, _turned(problem.windows))
        spectra, factor, points = _spectra(problem, weight, tiles, layout)
        if factor < TINY[problem.dtype]:
            raise Unsuited(f"the weights, of {factor:.1g} at most, are too close to zero")
        given = bias.detach().numpy() if bias is not None else np.zeros(problem.channels_out)
        schedules, self._factors = schedules_of(layout, problem.dtype)
        self._geometry = geometry = geometry_of(
            problem,
            tiles,
            layout,
            schedules=schedules,
            spectra=spectra,
            scale=factor / points,
            bias=given,
            doubts=doubts_of(problem, weight, layout, points, factor, slack),
        )
        self.each, self.outs = geometry.each, geometry.outs
        self.tasks, self._area = problem.groups * pairs, geometry.area * width
        tile = 2 * layout.tile * width
        blocks = (2 * self.each * (lanes + geometry.blocks.elements) + 16 * lanes) * width
        kernel = Kernel.of(
            "fourier", problem.dtype, overlap.convolve_tiles, geometry, blocks=butterflies(lanes)
        )
        self._transform = Launch(
            kernel,
            geometry,
            tasks=self.tasks,
            scratch=tile * (self.each + (self.outs > 1)) + blocks + 2 * self._area,
        )

    def __call__(self, x: Tensor, y: Tensor) -> None:
        """Fill y (n, k, *outputs) from x (n, c, *space)."""
        if not self.tasks:
            return
        found = np.zeros(self.tasks * (1 + self.outs), np.int64)  # counts, then limits
        counts = address_of(found)
        limits = counts + 8 * self.tasks
        self._transform(x.data_ptr(), y.data_ptr(), limits, counts)
        if not np.count_nonzero(found):
            return
        held = found[self.tasks :].view(self.problem.dtype)[: self.tasks * self.outs]
        pairs = np.flatnonzero(np.any(held.reshape(self.tasks, self.outs), axis=1)).tolist()
        products = int(found[: self.tasks].sum())
        lanes = machine().lanes(self.problem.dtype)
        best = way(self.problem, lanes, self.tasks, self.cycles, products, len(pairs))
        match "directly" if self.part and best == "plainly" else best:
            case "directly":
                split = max(1, min(doubting.SPLIT, products // (FEW * len(pairs))))
                self._settle(x.data_ptr(), y.data_ptr(), limits, split)
            case "tiles":
                self._regions(x, y, pairs)
            case "wide":
                wide = torch.empty(y.shape, dtype=torch.float64)
                self._wide(self.problem)(x.double(), wide)
                y.copy_(wide)
            case "plainly":
                raise Unfit("too many results are in doubt; a method that sums directly is faster")

    @functools.cached_property
    def _settle(self) -> Launch:
        """The kernel that sums directly what is in doubt."""
        kernel = Kernel.of(
            "fourier_doubts", self.problem.dtype, doubting.settle_tiles, self._geometry
        )
        return Launch(
            kernel,
            self._geometry,
            tasks=self.tasks * doubting.SPLIT,
            scratch=(self.each + 1) * self._area,
        )

    @functools.cached_property
    def _regions(self) -> Regions:
        """The computation of pairs of tiles in float64."""
        return Regions(self.problem, _tiles(self.problem)[0], self._wide)

    def _wide(self, problem: Conv) -> FourierRun:
        """Return the same for a problem in float64, with the accuracy of float32."""
        found = self._made.get(problem)
        if found is None:
            bias = None if self.bias is None else self.bias.double()
            wide = replace(problem, dtype="float64")
            part = problem is not self.problem
            found = FourierRun(wide, self.weight.double(), bias, SLACK, part)
            self._made[problem] = found
        return found


def _turned(windows: Sequence[Window]) -> list[bool]:
    """Return which of the last three axes to transform; D and H of extent 1 need no transform."""
    turned = [window.extent > 1 for window in windows[:-1]]
    return [False] * (3 - len(windows)) + turned + [True]


def _spectra(
    problem: Conv, weight: Tensor, tiles: Tiles, layout: FourierLayout
) -> tuple[Numbers, float, int]:
    """Return the transforms of the kernels in the order of the layout, a factor, and their length.

    The factor is a power of two near the largest weight. The weights are divided by it first, so
    that transforms overflow or underflow only where the result does.
    """
    windows = problem.windows
    lanes = layout.lanes
    factor = power_of_two(weight)
    turned = _turned(windows)[-len(windows) :]
    lengths = [n if turn else 1 for n, turn in zip(tiles.length, turned, strict=True)]
    spread = (1,) * (3 - len(windows)) + tuple(lengths)
    places: Any = (..., *(slice(0, window.extent, window.dilation) for window in windows))
    order = layout.frequencies()
    count = layout.vectors // lanes
    found = np.empty((len(weight), weight.shape[1], count, lanes, 2, lanes), problem.dtype)
    for k, kernel in enumerate(weight.double().numpy() / factor):
        whole = np.zeros((weight.shape[1], *lengths))
        whole[places] = kernel
        axes = tuple(range(1, whole.ndim))
        transformed = np.fft.fftn(whole, axes=axes).conj().reshape(-1, *spread)
        parts = transformed[(slice(None), *order)].reshape(-1, count, lanes, lanes)
        found[k, ..., 0, :], found[k, ..., 1, :] = parts.real, parts.imag
    return found, factor, prod(lengths)


METHOD = ConvMethod(
    name="fft",
    solves=Conv,
    exact=False,
    repeats=True,
    compiles=True,
    skips=False,
    refuses=refuses,
    estimate=estimate,
    prepare=prepare,
)
