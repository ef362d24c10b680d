"""Describe arrays by shape, element type, kind and device, and check that two of them agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from convlens.compute.operands.arrays import Array, device_of, dtype_of, kind_of, known_dtype
from convlens.compute.reading.windows import Words, is_several, read_integer, shown

__all__ = ["Description", "check_agrees", "describe", "name_of_dtype"]


@dataclass(frozen=True)
class Description:
    """The shape, element type, kind and device of an input."""

    shape: tuple[int, ...]
    dtype: str
    kind: str
    device: str

    def __str__(self) -> str:
        return f"{self.kind} array {self.shape} of {self.dtype} on {self.device}"


def describe(name: str, x: Any, like: Array | None = None) -> Description:
    """Return the description of an array, or of a (shape, dtype) that stands for one.

    A (shape, dtype) takes its kind and device from `like`. Raises TypeError for anything else.

    >>> str(describe("x", ((3, 8), "float32"), like=torch.ones(1)))
    'torch array (3, 8) of float32 on cpu'
    """
    if like is None or not (isinstance(x, tuple) and len(x) == 2):
        kind = kind_of(name, x)
        return Description(tuple(x.shape), dtype_of(name, x), kind, device_of(x))
    if not is_several(x[0]):
        raise TypeError(
            f"`{name}` (={shown(x)}) must be an array or a (shape, dtype), "
            "such as ((1, 3, 8), 'float32')"
        )
    shape = tuple(read_integer(f"{name}.shape", entry, least=0) for entry in x[0])
    dtype = known_dtype(name, name_of_dtype(f"{name}[1]", x[1]))
    return Description(shape, dtype, kind_of("weight", like), device_of(like))


def check_agrees(name: str, array: Array, given: Description, words: Words) -> None:
    """Raise TypeError or ValueError if an array differs in kind, type or device from the input."""
    kind, dtype, device = kind_of(name, array), dtype_of(name, array), device_of(array)
    if kind != given.kind:
        raise TypeError(
            f"`{name}` is a {kind} array but `{words.x}` a {given.kind} one; convert one"
        )
    if dtype != given.dtype:
        raise TypeError(f"`{name}` holds {dtype} values but `{words.x}` {given.dtype}; convert one")
    if device != given.device:
        raise ValueError(f"`{name}` is on {device} but `{words.x}` on {given.device}; move one")


def name_of_dtype(name: str, dtype: Any) -> str:
    """Return the name of an element type of torch or NumPy; raise TypeError for anything else."""
    if isinstance(dtype, torch.dtype):
        return str(dtype).removeprefix("torch.")
    try:
        if isinstance(dtype, str | type | np.dtype):
            return "bfloat16" if dtype == "bfloat16" else str(np.dtype(dtype).name)
    except TypeError:
        pass
    raise TypeError(f"`{name}` (={shown(dtype)}) must name an element type")
