"""Convolve, convolve transposed, and pool arrays in two ways."""

from __future__ import annotations

from typing import Any

from convlens.compute.calling import call
from convlens.compute.operands.arrays import Array
from convlens.compute.operands.operands import Operands
from convlens.compute.reading.remembering import recall_conv, recall_conv_transpose, recall_pool

__all__ = ["avg_pool", "conv", "conv_transpose", "max_pool"]


def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    out: Array | None = None,
    method: str = "auto",
    out_dtype: Any = None,
) -> Any:
    """Convolve `x` with the kernels `weight`, in the sense of neural networks: without a flip.

    `x` is (n, c, *space) or (c, *space) with 1 to 3 axes of space, `weight` (k, c/groups, *size),
    `bias` (k,). The result is (n, k, *outputs) or (k, *outputs), of the kind, element type and
    device of `x`, or under autocast of torch's type. It is written into `out` if given.
    `stride`, `padding` and `dilation` count positions, in one integer or one per axis. `padding`
    may also be a (low, high) pair per axis, or "valid", "same" (stride 1), "same_upper" or
    "same_lower" (ceil(n / stride) outputs), or "full". `padding_mode` is "zeros", "reflect",
    "replicate" or "circular". Half types are summed in float32, integers exactly modulo 2 to the
    number of bits; `out_dtype` "int32" keeps the whole sums of 8-bit integers. `method` is "auto",
    the fastest; "direct", the fastest whose results are the same bits for any number of threads,
    batch and memory layout, each a sum of products in a fixed order; or a name that a plan prints.

    Raises ValueError or TypeError, before anything is allocated, for arguments that do not fit.

    Source: Dumoulin & Visin, *A guide to convolution arithmetic for deep learning*,
    arXiv 1603.07285, chapters 1 and 2.

    >>> import numpy as np
    >>> conv(np.array([[1.0, 2.0, 4.0, 7.0]]), np.array([[[-1.0, 1.0]]]))
    array([[1., 2., 3.]])
    """
    given = Operands(x, weight, bias, out).cast()
    problem = recall_conv(
        given,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
        out_dtype=out_dtype,
    )
    return call(problem, given, method)


def conv_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    out: Array | None = None,
    method: str = "auto",
    out_dtype: Any = None,
) -> Any:
    """Add every element of `x`, times the kernel, to the result: the transpose of `conv`.

    `x` is (n, c, *space) or (c, *space), `weight` (c, k/groups, *size), `bias` (k,); the result is
    (n, k, *outputs) or (k, *outputs). `padding` counts the positions cut off at the ends,
    `output_padding` those added after the end. Both are one integer or one per axis. `padding` may
    also be a (low, high) pair per axis, "same_upper" or "same_lower" (n * stride outputs).
    Everything else is as in `conv`.

    Raises ValueError or TypeError, before anything is allocated, for arguments that do not fit.

    Source: Dumoulin & Visin, arXiv 1603.07285, chapter 4.

    >>> import numpy as np
    >>> conv_transpose(np.array([[1.0, 2.0]]), np.array([[[1.0, 10.0, 100.0]]]), stride=2)
    array([[  1.,  10., 102.,  20., 200.]])
    """
    given = Operands(x, weight, bias, out).cast()
    problem = recall_conv_transpose(
        given,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
        groups=groups,
        out_dtype=out_dtype,
    )
    return call(problem, given, method)


def max_pool(
    x: Array,
    size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the largest element of every window.

    `x` is (n, c, *space), or (c, *space) if `size` has one entry per axis; the result is
    (n, c, *outputs) or (c, *outputs). `stride` defaults to `size`. `padding` is as in `conv`, and
    may be uneven and of any size. Padding never wins: a window of only padding gives the lowest
    value. NaN wins. With `return_indices`, the result is a pair with the place of each maximum,
    flattened over the axes of space (-1 where there is none). With `ceil_mode`, a last window that
    starts inside may extend beyond the end.

    Raises ValueError or TypeError for arguments that do not fit, complex numbers among them.

    Source: Dumoulin & Visin, arXiv 1603.07285, chapter 3.

    >>> import numpy as np
    >>> max_pool(np.array([[1, 5, 2, 2, 3]]), (2,), ceil_mode=True, return_indices=True)
    (array([[5, 2, 3]]), array([[1, 2, 4]]))
    """
    problem = recall_pool(
        "max_pool",
        x,
        size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
        return_indices=return_indices,
    )
    return call(problem, Operands(x))


def avg_pool(
    x: Array,
    size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """Return the mean of every window.

    Shapes and options are those of `max_pool`. The divisor counts the window's elements on the
    input and, with `count_include_pad`, those on the zero padding, but never those beyond it that
    `ceil_mode` allows. A window with nothing to count gives 0, as in torch.

    Raises ValueError or TypeError for arguments that do not fit, integers among them.

    Source: Dumoulin & Visin, arXiv 1603.07285, chapter 3; torch for the divisor.

    >>> import numpy as np
    >>> avg_pool(np.array([[1.0, 5.0, 2.0, 2.0, 3.0]]), (2,), ceil_mode=True)
    array([[3., 2., 3.]])
    """
    problem = recall_pool(
        "avg_pool",
        x,
        size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
    )
    return call(problem, Operands(x))
