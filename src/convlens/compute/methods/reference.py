"""Follow the definition: every product, in the widest type, straight from `Window`; never fast.

The other methods are tested against this one, and this one against torch in float64 and SciPy.
The loops run over outputs and taps, with one step for the whole batch and all channels. Products
with padding are skipped, unless a weight is infinite or NaN (see `borders`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.compute.kernels.speed import Estimate
from convlens.compute.methods.method import WholeMethod
from convlens.compute.problems import DTYPES, AvgPool, Conv, ConvTranspose, MaxPool, Problem
from convlens.windows import TransposedWindow, Window, padded_source

__all__ = ["METHOD", "at", "estimate", "refuses", "run"]


Numbers = np.ndarray[Any, Any]
Pair = tuple[int, int]


def refuses(problem: Problem) -> str | None:
    """Return why this method cannot compute the problem, or None.

    >>> refuses(MaxPool(space=(4,), windows=(Window(2),), dtype="int8"))
    """
    if problem.gradient:
        return "it computes in NumPy and gives no gradient"
    if problem.device == "meta":
        return "tensors on the meta device have no values"
    return None


def estimate(problem: Problem) -> Estimate:
    """Return about what it takes: a step in NumPy for every output and tap.

    >>> estimate(MaxPool(space=(4,), windows=(Window(2),), dtype="int8")).cycles > 3e4
    True
    """
    numpy_steps = problem.steps / max(1, problem.batch * problem.channels * problem.channels_out)
    return Estimate(cycles=3e4 * numpy_steps + 15 * problem.steps)


def run(
    problem: Problem, x: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return the result (n, k, *outputs), and the indices of the maxima if asked for."""
    numbers = _numbers(x)
    with np.errstate(all="ignore"):
        if isinstance(problem, MaxPool):
            largest, places = _max_pool(problem, numbers)
            return _tensor(problem, largest, x), torch.from_numpy(places).to(x.device)
        if isinstance(problem, AvgPool):
            return _tensor(problem, _avg_pool(problem, _widest(numbers)), x), None
        if weight is None:
            raise TypeError("a convolution needs a weight")
        y = _weighted_sums(problem, _widest(numbers), _widest(_numbers(weight)))
        if bias is not None:
            y += _widest(_numbers(bias)).reshape(-1, *[1] * len(problem.space))
        return _tensor(problem, y, x), None


