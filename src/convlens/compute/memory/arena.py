"""Memory for results, used again once nobody holds the last result that lay there.

The first touch of fresh memory costs more than most convolutions: a page fault every 4 KiB.
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
"""Results of fewer bytes are given fresh memory: allocators keep that at hand by themselves."""

MOST, MOST_SHARED = 3, 8
"""Buffers kept, those in use among them: by one plan, and by several together."""


P = ParamSpec("P")
T = TypeVar("T")


def check_memory(error: Exception, what: str) -> None:
    """Raise ValueError, which says what was wanted, if an error is that memory has run out.

    >>> check_memory(KeyError("x"), "a result")
    """
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error):
        raise ValueError(f"{what} would take more memory than there is; use less") from None


def within_memory(what: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function say what was too large where memory runs out."""

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
    """The buffers of one plan, or of several that share them; a copy of it begins with none.

    `most`: how many are kept; `most_bytes`: of how many bytes together, or one, any if None.

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
        """Return a tensor of unknown values whose memory nobody else holds.

        It lies in the smallest buffer that is free and large enough, or in a new one, which is kept
        if there is room, or a smaller one to put it in the place of.
        """
        size = prod(shape) * dtype.itemsize
        if size < SMALLEST:
            return torch.empty(shape, dtype=dtype)
        best: np.ndarray[Any, Any] | None = None
        spare: list[int] = []
        for at in range(len(self._buffers)):
            buffer = self._buffers[at]
            # Held by the list, by this name and as the argument; a tensor on it holds it, too.
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
        """Keep a new buffer if there is room, or in the place of those at `spare`, all smaller."""
        if self._most_bytes is not None:
            held = sum(buffer.nbytes for buffer in self._buffers)
            for at in spare:
                if held + new.nbytes <= self._most_bytes:
                    break
                held -= self._buffers[at].nbytes
                self._buffers[at] = np.empty(0, np.uint8)  # others may walk over the list
            if held and held + new.nbytes > self._most_bytes:
                return
        if len(self._buffers) < self._most:
            self._buffers.append(new)
        elif spare:
            self._buffers[spare[-1]] = new
