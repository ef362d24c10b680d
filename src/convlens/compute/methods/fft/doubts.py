"""Estimate how large the errors of a kernel's transforms may be, for the checks of `doubting`.

The rounding of a transform behaves like noise spread evenly over a tile. Its deviation grows with
the logarithm of the tile's length and with the size of the input. If a few frequencies hold most of
the input, it also grows with the spectrum of the result. `SHARES` were measured with 6,400 pairs
of inputs and kernels (noise, steps, spikes, waves, decays; in one and two dimensions). The largest
error was 0.73 of the estimate; the largest for noise was 0.23. A single spike leaves ghosts that
are larger in some places than elsewhere, which `PEAK` covers.

Sources: Weinstein, *Roundoff noise in floating point fast Fourier transform computation*, IEEE
Trans. Audio Electroacoust. 17 (1969); Schatzman, *Accuracy of the discrete Fourier transform and
the fast Fourier transform*, SIAM J. Sci. Comput. 17 (1996).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from math import log2
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from convlens.compute.kernels.records import Pointer
from convlens.compute.kernels.shapes import Axes
from convlens.compute.kernels.transforms.geometry import (
    FourierErrors,
    LargestTaps,
    ProofBlocks,
    WindowSpans,
)
from convlens.compute.methods.fft.layout import FourierLayout
from convlens.compute.methods.promise import within
from convlens.compute.problems import Conv

__all__ = ["SLACK", "Doubts", "doubts_of"]

Numbers = np.ndarray[Any, Any]

SHARES = 1.5, 1.5
"""The errors from the input and from the spectrum, in roundings, per logarithm of the length."""

PEAK = 1 / 4
"""The part of the input's error that grows with the largest number of a tile."""

REACH = {"float32": 2.0**50, "float64": 2.0**450}
"""The largest number that is squared; its inverse is the smallest."""

SPARE = 1.8
"""The factor by which the products of all blocks of a window should exceed the limit, for noise."""

PEAK_OF = {1: 4.7, 2: 4.7, 4: 4.8, 8: 5.3, 16: 5.8, 32: 6.8, 64: 8.3}
"""The largest root of the sum of squares in a lane of 100,000 blocks of noise, by size."""

LEAST_OF = {1: 1e-4, 2: 0.03, 4: 0.87, 8: 9.5, 16: 65.0, 32: 360.0, 64: 1800.0}
"""The smallest of ten thousand blocks of noise, by the count of their numbers."""

ROUGH = 8 / 9
"""The square of a sum of exact roots over that of rough roots that are as large as possible."""

SLACK = 2.0**29
"""The number of roundings of float64 that make one of float32."""


@dataclass(frozen=True)
class Doubts:
    """The parts of a `FourierGeometry` that decide which results are in doubt."""

    errors: FourierErrors
    blocks: ProofBlocks
    taps: LargestTaps
    window: WindowSpans


def doubts_of(
    problem: Conv, weight: Tensor, layout: FourierLayout, points: int, factor: float, slack: float
) -> Doubts:
    """Return what decides which results are in doubt, for the kernels of a problem.

    The transforms, of `points` numbers, are of kernels divided by `factor`. `slack` is the number
    of roundings of the type that make one of the promised ones.
    """
    dtype = problem.dtype
    kernels = np.ascontiguousarray(weight.double().numpy()).reshape(*weight.shape[:2], -1)
    # One rounding of the sums that these are compared with is promised.
    rounding = log2(max(2, points)) / (within(problem) * slack)
    norms = np.sqrt((kernels**2).sum(2))
    channel = np.abs(kernels).sum(2).argmax(1)
    chosen = np.abs(kernels[np.arange(len(kernels)), channel])
    window = _spans(problem)
    spectral = SHARES[1] * rounding * (factor / points)
    return Doubts(
        errors=_errors(norms * SHARES[0] * rounding, spectral, points, dtype),
        blocks=_proved(chosen, norms, rounding, window, layout, dtype),
        taps=_largest(kernels, chosen, channel, window, layout, dtype),
        window=window,
    )


def _spans(problem: Conv) -> WindowSpans:
    """Return the count and distance of the taps, and the range of the input, along every axis."""
    axes = [(1, 1, 0, 1)] * (3 - len(problem.windows))
    zeros = problem.padding_mode == "zeros"
    for window, n in zip(problem.windows, problem.space, strict=True):
        begin, until = (window.before, window.before + n) if zeros else (0, 2**62)
        axes.append((window.size, window.dilation, begin, until))
    size, apart, begins, ends = (Axes.of(numbers) for numbers in zip(*axes, strict=True))
    return WindowSpans(size=size, apart=apart, begin=begins, until=ends)


