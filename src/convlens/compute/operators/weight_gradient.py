"""Compute the derivative of a convolution to its weight: a sum over the batch and all outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from convlens.compute import background
from convlens.compute.methods.eager import LARGEST
from convlens.compute.operators import outer_products
from convlens.compute.problems import Conv, Problem
from convlens.windows import Window

__all__ = ["by_torch", "run"]

DENSE = 8
"""The channels in and out from which oneDNN is the faster in float32."""

Compute = Callable[[Problem, Tensor, Tensor | None, Tensor | None], tuple[Tensor, Tensor | None]]


def run(problem: Conv, x: Tensor, gradient: Tensor, compute: Compute) -> Tensor:
    """Sum x (n, c, *space) times gradient (n, k, *outputs) to (k, c/groups, *size).

    `problem` is the convolution of `x`; `compute` computes another convolution if one is needed.
    Half types are summed in float32.

    >>> x, problem = (
    ...     torch.arange(3.0)[None, None],
    ...     Conv(space=(3,), windows=(Window(2),), dtype="float32"),
    ... )
    >>> run(problem, x, torch.ones(1, 1, 2), lambda *parts: parts[1:3])
    tensor([[[1., 3.]]])
    """
    if not problem.batch:
        return x.new_zeros(_shape(problem))
    if not x.is_floating_point() or any(
        max(w.stride, w.dilation, w.before, w.after) > LARGEST for w in problem.windows
    ):
        return _by_conv(problem, x, gradient, compute)
    wide = x
    if x.dtype in (torch.float16, torch.bfloat16) and not x.is_cuda:
        wide, gradient = x.float(), gradient.float()
        problem = replace(problem, dtype="float32")
    by = outer_products.run if _by_ours(problem) else by_torch
    return by(problem, wide, gradient).to(x.dtype)


def _by_ours(problem: Conv) -> bool:
    """Return whether our kernel is faster and compiled; if it is not compiled, start that.

    On 27 layers its speed was 0.3 to 1 times oneDNN's for one group of at least 8 channels in
    float32, and 0.9 to 40 times otherwise.
    """
    dense = problem.groups == 1 and min(problem.channels, problem.channels_out) >= DENSE
    if (dense and problem.dtype == "float32") or outer_products.refuses(problem) is not None:
        return False
    if outer_products.at_hand(problem):
        return True
    background.ask(partial(outer_products.prepare, problem), key=problem)
    return False


def by_torch(problem: Conv, x: Tensor, gradient: Tensor) -> Tensor:
    """Compute by torch, which calls oneDNN or cuDNN."""
    windows = problem.windows
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
    return weights.contiguous()


def _by_conv(problem: Conv, x: Tensor, gradient: Tensor, compute: Compute) -> Tensor:
    """Convolve with batch and channels exchanged, and stride and dilation exchanged.

    Inputs that the stride leaves over give additional taps, which are cut off.
    """
    groups, n = problem.groups, problem.batch
    each = problem.channels // groups
    turned = replace(
        problem,
        batch=each,
        channels=groups * n,
        windows=tuple(
            Window(count, w.dilation, w.stride, w.before, w.after)
            for w, count in zip(problem.windows, problem.outputs, strict=True)
        ),
    )
    images = x.reshape(n, groups, each, *problem.space).transpose(0, 2)
    images = images.reshape(each, groups * n, *problem.space)
    y, _ = compute(turned, images, gradient.transpose(0, 1), None)
    for axis, count in enumerate(problem.size, start=2):
        y = y.narrow(axis, 0, count)
    return y.transpose(0, 1).contiguous()


def _shape(problem: Conv) -> tuple[int, ...]:
    return (problem.channels_out, problem.channels // problem.groups, *problem.size)
