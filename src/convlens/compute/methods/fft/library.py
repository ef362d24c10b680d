"""Convolve through torch's Fourier transforms, tile by tile: long kernels without compiling.

It runs wherever torch does, and serves long kernels on a GPU.

A transform turns a sum of products into one product. Every input channel and every output channel
is transformed once. Tiles overlap by the extent of the kernel minus one (see `fft.tiles`). Only
some tiles are transformed at a time, so that memory stays small.

Errors spread evenly over a tile, whatever the size of an output. So float32 is transformed in
float64. If outputs are in doubt even then (see `fft.doubts`), the magnitudes are convolved,
and outputs whose own products are too small are summed one by one.
"""

from __future__ import annotations

import functools
import itertools
from math import log2, prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.compute.kernels.launching import threads
from convlens.compute.kernels.rows.packing import sources
from convlens.compute.kernels.speed import NOMINAL, Estimate
from convlens.compute.methods.fft.doubts import PEAK, REACH, SHARES, SLACK
from convlens.compute.methods.fft.tiles import (
    Prices,
    Tiles,
    choose,
    power_of_two,
    refuses_numbers,
)
from convlens.compute.methods.method import ConvMethod, Fill
from convlens.compute.methods.promise import within
from convlens.compute.problems import Conv, Unfit

__all__ = ["METHOD", "estimate", "prepare", "refuses"]

AT_ONCE, AT_ONCE_CUDA = 2**18, 2**25
"""About how many input numbers are transformed at a time: few enough for a cache on a CPU, enough
to occupy all of a GPU."""
LAUNCHES, FASTER = 3e-4, 50.0
"""The least seconds of a call on a GPU, and how much faster it is than one core: guesses."""
LARGE = 2**21
"""The positions of a tile above which smaller tiles are used, whatever they waste."""
SUMMED, GATHERED = 2**27, 2**19
"""The most products of outputs that are summed one by one, and about how many at a time."""

Table = np.ndarray[Any, np.dtype[np.int64]]
Box = tuple[range, ...]


@functools.cache
def _smooth(limit: int) -> list[int]:
    """Return the lengths up to twice a limit that have no prime factor above 5, in order."""
    found = {
        2**a * 3**b * 5**c
        for a, b, c in itertools.product(range(limit.bit_length() + 1), range(6), range(4))
    }
    return sorted(length for length in found if length <= 2 * limit)


def refuses(problem: Conv) -> str | None:
    """Return why this method cannot compute the problem, or None.

    >>> from convlens.windows import Window
    >>> refuses(Conv(space=(4,), windows=(Window(2),), dtype="float32"))
    >>> refuses(Conv(space=(4,), windows=(Window(2),), dtype="int32"))
    'it transforms float32 and float64, not int32'
    """
    if problem.device != "cpu" and not problem.device.startswith("cuda"):
        return f"it runs on the CPU and on CUDA, not on {problem.device}"
    return refuses_numbers(problem)


def estimate(problem: Conv) -> Estimate:
    """Return about what it takes.

    >>> from convlens.windows import Window
    >>> estimate(Conv(space=(10**6,), windows=(Window(2047),), dtype="float32")).cycles < 3e8
    True
    """
    if problem.device.startswith("cuda"):
        return Estimate(seconds=LAUNCHES + _tiles(problem)[1] / NOMINAL.clock / FASTER)
    return Estimate(cycles=_tiles(problem)[1] / threads() ** 0.5)


@functools.lru_cache(512)
def _tiles(problem: Conv) -> tuple[Tiles, float]:
    """Return the tiles to use, and about how many cycles all of them take."""
    c, k = problem.channels, problem.channels_out
    products = k * c // problem.groups

    def price(length: tuple[Prices, ...], count: Prices) -> Prices:
        points = np.prod(length, axis=0)
        transforms = (c + k) * points * (2.5 * np.log2(points) + 4)
        far = np.maximum(0, np.log2(np.maximum.reduce(length)) - 13)  # beyond the caches
        each = 0.3 * transforms * (1 + 0.15 * far) + 1.8 * products * points
        each += np.where(points > LARGE, 3e12, 0)
        calls = np.ceil(count * c * points / _at_once(problem))
        calls = calls * (1.5e5 + k / problem.groups * 9e4)
        cycles: Prices = 2.0 * problem.batch * count * each + calls
        return cycles

    windows = problem.windows
    longest = [
        n + window.before + window.after for n, window in zip(problem.space, windows, strict=True)
    ]
    return choose(problem, [_smooth(2 * n) for n in longest], price)


def prepare(problem: Conv, weight: Tensor, bias: Tensor | None) -> Fill:
    """Return `run(x, y)`, which fills y (n, k, *outputs) from x (n, c, *space).

    `run` raises Unfit if too many outputs are in doubt to sum them one by one. Raises Unsuited for
    weights that are infinite or NaN.
    """
    return LibraryRun(problem, weight.detach(), bias)


