"""What `kernels.doubting` must know of a kernel: how large an error may be, and the largest taps.

The rounding of a transform behaves like noise that is spread evenly over a tile: its deviation
grows with the logarithm of the tile's length, as that of the input's magnitudes, and, where these
add up to a few high frequencies, of the spectrum once convolved. `SHARES` were measured: of
6,400 pairs of inputs and kernels (noise, steps, spikes, waves, decays; in one and two dimensions)
the largest error came to 0.73 of what they say, that of noise to 0.23. A lone spike leaves ghosts,
larger at some places than at the rest: the share of the largest number is for these.

Sources: Weinstein, *Roundoff noise in floating point fast Fourier transform computation*, IEEE
Trans. Audio Electroacoust. 17 (1969); Schatzman, *Accuracy of the discrete Fourier transform and
the fast Fourier transform*, SIAM J. Sci. Comput. 17 (1996).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log2
from typing import Any

import numpy as np
from torch import Tensor

from convlens.compute.fourier_layout import Layout
from convlens.compute.fourier_tiles import conv_windows
from convlens.compute.problem import Problem
from convlens.compute.promise import within

__all__ = ["SLACK", "doubts_of"]

Numbers = np.ndarray[Any, Any]

SHARES = 1.5, 1.5
"""Of the error in roundings, beside the logarithm: what the input and what the spectrum adds."""

PEAK = 1 / 4
"""The share of the largest number of a tile."""

REACH = {"float32": 2.0**50, "float64": 2.0**450}
"""The largest number of which squares are taken, and by its inverse the least."""

SPARE = 1.8
"""How many times the products of all blocks of a window should come to the limit, for noise."""

LEAST_OF = {2: 0.03, 4: 0.35, 8: 1.8}
"""The least sum of the magnitudes of so many numbers of noise that a tile of some thousands has."""

SLACK = 2.0**29
"""How many roundings of float64 one of float32 is."""


def doubts_of(
    problem: Problem, weight: Tensor, layout: Layout, points: int, factor: float, slack: float
) -> tuple[dict[str, int], dict[str, Numbers]]:
    """Return the integers and the arrays of `tiles.GEOMETRY` that are about doubts.

    The transforms, of so many points, are of kernels divided by `factor`; `slack` is how many
    roundings of the type make one of those that are promised.
    """
    windows = conv_windows(problem)
    ahead = 3 - len(windows)
    size = (1,) * ahead + problem.size
    dilation = (1,) * ahead + tuple(window.dilation for window in windows)
    pitches = (layout.plane, layout.pitch, 1)
    places = np.zeros(size, np.int64)
    for axis in range(3):
        shape = [1, 1, 1]
        shape[axis] = size[axis]
        places = places + (np.arange(size[axis]) * dilation[axis] * pitches[axis]).reshape(shape)
    kernels = weight.double().numpy().reshape(*weight.shape[:2], -1)
    outs, _, taps = kernels.shape
    channel = np.abs(kernels).sum(2).argmax(1)
    chosen = np.abs(kernels[np.arange(outs), channel])
    terms = min(taps, 256, max(64, taps // 4))
    order = np.argsort(-chosen, axis=1, kind="stable")[:, :terms]
    pad = ((0, 0), (0, -terms % 8))
    largest = np.pad(np.take_along_axis(chosen, order, 1) * (1 - 2.0**-20), pad)
    # Of the sums that these are compared with, one in a rounding is promised.
    each_rounding = log2(max(2, points)) / (within(problem) * slack)
    norms = np.sqrt((kernels**2).sum(2))
    scale = factor / points
    dtype = problem.dtype
    most = np.finfo(dtype).max  # beside which nothing is certain
    arrays = {
        "LARGEST": largest.astype(dtype),
        "PLACES": np.pad(places.ravel()[order], pad),
        "CHANNEL": channel.astype(np.int64),
        "WEIGHTS": kernels.astype(dtype),
        "TAPS": np.ascontiguousarray(places.ravel()),
        "SPREAD": np.minimum(norms * SHARES[0] * each_rounding, most).astype(dtype),
        "SPECTRAL": np.array([SHARES[1] * each_rounding * scale], dtype),
        "MEAN": np.array([1 / points], dtype),
        "PEAK": np.array([PEAK], dtype),
        "LEAST": np.array([1 / REACH[dtype]], dtype),
        "MOST": np.array([REACH[dtype]], dtype),
        "FLOOR": np.array([np.finfo(dtype).tiny], dtype),
        "NEVER": np.array([np.nan], dtype),
    }
    # Of noise with a deviation of 1 the largest is about 4.5.
    noise = SHARES[0] * (1 + 4.5 * PEAK) * norms.sum(1) + SHARES[1] * np.sqrt((norms**2).sum(1))
    reach = [(n - 1) * step + 1 for n, step in zip(size, dilation, strict=True)]
    cubes = np.zeros((outs, *reach))
    cubes[:, :: dilation[0], :: dilation[1], :: dilation[2]] = chosen.reshape(outs, *size)
    blocks = _blocks(cubes, layout, noise.max() * each_rounding)
    arrays |= {
        "FLOORS": (blocks.floors * (1 - 2.0**-20)).astype(dtype),
        "FLOOR_SUMS": np.minimum(blocks.sums * (1 - 2.0**-18), REACH[dtype]).astype(dtype),
        "BLOCK_PLACES": blocks.places,
    }
    length = layout.vectors * layout.lanes if layout.line else layout.tile
    numbers = {
        "LENGTH": length,
        "AREA": length + 8 * layout.lanes,
        "TERMS": largest.shape[1],
        "SIZE": taps,
        "REACH_D": reach[0],
        "REACH_H": reach[1],
        "REACH_W": reach[2],
        "DOWN": blocks.down,
        "ALONG": blocks.along,
        "MEMBERS": blocks.down * blocks.along,
        "STRIDE": layout.pitch if blocks.down > 1 else layout.lanes,
        "BLOCKS": layout.vectors * layout.lanes // (blocks.down * blocks.along) + layout.lanes,
        "FLOOR_COUNT": blocks.floors.shape[1],
        "FLOORS_FIRST": blocks.enough,
    }
    return numbers, arrays


@dataclass(frozen=True)
class Blocks:
    """Blocks of `down` rows of `along` vectors, whose magnitudes are summed lane by lane.

    For every kernel, of some blocks near that of an output: how large every tap is, at least, that
    the block meets, the largest first, and how far the sum lies from the output's own. `enough` are
    as many as noise needs; `sums` are of all there are.
    """

    down: int
    along: int
    floors: Numbers
    places: Numbers
    sums: Numbers
    enough: int = 0

    def first(self, enough: int, most: int) -> Blocks:
        """Return so many of them."""
        most = min(most, self.floors.shape[1]) // 4 * 4
        floors, places = self.floors[:, :most], self.places[:, :most]
        return replace(self, floors=floors, places=places, enough=min(enough, most))


def _blocks(taps: Numbers, layout: Layout, noise: float) -> Blocks:
    """Return the blocks by which noise is certain at the least price, `taps` being (k, d, h, w).

    The products of noise should come to `noise`, some times over.
    """
    nothing = np.zeros((len(taps), 0))
    found = Blocks(1, 1, nothing, nothing.astype(np.int64), np.zeros(len(taps)))
    best = np.inf
    for members, least in LEAST_OF.items():
        for down, along in ((members, 1), (1, members)):
            if layout.high % down or layout.columns % along or (down > 1 and layout.line):
                continue
            if np.isinf(best):
                found = replace(found, down=down, along=along)
            blocks = _least(taps, layout, down, along)
            enough = np.cumsum(blocks.floors, axis=1) * members * 0.8 >= SPARE * noise
            if not enough.shape[1] or not enough[:, -1].all():
                continue
            count = -(-int(enough.argmax(1).max() + 1) // 4) * 4
            price = (4 + count * (blocks.sums.min() * least < 1.5 * noise)) / members
            if price < best:
                found, best = blocks.first(count, 4 * count), price
    return found


def _least(taps: Numbers, layout: Layout, down: int, along: int) -> Blocks:
    """Return all blocks of a shape in the windows of kernels, those of the largest taps first.

    Take a window that begins at row r and vector s of a block, and the number at row i and vector j
    of a block some rows and lanes away: the tap it meets lies as far away, and i - r rows and j - s
    vectors further. Lanes that pass the end of a block go on in the next, all its vectors but one
    further.
    """
    lanes, (deep, high, wide) = layout.lanes, taps.shape[1:]
    rows = np.arange(down * (down > 1), max(0, high - down + 1), down)
    near = np.stack([taps[:, :, rows + i] for i in range(1 - down, down)]).min(0)
    far = (along - 1) * lanes
    across = np.arange(far, max(far, wide - 2 * far))
    across = across[across % (along * lanes) < lanes]
    steps = range(-far, 2 * far + 1, lanes)
    floors = np.stack([near[..., across + step] for step in steps]).min(0)
    pitch = layout.columns * lanes // along
    places = np.arange(deep)[:, None, None] * (layout.high // down) + (rows // down)[:, None]
    places = places * pitch + across // (along * lanes) * lanes + across % (along * lanes)
    floors = floors.reshape(len(taps), -1)
    order = np.argsort(-floors, axis=1, kind="stable")
    sums = floors.sum(1)
    return Blocks(down, along, np.take_along_axis(floors, order, 1), places.ravel()[order], sums)
