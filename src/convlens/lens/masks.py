"""Which inputs a set of outputs reads: boolean masks carried backwards through one step.

A mask has the shape of its value. Axes on which it does not vary are expanded views (stride 0), so
that thousands of channels cost as much as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

Reads = Callable[[int], Iterable[int]]
"""Output position -> the input positions it reads, along one axis."""


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
    for axis, size in enumerate(shape):
        if size == 1 and mask.size(axis) > 1:
            mask = mask.any(axis, keepdim=True)
    return mask.expand(tuple(shape))


def through_windows(
    mask: Tensor, reads: Sequence[Reads], sizes: Sequence[int], first_axis: int
) -> Tensor:
    """The inputs read along the trailing axes, from `first_axis` on, one `reads` an axis."""
    mask = mask.to(torch.float32)
    for i, (read, size) in enumerate(zip(reads, sizes, strict=True)):
        axis = first_axis + i
        lines = mask.movedim(axis, -1)
        wanted = lines.reshape(-1, lines.shape[-1]).any(0).nonzero().flatten().tolist()
        matrix = torch.zeros(lines.shape[-1], size)
        for output in wanted:
            matrix[output, list(read(output))] = 1
        mask = torch.matmul(lines, matrix).clamp_(max=1).movedim(-1, axis)
    return mask > 0