class LibraryRun:
    """One problem with its weights: `__call__(x, y)` fills y."""

    def __init__(self, problem: Conv, weight: Tensor, bias: Tensor | None) -> None:
        self.problem, self.groups = problem, problem.groups
        self.tiles, _ = _tiles(problem)
        self.tables = [
            sources(window, n, problem.padding_mode)
            for window, n in zip(problem.windows, problem.space, strict=True)
        ]
        self.scale = power_of_two(weight)
        # The kernels are divided by a power of two near the largest weight, so that transforms
        # overflow or underflow only where the result does.
        shape = (self.groups, -1, problem.channels // self.groups, *problem.size)
        self.weight = weight.double().reshape(shape)
        self.bias = None if bias is None else bias.detach().double().reshape(self.groups, -1)
        self.spectra = self._spectra(self.weight)
        share = SLACK if problem.dtype == "float32" else 1.0
        rounding = log2(max(2, self.tiles.points)) / (within(problem) * share)
        axes = tuple(range(3, self.weight.ndim))
        self.spread = self.weight.square().sum(axes).sqrt() * (SHARES[0] * rounding)
        self.spectral = SHARES[1] * rounding * self.scale / self.tiles.points

    @functools.cached_property
    def magnitudes(self) -> Tensor:
        """The spectra of the kernels without their signs."""
        return self._spectra(self.weight.abs())

    def _spectra(self, weight: Tensor) -> Tensor:
        """Return the conjugate transforms of the kernels (g, k/g, c/g, *frequencies)."""
        windows = self.problem.windows
        kernels = weight.new_zeros((*weight.shape[:3], *(window.extent for window in windows)))
        places: Any = (..., *(slice(None, None, window.dilation) for window in windows))
        kernels[places] = weight / self.scale
        axes = tuple(range(-len(windows), 0))
        found: Tensor = torch.fft.rfftn(kernels, self.tiles.length, axes).conj().resolve_conj()
        return found

    def __call__(self, x: Tensor, y: Tensor) -> None:
        """Fill y (n, k, *outputs) from x (n, c, *space), some tiles of some images at a time."""
        if not y.numel():
            return
        groups, outs, each = self.spectra.shape[:3]
        inputs = x.reshape(len(x), groups, each, *x.shape[2:])
        results = y.view(len(y), groups, outs, *y.shape[2:])
        doubts = torch.zeros(0, dtype=torch.bool)
        images, boxes = _shares(self.problem, self.tiles)
        for start in range(0, len(x), images):
            for box in boxes:
                stacked = _stack(inputs[start : start + images], self.tables, self.tiles, box)
                stacked = stacked.double()
                transformed = torch.fft.rfftn(stacked, dim=self._space)
                size, largest = self._sizes(stacked)
                for k in range(outs):
                    found, certain = self._one(stacked, transformed, size, largest, k)
                    if self.bias is not None:
                        found += self.bias[:, k].reshape(-1, *[1] * len(self.tables))
                    _put(found, results[start : start + images, :, k], box)
                    if not bool(certain.all()):
                        if not doubts.numel():
                            doubts = torch.zeros_like(results, dtype=torch.bool)
                        _put(~certain, doubts[start : start + images, :, k], box)
        if doubts.numel():
            self._settle(inputs, results, doubts)

    @property
    def _space(self) -> tuple[int, ...]:
        return tuple(range(-len(self.tables), 0))

    def _sizes(self, stacked: Tensor) -> tuple[Tensor, Tensor]:
        """Return what tiles (n, g, c/g, *tiles, *length) contribute to errors, and their maxima."""
        largest = stacked.abs().amax(self._space)
        size = stacked.square().mean(self._space).sqrt() + PEAK * largest
        return size, largest.amax(2)

    def _one(
        self, stacked: Tensor, transformed: Tensor, size: Tensor, largest: Tensor, k: int
    ) -> tuple[Tensor, Tensor]:
        """Return the results (n, g, *space) of one kernel per group, and which are certain."""
        axes = len(self.tables)
        product = _product(transformed, self.spectra[:, k], axes)
        energy = 2 * (product.real.square() + product.imag.square()).sum(self._space)
        spread = self.spread[:, k].reshape(self.groups, -1, *[1] * axes)
        limit = (size * spread).sum(2) + self.spectral * energy.sqrt()
        reach = REACH["float64"]
        odd = (largest > reach) | ((largest > 0) & (largest < 1 / reach)) | ~limit.isfinite()
        limit = torch.where(odd, torch.nan, limit)
        limit = limit.reshape(*limit.shape, *[1] * axes)
        found = self._back(product)
        certain = found.abs() >= limit
        if not bool(certain.all()):
            whole = torch.fft.rfftn(stacked.abs(), dim=self._space)
            certain |= self._back(_product(whole, self.magnitudes[:, k], axes)) >= 2 * limit
        return _lay_out(found, axes), _lay_out(certain, axes)

    def _back(self, product: Tensor) -> Tensor:
        """Return the results of tiles (n, g, *tiles, *step) from their spectra."""
        strides = [window.stride for window in self.problem.windows]
        cut = [slice(0, n, stride) for n, stride in zip(self.tiles.step, strides, strict=True)]
        kept: Any = (..., *cut)
        back: Tensor = torch.fft.irfftn(product, self.tiles.length, self._space)
        return back[kept] * self.scale

    def _settle(self, inputs: Tensor, results: Tensor, doubts: Tensor) -> None:
        """Sum the doubtful results one by one, or raise Unfit."""
        each = self.spectra.shape[2]
        taps = each * prod(self.problem.size)
        places = doubts.nonzero()
        if len(places) * taps > SUMMED:
            raise Unfit(f"{len(places)} results are in doubt; use a method that sums directly")
        flat = inputs.flatten(3)
        for some in places.split(max(1, GATHERED // taps)):
            n, g, k, *outputs = some.unbind(1)
            inside, at = torch.ones_like(n[:, None], dtype=torch.bool), torch.zeros_like(n[:, None])
            windows = self.problem.windows
            for o, window, table, length in zip(
                outputs, windows, self.tables, self.problem.space, strict=True
            ):
                held = torch.arange(window.size, device=o.device) * window.dilation
                source = torch.from_numpy(table).to(o.device)[o[:, None] * window.stride + held]
                at = (at[:, :, None] * length + source[:, None, :]).flatten(1)
                inside = (inside[:, :, None] & (source >= 0)[:, None, :]).flatten(1)
            values = flat[n[:, None], g[:, None], :, at * inside].double()
            values = torch.where(inside[..., None], values, 0.0).transpose(1, 2)
            sums = (values * self.weight[g, k].flatten(2)).sum((1, 2))
            if self.bias is not None:
                sums += self.bias[g, k]
            results[n, g, k, *outputs] = sums.to(results.dtype)


def _product(transformed: Tensor, spectra: Tensor, axes: int) -> Tensor:
    """Return the sum over channels of tiles (n, g, c/g, *tiles, *frequencies) times kernels."""
    groups, each = spectra.shape[:2]
    kernel = spectra.reshape(groups, each, *[1] * axes, *spectra.shape[2:])
    product = transformed[:, :, 0] * kernel[:, 0]
    for c in range(1, each):
        product.addcmul_(transformed[:, :, c], kernel[:, c])
    return product


def _at_once(problem: Conv) -> int:
    return AT_ONCE_CUDA if problem.device.startswith("cuda") else AT_ONCE


def _shares(problem: Conv, tiles: Tiles) -> tuple[int, list[Box]]:
    """Return how many images to compute at a time, and the boxes of tiles: one range per axis."""
    room = max(1, _at_once(problem) // (tiles.points * problem.channels))
    sides = []
    for count in reversed(tiles.count):
        sides.append(min(count, room))
        room = max(1, room // count)
    ranges = [
        [range(at, min(at + side, count)) for at in range(0, count, side)]
        for side, count in zip(reversed(sides), tiles.count, strict=True)
    ]
    return room, list(itertools.product(*ranges))


def _stack(x: Tensor, tables: list[Table], tiles: Tiles, box: Box) -> Tensor:
    """Return the padded tiles of a box, (n, g, c/g, *tiles, *length), as a view if possible."""
    for axis, (table, held) in enumerate(zip(tables, box, strict=True), start=3):
        length, step = tiles.length[axis - 3], tiles.step[axis - 3]
        place = held.start * step
        wanted = table[place : place + (len(held) - 1) * step + length]
        missing = (len(held) - 1) * step + length - len(wanted)
        x = _take(x, axis, np.pad(wanted, (0, missing), constant_values=0))
    for axis, (length, step) in enumerate(zip(tiles.length, tiles.step, strict=True), start=3):
        x = x.unfold(axis, length, step)
    return x


def _take(x: Tensor, axis: int, wanted: Table) -> Tensor:
    """Return the wanted elements of an axis; -1 stands for a zero."""
    if wanted[0] >= 0 and np.array_equal(wanted, np.arange(wanted[0], wanted[0] + len(wanted))):
        return x.narrow(axis, int(wanted[0]), len(wanted))
    places = torch.from_numpy(np.maximum(wanted, 0)).to(x.device)
    taken = x.index_select(axis, places)
    return taken.index_fill_(axis, torch.from_numpy(np.flatnonzero(wanted < 0)).to(x.device), 0)


def _lay_out(found: Tensor, axes: int) -> Tensor:
    """Join tiles: (n, g, *tiles, *step) becomes (n, g, *space)."""
    order = [part for axis in range(axes) for part in (2 + axis, 2 + axes + axis)]
    space = [found.shape[2 + axis] * found.shape[2 + axes + axis] for axis in range(axes)]
    return found.permute(0, 1, *order).reshape(*found.shape[:2], *space)


def _put(found: Tensor, y: Tensor, box: Box) -> None:
    """Write the outputs of a box of tiles to their place in y, without those beyond its end."""
    for axis, held in enumerate(box, start=2):
        start = held.start * (found.shape[axis] // len(held))
        count = min(found.shape[axis], y.shape[axis] - start)
        y, found = y.narrow(axis, start, count), found.narrow(axis, 0, count)
    y.copy_(found)


METHOD = ConvMethod(
    name="fft_library",
    solves=Conv,
    exact=False,
    repeats=True,
    compiles=False,
    skips=False,
    refuses=refuses,
    estimate=estimate,
    prepare=prepare,
)
