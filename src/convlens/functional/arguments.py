"""The arguments of `torch.nn.functional`, read as torch reads them."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from convlens.compute.operands.arrays import kind_of
from convlens.compute.reading.windows import is_several, read_integer, shown

__all__ = ["check_axes", "check_tensor", "one_or_all", "read_divisor"]


def check_tensor(name: str, value: Any) -> None:
    """Raise TypeError for anything but a dense tensor.

    >>> import torch
    >>> check_tensor("input", torch.ones(1))
    """
    if not isinstance(value, Tensor):
        raise TypeError(
            f"`{name}` must be a torch tensor, not {type(value).__name__}; use torch.as_tensor"
        )
    kind_of(name, value)


def check_axes(name: str, weight: Tensor, axes: int) -> None:
    """Raise ValueError unless `weight` is of as many axes of space as the function called.

    >>> import torch
    >>> check_axes("conv1d", torch.ones(1, 1, 3), 1)
    """
    if weight.ndim == axes + 2:
        return
    cure = f"give it {axes + 2}"
    if 3 <= weight.ndim <= 5:
        cure = f"use {name[:-2]}{weight.ndim - 2}d"
    raise ValueError(
        f"`weight` has shape {tuple(weight.shape)}; with {axes} axes of space it must have "
        f"{axes + 2} axes; {cure}"
    )


def one_or_all(value: Any) -> Any:
    """Return the number in a sequence of one: for torch it holds for every axis.

    >>> one_or_all((2,)), one_or_all([(1, 2)]), one_or_all((1, 2))
    (2, [(1, 2)], (1, 2))
    """
    if not is_several(value) or len(value) != 1:
        return value
    (entry,) = value
    return value if entry is None or is_several(entry) else entry


def read_divisor(divisor: Any) -> int:
    """Return the number that a sum is divided by; any integer but 0.

    >>> read_divisor(-3)
    -3
    """
    number = read_integer("divisor_override", divisor, -(2**63))
    if number == 0 or number >= 2**63:
        raise ValueError(
            f"`divisor_override` (={shown(divisor)}) must be a number of 64 bits, not 0"
        )
    return number
