"""Which inputs an output reads, as autograd finds it in torch's own operations."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convlens.windows import (
    TransposedWindow,
    Window,
)

AnyWindow = Window | TransposedWindow


def check_against(window: AnyWindow, n: int, pattern: Tensor | None) -> None:
    """Raise unless the window reads like `pattern` (outputs, inputs); None: torch refused."""
    if pattern is None:
        with pytest.raises(ValueError, match=r"`(size|padding)`"):
            window.outputs(n)
        return
    rows = pattern.tolist()
    read = [[i for i, hit in enumerate(row) if hit] for row in rows]
    assert window.outputs(n) == len(rows)
    assert [list(window.reads(o, n)) for o in range(len(rows))] == read
    columns = [[o for o, inputs in enumerate(read) if i in inputs] for i in range(n)]
    assert [list(window.readers(i, n)) for i in range(n)] == columns
    assert list(window.unread(n)) == [i for i in range(n) if not columns[i]]


def linear_pattern(f: Callable[[Tensor], Tensor], n: int) -> Tensor | None:
    """Return which of n inputs each output of a linear f reads: where its gradient is not zero."""
    try:
        count = f(torch.ones(1, 1, n)).shape[-1]
    except RuntimeError:
        return None
    x = torch.ones(count, 1, n, requires_grad=True)
    (gradient,) = torch.autograd.grad(f(x).diagonal(dim1=0, dim2=2).sum(), x)
    return gradient[:, 0] != 0


def maximum_pattern(f: Callable[[Tensor], Tensor], n: int) -> Tensor | None:
    """Return the same for a maximum, whose gradient goes to the one input that is largest."""
    try:
        count = f(torch.ones(1, 1, n)).shape[-1]
    except RuntimeError:
        return None
    x = torch.eye(n).repeat(count, 1)[:, None].requires_grad_()
    picked = f(x)[:, 0].gather(1, torch.arange(count).repeat_interleave(n)[:, None])
    (gradient,) = torch.autograd.grad(picked.sum(), x)
    return gradient[:, 0].reshape(count, n, n).diagonal(dim1=1, dim2=2) != 0


def convolution_of(window: Window) -> Callable[[Tensor], Tensor]:
    weight = torch.ones(1, 1, window.size)
    padding = (window.before, window.after)

    def convolve(x: Tensor) -> Tensor:
        return F.conv1d(F.pad(x, padding), weight, stride=window.stride, dilation=window.dilation)

    return convolve


def transposed_of(window: TransposedWindow) -> Callable[[Tensor], Tensor]:
    weight = torch.ones(1, 1, window.size)

    def transpose(x: Tensor) -> Tensor:
        return F.conv_transpose1d(
            x,
            weight,
            stride=window.stride,
            padding=window.before,
            output_padding=window.output_padding,
            dilation=window.dilation,
        )

    return transpose


def max_pool_of(window: Window) -> Callable[[Tensor], Tensor]:
    w = window
    return lambda x: F.max_pool1d(x, w.size, w.stride, w.before, w.dilation, ceil_mode=w.ceil)


def avg_pool_of(window: Window) -> Callable[[Tensor], Tensor]:
    w = window
    return lambda x: F.avg_pool1d(x, w.size, w.stride, w.before, ceil_mode=w.ceil)
