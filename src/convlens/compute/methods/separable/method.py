"""Apply filters that are a product of one filter per axis, axis by axis: k + k taps for k x k.

The filters are the lines through the largest weight. A kernel is their product if every weight is,
except for rounding. Filters of all axes but the last are scaled to an absolute sum of 1, so that
overflow occurs only where the result overflows. Images are filtered down and across in one pass
(see `images`). Otherwise, an axis before the last is filtered with all later axes merged into one
row, so that every input is loaded once for several outputs (see `rows`).

Source: Treitel & Shanks, *The design of multistage separable planar filters*, IEEE Trans.
Geosci. Electron. 9 (1971).
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import torch
from torch import Tensor

from convlens.compute.kernels.speed import Estimate
from convlens.compute.memory.arena import Arena
from convlens.compute.methods.method import ConvMethod, Fill
from convlens.compute.methods.rows import method as rows
from convlens.compute.methods.separable import images as separable_images
from convlens.compute.problems import Conv, Unsuited
from convlens.windows import Window

__all__ = ["METHOD", "estimate", "prepare", "refuses"]


RESIDUES = {"float32": 2e-6, "float64": 4e-15}
"""The largest difference of a weight from the product, relative to the weight: some roundings."""


def refuses(problem: Conv) -> str | None:
    """Return why this method cannot compute the problem, or None; weights may still be unsuited.

    >>> refuses(Conv(space=(9, 9), windows=(Window(3), Window(3)), dtype="float32"))
    >>> refuses(Conv(space=(9,), windows=(Window(3),), dtype="float32"))
    'a filter along one axis cannot be separated'
    """
    reason = rows.refuses(problem)
    if reason is not None:
        return reason
    if problem.dtype not in RESIDUES:
        return f"its factors are fractions, which {problem.dtype} cannot hold"
    if sum(size > 1 for size in problem.size) < 2:
        return "a filter along one axis cannot be separated"
    if problem.channels != problem.groups:
        return "it computes filters of one channel each, not sums over channels"
    return None


def estimate(problem: Conv) -> Estimate:
    """Return about what it takes if the weights are suited.

    >>> of = lambda size: Conv(space=(999, 999), windows=(Window(size),) * 2, dtype="float32")
    >>> estimate(of(41)).cycles / estimate(of(11)).cycles < 5
    True
    """
    return sum((rows.estimate(step) for step in _steps(problem)), Estimate())


def _steps(problem: Conv) -> list[Conv]:
    """Return a problem for every axis that has taps, in the order in which they are run."""
    windows = problem.windows
    found: list[Conv] = []
    space = problem.space
    for axis, window in enumerate(windows):
        if window == Window(1):
            continue
        if axis == len(windows) - 1:
            step_space: tuple[int, ...] = (prod(space[:-1]), space[-1])
            step_windows: tuple[Window, ...] = (Window(1), window)
        else:
            step_space = (prod(space[:axis]), space[axis], prod(space[axis + 1 :]))
            step_windows = (Window(1), window, Window(1))
        channels = problem.channels_out if found else problem.channels
        step = replace(
            problem,
            channels=channels,
            space=step_space,
            channels_out=problem.channels_out,
            groups=channels,
            windows=step_windows,
        )
        found.append(step)
        space = (*space[:axis], window.outputs(space[axis]), *space[axis + 1 :])
    return found


def prepare(problem: Conv, weight: Tensor, bias: Tensor | None) -> Fill:
    """Return `run(x, y)`, which fills y (n, k, *outputs) from x (n, c, *space).

    Raises Unsuited for kernels that are not products of one filter per axis.
    """
    factors = _factors(weight[:, 0].double(), RESIDUES[problem.dtype])
    taps = [factor.to(weight.dtype) for factor in factors]
    if any(_leave_range(factor) for factor in taps):
        raise Unsuited("the filter of one axis would be too large or too close to zero")
    if separable_images.suits(problem):
        down, across = taps
        return separable_images.prepare(problem, down, across, bias)
    steps = _steps(problem)
    axes = [axis for axis, window in enumerate(problem.windows) if window != Window(1)]
    runs = []
    for i, (axis, step) in enumerate(zip(axes, steps, strict=True)):
        factor = taps[axis].reshape(problem.channels_out, 1, *step.size)
        runs.append(rows.prepare(step, factor, bias if i == len(steps) - 1 else None))
    shapes = [(step.batch, step.channels_out, *step.outputs) for step in steps[:-1]]
    arena = Arena()

    def run(x: Tensor, y: Tensor) -> None:
        for step, shape in zip(runs, shapes, strict=False):
            result = arena.empty(shape, x.dtype)
            step(x, result)
            x = result
        runs[-1](x, y)

    return run


def _leave_range(factor: Tensor) -> bool:
    """Return whether a number became infinite or lost digits because it is too small."""
    sizes = factor[factor != 0].abs()
    return bool((~sizes.isfinite() | (sizes < torch.finfo(factor.dtype).tiny)).any())


def _factors(kernels: Tensor, residue: float) -> list[Tensor]:
    """Return (k, size) for every axis of kernels (k, *size) that are their products.

    >>> kernel = torch.tensor([[1.0, 2.0], [2.0, 4.0]]).double()
    >>> [factor.numpy().round(3).tolist() for factor in _factors(kernel[None], 1e-9)]
    [[[0.333, 0.667]], [[3.0, 6.0]]]
    """
    if not bool(kernels.isfinite().all()):
        raise Unsuited("a weight is not finite")
    found = [_lines(kernel) for kernel in kernels]
    for kernel, factors in zip(kernels, found, strict=True):
        product = torch.ones((), dtype=torch.float64)
        for factor in factors:
            product = product[..., None] * factor
        if bool(((product - kernel).abs() > residue * kernel.abs()).any()):
            raise Unsuited("its kernels are not products of one filter per axis")
    return [torch.stack(factors) for factors in zip(*found, strict=True)]


def _lines(kernel: Tensor) -> list[Tensor]:
    """Return the lines of a kernel through its largest weight, scaled."""
    place = [int(i) for i in torch.unravel_index(kernel.abs().argmax(), kernel.shape)]
    largest = kernel[tuple(place)]
    lines, scale = [], largest
    for axis in range(kernel.ndim):
        where: list[int | slice] = list(place)
        where[axis] = slice(None)
        line = kernel[tuple(where)]
        line = line / torch.where(largest == 0, 1.0, largest)
        if axis < kernel.ndim - 1:
            size = line.abs().sum().clamp(min=1.0)
            line, scale = line / size, scale * size
        lines.append(line)
    return [*lines[:-1], lines[-1] * scale]


METHOD = ConvMethod(
    name="separable",
    solves=Conv,
    exact=False,
    repeats=True,
    compiles=True,
    skips=False,
    refuses=refuses,
    estimate=estimate,
    prepare=prepare,
)
