"""Multiply the zeros of a padding where it matters: infinity times zero is NaN.

Some methods skip the products with padding. That saves time, and matters only for a weight that is
infinite or NaN. For such weights the input is padded with zeros first, so that all methods agree.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor

from convlens.compute.problems import Conv, Problem

__all__ = ["is_finite", "meets_zeros", "surrounded", "without_padding"]


def meets_zeros(problem: Problem, weight: Tensor) -> TypeGuard[Conv]:
    """Return whether a convolution multiplies padding by an infinite or NaN weight.

    Torch decides on other devices, and where a gradient is needed.
    >>> from convlens.windows import Window
    >>> problem = Conv(space=(4,), windows=(Window(1, before=1),), dtype="float32")
    >>> meets_zeros(problem, torch.full((1, 1, 1), torch.inf)), meets_zeros(problem, torch.ones(1))
    (True, False)
    """
    if not isinstance(problem, Conv) or problem.padding_mode != "zeros":
        return False
    if problem.device != "cpu" or problem.gradient or "int" in problem.dtype:
        return False
    return any(w.before or w.after for w in problem.windows) and not is_finite(weight)


def is_finite(weight: Tensor) -> bool:
    """Return whether all elements are finite, in one pass over memory.

    >>> is_finite(torch.ones(2)), is_finite(torch.tensor([1.0, torch.nan]))
    (True, False)
    """
    if not (weight.is_floating_point() or weight.is_complex()):
        return True
    ends = (torch.view_as_real(weight) if weight.is_complex() else weight).detach().aminmax()
    return all(end.isfinite().item() for end in ends)


def without_padding(problem: Conv) -> Conv:
    """Return the same convolution for an input that `surrounded` has padded.

    >>> from convlens.windows import Window
    >>> problem = Conv(space=(4,), windows=(Window(3, before=1, after=1),), dtype="float32")
    >>> without_padding(problem).space, without_padding(problem).outputs
    ((6,), (4,))
    """
    pairs = list(zip(problem.windows, problem.space, strict=True))
    return replace(
        problem,
        space=tuple(window.before + n + window.after for window, n in pairs),
        windows=tuple(replace(window, before=0, after=0) for window, _ in pairs),
    )


def surrounded(problem: Conv, x: Tensor) -> Tensor:
    """Return x padded with the zeros of a problem.

    >>> from convlens.windows import Window
    >>> problem = Conv(space=(2,), windows=(Window(3, before=1, after=2),), dtype="float32")
    >>> surrounded(problem, torch.ones(1, 1, 2))
    tensor([[[0., 1., 1., 0., 0.]]])
    """
    return F.pad(x, [n for w in reversed(problem.windows) for n in (w.before, w.after)])
