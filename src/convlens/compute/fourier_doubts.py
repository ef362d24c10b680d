"""What `kernels.doubting` must know of a kernel: how large an error may be, and the largest taps.

The rounding of a transform behaves like noise that is spread evenly over a tile: its deviation
grows with the logarithm of the tile's length, as that of the input's magnitudes, and, where these
add up to a few high frequencies, of the spectrum once convolved. `SHARES` were measured: the
largest error of any output of noise, steps, spikes, waves and decays, of one to three dimensions,
came to half of what they say. A lone spike leaves ghosts, larger at some places than at the rest:
the share of the largest number is for these.

Sources: Weinstein, *Roundoff noise in floating point fast Fourier transform computation*, IEEE
Trans. Audio Electroacoust. 17 (1969); Schatzman, *Accuracy of the discrete Fourier transform and
the fast Fourier transform*, SIAM J. Sci. Comput. 17 (1996).
"""

from __future__ import annotations

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

SHARES = 1.25, 1.25
"""Of the error in roundings, beside the logarithm: what the input and what the spectrum adds."""

PEAK = 1 / 4
"""The share of the largest number of a tile."""

REACH = {"float32": 2.0**50, "float64": 2.0**450}
"""The largest number of which squares are taken, and by its inverse the least."""

SPARE = 2.5
"""How many times the products of all blocks of a window should come to the limit, for noise."""

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
    terms = min(taps, max(64, taps // 4))
    order = np.argsort(-chosen, axis=1, kind="stable")[:, :terms]
    pad = ((0, 0), (0, -terms % 8))
    largest = np.pad(np.take_along_axis(chosen, order, 1) * (1 - 2.0**-20), pad)
    # Of the sums that these are compared with, one in a rounding is promised.
    each_rounding = log2(max(2, points)) / (within(problem) * slack)
    norms = np.sqrt((kernels**2).sum(2))
    scale = factor / points
    dtype = problem.dtype
    arrays = {
        "LARGEST": largest.astype(dtype),
        "PLACES": np.pad(places.ravel()[order], pad),
        "CHANNEL": channel.astype(np.int64),
        "WEIGHTS": kernels.astype(dtype),
        "TAPS": np.ascontiguousarray(places.ravel()),
        "SPREAD": (norms * SHARES[0] * each_rounding).astype(dtype),
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
    cubes = chosen.reshape(outs, *size)
    block, floors, ahead_of = _blocks(cubes, dilation, layout, noise.max() * each_rounding)
    arrays |= {"FLOORS": (floors * (1 - 2.0**-20)).astype(dtype), "BLOCK_PLACES": ahead_of}
    reach = [(n - 1) * step + 1 for n, step in zip(size, dilation, strict=True)]
    length = layout.vectors * layout.lanes if layout.line else layout.tile
    numbers = {
        "LENGTH": length,
        "AREA": length + 8 * layout.lanes,
        "TERMS": largest.shape[1],
        "SIZE": taps,
        "REACH_D": reach[0],
        "REACH_H": reach[1],
        "REACH_W": reach[2],
        "BLOCK": block,
        "BLOCKS": layout.vectors * layout.lanes // block,
        "FLOOR_COUNT": floors.shape[1],
    }
    return numbers, arrays


def _blocks(
    taps: Numbers, dilation: tuple[int, ...], layout: Layout, noise: float
) -> tuple[int, Numbers, Numbers]:
    """Return the elements of a block, and of blocks in the windows the least taps and the places.

    A block that lies n blocks behind that of an output meets, whatever the output, taps no further
    than a block less one from n blocks on: the least of these counts, `taps` (k, *size) being
    magnitudes. The blocks are as large as they can be if noise is to be certain by a quarter of
    them, the sum of whose products should be `noise`.
    """
    wide = layout.columns * layout.lanes * (layout.depth * layout.high if layout.line else 1)
    for vectors in (8, 4, 2, 1):
        block = vectors * layout.lanes
        if layout.columns % vectors or 2 * block > taps.shape[-1] or dilation[-1] > 1:
            continue
        near = np.lib.stride_tricks.sliding_window_view(taps, 2 * block - 1, axis=-1)
        floors = near[..., 1::block, :].min(-1)
        if floors.reshape(len(taps), -1).sum(1).min() * block * 0.8 < SPARE * noise:
            continue
        rows = np.arange(taps.shape[1])[:, None] * dilation[0] * layout.high
        rows = rows + np.arange(taps.shape[2]) * dilation[1]
        places = rows[..., None] * (wide // block) + 1 + np.arange(floors.shape[-1])
        floors = floors.reshape(len(taps), -1)
        order = np.argsort(-floors, axis=1, kind="stable")
        pad = ((0, 0), (0, -floors.shape[1] % 4))
        return (
            block,
            np.pad(np.take_along_axis(floors, order, 1), pad),
            np.pad(places.ravel()[order], pad),
        )
    block = next(n for n in (8, 4, 2, 1) if layout.columns % n == 0) * layout.lanes
    return block, np.zeros((len(taps), 0)), np.zeros((len(taps), 0), np.int64)
