"""Which inputs a set of outputs reads: boolean masks carried backwards through one step.

A mask has the shape of its value. Axes on which it does not vary are expanded views (stride 0), so
that thousands of channels cost as much as one.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from convlens.windows import AdaptiveWindow, TransposedWindow, Window

Slides = Window | TransposedWindow | AdaptiveWindow


def everything(mask: Tensor, shape: Sequence[int]) -> Tensor:
    """All of an input, if anything of the output is asked for."""
    return mask.any().expand(tuple(shape))


def union(one: Tensor | None, other: Tensor) -> Tensor:
    """Where either mask is set, still narrow where both are."""
    if one is None:
        return other
    return torch.logical_or(narrow(one), narrow(other)).expand(other.shape)


def narrow(mask: Tensor) -> Tensor:
    """The mask with its unvarying axes cut to size 1."""
    for axis in range(mask.dim()):
        if mask.stride(axis) == 0 and mask.size(axis) > 1:
            mask = mask.narrow(axis, 0, 1)
    return mask


def collapse(mask: Tensor, axes: Iterable[int]) -> Tensor:
    """Any over `axes`, which stay with size 1."""
    mask = narrow(mask)
    for axis in axes:
        mask = mask.any(axis, keepdim=True)
    return mask


def broadcast_back(mask: Tensor, shape: Sequence[int]) -> Tensor:
    """The mask of an operand of this shape that was broadcast to the mask's shape."""
    mask = narrow(mask)
    while mask.dim() > len(shape):
        mask = mask.any(0)
    mask = mask[(None,) * (len(shape) - mask.dim())]
    for axis, size in enumerate(shape):
        if size == 1 and mask.size(axis) > 1:
            mask = mask.any(axis, keepdim=True)
    return mask.expand(tuple(shape))


def through_windows(
    mask: Tensor, windows: Sequence[Slides], sizes: Sequence[int], first_axis: int
) -> Tensor:
    """The inputs read along the trailing axes, from `first_axis` on, one window an axis."""
    found = mask.to(torch.float32)
    for i, (window, size) in enumerate(zip(windows, sizes, strict=True)):
        lines = found.movedim(first_axis + i, -1)
        matrix = _read_matrix(window, lines.shape[-1], size)
        found = torch.matmul(lines, matrix).movedim(-1, first_axis + i)
    return found > 0


@functools.lru_cache(maxsize=512)
def _read_matrix(window: Slides, outputs: int, size: int) -> Tensor:
    """Row o is 1 at the inputs that output o reads."""
    matrix = torch.zeros(outputs, size)
    for output in range(outputs):
        matrix[output, list(window.reads(output, size))] = 1
    return matrix
