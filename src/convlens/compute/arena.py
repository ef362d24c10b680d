"""Memory for results, used again once nobody holds the last result that lay there.

The first touch of fresh memory costs more than most convolutions: a page fault every 4 KiB.
"""

from __future__ import annotations

import sys
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Arena"]

SMALLEST = 2**18
"""Results of fewer bytes are given fresh memory: allocators keep that at hand by themselves."""

MOST = 3
"""Buffers kept, those in use among them."""


class Arena:
    """The buffers of one plan.

    >>> arena = Arena()
    >>> first = arena.empty((1000, 1000), torch.float32)
    >>> address = first.data_ptr()
    >>> arena.empty((1000, 1000), torch.float32).data_ptr() == address
    False
    >>> del first
    >>> arena.empty((1000, 1000), torch.float32).data_ptr() == address
    True
    """

    def __init__(self) -> None:
        self._buffers: list[np.ndarray[Any, Any]] = []

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return a tensor of unknown values whose memory nobody else holds."""
        size = prod(shape) * dtype.itemsize
        if size < SMALLEST:
            return torch.empty(shape, dtype=dtype)
        for at in range(len(self._buffers)):
            buffer = self._buffers[at]
            # Held by the list, by this name and as the argument; a tensor on it holds it, too.
            if buffer.nbytes == size and sys.getrefcount(buffer) == 3:
                return torch.from_numpy(buffer).view(dtype).view(shape)
        buffer = np.empty(size, np.uint8)
        if len(self._buffers) < MOST:
            self._buffers.append(buffer)
        return torch.from_numpy(buffer).view(dtype).view(shape)
