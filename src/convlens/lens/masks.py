"""Carry boolean masks backwards through one step, from outputs to the inputs they read.

A mask has the shape of its value. Axes along which it does not vary are expanded views (stride 0),
so that thousands of channels cost as much as one.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from convlens.windows import AdaptiveWindow, TransposedWindow, Window

Slides = Window | TransposedWindow | AdaptiveWindow
"""What slides along one axis."""


def everything(mask: Tensor, shape: Sequence[int]) -> Tensor:
    """Return all of an input, if the mask holds anything of the output."""
    return mask.any().expand(tuple(shape))


def union(one: Tensor | None, other: Tensor) -> Tensor:
    """Return where either mask is set; the union is narrow where both are."""
    if one is None:
        return other
    return torch.logical_or(narrow(one), narrow(other)).expand(other.shape)


def narrow(mask: Tensor) -> Tensor:
    """Return the mask with the axes along which it does not vary cut to size 1."""
    for axis in range(mask.dim()):
        if mask.stride(axis) == 0 and mask.size(axis) > 1:
            mask = mask.narrow(axis, 0, 1)
    return mask


def collapse(mask: Tensor, axes: Iterable[int]) -> Tensor:
    """Return whether any element is set along `axes`, which stay with size 1."""
    mask = narrow(mask)
    for axis in axes:
        mask = mask.any(axis, keepdim=True)
    return mask


def broadcast_back(mask: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the mask of an operand of this shape, which was broadcast to the mask's shape."""
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
    """Return the inputs read along the axes from `first_axis` on, with one window for each."""
    found = mask.to(torch.float32)
    for i, (window, size) in enumerate(zip(windows, sizes, strict=True)):
        lines = found.movedim(first_axis + i, -1)
        matrix = _read_matrix(window, lines.shape[-1], size)
        found = torch.matmul(lines, matrix).movedim(-1, first_axis + i)
    return found > 0


def into_windows(
    mask: Tensor, windows: Sequence[Slides], sizes: Sequence[int], first_axis: int
) -> Tensor:
    """Return the outputs that read the mask along the axes from `first_axis` on, `sizes` of them.

    >>> into_windows(torch.tensor([False, False, True, False]), [Window(2)], [3], 0).tolist()
    [False, True, True]
    """
    found = mask.to(torch.float32)
    for i, (window, size) in enumerate(zip(windows, sizes, strict=True)):
        lines = found.movedim(first_axis + i, -1)
        matrix = _read_matrix(window, size, lines.shape[-1])
        found = torch.matmul(lines, matrix.T).movedim(-1, first_axis + i)
    return found > 0


@functools.lru_cache(maxsize=512)
def _read_matrix(window: Slides, outputs: int, size: int) -> Tensor:
    """Return the matrix whose row o is 1 at the inputs that output o reads."""
    matrix = torch.zeros(outputs, size)
    for output in range(outputs):
        matrix[output, list(window.reads(output, size))] = 1
    return matrix
