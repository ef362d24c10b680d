"""Tabulate which taps of a window meet its input, for all outputs at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.compute.problems import AvgPool
from convlens.windows import Window

__all__ = ["divisors", "places", "spans"]


def spans(window: Window, n: int, padded: bool = False) -> np.ndarray[Any, Any]:
    """Return (outputs, 2): the first tap of every output on the input and their number.

    >>> spans(Window(3, before=1, after=1), 4).tolist()
    [[1, 2], [0, 3], [0, 3], [0, 2]]
    """
    start = np.arange(window.outputs(n), dtype=np.int64) * window.stride - window.before
    low, high = (-window.before, n + window.after) if padded else (0, n)
    first = np.maximum(0, -((start - low) // window.dilation))
    stop = np.minimum(window.size, -((start - high) // window.dilation))
    return np.stack([first, np.maximum(0, stop - first)], axis=1)


def places(window: Window, n: int) -> np.ndarray[Any, Any]:
    """Return (outputs, 2): the first input that every output reads and the number that it reads.

    The first is 0 for an output that reads none.

    >>> places(Window(2, stride=2, before=3), 3).tolist()
    [[0, 0], [0, 1], [1, 2]]
    """
    table = spans(window, n)
    outputs = np.arange(len(table), dtype=np.int64)
    first = outputs * window.stride - window.before + table[:, 0] * window.dilation
    return np.stack([np.where(table[:, 1] > 0, first, 0), table[:, 1]], axis=1)


def divisors(problem: AvgPool, like: Tensor) -> Tensor:
    """Return (*outputs): the number of elements that every window of an average counts, at least 1.

    The tensor has the element type and the device of `like`.

    >>> problem = AvgPool(space=(4,), windows=(Window(3, before=1, after=1),), dtype="float32")
    >>> divisors(problem, torch.zeros(())).tolist()
    [3.0, 3.0, 3.0, 3.0]
    """
    whole = torch.ones((), dtype=torch.float64, device=like.device)
    for window, n in zip(problem.windows, problem.space, strict=True):
        whole = whole[..., None] * _counted(window, n, problem.count_include_pad, like)
    return whole.clamp(min=1).to(like.dtype)


def _counted(window: Window, n: int, padded: bool, like: Tensor) -> Tensor:
    """Return how many elements every window counts, by torch, so that n may be symbolic."""
    start = torch.arange(window.outputs(n), device=like.device) * window.stride - window.before
    low, high = (-window.before, n + window.after) if padded else (0, n)
    first = (-((start - low) // window.dilation)).clamp(min=0)
    stop = (-((start - high) // window.dilation)).clamp(max=window.size)
    return (stop - first).clamp(min=0)
