"""The four operations on arrays: convolution, transposed convolution, two kinds of pooling."""

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
    `bias` (k,); the result is (n, k, *outputs) or (k, *outputs), of the kind, element type and
    device of `x`, written into `out` if given; under autocast, of the type that torch gives.
    `stride`, `padding` and `dilation` count positions and are one integer or one an axis; `padding`
    also a (low, high) pair an axis, or "valid", "same" (stride 1), "same_upper" or "same_lower"
    (ceil(n / stride) outputs), "full". `padding_mode` is "zeros", "reflect", "replicate" or
    "circular".
    Half types are summed in float32, integers exactly, modulo 2 to the number of bits; `out_dtype`
    "int32" keeps the whole sums of 8-bit integers. `method` is "auto", the quickest here; "direct",
    the quickest whose results are the same bits for any number of threads, batch and memory layout,
    each one sum of products in a fixed order; or a name of those a plan prints.

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
    """Write every element of `x` over the result through `weight`: the transpose of `conv`.

    `x` is (n, c, *space) or (c, *space), `weight` (c, k/groups, *size), `bias` (k,); the result is
    (n, k, *outputs) or (k, *outputs). `padding` counts the positions cut off the ends,
    `output_padding` those added at the far ends; both are one integer or one an axis, `padding`
    also a (low, high) pair an axis, or "same_upper" or "same_lower" (n * stride outputs).
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
    """Take the largest element of every window.

    `x` is (n, c, *space), or (c, *space) if `size` has one entry an axis; the result is
    (n, c, *outputs) or (c, *outputs). `stride` is `size` unless given; `padding` is as in `conv`,
    as uneven and large as wanted, and never wins: a window of nothing but padding gives the lowest
    value. Not-a-number wins. With `return_indices`, also the place of each within the axes of
    space, flattened (-1 where there is none). With `ceil_mode`, a last window that starts inside
    may hang over the end.

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
    """Take the mean of every window.

    Shapes and options are those of `max_pool`. The divisor counts the elements of the window on
    the input and, with `count_include_pad`, on the padding, which are zeros; never what
    `ceil_mode` lets hang over the end. A window with nothing to count gives 0, as in torch.

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
