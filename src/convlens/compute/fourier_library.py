"""Convolution through torch's Fourier transforms, tile by tile: long kernels with no compiling.

It runs wherever torch does, so on a GPU it is what long kernels go through.

What a transform of a tile makes of a sum of products is one product: every channel in is
transformed once, every channel out once. Tiles overlap by the extent of the kernel less one
(see `fourier_tiles`); some of them at a time are transformed together, so that memory stays small.

An error is spread evenly over its tile: about 1e-7 of the largest outputs near by, in float32, and
not of the output itself.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.compute.fourier_tiles import (
    Prices,
    Tiles,
    choose,
    conv_windows,
    power_of_two,
    refuses_numbers,
)
from convlens.compute.kernels.launching import threads
from convlens.compute.kernels.packing import sources
from convlens.compute.problem import NotFinite, Problem

__all__ = ["COMPILES", "EXACT", "cost", "prepare", "refuses"]

EXACT = False
COMPILES = False
AT_ONCE, AT_ONCE_CUDA = 2**18, 2**25
"""About how many numbers of the input are transformed at a time: on a CPU so few that they stay in
a cache, on a GPU so many that all of it works."""
LAUNCHES, FASTER = 3e-4, 50.0
"""What a GPU takes at least, in seconds, and how many times faster it is than one core: guesses."""
LARGE = 2**21
"""The positions of a tile above which smaller ones are taken whatever they waste."""

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


def refuses(problem: Problem) -> str | None:
    """Return why this method cannot do the problem, or None.

    >>> from convlens.windows import Window
    >>> refuses(Problem("conv", 1, 1, (4,), 1, (Window(2),), "float32"))
    >>> refuses(Problem("conv", 1, 1, (4,), 1, (Window(2),), "int32"))
    'it transforms float32 and float64, not int32'
    """
    if problem.device != "cpu" and not problem.device.startswith("cuda"):
        return f"it runs on the CPU and on CUDA, not on {problem.device}"
    return refuses_numbers(problem)


def cost(problem: Problem) -> float:
    """Return about how long it takes, in seconds.

    >>> from convlens.windows import Window
    >>> cost(Problem("conv", 1, 1, (10**6,), 1, (Window(2047),), "float32")) < 0.1
    True
    """
    if problem.device.startswith("cuda"):
        return LAUNCHES + float(_tiles(problem)[1]) / FASTER
    return float(_tiles(problem)[1] / threads() ** 0.5)


@functools.lru_cache(512)
def _tiles(problem: Problem) -> tuple[Tiles, float]:
    """Return the tiles to use, and about how many seconds all of them take."""
    c, k = problem.channels, problem.channels_out
    products = k * c // problem.groups
    slower = 2.0 if problem.dtype == "float64" else 1.0

    def seconds(length: tuple[Prices, ...], count: Prices) -> Prices:
        points = np.prod(length, axis=0)
        transforms = (c + k) * points * (2.5 * np.log2(points) + 4)
        far = np.maximum(0, np.log2(np.maximum.reduce(length)) - 13)  # beyond the caches
        each = transforms * (1 + 0.15 * far) / 1e10 + products * points * 6e-10
        each += np.where(points > LARGE, 1e3, 0)
        calls = np.ceil(count * c * points / _at_once(problem))
        calls = calls * (5e-5 + k / problem.groups * 3e-5)
        seconds: Prices = slower * problem.batch * count * each + calls
        return seconds

    windows = conv_windows(problem)
    longest = [
        n + window.before + window.after for n, window in zip(problem.space, windows, strict=True)
    ]
    return choose(problem, [_smooth(2 * n) for n in longest], seconds)


def prepare(
    problem: Problem, weight: Tensor | None, bias: Tensor | None
) -> Callable[[Tensor, Tensor], None]:
    """Return `run(x, y)`, which fills y (n, k, *outputs) from x (n, c, *space).

    `run` raises NotFinite if a number of x or of the result is not finite. Raises Unsuited for
    weights that are not.
    """
    if weight is None:
        raise ValueError("`weight` is missing; a convolution needs one")
    tiles, _ = _tiles(problem)
    windows = conv_windows(problem)
    tables = [
        sources(window, n, problem.padding_mode)
        for window, n in zip(windows, problem.space, strict=True)
    ]
    spectra, scale = _spectra(problem, weight, tiles)
    first = None if bias is None else bias.detach().reshape(problem.groups, -1)
    work = functools.partial(_convolve, problem, tiles, tables, spectra, scale, first)

    def run(x: Tensor, y: Tensor) -> None:
        if y.numel():
            work(x, y)

    return run


def _spectra(problem: Problem, weight: Tensor, tiles: Tiles) -> tuple[Tensor, float]:
    """Return the conjugate transforms of the kernels (g, k/g, c/g, *frequencies), and a factor.

    The kernels are divided by the factor, a power of two near the largest weight, so that nothing
    over- or underflows between the transforms that does not in the result.
    """
    factor = power_of_two(weight)
    spread = [window.dilation * (window.size - 1) + 1 for window in conv_windows(problem)]
    kernels = weight.new_zeros((*weight.shape[:2], *spread), dtype=torch.float64)
    places: Any = (..., *(slice(None, None, w.dilation) for w in conv_windows(problem)))
    kernels[places] = weight.detach().double() / factor
    axes = tuple(range(-len(spread), 0))
    found = torch.fft.rfftn(kernels, tiles.length, axes).conj().resolve_conj()
    shape = (problem.groups, -1, problem.channels // problem.groups, *found.shape[2:])
    kind = torch.complex64 if problem.dtype == "float32" else torch.complex128
    return found.reshape(shape).to(kind), factor


def _convolve(
    problem: Problem,
    tiles: Tiles,
    tables: list[Table],
    spectra: Tensor,
    scale: float,
    bias: Tensor | None,
    x: Tensor,
    y: Tensor,
) -> None:
    """Fill y from x, some tiles of some images at a time."""
    axes = len(tables)
    groups, outs, each = spectra.shape[:3]
    inputs = x.reshape(len(x), groups, each, *x.shape[2:])
    results = y.view(len(y), groups, outs, *y.shape[2:])
    space = tuple(range(-axes, 0))
    strides = [window.stride for window in conv_windows(problem)]
    cut = [slice(0, step, stride) for step, stride in zip(tiles.step, strides, strict=True)]
    images, boxes = _shares(problem, tiles)
    for start in range(0, len(x), images):
        for box in boxes:
            stacked = _stack(inputs[start : start + images], tables, tiles, box)
            transformed = torch.fft.rfftn(stacked, dim=space)
            for k in range(outs):
                kernel = spectra[:, k].reshape(groups, each, *[1] * axes, *spectra.shape[3:])
                product = transformed[:, :, 0] * kernel[:, 0]
                for c in range(1, each):
                    product.addcmul_(transformed[:, :, c], kernel[:, c])
                found = torch.fft.irfftn(product, tiles.length, space)[(..., *cut)]
                if not isfinite(float(found.sum())):
                    raise NotFinite("a Fourier transform met a number that is not finite")
                found = _lay_out(found, axes) * scale
                if bias is not None:
                    found += bias[:, k].reshape(-1, *[1] * axes)
                _put(found, results[start : start + images, :, k], box)


def _at_once(problem: Problem) -> int:
    return AT_ONCE_CUDA if problem.device.startswith("cuda") else AT_ONCE


def _shares(problem: Problem, tiles: Tiles) -> tuple[int, list[Box]]:
    """Return how many images to do at a time, and the boxes of tiles: a range of them a axis."""
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
    """Return the tiles of a box, padded: (n, g, c/g, *tiles, *length), a view where it can be."""
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
    """Return elements of an axis one after another; -1 stands for a zero."""
    if wanted[0] >= 0 and np.array_equal(wanted, np.arange(wanted[0], wanted[0] + len(wanted))):
        return x.narrow(axis, int(wanted[0]), len(wanted))
    places = torch.from_numpy(np.maximum(wanted, 0)).to(x.device)
    taken = x.index_select(axis, places)
    return taken.index_fill_(axis, torch.from_numpy(np.flatnonzero(wanted < 0)).to(x.device), 0)


def _lay_out(found: Tensor, axes: int) -> Tensor:
    """Put tiles side by side: (n, g, *tiles, *step) becomes (n, g, *space)."""
    order = [part for axis in range(axes) for part in (2 + axis, 2 + axes + axis)]
    space = [found.shape[2 + axis] * found.shape[2 + axes + axis] for axis in range(axes)]
    return found.permute(0, 1, *order).reshape(*found.shape[:2], *space)


def _put(found: Tensor, y: Tensor, box: Box) -> None:
    """Write the outputs of a box of tiles to their place in y, those beyond its end left out."""
    for axis, held in enumerate(box, start=2):
        start = held.start * (found.shape[axis] // len(held))
        count = min(found.shape[axis], y.shape[axis] - start)
        y, found = y.narrow(axis, start, count), found.narrow(axis, 0, count)
    y.copy_(found)
