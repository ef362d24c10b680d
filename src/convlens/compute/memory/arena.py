"""Reuse the memory of results that are no longer referenced.

The first touch of new memory costs a page fault every 4 KiB, more time than most convolutions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from math import prod
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

__all__ = ["Arena", "check_memory", "within_memory"]

SMALLEST = 2**18
"""The bytes below which a result gets new memory; allocators reuse such small blocks themselves."""

MOST, MOST_SHARED = 3, 8
"""The most buffers kept, including those in use: by one plan, and by several together."""


P = ParamSpec("P")
T = TypeVar("T")


def check_memory(error: Exception, what: str) -> None:
    """Raise ValueError naming `what` if `error` means that memory has run out.

    >>> check_memory(KeyError("x"), "a result")
    """
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error):
        raise ValueError(f"{what} needs more memory than is available; use less") from None


def within_memory(what: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function to raise ValueError naming `what` if memory runs out."""

    def around(f: Callable[P, T]) -> Callable[P, T]:
        @wraps(f)
        def within(*arguments: P.args, **options: P.kwargs) -> T:
            try:
                return f(*arguments, **options)
            except (MemoryError, RuntimeError) as error:
                check_memory(error, what)
                raise

        return within

    return around


class Arena:
    """The buffers of one plan, or of several that share them; a copy starts with none.

    It keeps at most `most` buffers, together of `most_bytes` bytes if given; one may be larger.

    >>> arena = Arena()
    >>> first = arena.empty((1000, 1000), torch.float32)
    >>> address = first.data_ptr()
    >>> arena.empty((1000, 1000), torch.float32).data_ptr() == address
    False
    >>> del first
    >>> arena.empty((1000, 1000), torch.float32).data_ptr() == address
    True
    """

    def __init__(self, most: int = MOST, most_bytes: int | None = None) -> None:
        self._buffers: list[np.ndarray[Any, Any]] = []
        self._most, self._most_bytes = most, most_bytes

    def __reduce__(self) -> tuple[type[Arena], tuple[int, int | None]]:
        return Arena, (self._most, self._most_bytes)

    def share(self, other: Arena) -> None:
        """Use the buffers of another arena from now on.

        >>> one, other = Arena(), Arena(MOST_SHARED)
        >>> one.share(other)
        >>> address = one.empty((1000, 1000), torch.float32).data_ptr()
        >>> other.empty((500, 1000), torch.float32).data_ptr() == address
        True
        """
        self._buffers, self._most = other._buffers, other._most
        self._most_bytes = other._most_bytes

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return a tensor of arbitrary values in memory that no other object uses.

        It uses the smallest free buffer that is large enough, or else a new one. The new buffer is
        kept if there is room, or in place of smaller free ones.
        """
        size = prod(shape) * dtype.itemsize
        if size < SMALLEST:
            return torch.empty(shape, dtype=dtype)
        best: np.ndarray[Any, Any] | None = None
        spare: list[int] = []
        for at in range(len(self._buffers)):
            buffer = self._buffers[at]
            # Three references mean free: the list, this name and the argument. A tensor adds one.
            if sys.getrefcount(buffer) != 3:
                continue
            if buffer.nbytes < size:
                spare.append(at)
            elif best is None or buffer.nbytes < best.nbytes:
                best = buffer
        if best is None:
            best = np.empty(size, np.uint8)
            self._keep(best, spare)
        return torch.from_numpy(best[:size]).view(dtype).view(shape)

    def _keep(self, new: np.ndarray[Any, Any], spare: list[int]) -> None:
        """Keep a new buffer if there is room, or in place of those at `spare`, all smaller."""
        if self._most_bytes is not None:
            held = sum(buffer.nbytes for buffer in self._buffers)
            for at in spare:
                if held + new.nbytes <= self._most_bytes:
                    break
                held -= self._buffers[at].nbytes
                self._buffers[at] = np.empty(0, np.uint8)  # other threads may iterate over the list
            if held and held + new.nbytes > self._most_bytes:
                return
        if len(self._buffers) < self._most:
            self._buffers.append(new)
        elif spare:
            self._buffers[spare[-1]] = new
