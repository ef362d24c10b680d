"""Read the arguments of an operation into a problem, and reject wrong ones.

All wrong arguments are found here, before anything is allocated.
"""

from __future__ import annotations

from math import prod
from typing import Any, TypeVar

import torch

from convlens.compute.operands.arrays import dtype_of, kind_of
from convlens.compute.operands.operands import needs_gradient
from convlens.compute.problems import DTYPES, AvgPool, Conv, ConvTranspose, MaxPool, Problem
from convlens.compute.reading.describing import (
    Description,
    check_agrees,
    describe,
    name_of_dtype,
)
from convlens.compute.reading.values import read_flag
from convlens.compute.reading.windows import (
    OURS,
    Words,
    check_fit,
    in_64_bits,
    is_several,
    per_axis,
    read_integer,
    read_transposed,
    read_windows,
    shown,
)
from convlens.windows import PADDING_MODES

__all__ = [
    "read_conv",
    "read_conv_transpose",
    "read_pool",
    "read_weighted",
]

POOLS = ("max_pool", "avg_pool")

LARGEST_RESULT = 2**40
"""The most bytes of an array, 1 TiB; a larger one comes from a mistyped padding or stride."""


P = TypeVar("P", bound=Problem)


def read_conv(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: Any = 1,
    padding_mode: Any = "zeros",
    out_dtype: Any = None,
    words: Words = OURS,
) -> Conv:
    """Return the convolution that these arguments describe.

    `x` may be a (shape, dtype). `words` names the arguments as the called function does. Raises
    ValueError or TypeError naming argument, value, rule and cure.

    >>> read_conv(((1, 3, 8, 8), "float32"), torch.ones(4, 3, 3, 3)).y_shape
    (1, 4, 6, 6)
    """
    size, sizes = _read_weighted(x, weight, bias, groups, False, out_dtype, words)
    _check_padding_mode(padding_mode)
    windows = read_windows(size, sizes["space"], stride, padding, dilation)
    return _small_enough(Conv(windows=windows, padding_mode=padding_mode, **sizes), words)


def read_conv_transpose(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: Any = 1,
    out_dtype: Any = None,
    words: Words = OURS,
) -> ConvTranspose:
    """Return the transposed convolution that these arguments describe, as `read_conv` does.

    >>> read_conv_transpose(((1, 3, 8), "float32"), torch.ones(3, 4, 2), stride=2).y_shape
    (1, 4, 16)
    """
    size, sizes = _read_weighted(x, weight, bias, groups, True, out_dtype, words)
    windows = read_transposed(size, stride, padding, dilation, output_padding)
    return _small_enough(ConvTranspose(windows=windows, **sizes), words)


def read_weighted(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    transposed: Any,
    padding_mode: Any = "zeros",
    output_padding: Any = 0,
    **options: Any,
) -> Conv | ConvTranspose:
    """Return what `read_conv` or, if `transposed`, `read_conv_transpose` returns.

    Also raises ValueError for an option that only the other one has.

    >>> x, weight = torch.ones(3, 8), torch.ones(3, 4, 2)
    >>> read_weighted(x, weight, transposed=True, stride=2).y_shape
    (4, 16)
    """
    if read_flag("transposed", transposed):
        _check_padding_mode(padding_mode)
        if padding_mode != "zeros":
            raise ValueError(
                f'`padding_mode` (="{padding_mode}") has no meaning for a transposed convolution, '
                "whose `padding` crops the result; leave it out"
            )
        return read_conv_transpose(x, weight, bias, output_padding=output_padding, **options)
    problem = read_conv(x, weight, bias, padding_mode=padding_mode, **options)
    if any(per_axis("output_padding", output_padding, len(problem.space), least=0)):
        raise ValueError(
            f"`output_padding` (={shown(output_padding)}) is for transposed convolutions; "
            "leave it out"
        )
    return problem


