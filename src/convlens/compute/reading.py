"""What the user said, read and checked: the only reader of integers, pairs and strings.

Everything that can be wrong with an argument is found here, before anything is allocated.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.compute.arrays import DTYPES, Array, device_of, dtype_of, kind_of, known_dtype
from convlens.compute.problem import Problem
from convlens.windows import PADDING_MODES, PADDINGS, TransposedWindow, Window

__all__ = [
    "Description",
    "describe",
    "needs_gradient",
    "read_conv",
    "read_pool",
    "read_tolerance",
    "recall_conv",
]

PLAIN = (Tensor, torch.nn.Parameter, np.ndarray)

REMEMBERED = 1024
_problems: dict[tuple[object, ...], Problem] = {}
"""Problems read, by all that was read of them; forgotten when so many are remembered."""

LARGEST_RESULT = 2**40
"""In bytes, 1 TiB: an array beyond it is a mistyped padding or stride."""


@dataclass(frozen=True)
class Description:
    """What must be known of an input: its shape, element type, kind and device."""

    shape: tuple[int, ...]
    dtype: str
    kind: str
    device: str

    def __str__(self) -> str:
        return f"{self.kind} array {self.shape} of {self.dtype} on {self.device}"


def describe(name: str, x: Any, like: Array | None = None) -> Description:
    """Return what must be known of an array, or of a (shape, dtype) that stands for one.

    A (shape, dtype) is of the kind and on the device of `like`. Raises TypeError for anything
    else.

    >>> str(describe("x", ((3, 8), "float32"), like=torch.ones(1)))
    'torch array (3, 8) of float32 on cpu'
    """
    if like is None or not (isinstance(x, tuple) and len(x) == 2):
        kind = kind_of(name, x)
        return Description(tuple(x.shape), dtype_of(name, x), kind, device_of(x))
    shape = tuple(_integer(f"{name}.shape", entry, least=0) for entry in x[0])
    dtype = known_dtype(name, _name_of("x[1]", x[1]))
    return Description(shape, dtype, kind_of("weight", like), device_of(like))


def needs_gradient(*arrays: Array | None) -> bool:
    """Tell whether torch will want to go back through what is computed of these.

    >>> needs_gradient(torch.ones(1, requires_grad=True), None)
    True
    """
    tensors = [array for array in arrays if isinstance(array, Tensor)]
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def recall_conv(x: Any, weight: Any, bias: Any, **options: Any) -> Problem:
    """Return `read_conv` of these, from memory where arrays and options alike were read before.

    >>> x, weight = torch.ones(1, 3, 8), torch.ones(4, 3, 3)
    >>> recall_conv(x, weight, None, stride=1) is recall_conv(x, weight, None, stride=1)
    True
    """
    given = [array for array in (x, weight, bias) if array is not None]
    if any(type(array) not in PLAIN for array in given) or torch.compiler.is_compiling():
        return read_conv(x, weight, bias, **options)
    key = (
        *((type(a), a.shape, a.dtype, a.device, getattr(a, "layout", None)) for a in given),
        needs_gradient(*given),
        repr(options),  # which tells True and 1.0 from 1, as equality does not
    )
    found = _problems.get(key)
    if found is None:
        found = read_conv(x, weight, bias, **options)
        if len(_problems) >= REMEMBERED:
            _problems.clear()
        _problems[key] = found
    return found


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
    output_padding: Any = 0,
    transposed: bool = False,
    out_dtype: Any = None,
) -> Problem:
    """Return the convolution, or transposed convolution, that these arguments ask for.

    `x` may be a (shape, dtype). Raises ValueError or TypeError naming argument, value, rule, cure.

    >>> read_conv(((1, 3, 8, 8), "float32"), torch.ones(4, 3, 3, 3)).y_shape
    (1, 4, 6, 6)
    """
    kind_of("weight", weight)
    dtype_of("weight", weight)
    given = describe("x", x, weight)
    _same("weight", weight, given)
    size = tuple(weight.shape)[2:]
    if not 1 <= len(size) <= 3:
        form = "(c, k/groups, *size)" if transposed else "(k, c/groups, *size)"
        raise ValueError(
            f"`weight` has shape {tuple(weight.shape)}; it must be {form} with 1 to 3 axes of size"
        )
    batch, channels, space = _split("x", given.shape, len(size))
    if 0 in weight.shape:
        raise ValueError(f"`weight` of shape {tuple(weight.shape)} is empty; no axis may be 0")
    count, out = _channels(tuple(weight.shape), channels, groups, transposed)
    if bias is not None:
        kind_of("bias", bias)
        dtype_of("bias", bias)
        _same("bias", bias, given)
        if tuple(bias.shape) != (out,):
            raise ValueError(
                f"`bias` has shape {tuple(bias.shape)} but the result {out} channels; use ({out},)"
            )
    windows: tuple[Window | TransposedWindow, ...]
    windows = _windows(size, stride, padding, dilation, names=not transposed)
    if transposed:
        added = _per_axis("output_padding", output_padding, len(size), least=0)
        windows = tuple(w.transposed(a) for w, a in zip(windows, added, strict=True))
    if padding_mode not in PADDING_MODES:
        names = ", ".join(f'"{name}"' for name in PADDING_MODES)
        raise ValueError(f"`padding_mode` (={padding_mode!r}) must be one of {names}")
    tensors = [array for array in (x, weight, bias) if isinstance(array, Tensor)]
    return _small_enough(
        Problem(
            operation="conv_transpose" if transposed else "conv",
            batch=1 if batch is None else batch,
            channels=channels,
            space=space,
            channels_out=out,
            windows=windows,
            dtype=given.dtype,
            device=given.device,
            groups=count,
            padding_mode=padding_mode,
            batched=batch is not None,
            gradient=needs_gradient(*tensors),
            out_dtype=_read_out_dtype(out_dtype, given.dtype),
        )
    )


def _read_out_dtype(out_dtype: Any, dtype: str) -> str | None:
    """Return the type of the result where it differs from that of the input."""
    if out_dtype is None:
        return None
    name = _name_of("out_dtype", out_dtype)
    if name == dtype:
        return None
    if name != "int32" or dtype not in ("int8", "uint8"):
        raise TypeError(
            f"`out_dtype` (={out_dtype!r}) must be the type of `x`, {dtype}, or int32 where `x` "
            "holds 8-bit integers; leave it out and convert the result"
        )
    return name


def read_pool(
    operation: str,
    x: Any,
    size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: Any = False,
    return_indices: Any = False,
    count_include_pad: Any = True,
) -> Problem:
    """Return the pooling that these arguments ask for.

    One `size` an axis says how many axes of space there are; a single integer means all axes of
    `x` but the first two. Raises ValueError or TypeError naming argument, value, rule, cure.

    >>> read_pool("max_pool", torch.ones(3, 8, 8), (2, 2)).y_shape
    (3, 4, 4)
    """
    given = describe("x", x)
    axes = len(list(size)) if _is_several(size) else len(given.shape) - 2
    if not 1 <= axes <= 3:
        raise ValueError(
            f"`size` (={size!r}) and `x` of shape {given.shape} give {axes} axes of space; "
            "1 to 3 can be pooled, x being (n, c, *space), or (c, *space) with one size an axis"
        )
    batch, channels, space = _split("x", given.shape, axes)
    if "complex" in given.dtype and operation == "max_pool":
        raise TypeError(f"`x` holds {given.dtype} values, which have no largest; pool a real part")
    if "int" in given.dtype and operation == "avg_pool":
        raise TypeError(
            f"`x` holds {given.dtype} values, whose average is no integer; convert x to float32"
        )
    flags = {
        "ceil_mode": ceil_mode,
        "return_indices": return_indices,
        "count_include_pad": count_include_pad,
    }
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise TypeError(f"`{name}` (={flag!r}) must be True or False")
    sizes = _per_axis("size", size, axes, least=1)
    steps = sizes if stride is None else stride
    windows = _windows(sizes, steps, padding, dilation, names=True, ceil=ceil_mode)
    return _small_enough(
        Problem(
            operation=operation,
            batch=1 if batch is None else batch,
            channels=channels,
            space=space,
            channels_out=channels,
            windows=windows,
            dtype=given.dtype,
            device=given.device,
            batched=batch is not None,
            gradient=needs_gradient(x),
            return_indices=return_indices,
            count_include_pad=count_include_pad,
        )
    )


def read_tolerance(tolerance: Any) -> float:
    """Return a tolerance, a number from 0 on; raise TypeError or ValueError for anything else.

    >>> read_tolerance(1e-5)
    1e-05
    """
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float | np.floating):
        raise TypeError(f"`tolerance` (={tolerance!r}) must be a number, as 1e-5")
    if not 0 <= tolerance < float("inf"):
        raise ValueError(f"`tolerance` (={tolerance!r}) must be 0 or more and finite; use 1e-5")
    return float(tolerance)


def _split(name: str, shape: tuple[int, ...], axes: int) -> tuple[int | None, int, tuple[int, ...]]:
    """Return batch (None without one), channels and space of an input with so many axes."""
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
    shape: tuple[int, ...], channels: int, groups: Any, transposed: bool
) -> tuple[int, int]:
    """Return the groups and the channels out, when weight, input and groups agree on channels."""
    count = _integer("groups", groups, least=1)
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
            f"`weight` of shape {shape} reads {read} channels but `x` has {channels} and `groups` "
            f"is {count}; weight.{where} must be {expected}"
        )
    return count, shape[1] * count if transposed else shape[0]


def _same(name: str, array: Array, given: Description) -> None:
    """Raise unless the array has the kind, element type and device of x."""
    kind, dtype, device = kind_of(name, array), dtype_of(name, array), device_of(array)
    if kind != given.kind:
        raise TypeError(f"`{name}` is a {kind} array but `x` a {given.kind} one; convert one")
    if dtype != given.dtype:
        raise TypeError(f"`{name}` holds {dtype} values but `x` {given.dtype}; convert one")
    if device != given.device:
        raise ValueError(f"`{name}` is on {device} but `x` on {given.device}; move one")


def _windows(
    size: tuple[int, ...],
    stride: Any,
    padding: Any,
    dilation: Any,
    *,
    names: bool,
    ceil: bool = False,
) -> tuple[Window, ...]:
    """Return one window an axis."""
    axes = len(size)
    strides = _per_axis("stride", stride, axes, least=1)
    dilations = _per_axis("dilation", dilation, axes, least=1)
    if isinstance(padding, str):
        if not names or padding not in PADDINGS:
            rule = f"must be one of {PADDINGS} or" if names else "must be"
            raise ValueError(
                f"`padding` (={padding!r}) {rule} an integer, one an axis, or a pair an axis"
            )
        windows = [
            Window.padded(padding, k, s, d)
            for k, s, d in zip(size, strides, dilations, strict=True)
        ]
        ends = [(w.before, w.after) for w in windows]
    else:
        ends = _pairs(padding, axes)
    return tuple(
        Window(k, s, d, before, after, ceil)
        for k, s, d, (before, after) in zip(size, strides, dilations, ends, strict=True)
    )


def _pairs(padding: Any, axes: int) -> list[tuple[int, int]]:
    """Read a padding: an integer, one an axis, or a (low, high) pair an axis."""
    if not _is_several(padding):
        return [_pair(padding)] * axes
    entries = list(padding)
    if len(entries) != axes:
        cure = f"give {axes}"
        if axes == 1 and len(entries) == 2:
            cure = f"a pair for one axis is [{padding!r}]"
        raise ValueError(
            f"`padding` (={padding!r}) has {len(entries)} entries for {axes} axes; {cure}"
        )
    return [_pair(entry) for entry in entries]


def _pair(entry: Any) -> tuple[int, int]:
    low, high = _per_axis("padding", entry, 2, least=0)
    return low, high


def _per_axis(name: str, value: Any, axes: int, *, least: int) -> tuple[int, ...]:
    """Read an integer, which holds for every axis, or one integer an axis."""
    if not _is_several(value):
        return (_integer(name, value, least),) * axes
    values = tuple(_integer(name, entry, least) for entry in value)
    if len(values) != axes:
        raise ValueError(
            f"`{name}` (={value!r}) has {len(values)} entries; give one integer or {axes}"
        )
    return values


def _integer(name: str, value: Any, least: int) -> int:
    """Read an integer that is not below `least`; True and 1.0 are none."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise TypeError(f"`{name}` (={value!r}) must be an integer, not {type(value).__name__}")
    if number < least:
        raise ValueError(f"`{name}` (={number}) must be at least {least}; use {least} or more")
    return number


def _is_several(value: Any) -> bool:
    """Tell a sequence from a single value; a string is one, and so is an array of no axes."""
    return (
        isinstance(value, Iterable)
        and not isinstance(value, str | bytes)
        and getattr(value, "ndim", 1) != 0
    )


def _name_of(name: str, dtype: Any) -> str:
    """Return the name of an element type given in the words of torch or NumPy."""
    if isinstance(dtype, torch.dtype):
        return str(dtype).removeprefix("torch.")
    try:
        return "bfloat16" if dtype == "bfloat16" else str(np.dtype(dtype).name)
    except TypeError:
        raise TypeError(f"`{name}` (={dtype!r}) must name an element type") from None


def _small_enough(problem: Problem) -> Problem:
    """Raise when the result could never be stored; asking for it checks all windows, too."""
    width = DTYPES[problem.dtype].itemsize
    if prod(problem.y_shape) * width > LARGEST_RESULT:
        raise ValueError(
            f"the result would have shape {problem.y_shape}, more than {LARGEST_RESULT} bytes; "
            "use less `padding` or a larger `stride`"
        )
    return problem
