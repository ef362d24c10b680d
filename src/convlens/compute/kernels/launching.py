"""Run a compiled kernel over its tasks in several threads, those of torch's OpenMP if possible.

Each thread repeatedly takes a share of the tasks, so that a slow thread does not delay the others.
The tasks of a share are neighbours in memory, because cores that work on the same pages slow each
other down. Starting the threads takes about 1 us with torch's OpenMP, 50 us with Python's threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.compute.kernels.language.compiling import HEAD, Kernel, address, fixed_in
from convlens.compute.kernels.records import words_of

__all__ = ["Launch", "address_of", "one_thread", "threads"]

SHARES = 12
"""The number of shares of neighbouring tasks that a thread takes, on average."""

POOLED = 4
"""The most scratch buffers of one size that are kept."""

_forked = False
_alone = threading.local()
_pool: dict[int, list[np.ndarray[Any, Any]]] = {}
"""Free scratch buffers by size; touching new pages takes longer than most convolutions."""


def _after_fork() -> None:
    """Use one thread in a forked process, and make torch do so: OpenMP's threads do not survive.

    It cannot be found out whether they were ever started.
    """
    global _forked
    _forked = True
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def threads() -> int:
    """Return how many threads a kernel may use: torch's number, or 1 in a forked process."""
    return 1 if _forked or getattr(_alone, "on", False) else torch.get_num_threads()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Limit the kernels that this thread runs to one thread within this context."""
    _alone.on = True
    try:
        yield
    finally:
        _alone.on = False


class Launch:
    """A kernel with its record, called with the parameters of `drive` that precede the record.

    A call runs all `tasks`. The record and its arrays are kept alive. `scratch` is in bytes per
    thread. Raises TypeError for a record whose fixed numbers are not those that the kernel was
    compiled for.
    """

    def __init__(
        self, kernel: Kernel, record: object | None = None, *, tasks: int, scratch: int = 0
    ) -> None:
        words = [] if record is None else words_of(record)
        if record is not None and kernel.constants != fixed_in(kernel.drive, record):
            raise TypeError(f"kernel {kernel.name} was compiled for other fixed numbers")
        self.tasks, self.scratch = tasks, -(-scratch // 64) * 64
        self._kernel, self._record = kernel, record
        self._count = len(kernel.parameters) - len(words)
        self._words = [0, tasks, 0, 0, self.scratch, 0, *[0] * self._count, *words]
        self.address = address(kernel)
        self._function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.address)
        self._blocks: list[Any] = []

    def __call__(self, *given: int) -> None:
        """Run all tasks with these addresses or integers, and wait until they are done.

        Raises TypeError unless there are as many as the kernel takes.
        """
        if len(given) != self._count:
            raise TypeError(f"kernel {self._kernel.name} takes {self._count}, not {len(given)}")
        count = min(threads(), self.tasks)
        try:
            block = self._blocks.pop()  # now no other thread can take it
        except IndexError:
            block = (ctypes.c_int64 * len(self._words))(*self._words)
        size = 1 << (self.scratch * count + 63).bit_length()  # few sizes, shared by many kernels
        free = _pool.setdefault(size, [])
        try:
            memory = free.pop()
        except IndexError:
            memory = np.empty(size, np.uint8)
        block[0], block[2], block[3] = 0, 0, (address_of(memory) + 63) // 64 * 64
        block[5] = max(1, self.tasks // (SHARES * count))
        block[HEAD : HEAD + self._count] = given
        _in_parallel(self._function, self.address, ctypes.addressof(block), count)
        self._blocks.append(block)
        if len(free) < POOLED:
            free.append(memory)

    def fill(self, x: Tensor, y: Tensor) -> None:
        """Fill y from x, both contiguous, with a kernel that takes their addresses."""
        if self.tasks:
            self(x.data_ptr(), y.data_ptr())


def address_of(array: np.ndarray[Any, Any]) -> int:
    """Return the address of an array's first element."""
    return int(array.__array_interface__["data"][0])


def _in_parallel(function: Any, start: int, block: int, count: int) -> None:
    """Run a function on a block in `count` threads at once."""
    if count <= 1:
        function(block)
        return
    region = _openmp()
    if region is not None:
        region(start, block, count, 0)
        return
    others = [threading.Thread(target=function, args=(block,)) for _ in range(count - 1)]
    for other in others:
        other.start()
    function(block)
    for other in others:
        other.join()


@functools.cache
def _openmp() -> Any:
    """Return GOMP_parallel(function, data, threads, flags) of torch's OpenMP, or None."""
    for path in sorted(Path(torch.__file__).parent.glob("lib/libgomp*.so*")):
        try:
            region = ctypes.CDLL(str(path)).GOMP_parallel
        except (OSError, AttributeError):
            continue
        region.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        region.restype = None
        return region
    return None
