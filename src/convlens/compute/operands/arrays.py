"""Check and convert arrays of NumPy and torch: kind, element type, device and memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.compute.problems import DTYPES

__all__ = [
    "Array",
    "check_out",
    "device_of",
    "dtype_of",
    "kind_of",
    "known_dtype",
    "store",
    "to_array",
    "to_tensor",
]

Array = np.ndarray[Any, Any] | Tensor


def kind_of(name: str, array: object) -> str:
    """Return "numpy" or "torch"; raise TypeError naming the argument for anything else.

    >>> kind_of("x", np.ones(3)), kind_of("x", torch.ones(3))
    ('numpy', 'torch')
    """
    if isinstance(array, Tensor):
        if array.layout is not torch.strided or array.is_quantized or array.is_nested:
            raise TypeError(f"`{name}` must be a dense tensor; convert it, such as by .to_dense()")
        return "torch"
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"`{name}` is a masked array; masks are not supported: use .filled()")
    if isinstance(array, np.ndarray):
        return "numpy"
    raise TypeError(
        f"`{name}` must be a NumPy array or a torch tensor, not {type(array).__name__}; "
        "use numpy.asarray"
    )


def dtype_of(name: str, array: Array) -> str:
    """Return the name of the element type; raise TypeError for an unsupported one.

    >>> dtype_of("x", np.ones(3, ">f4")), dtype_of("x", torch.ones(3).bfloat16())
    ('float32', 'bfloat16')
    """
    if isinstance(array, Tensor):
        return known_dtype(name, str(array.dtype).removeprefix("torch."))
    return known_dtype(name, array.dtype.name)


def known_dtype(name: str, dtype: str) -> str:
    """Return `dtype` if it names a supported element type, else raise TypeError.

    >>> known_dtype("x", "float32")
    'float32'
    """
    if dtype not in DTYPES:
        raise TypeError(f"`{name}` holds {dtype} values; convert it to one of {', '.join(DTYPES)}")
    return dtype


def device_of(array: Array) -> str:
    """Return torch's name of the device; NumPy arrays are on the "cpu".

    >>> device_of(np.ones(3))
    'cpu'
    """
    return str(array.device) if isinstance(array, Tensor) else "cpu"


def to_tensor(array: Array) -> Tensor:
    """Return a tensor of the same values, sharing memory if torch can.

    torch rejects negative strides, strides that split elements and foreign byte order, and warns of
    read-only memory; such arrays are copied.

    >>> to_tensor(np.arange(3)[::-1]).tolist()
    [2, 1, 0]
    """
    if isinstance(array, Tensor):
        return array
    if array.dtype.name == "bfloat16":
        return to_tensor(array.view(_as_bits(array.dtype))).view(torch.bfloat16)
    native = array.dtype.newbyteorder("=")
    shareable = array.flags.writeable and array.flags.aligned and array.dtype == native
    if not shareable or any(step < 0 or step % array.itemsize for step in array.strides):
        array = np.array(array, dtype=native, order="C", copy=True, subok=False)
    return torch.from_numpy(array)


def to_array(tensor: Tensor, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return an array of the values of a tensor, in the element type `dtype`.

    NumPy has no bfloat16 of its own; `dtype` must then be that of ml_dtypes.

    >>> to_array(torch.ones(2), np.dtype("float32"))
    array([1., 1.], dtype=float32)
    """
    if tensor.dtype is torch.bfloat16:
        bits = tensor.contiguous().view(torch.int16).numpy()
        return bits.astype(_as_bits(dtype), copy=False).view(dtype)
    return tensor.numpy().astype(dtype, copy=False)


def _as_bits(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the integer type with the width and byte order of a bfloat16 type."""
    return np.dtype(np.int16).newbyteorder("=" if dtype.isnative else "S")


def check_out(
    out: Array, like: Array, shape: tuple[int, ...], dtype: str, inputs: dict[str, Array]
) -> None:
    """Raise unless `out` has this shape and type, and the kind and device of `like`.

    `out` must be writeable. Its elements must not overlap each other or the `inputs`.

    >>> check_out(np.empty(3), np.empty(5), (3,), "float64", {})
    """
    if kind_of("out", out) != kind_of("x", like):
        kinds = type(like).__name__, type(out).__name__
        raise TypeError(f"`out` must have the type of `x`, {kinds[0]}, not {kinds[1]}")
    if tuple(out.shape) != shape:
        raise ValueError(f"`out` has shape {tuple(out.shape)} but the result {shape}; use that")
    same = dtype == dtype_of("x", like)
    if out.dtype != like.dtype if same else dtype_of("out", out) != dtype:
        raise TypeError(
            f"`out` holds {out.dtype} values but the result {like.dtype if same else dtype}; "
            "use that"
        )
    if device_of(out) != device_of(like):
        raise ValueError(f"`out` is on {device_of(out)} but `x` on {device_of(like)}; move it")
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        raise ValueError("`out` is read-only; pass a writeable array")
    steps = out.stride() if isinstance(out, Tensor) else out.strides
    if any(step == 0 and n > 1 for step, n in zip(steps, shape, strict=True)):
        raise ValueError("`out` shows one element in several places; pass one that owns its memory")
    if isinstance(out, Tensor) and out.requires_grad:
        raise ValueError("`out` requires a gradient, which writing into it would break; detach it")
    for name, array in inputs.items():
        if _may_share(out, array) and np.shares_memory(_outline(out), _outline(array), -1):
            raise ValueError(f"`out` must not share memory with `{name}`; pass another array")


def store(result: Array, out: Array) -> None:
    """Copy `result` into `out`, which `check_out` has accepted.

    >>> out = np.zeros(2)
    >>> store(np.ones(2), out)
    >>> out
    array([1., 1.])
    """
    if isinstance(out, Tensor):
        with torch.no_grad():
            out.copy_(torch.as_tensor(result))
    else:
        np.copyto(out, np.asarray(result))


def _may_share(one: Array, other: Array) -> bool:
    """Return whether the memory of two arrays could overlap, judged by where it starts and ends."""
    (low, high), (start, end) = _ends(one), _ends(other)
    return low < end and start < high


def _ends(array: Array) -> tuple[int, int]:
    """Return the first address of an array and the first after it; all if it is not contiguous."""
    if isinstance(array, Tensor):
        if array.is_contiguous():
            start = array.data_ptr()
            return start, start + array.numel() * array.element_size()
    elif array.flags.c_contiguous:
        start = int(array.__array_interface__["data"][0])
        return start, start + array.nbytes
    return 0, 2**64


class _Place:
    """A tensor's memory in NumPy's description, on any device; its values are never read."""

    def __init__(self, tensor: Tensor) -> None:
        width = tensor.element_size()
        self.__array_interface__ = {
            "data": (tensor.data_ptr(), True),
            "shape": tuple(tensor.shape),
            "strides": tuple(step * width for step in tensor.stride()),
            "typestr": f"|V{width}",
            "version": 3,
        }


def _outline(array: Array) -> np.ndarray[Any, Any]:
    """Return an array with the address, shape and strides of `array`; do not read its values."""
    return np.asarray(_Place(array)) if isinstance(array, Tensor) else array
