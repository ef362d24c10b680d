"""Count the bytes of the arrays and tensors that an object keeps alive."""

from __future__ import annotations

from functools import partial
from types import CellType, FunctionType, MethodType
from typing import Any

import numpy as np
from torch import Tensor

from convlens.compute.memory.arena import Arena

__all__ = ["bytes_held"]

EMPTY = CellType()
"""The cell of a variable without a value yet."""


def bytes_held(*roots: Any) -> int:
    """Return the bytes that functions and objects of this package hold, shared memory once.

    The buffers of an arena, which have limits of their own, do not count.

    >>> weight = np.ones((2, 3))
    >>> bytes_held(lambda x: x + weight, [weight[0], weight.T])
    48
    """
    seen: set[int] = set()
    found: list[Any] = list(roots)
    total = 0
    while found:
        item = found.pop()
        if isinstance(item, Tensor):
            item = item.untyped_storage()
            address, size = item.data_ptr(), item.nbytes()
        elif isinstance(item, np.ndarray):
            while isinstance(item.base, np.ndarray):
                item = item.base
            if isinstance(item.base, Tensor):
                found.append(item.base)
                continue
            address, size = item.__array_interface__["data"][0], item.nbytes
        else:
            address, size = id(item), 0
            found += [] if address in seen else _parts(item)
        if address not in seen:
            seen.add(address)
            total += size
    return total


def _parts(item: Any) -> list[Any]:
    """Return the objects that an object holds and that may hold memory in turn."""
    if isinstance(item, FunctionType):
        cells = [cell.cell_contents for cell in item.__closure__ or () if cell != EMPTY]
        return [*cells, *(item.__defaults__ or ())]
    if isinstance(item, MethodType):
        return [item.__self__]
    if isinstance(item, partial):
        return [item.func, item.args, item.keywords]
    if isinstance(item, dict):
        return list(item.values())
    if isinstance(item, list | tuple):
        return list(item)
    ours = type(item).__module__.startswith("convlens.") and not isinstance(item, Arena)
    return list(vars(item).values()) if ours and hasattr(item, "__dict__") else []
