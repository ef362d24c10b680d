"""The numbers of a case, its result in float64, and the bounds of a right answer."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from bench.compute.cases import Case

Floats = NDArray[np.floating[Any]]

TYPICAL, LARGEST = 1e-5, 1e-4  # errors allowed, in units of the result's root mean square
LONG = 64  # taps from which the definition is too slow to be asked, and Fourier is


@dataclass(frozen=True)
class Inputs:
    """The arrays of a case, float32; `factors` are the filters of a separable one, axis by axis."""

    case: Case
    x: Floats
    weight: Floats | None
    factors: tuple[Floats, ...] = ()


def inputs(case: Case) -> Inputs:
    """Return the arrays of a case, the same each time."""
    random = np.random.default_rng(zlib.crc32(case.name.encode()))
    x = random.standard_normal(case.x, np.float32)
    if case.pools:
        return Inputs(case, x, None)
    if case.separable:
        factors = tuple(_bell(size) for size in case.size)
        filter_ = np.ones(())
        for factor in factors:
            filter_ = np.multiply.outer(filter_, factor)
    else:
        factors = ()
        filter_ = random.standard_normal(case.window[1:] if case.one_filter else case.window)
        filter_ /= np.sqrt(prod(case.window[1:]))
    weight = np.ascontiguousarray(np.broadcast_to(filter_, case.window), np.float32)
    return Inputs(case, x, weight, factors)


def _bell(size: int) -> Floats:
    """Return a Gaussian filter whose window is six standard deviations wide."""
    weights: Floats = np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) * 6 / size) ** 2)
    return np.asarray(weights / weights.sum(), np.float32)


def truth(given: Inputs) -> Floats:
    """Return the result (n, k, *outputs) in float64, by torch, or Fourier for long filters."""
    case, x = given.case, torch.from_numpy(given.x).double()
    if case.group == "filters" and prod(case.size) > LONG:
        return _by_fourier(given)
    weight = None if given.weight is None else torch.from_numpy(given.weight).double()
    return np.asarray(by_torch(case, x, weight).numpy())


def by_torch(case: Case, x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """Return what torch's function of that name gives: `conv2d`, `max_pool1d` ..."""
    function: Callable[..., torch.Tensor] = getattr(F, f"{case.operation}{len(case.space)}d")
    how = {"stride": case.stride, "padding": case.padding}
    if case.operation == "avg_pool":
        return function(x, case.size, **how)
    if case.operation == "max_pool":
        return function(x, case.size, **how, dilation=case.dilation)
    return function(x, weight, **how, dilation=case.dilation, groups=case.groups)


def _by_fourier(given: Inputs) -> Floats:
    """Return a correlation of stride 1, channel by channel, by the theorem of convolution."""
    case, weight = given.case, given.weight
    if weight is None:
        raise TypeError("a pooling has no transform")
    axes = tuple(range(2, len(case.x)))
    lengths = [_composite(n + k) for n, k in zip(case.space, case.size, strict=True)]
    flipped = np.flip(weight.astype(np.float64), axes).swapaxes(0, 1)
    spectrum = np.fft.rfftn(given.x.astype(np.float64), lengths, axes)
    spectrum *= np.fft.rfftn(flipped, lengths, axes)
    full = np.fft.irfftn(spectrum, lengths, axes)
    starts = [k - 1 - p for k, p in zip(case.size, case.padding, strict=True)]
    ends = [start + n for start, n in zip(starts, case.y[2:], strict=True)]
    places = tuple(map(slice, starts, ends))
    return full[(slice(None), slice(None), *places)]


def _composite(n: int) -> int:
    """Return the next length that has only small prime factors."""
    step = 1 << max(0, n.bit_length() - 4)
    return -(-n // step) * step


def fault(case: Case, y: Floats, expected: Floats) -> str | None:
    """Return what is wrong with a result, or None; a maximum must be exact, a sum in bounds."""
    if y.shape != expected.shape:
        return f"shape {y.shape}, not {expected.shape}"
    if case.operation == "max_pool":
        wrong = int(np.count_nonzero(y != expected))
        return f"{wrong} of {y.size} maxima are wrong" if wrong else None
    typical, largest = errors(y, expected)
    if typical <= TYPICAL and largest <= LARGEST:  # false for what is not a number
        return None
    return f"error {typical:.1e} of the result, {largest:.1e} at worst"


def errors(y: Floats, expected: Floats) -> tuple[float, float]:
    """Return the root mean square error and the largest one, relative to the result."""
    size = float(np.sqrt(np.mean(np.square(expected))))
    off = np.abs(y - expected)
    return float(np.sqrt(np.mean(np.square(off)))) / size, float(off.max()) / size
