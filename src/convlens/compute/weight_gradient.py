"""The derivative of a convolution to its weight, computed: a sum over the batch and all outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from convlens.compute.eager import LARGEST
from convlens.compute.problem import Problem
from convlens.windows import Window

__all__ = ["run"]

Compute = Callable[[Problem, Tensor, Tensor | None, Tensor | None], tuple[Tensor, Tensor | None]]


def run(problem: Problem, x: Tensor, gradient: Tensor, compute: Compute) -> Tensor:
    """Return the sum of x (n, c, *space) times gradient (n, k, *outputs), (k, c/groups, *size).

    `problem` is the convolution of `x`; `compute` computes another one. Half types are summed in
    float32.

    >>> x, problem = torch.arange(3.0)[None, None], Problem("conv", 1, 1, (3,), 1, (Window(2),),
    ...                                                     "float32")
    >>> run(problem, x, torch.ones(1, 1, 2), lambda *parts: parts[1:3])
    tensor([[[1., 3.]]])
    """
    if not problem.batch:
        return x.new_zeros(_shape(problem))
    if x.is_floating_point() and all(
        max(w.stride, w.dilation, w.before, w.after) <= LARGEST for w in _windows(problem)
    ):
        return _by_torch(problem, x, gradient)
    return _by_conv(problem, x, gradient, compute)


def _by_torch(problem: Problem, x: Tensor, gradient: Tensor) -> Tensor:
    """Ask torch, which asks oneDNN or cuDNN."""
    windows, dtype = _windows(problem), x.dtype
    if dtype in (torch.float16, torch.bfloat16) and not x.is_cuda:
        x, gradient = x.float(), gradient.float()
    padding = [window.before for window in windows]
    if any(window.before != window.after for window in windows):
        x = F.pad(x, [end for w in reversed(windows) for end in (w.before, w.after)])
        padding = [0] * len(windows)
    weights: Tensor = torch.ops.aten.convolution_backward(
        gradient,
        x,
        x.new_empty(_shape(problem)),
        None,
        [window.stride for window in windows],
        padding,
        [window.dilation for window in windows],
        False,
        [0] * len(windows),
        problem.groups,
        [False, True, False],
    )[1]
    return weights.to(dtype).contiguous()


def _by_conv(problem: Problem, x: Tensor, gradient: Tensor, compute: Compute) -> Tensor:
    """Convolve: the batch is summed over like channels, stride and dilation change places.

    Inputs that the stride leaves over show as taps that the weight does not have.
    """
    groups, n = problem.groups, problem.batch
    each = problem.channels // groups
    turned = replace(
        problem,
        batch=each,
        channels=groups * n,
        windows=tuple(
            Window(count, w.dilation, w.stride, w.before, w.after)
            for w, count in zip(_windows(problem), problem.outputs, strict=True)
        ),
    )
    images = x.reshape(n, groups, each, *problem.space).transpose(0, 2)
    images = images.reshape(each, groups * n, *problem.space)
    y, _ = compute(turned, images, gradient.transpose(0, 1), None)
    for axis, count in enumerate(problem.size, start=2):
        y = y.narrow(axis, 0, count)
    return y.transpose(0, 1).contiguous()


def _windows(problem: Problem) -> list[Window]:
    return [window for window in problem.windows if isinstance(window, Window)]


def _shape(problem: Problem) -> tuple[int, ...]:
    return (problem.channels_out, problem.channels // problem.groups, *problem.size)