def _read_weighted(
    x: Any, weight: Any, bias: Any, groups: Any, transposed: bool, out_dtype: Any, words: Words
) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Return the size of the kernel, and the fields of a problem that the arrays determine."""
    kind_of("weight", weight)
    dtype_of("weight", weight)
    given = describe(words.x, x, weight)
    check_agrees("weight", weight, given, words)
    size = _kernel_size(tuple(weight.shape), transposed)
    batch, channels, space = _split(words.x, given.shape, len(size))
    count, out = _channels(tuple(weight.shape), channels, groups, transposed, words)
    if bias is not None:
        _check_bias(bias, given, out, words)
    return size, {
        "batch": 1 if batch is None else batch,
        "channels": channels,
        "space": space,
        "channels_out": out,
        "dtype": given.dtype,
        "device": given.device,
        "groups": count,
        "batched": batch is not None,
        "gradient": needs_gradient(x, weight, bias),
        "out_dtype": _read_out_dtype(out_dtype, given.dtype, words),
    }


def _check_padding_mode(padding_mode: Any) -> None:
    """Raise TypeError or ValueError unless `padding_mode` is one of `PADDING_MODES`."""
    if padding_mode is not None and not isinstance(padding_mode, str):
        kind = type(padding_mode).__name__
        raise TypeError(f"`padding_mode` (={shown(padding_mode)}) must be a string, not {kind}")
    if padding_mode not in PADDING_MODES:
        names = ", ".join(f'"{name}"' for name in PADDING_MODES)
        raise ValueError(f"`padding_mode` (={shown(padding_mode)}) must be one of {names}")


def _kernel_size(shape: tuple[int, ...], transposed: bool) -> tuple[int, ...]:
    """Return the sizes of a weight's axes of space; raise ValueError unless there are 1 to 3."""
    if not 3 <= len(shape) <= 5:
        form = "(c, k/groups, *size)" if transposed else "(k, c/groups, *size)"
        raise ValueError(f"`weight` has shape {shape}; it must be {form} with 1 to 3 axes of size")
    return shape[2:]


def _check_bias(bias: Any, given: Description, out: int, words: Words) -> None:
    kind_of("bias", bias)
    dtype_of("bias", bias)
    check_agrees("bias", bias, given, words)
    if tuple(bias.shape) != (out,):
        raise ValueError(
            f"`bias` has shape {tuple(bias.shape)} but the result has {out} channels; use ({out},)"
        )


def _read_out_dtype(out_dtype: Any, dtype: str, words: Words) -> str | None:
    """Return the element type of the result, or None if it is that of the input."""
    if out_dtype is None:
        return None
    name = name_of_dtype("out_dtype", out_dtype)
    if name == dtype:
        return None
    if name != "int32" or dtype not in ("int8", "uint8"):
        raise TypeError(
            f"`out_dtype` (={shown(out_dtype)}) must be the type of `{words.x}`, {dtype}, or int32 "
            f"if `{words.x}` holds 8-bit integers; leave it out and convert the result"
        )
    return name


def read_pool(
    operation: Any,
    x: Any,
    size: Any,
    *,
    axes: int | None = None,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: Any = False,
    return_indices: Any = False,
    count_include_pad: Any = True,
    words: Words = OURS,
) -> MaxPool | AvgPool:
    """Return the pooling that these arguments describe.

    Unless `axes` is given, a sequence as `size` has one entry per axis of space. A single integer
    means all axes of `x` but the first two. `words` names the arguments as the called function
    does. Raises ValueError or TypeError naming argument, value, rule and cure.

    >>> read_pool("max_pool", torch.ones(3, 8, 8), (2, 2)).y_shape
    (3, 4, 4)
    """
    if not isinstance(operation, str) or operation not in POOLS:
        raise ValueError(f"`operation` (={shown(operation)}) must be one of {', '.join(POOLS)}")
    given = describe(words.x, x)
    if axes is None:
        axes = _axes_of(given, size, words)
        if len(given.shape) not in (axes + 1, axes + 2):
            raise ValueError(
                f"`{words.size}` (={shown(size)}) has {axes} entries, one per axis of space, but "
                f"`{words.x}` has shape {given.shape}; give {len(given.shape) - 2} for "
                f"(n, c, *space) or {len(given.shape) - 1} for (c, *space)"
            )
    sizes = per_axis(words.size, size, axes, least=1)
    batch, channels, space = _split(words.x, given.shape, axes)
    _check_poolable(operation, given, words)
    ceil_mode, return_indices = (
        read_flag("ceil_mode", ceil_mode),
        read_flag("return_indices", return_indices),
    )
    counted = read_flag("count_include_pad", count_include_pad)
    steps = sizes if stride is None else stride
    shared: dict[str, Any] = {
        "batch": 1 if batch is None else batch,
        "channels": channels,
        "space": space,
        "windows": read_windows(sizes, space, steps, padding, dilation, ceil=ceil_mode),
        "dtype": given.dtype,
        "device": given.device,
        "batched": batch is not None,
        "gradient": needs_gradient(x),
    }
    if operation == "max_pool":
        return _small_enough(MaxPool(return_indices=return_indices, **shared), words)
    return _small_enough(AvgPool(count_include_pad=counted, **shared), words)