def _errors(spread: Numbers, spectral: float, points: int, dtype: str) -> FourierErrors:
    """Return the factors of errors, by output and input channel and of the spectrum."""

    def one(number: float) -> Pointer:
        return Pointer(np.array([number], dtype))

    most = np.finfo(dtype).max  # an error so large puts every result in doubt
    return FourierErrors(
        mean=one(1 / points),
        peak=one(PEAK),
        spread=Pointer(np.minimum(spread, most).astype(dtype)),
        spectral=one(spectral),
        least=one(1 / REACH[dtype]),
        most=one(REACH[dtype]),
        floor=one(float(np.finfo(dtype).tiny)),
        never=one(np.nan),
    )


def _largest(
    kernels: Numbers,
    chosen: Numbers,
    channel: Numbers,
    window: WindowSpans,
    layout: FourierLayout,
    dtype: str,
) -> LargestTaps:
    """Return all taps of the kernels (k, c, taps), and the largest of the `chosen` (k, taps).

    The chosen ones are the magnitudes in one `channel` of every kernel.
    """
    taps = kernels.shape[2]
    offsets = _offsets(window, layout)
    terms = min(taps, 256, max(64, taps // 4))
    order = np.argsort(-chosen, axis=1, kind="stable")[:, :terms]
    pad = ((0, 0), (0, -terms % 8))
    largest = np.pad(np.take_along_axis(chosen, order, 1) * (1 - 2.0**-20), pad)
    return LargestTaps(
        largest=Pointer(largest.astype(dtype)),
        places=Pointer(np.pad(offsets[order], pad)),
        terms=largest.shape[1],
        channel=Pointer(channel.astype(np.int64)),
        weights=Pointer(kernels.astype(dtype)),
        offsets=Pointer(offsets),
        size=taps,
        reach=Axes.of(_reach(window)),
    )


def _offsets(window: WindowSpans, layout: FourierLayout) -> Numbers:
    """Return the offsets in a tile of the taps of a window, from the first tap."""
    size, apart = window.size, window.apart
    d = np.arange(size.d) * apart.d * layout.plane
    h = np.arange(size.h) * apart.h * layout.pitch
    w = np.arange(size.w) * apart.w
    return (d[:, None, None] + h[:, None] + w).ravel()


def _reach(window: WindowSpans) -> tuple[int, int, int]:
    """Return the extent of a window along the axes."""
    size, apart = window.size, window.apart
    return (
        (size.d - 1) * apart.d + 1,
        (size.h - 1) * apart.h + 1,
        (size.w - 1) * apart.w + 1,
    )


def _proved(
    chosen: Numbers,
    norms: Numbers,
    rounding: float,
    window: WindowSpans,
    layout: FourierLayout,
    dtype: str,
) -> ProofBlocks:
    """Return the blocks that suit the kernels best, and what they prove.

    `chosen` are the magnitudes of the taps of one channel, and `norms` the root of the sum of
    squares of every channel.
    """
    of_input, of_spectrum = SHARES[0] * norms.sum(1), SHARES[1] * np.sqrt((norms**2).sum(1))
    even = (of_input + of_spectrum).max() * rounding
    peak = of_input.max() * PEAK * rounding
    size, apart = window.size, window.apart
    cubes = np.zeros((len(chosen), *_reach(window)))
    cubes[:, :: apart.d, :: apart.h, :: apart.w] = chosen.reshape(-1, size.d, size.h, size.w)
    found = _blocks(cubes, layout, even, peak)
    pitch = _block_pitch(layout, found.along)
    return ProofBlocks(
        down=found.down,
        along=found.along,
        pitch=pitch,
        elements=layout.depth * (layout.high // found.down) * pitch + layout.lanes,
        floors=Pointer((found.floors * (1 - 2.0**-20)).astype(dtype)),
        places=Pointer(found.places),
        count=found.floors.shape[1],
        first=found.enough,
        sums=Pointer(np.minimum(found.sums * (1 - 2.0**-18), REACH[dtype]).astype(dtype)),
    )


@dataclass(frozen=True)
class Blocks:
    """Blocks of `down` rows and `along` columns, in which the roots of the magnitudes are summed.

    Each kernel has some blocks near that of an output, with a factor and a place relative to it.
    The factor times the square of the block's sum is a lower bound of the products; the largest
    factor comes first. `enough` blocks suffice for noise; `sums` add up all factors.
    """

    down: int
    along: int
    floors: Numbers
    places: Numbers
    sums: Numbers
    enough: int = 0

    def first(self, enough: int, most: int) -> Blocks:
        """Return the first `most` blocks, of which `enough` suffice for noise."""
        most = min(most, self.floors.shape[1]) // 4 * 4
        floors, places = self.floors[:, :most], np.ascontiguousarray(self.places[:, :most])
        return replace(self, floors=floors, places=places, enough=min(enough, most))


def _blocks(taps: Numbers, layout: FourierLayout, even: float, peak: float) -> Blocks:
    """Return the blocks that prove results from noise at the lowest price; taps are (k, d, h, w).

    The products of noise should exceed `even`, plus `peak` times its largest number, by `SPARE`.
    """
    nothing = np.zeros((len(taps), 0))
    found = Blocks(1, 1, nothing, nothing.astype(np.int64), np.zeros(len(taps)))
    best = np.inf
    for down, along in product((1, 2, 4, 8), repeat=2):
        members = down * along
        if layout.high % down or (layout.line and (down > 1 or layout.columns % along)):
            continue
        blocks, noise = _proofs(taps, layout, down, along), even + peak * PEAK_OF[members]
        # The mean of noise's magnitudes is 0.8, that of the products of their roots 0.68.
        mean = 0.8 * members + 0.68 * members * (members - 1)
        enough = np.cumsum(blocks.floors, axis=1) * mean >= SPARE * noise
        if not enough.shape[1] or not enough[:, -1].all():
            continue
        count = -(-int(enough.argmax(1).max() + 1) // 4) * 4
        # Two or four vectors of blocks are checked together, or a whole tile if its smallest block
        # is enough.
        fours = -(-layout.columns // (4 * along)) / (layout.columns * down)
        least = blocks.sums.min() * LEAST_OF[members]
        price = (6 + count) * fours if least < 1.5 * noise else 1e-3 / (1 + least)
        if price < best:
            found, best = blocks.first(count, 4 * count), price
    return found


def _proofs(taps: Numbers, layout: FourierLayout, down: int, along: int) -> Blocks:
    """Return all blocks of a shape in the windows of kernels, those that prove most first.

    Cauchy and Schwarz bound the sum of a |w| over a block: it is at least the square of the sum of
    the roots of a, divided by the sum of 1 / |w|. The taps that meet a block depend on the row r
    and column s of its own block at which a window begins: they are shifted by r and s. The largest
    sum of 1 / |w| over all r and s counts.
    """
    with np.errstate(divide="ignore"):
        inverse = 1 / taps
    for axis, members in ((2, down), (3, along)):
        inverse = _slid(inverse, members, axis).sum(-1)
        # The first block inside the windows of all its columns is the next one, not its own.
        inverse = _slid(inverse, members, axis).max(-1)
        first = min(members > 1, inverse.shape[axis])
        inverse = inverse.take(range(first, inverse.shape[axis], members), axis)
    floors = ROUGH / inverse
    deep, high, wide = floors.shape[1:]
    rows, columns = np.arange(high) + (down > 1), np.arange(wide) + (along > 1)
    places = np.arange(deep)[:, None, None] * (layout.high // down) + rows[:, None]
    places = places * _block_pitch(layout, along) + columns
    floors = floors.reshape(len(taps), -1)
    order = np.argsort(-floors, axis=1, kind="stable")
    sums = floors.sum(1)
    return Blocks(down, along, np.take_along_axis(floors, order, 1), places.ravel()[order], sums)


def _slid(values: Numbers, members: int, axis: int) -> Numbers:
    """Return all runs of `members` values along an axis, as a new last axis."""
    if values.shape[axis] < members:
        return np.zeros((*values.shape[:axis], 0, *values.shape[axis + 1 :], members))
    return sliding_window_view(values, members, axis)


def _block_pitch(layout: FourierLayout, along: int) -> int:
    """Return the elements from one row of blocks to the next, in whole vectors."""
    return -(-layout.columns // along) * layout.lanes
