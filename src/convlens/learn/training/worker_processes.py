"""See whether worker processes have the memory to hand batches over, and say when one died."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

__all__ = ["AHEAD", "MEMORY", "named_deaths", "shared_memory_lacks"]

MEMORY = Path("/dev/shm")
"""Where Linux keeps the memory that processes share; in a container it often has 64 MB."""

AHEAD = 2
"""How many batches each worker reads ahead."""


def shared_memory_lacks(one: Any, batch: int, workers: int) -> str | None:
    """Return why the batches of all workers do not fit the shared memory; None if they do.

    `one`: a batch of one sample, from which the bytes of `batch` samples are estimated.

    >>> import torch
    >>> shared_memory_lacks(torch.zeros(10**6), 10**9, 2)[:27]
    '`workers` (=2) need about 2'
    """
    if not MEMORY.is_dir():
        return None
    need, free = _bytes(one) * batch * (AHEAD * workers + 1), shutil.disk_usage(MEMORY).free
    if need <= free:
        return None
    return (
        f"`workers` (={workers}) need about {need / 1e6:,.0f} MB of shared memory, and {MEMORY} "
        f"has {free / 1e6:,.0f} MB; samples are read without them, use fewer, or give a "
        "container more with --shm-size"
    )


def _bytes(part: Any) -> int:
    """Return how many bytes the tensors of a batch have."""
    if isinstance(part, Tensor):
        return part.nbytes
    if isinstance(part, list | tuple):
        return sum(map(_bytes, part))
    if dataclasses.is_dataclass(part):
        return sum(_bytes(getattr(part, field.name)) for field in dataclasses.fields(part))
    return 0


@contextmanager
def named_deaths(workers: int) -> Iterator[None]:
    """Turn what torch says of a dead worker, wherever it comes up, into a ValueError of a sentence.

    torch raises it from a signal handler, so that it may interrupt any line.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        cause = _cause(str(error.__cause__ or error))
        raise ValueError(
            f"`workers` (={workers}) must stay alive, and one died ({cause}); it may have run out "
            "of memory: use fewer, or 0"
        ) from error


def _cause(said: str) -> str:
    """Return what torch says of a death, without its advice.

    >>> _cause("DataLoader worker (pid 7) is killed by signal: Killed. ")
    'killed by signal: Killed'
    """
    first = said.strip().splitlines()[0].partition(". ")[0].rstrip(". ")
    return first.partition(" is ")[2] or first
