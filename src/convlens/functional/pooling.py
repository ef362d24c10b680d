"""The poolings of `torch.nn.functional` over windows, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from convlens.compute.calling import call
from convlens.compute.operands.autocast import autocast_off, cast_pooled
from convlens.compute.operands.operands import Operands
from convlens.compute.operations import conv
from convlens.compute.problems import Problem
from convlens.compute.reading.remembering import recall_pool
from convlens.compute.reading.windows import TORCHS
from convlens.functional.arguments import check_tensor, one_or_all, read_divisor
from convlens.windows import Window

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]

Ints = int | Sequence[int]
Padding = int | Sequence[Any] | str


def max_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Take the largest of every window of (n, c, length) or (c, length): torch's `max_pool1d`.

    With `return_indices`, also where it lies. Raises ValueError or TypeError for arguments that do
    not fit.

    >>> max_pool1d(torch.tensor([[1.0, 5.0, 2.0, 3.0]]), 2, return_indices=True)
    (tensor([[5., 3.]]), tensor([[1, 3]]))
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
    return _pool("max_pool", 1, input, kernel_size, return_indices=return_indices, **how)


def max_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Take the largest of every window of (n, c, height, width), or without n: `max_pool2d`.

    With `return_indices`, also where it lies, counted row by row. Raises ValueError or TypeError
    for arguments that do not fit.

    >>> max_pool2d(torch.ones(1, 3, 7, 7), 2, ceil_mode=True).shape
    torch.Size([1, 3, 4, 4])
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
    return _pool("max_pool", 2, input, kernel_size, return_indices=return_indices, **how)


def max_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Take the largest of every window of (n, c, depth, height, width): torch's `max_pool3d`.

    With `return_indices`, also where it lies, counted row by row. Raises ValueError or TypeError
    for arguments that do not fit.

    >>> max_pool3d(torch.ones(3, 4, 4, 4), (1, 2, 2)).shape
    torch.Size([3, 4, 2, 2])
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
    return _pool("max_pool", 3, input, kernel_size, return_indices=return_indices, **how)


def avg_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Take the mean of every window of (n, c, length) or (c, length): torch's `avg_pool1d`.

    Raises ValueError or TypeError for arguments that do not fit.

    >>> avg_pool1d(torch.tensor([[1.0, 5.0, 2.0, 3.0]]), 2)
    tensor([[3.0000, 2.5000]])
    """
    how = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    y: Tensor = _pool("avg_pool", 1, input, kernel_size, count_include_pad=count_include_pad, **how)
    return y


def avg_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Take the mean of every window of (n, c, height, width), or without n: `avg_pool2d`.

    `divisor_override` divides instead of the number of elements. Raises ValueError or TypeError
    for arguments that do not fit.

    >>> avg_pool2d(torch.ones(1, 1, 2, 4), 2, divisor_override=1)
    tensor([[[[4., 4.]]]])
    """
    how = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    if divisor_override is not None:
        return _average_over(divisor_override, 2, input, kernel_size, how)
    y: Tensor = _pool("avg_pool", 2, input, kernel_size, count_include_pad=count_include_pad, **how)
    return y


def avg_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Take the mean of every window of (n, c, depth, height, width), or without n: `avg_pool3d`.

    `divisor_override` divides instead of the number of elements. Raises ValueError or TypeError
    for arguments that do not fit.

    >>> avg_pool3d(torch.ones(3, 4, 4, 4), (1, 2, 2)).shape
    torch.Size([3, 4, 2, 2])
    """
    how = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    if divisor_override is not None:
        check_tensor("input", input)
        x = cast_pooled(input, 3)
        return _average_over(divisor_override, 3, x, kernel_size, how)
    y: Tensor = _pool("avg_pool", 3, input, kernel_size, count_include_pad=count_include_pad, **how)
    return y


def _pool(operation: str, axes: int, x: Any, size: Any, **how: Any) -> Any:
    check_tensor("input", x)
    return call(_read_pool(operation, axes, x, size, **how), Operands(x))


def _read_pool(operation: str, axes: int, x: Tensor, size: Any, **how: Any) -> Problem:
    """Read a pooling as torch does; an empty stride is none."""
    read = {option: one_or_all(value) for option, value in how.items()}
    if isinstance(read["stride"], list | tuple) and not read["stride"]:
        read["stride"] = None
    size = one_or_all(size)
    return recall_pool(operation, x, size, axes=axes, words=TORCHS, **read)


@autocast_off
def _average_over(divisor: Any, axes: int, x: Any, size: Any, how: dict[str, Any]) -> Tensor:
    """Sum every window, convolving with ones, and divide by what was asked for; round once."""
    check_tensor("input", x)
    divisor = read_divisor(divisor)
    problem = _read_pool("avg_pool", axes, x, size, **how)
    if not torch.compiler.is_compiling() and has_torch_function_unary(x):
        average = avg_pool2d if axes == 2 else avg_pool3d
        averages: Tensor = handle_torch_function(
            average, (x,), x, size, **how, divisor_override=divisor
        )
        return averages
    windows = [window for window in problem.windows if isinstance(window, Window)]
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    sums = conv(
        wide.reshape(-1, 1, *problem.space),
        wide.new_ones(1, 1, *problem.size),
        stride=[window.stride for window in windows],
        padding=[(window.before, window.room_after) for window in windows],
    )
    y: Tensor = (sums / divisor).squeeze(1).unflatten(0, x.shape[:-axes]).to(x.dtype)
    return y