def at(problem: Problem, x: Tensor, weight: Tensor, o: tuple[int, ...]) -> Numbers:
    """Return the outputs (k,) of a convolution without bias at one place, from one x (c, *space).

    >>> from convlens.windows import Window
    >>> problem = Conv(space=(4,), windows=(Window(2),), dtype="float32")
    >>> at(problem, torch.arange(4.0)[None], torch.ones(1, 1, 2), (1,)).tolist()
    [3.0]
    """
    numbers, taps, sources = _numbers(x), [], []
    for window, place, n in zip(problem.windows, o, problem.space, strict=True):
        pairs = _pairs_at(window, place, n, problem.padding_mode)
        taps.append([tap for tap, _ in pairs])
        sources.append([source for _, source in pairs])
    groups, axes = problem.groups, len(o)
    patch = numbers[np.ix_(range(problem.channels), *sources)]
    kernel = _numbers(weight)[np.ix_(*(range(count) for count in weight.shape[:2]), *taps)]
    patch = _widest(patch).reshape(groups, problem.channels // groups, *patch.shape[1:])
    kernel = _widest(kernel).reshape(groups, kernel.shape[0] // groups, *kernel.shape[1:])
    if isinstance(problem, ConvTranspose):
        kernel = kernel.swapaxes(1, 2)
    rest = "xyz"[:axes]
    y: Numbers = np.einsum(f"gc{rest},gkc{rest}->gk", patch, kernel)
    return y.reshape(-1)


def _weighted_sums(problem: Problem, x: Numbers, weight: Numbers) -> Numbers:
    """Convolve, transposed or not, with the pairs of taps and inputs that the windows give."""
    n, g = problem.batch, problem.groups
    x = x.reshape(n, g, 1, problem.channels // g, *problem.space)
    if isinstance(problem, Conv):
        weight = weight.reshape(g, problem.channels_out // g, -1, *problem.size)
    else:
        weight = weight.reshape(g, problem.channels // g, -1, *problem.size).swapaxes(1, 2)
    y = np.zeros((n, g, problem.channels_out // g, *problem.outputs), x.dtype)
    for o, pairs in _places(problem):
        for tap, position in pairs:
            y[_at(o)] += (x[_at(position)] * weight[_at(tap)]).sum(axis=-1)
    return y.reshape(n, problem.channels_out, *problem.outputs)


def _max_pool(problem: Problem, x: Numbers) -> tuple[Numbers, Numbers]:
    """Return the first maximum of every window and its place; NaN counts as the largest.

    A window of only padding gives the lowest value of the type, at index -1.
    """
    floating = np.issubdtype(x.dtype, np.floating)
    lowest = -np.inf if floating else np.iinfo(x.dtype).min
    largest = np.full((*x.shape[:2], *problem.outputs), lowest, x.dtype)
    places = np.full(largest.shape, -1, np.int64)
    for o, pairs in _places(problem):
        for _, position in pairs:
            value, best = x[_at(position)], largest[_at(o)]
            better = (places[_at(o)] < 0) | (value > best) | (value != value)
            largest[_at(o)] = np.where(better, value, best)
            places[_at(o)][better] = np.ravel_multi_index(position, problem.space)
    return largest, places


def _avg_pool(problem: AvgPool, x: Numbers) -> Numbers:
    """Return the mean of every window, which is 0 for a window with nothing to count."""
    y = np.zeros((*x.shape[:2], *problem.outputs), x.dtype)
    for o, pairs in _places(problem):
        for _, position in pairs:
            y[_at(o)] += x[_at(position)]
        divisor = 1
        for window, place, n in zip(problem.windows, o, problem.space, strict=True):
            counted = window.taps(place, n, padded=problem.count_include_pad)
            divisor *= counted.stop - counted.start  # len() ends at 2**63
        y[_at(o)] /= max(divisor, 1)
    return y


def _places(
    problem: Problem,
) -> Iterator[tuple[tuple[int, ...], list[tuple[tuple[int, ...], ...]]]]:
    """Yield every output position with its pairs of taps and input positions."""
    axes = [
        _axis_pairs(window, n, problem.padding_mode)
        for window, n in zip(problem.windows, problem.space, strict=True)
    ]
    for o in itertools.product(*(range(len(axis)) for axis in axes)):
        along: list[Sequence[Pair]] = [axis[place] for axis, place in zip(axes, o, strict=True)]
        yield o, [tuple(zip(*pairs, strict=True)) for pairs in itertools.product(*along)]


def _at(place: tuple[int, ...]) -> tuple[Any, ...]:
    """Return the index of one place in space, for the whole batch and all channels."""
    return (..., *place)


def _axis_pairs(window: Window | TransposedWindow, n: int, mode: str) -> list[list[Pair]]:
    """Return the (tap, input position) pairs of every output along one axis."""
    return [_pairs_at(window, o, n, mode) for o in range(window.outputs(n))]


def _pairs_at(window: Window | TransposedWindow, o: int, n: int, mode: str) -> list[Pair]:
    """Return the (tap, input position) pairs of one output along one axis."""
    if isinstance(window, TransposedWindow) or mode == "zeros":
        return list(zip(window.taps(o, n), window.reads(o, n), strict=True))
    whole = [padded_source(position, n, mode) for position in window.covers(o)]
    return [(t, i) for t, i in enumerate(whole) if i is not None]


def _numbers(x: Tensor) -> Numbers:
    """Return the values as NumPy numbers, bfloat16 as float32, which holds it exactly."""
    x = x.detach().cpu().resolve_conj().resolve_neg()
    return (x.float() if x.dtype is torch.bfloat16 else x).numpy()


def _widest(x: Numbers) -> Numbers:
    """Return float64, complex128, or int64, which overflows as every integer type does."""
    kind = {"f": np.float64, "c": np.complex128}.get(x.dtype.kind, np.int64)
    return x.astype(kind)


def _tensor(problem: Problem, y: Numbers, like: Tensor) -> Tensor:
    """Round the result to the element type of the problem, once."""
    if problem.dtype != "bfloat16":
        return torch.from_numpy(y.astype(problem.y_dtype)).to(like.device)
    return torch.from_numpy(y).to(like.device, DTYPES[problem.dtype])


METHOD = WholeMethod(
    name="reference",
    solves=Problem,
    exact=True,
    repeats=True,
    compiles=False,
    skips=True,
    refuses=refuses,
    estimate=estimate,
    run=run,
)