def _axes_of(given: Description, size: Any, words: Words) -> int:
    """Return how many axes of space are pooled; raise ValueError unless it is 1 to 3."""
    axes = len(list(size)) if is_several(size) else len(given.shape) - 2
    if not 1 <= axes <= 3:
        raise ValueError(
            f"`{words.size}` (={shown(size)}) and `{words.x}` of shape {given.shape} give {axes} "
            f"axes of space, but only 1 to 3 can be pooled; {words.x} must be (n, c, *space), or "
            "(c, *space) with one size per axis"
        )
    return axes


def _check_poolable(operation: str, given: Description, words: Words) -> None:
    if "complex" in given.dtype and operation == "max_pool":
        raise TypeError(
            f"`{words.x}` holds {given.dtype} values, which have no largest; pool the real part"
        )
    if "int" in given.dtype and operation == "avg_pool":
        raise TypeError(
            f"`{words.x}` holds {given.dtype} values, whose average need not be an integer; "
            f"convert {words.x} to float32"
        )


def _split(name: str, shape: tuple[int, ...], axes: int) -> tuple[int | None, int, tuple[int, ...]]:
    """Return batch (None without one), channels and space of an input with `axes` in space."""
    if len(shape) not in (axes + 1, axes + 2):
        raise ValueError(
            f"`{name}` has shape {shape}; with {axes} axes of space it must be (n, c, *space) or "
            f"(c, *space), {axes + 2} or {axes + 1} axes in all"
        )
    if 0 in shape[-axes - 1 :]:
        raise ValueError(f"`{name}` of shape {shape} is empty; only the batch may be 0")
    batch = shape[0] if len(shape) == axes + 2 else None
    return batch, shape[-axes - 1], shape[-axes:]


def _channels(
    shape: tuple[int, ...], channels: int, groups: Any, transposed: bool, words: Words
) -> tuple[int, int]:
    """Return groups and output channels; raise ValueError if weight, input and groups disagree."""
    if 0 in shape:
        raise ValueError(f"`weight` of shape {shape} is empty; no axis may be 0")
    count = read_integer("groups", groups, least=1)
    named = {"input channels": channels}
    if not transposed:
        named["output channels"] = shape[0]
    for what, number in named.items():
        if number % count:
            divisors = [str(d) for d in range(1, min(number, 1000) + 1) if number % d == 0]
            several = ", ".join(divisors[:-1]) + " or " + divisors[-1] if divisors[1:] else "1"
            raise ValueError(f"`groups` (={count}) must divide the {number} {what}; use {several}")
    read, expected = (shape[0], channels) if transposed else (shape[1], channels // count)
    if read != expected:
        where = "shape[0]" if transposed else "shape[1]"
        raise ValueError(
            f"`weight` of shape {shape} reads {read} channels but `{words.x}` has {channels} and "
            f"`groups` is {count}; weight.{where} must be {expected}"
        )
    return count, shape[1] * count if transposed else shape[0]


def _small_enough(problem: P, words: Words) -> P:
    """Return the problem; raise ValueError if a window does not fit or the result is too large."""
    check_fit(problem.operation, problem.windows, problem.space, words)
    if torch.compiler.is_compiling():
        return problem  # sizes may be symbolic
    width = DTYPES[problem.dtype].itemsize
    if problem.gradient:
        in_64_bits(problem.windows, problem.space, words)
        if isinstance(problem, AvgPool) and prod(problem.size) * width > LARGEST_RESULT:
            raise ValueError(
                f"`{words.size}` (={problem.size}) is too large to compute a gradient, which needs "
                f"a kernel of more than {LARGEST_RESULT} bytes; use a smaller one"
            )
    if prod(problem.y_shape) * width > LARGEST_RESULT:
        cure = "use less `padding` or a larger `stride`"
        if isinstance(problem, ConvTranspose):
            cure = "use a smaller `stride`, `dilation` or `output_padding`"
        raise ValueError(
            f"the result would have shape {problem.y_shape}, more than {LARGEST_RESULT} bytes; "
            f"{cure}"
        )
    return problem
