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
        "NEVER": np.array([np.nan], dtype),
    }
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
    }
    return numbers, arrays
