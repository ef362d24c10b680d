"""The convolutions of `torch.nn.functional`, transposed too, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from convlens.compute.calling import call
from convlens.compute.operands.operands import Operands
from convlens.compute.reading.remembering import recall_conv, recall_conv_transpose
from convlens.compute.reading.windows import TORCHS
from convlens.functional.arguments import check_axes, check_tensor, one_or_all

__all__ = [
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
]

Ints = int | Sequence[int]
Padding = int | Sequence[Any] | str


def conv1d(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> torch.Tensor:
    """Convolve signals (n, c, length) or (c, length) with (k, c/groups, size): torch's `conv1d`.

    Raises ValueError or TypeError for arguments that do not fit.

    >>> conv1d(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[[-1.0, 1.0]]]))
    tensor([[1., 2.]])
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    return _weighted(False, 1, input, weight, bias, groups=groups, **how)


def conv2d(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> torch.Tensor:
    """Convolve images (n, c, height, width), or without n: torch's `conv2d`.

    `weight` is (k, c/groups, *size). Raises ValueError or TypeError for arguments that do not fit.

    >>> conv2d(torch.ones(1, 3, 8, 8), torch.ones(5, 3, 3, 3), padding="same").shape
    torch.Size([1, 5, 8, 8])
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    return _weighted(False, 2, input, weight, bias, groups=groups, **how)


def conv3d(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> torch.Tensor:
    """Convolve volumes (n, c, depth, height, width), or without n: torch's `conv3d`.

    `weight` is (k, c/groups, *size). Raises ValueError or TypeError for arguments that do not fit.

    >>> conv3d(torch.ones(3, 8, 8, 8), torch.ones(5, 3, 3, 3, 3), stride=2).shape
    torch.Size([5, 3, 3, 3])
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    return _weighted(False, 3, input, weight, bias, groups=groups, **how)


def conv_transpose1d(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> torch.Tensor:
    """Write signals (n, c, length) through (c, k/groups, size): torch's `conv_transpose1d`.

    Raises ValueError or TypeError for arguments that do not fit.

    >>> conv_transpose1d(torch.tensor([[1.0, 2.0]]), torch.ones(1, 1, 2), stride=2)
    tensor([[1., 1., 2., 2.]])
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    more = {"output_padding": output_padding}
    return _weighted(True, 1, input, weight, bias, **how, **more)


def conv_transpose2d(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> torch.Tensor:
    """Write images (n, c, height, width), or without n: torch's `conv_transpose2d`.

    `weight` is (c, k/groups, *size). Raises ValueError or TypeError for arguments that do not fit.

    >>> conv_transpose2d(torch.ones(1, 3, 8, 8), torch.ones(3, 5, 2, 2), stride=2).shape
    torch.Size([1, 5, 16, 16])
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    more = {"output_padding": output_padding}
    return _weighted(True, 2, input, weight, bias, **how, **more)


def conv_transpose3d(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> torch.Tensor:
    """Write volumes (n, c, depth, height, width), or without n: torch's `conv_transpose3d`.

    `weight` is (c, k/groups, *size). Raises ValueError or TypeError for arguments that do not fit.

    >>> conv_transpose3d(torch.ones(3, 4, 4, 4), torch.ones(3, 5, 2, 2, 2), stride=2).shape
    torch.Size([5, 8, 8, 8])
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    more = {"output_padding": output_padding}
    return _weighted(True, 3, input, weight, bias, **how, **more)


def _weighted(
    transposed: bool, axes: int, x: Any, weight: Any, bias: Any, **how: Any
) -> torch.Tensor:
    check_tensor("input", x)
    check_tensor("weight", weight)
    if bias is not None:
        check_tensor("bias", bias)
    name = f"conv_transpose{axes}d" if transposed else f"conv{axes}d"
    check_axes(name, weight, axes)
    given = Operands(x, weight, bias).cast()
    read = {option: one_or_all(value) for option, value in how.items()}
    recall = recall_conv_transpose if transposed else recall_conv
    problem = recall(given, words=TORCHS, **read)
    y: torch.Tensor = call(problem, given)
    return y
