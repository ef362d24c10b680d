"""The names and arguments of `torch.nn.functional`, computed here: change one import.

    import convlens.functional as F   # was: import torch.nn.functional as F

Convolution, transposed convolution, and pooling, adaptive too, in one to three dimensions. Every
other name of `torch.nn.functional` is torch's own. Indices, gradients, `vmap` and autocast are as
in torch, and so are results, to 1e-5 of their root mean square, the order of a float32 sum; a zero
among them may be a number as small. Where it is not as in torch, here:

- Wrong arguments raise ValueError or TypeError with the cure, where torch raises RuntimeError.
- More is computed: integers are convolved, exactly, and pooled for their maximum; `padding` may be
  "full" or a (low, high) pair an axis, and of any size in pooling.
- float16 and bfloat16 are summed in float32 on the CPU, transposed and averaged too.
- A maximum over padding alone is the lowest number there is, its index -1; torch forbids it.
- Integers have no average; torch rounds it down for int64.
- No memory format is promised for the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from convlens.compute.adaptive import adaptive_pool
from convlens.compute.casting import autocast_off, cast_pooled, cast_weighted
from convlens.compute.functional_arguments import (
    check_axes,
    check_tensor,
    one_or_all,
    read_divisor,
)
from convlens.compute.operations import computed, conv
from convlens.compute.problem import Problem
from convlens.compute.reading_windows import TORCHS
from convlens.compute.remembering import recall_conv, recall_pool
from convlens.windows import Window

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]

Ints = int | Sequence[int]
Sizes = int | Sequence[int | None]
Padding = int | Sequence[Any] | str


def __getattr__(name: str) -> Any:
    """Return what torch has under a name that is not here."""
    return getattr(torch.nn.functional, name)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve signals (n, c, length) or (c, length) with (k, c/groups, size): torch's `conv1d`.

    Raises ValueError or TypeError for arguments that do not fit.

    >>> conv1d(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[[-1.0, 1.0]]]))
    tensor([[1., 2.]])
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    return _weighted(False, 1, input, weight, bias, groups=groups, **how)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve images (n, c, height, width), or without n: torch's `conv2d`.

    `weight` is (k, c/groups, *size). Raises ValueError or TypeError for arguments that do not fit.

    >>> conv2d(torch.ones(1, 3, 8, 8), torch.ones(5, 3, 3, 3), padding="same").shape
    torch.Size([1, 5, 8, 8])
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    return _weighted(False, 2, input, weight, bias, groups=groups, **how)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve volumes (n, c, depth, height, width), or without n: torch's `conv3d`.

    `weight` is (k, c/groups, *size). Raises ValueError or TypeError for arguments that do not fit.

    >>> conv3d(torch.ones(3, 8, 8, 8), torch.ones(5, 3, 3, 3, 3), stride=2).shape
    torch.Size([5, 3, 3, 3])
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    return _weighted(False, 3, input, weight, bias, groups=groups, **how)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """Write signals (n, c, length) through (c, k/groups, size): torch's `conv_transpose1d`.

    Raises ValueError or TypeError for arguments that do not fit.

    >>> conv_transpose1d(torch.tensor([[1.0, 2.0]]), torch.ones(1, 1, 2), stride=2)
    tensor([[1., 1., 2., 2.]])
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    more = {"output_padding": output_padding}
    return _weighted(True, 1, input, weight, bias, **how, **more)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """Write images (n, c, height, width), or without n: torch's `conv_transpose2d`.

    `weight` is (c, k/groups, *size). Raises ValueError or TypeError for arguments that do not fit.

    >>> conv_transpose2d(torch.ones(1, 3, 8, 8), torch.ones(3, 5, 2, 2), stride=2).shape
    torch.Size([1, 5, 16, 16])
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    more = {"output_padding": output_padding}
    return _weighted(True, 2, input, weight, bias, **how, **more)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """Write volumes (n, c, depth, height, width), or without n: torch's `conv_transpose3d`.

    `weight` is (c, k/groups, *size). Raises ValueError or TypeError for arguments that do not fit.

    >>> conv_transpose3d(torch.ones(3, 4, 4, 4), torch.ones(3, 5, 2, 2, 2), stride=2).shape
    torch.Size([5, 8, 8, 8])
    """
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    more = {"output_padding": output_padding}
    return _weighted(True, 3, input, weight, bias, **how, **more)


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


def adaptive_max_pool1d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """Take the largest of `output_size` even parts of (n, c, length): torch's function.

    Raises ValueError or TypeError for arguments that do not fit.

    >>> adaptive_max_pool1d(torch.tensor([[1.0, 5.0, 2.0, 3.0]]), 2)
    tensor([[5., 3.]])
    """
    return adaptive_pool("max_pool", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """Take the largest of `output_size` even parts of (n, c, height, width): torch's function.

    None keeps the size of an axis. Raises ValueError or TypeError for arguments that do not fit.

    >>> adaptive_max_pool2d(torch.ones(1, 3, 7, 7), (3, None)).shape
    torch.Size([1, 3, 3, 7])
    """
    return adaptive_pool("max_pool", 2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """Take the largest of `output_size` even parts of (n, c, depth, height, width): as in torch.

    None keeps the size of an axis. Raises ValueError or TypeError for arguments that do not fit.

    >>> adaptive_max_pool3d(torch.ones(3, 4, 4, 4), 2).shape
    torch.Size([3, 2, 2, 2])
    """
    return adaptive_pool("max_pool", 3, input, output_size, return_indices)


def adaptive_avg_pool1d(input: Tensor, output_size: Sizes) -> Tensor:
    """Take the mean of `output_size` even parts of (n, c, length): torch's function.

    Raises ValueError or TypeError for arguments that do not fit.

    >>> adaptive_avg_pool1d(torch.tensor([[1.0, 5.0, 2.0, 3.0]]), 2)
    tensor([[3.0000, 2.5000]])
    """
    y: Tensor = adaptive_pool("avg_pool", 1, input, output_size)
    return y


def adaptive_avg_pool2d(input: Tensor, output_size: Sizes) -> Tensor:
    """Take the mean of `output_size` even parts of (n, c, height, width): torch's function.

    None keeps the size of an axis. Raises ValueError or TypeError for arguments that do not fit.

    >>> adaptive_avg_pool2d(torch.ones(1, 3, 7, 7), 1).shape
    torch.Size([1, 3, 1, 1])
    """
    y: Tensor = adaptive_pool("avg_pool", 2, input, output_size)
    return y


def adaptive_avg_pool3d(input: Tensor, output_size: Sizes) -> Tensor:
    """Take the mean of `output_size` even parts of (n, c, depth, height, width): as in torch.

    None keeps the size of an axis. Raises ValueError or TypeError for arguments that do not fit.

    >>> adaptive_avg_pool3d(torch.ones(3, 4, 4, 4), 2).shape
    torch.Size([3, 2, 2, 2])
    """
    y: Tensor = adaptive_pool("avg_pool", 3, input, output_size)
    return y


def _weighted(transposed: bool, axes: int, x: Any, weight: Any, bias: Any, **how: Any) -> Tensor:
    check_tensor("input", x)
    check_tensor("weight", weight)
    if bias is not None:
        check_tensor("bias", bias)
    name = f"conv_transpose{axes}d" if transposed else f"conv{axes}d"
    check_axes(name, weight, axes)
    x, weight, bias = cast_weighted(x, weight, bias)
    read = {option: one_or_all(value) for option, value in how.items()}
    problem = recall_conv(x, weight, bias, transposed=transposed, words=TORCHS, **read)
    y: Tensor = computed(problem, x, weight, bias)
    return y


def _pool(operation: str, axes: int, x: Any, size: Any, **how: Any) -> Any:
    check_tensor("input", x)
    return computed(_read_pool(operation, axes, x, size, **how), x)


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
