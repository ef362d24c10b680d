"""Find what kernels need to know of this machine: vector width, registers and caches."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

__all__ = ["WIDTHS", "Machine", "is_nominal", "machine", "nominal"]

WIDTHS = {"float32": 4, "float64": 8, "int32": 4, "int64": 8}
"""The element types that kernels compute in, and their sizes in bytes."""

LEVEL1, LEVEL2 = 2**15, 2**20
"""The bytes of a core's caches on the nominal machine."""


@dataclass(frozen=True)
class Machine:
    """One kind of processor, as LLVM and the operating system describe it.

    `vector` is the width of a vector, `level1` and `level2` are the sizes of a core's caches, all
    in bytes. `registers` counts the vector registers. `fused` is True if a * b + c is one
    instruction.
    """

    name: str
    vector: int
    registers: int
    fused: bool
    level1: int
    level2: int

    def lanes(self, dtype: str) -> int:
        """Return how many elements of a type a vector holds.

        >>> Machine("any", 64, 32, True, 32768, 2**20).lanes("float32")
        16
        """
        return self.vector // WIDTHS[dtype]


_local = threading.local()


@contextlib.contextmanager
def nominal() -> Iterator[None]:
    """Let this thread see caches, and a speed, that are the same on all machines for a while."""
    before = is_nominal()
    _local.nominal = True
    try:
        yield
    finally:
        _local.nominal = before


def is_nominal() -> bool:
    """Return whether this thread is within `nominal`."""
    return getattr(_local, "nominal", False)


def machine() -> Machine:
    """Return the machine this process runs on.

    >>> machine().vector in (16, 32, 64)
    True
    """
    here = _machine()
    return replace(here, level1=LEVEL1, level2=LEVEL2) if is_nominal() else here


@functools.lru_cache(1)
def _machine() -> Machine:
    """Return the machine as it is."""
    import llvmlite.binding as llvm  # loading takes 0.25 s, and only kernels need it

    features = llvm.get_host_cpu_features()
    level1, level2 = _cache(1, 32 * 1024), _cache(2, 512 * 1024)
    name = f"{llvm.get_host_cpu_name()} {platform.machine()}"
    if all(features.get(f"avx512{part}", False) for part in ("f", "dq", "bw", "vl")):
        return Machine(name, 64, 32, True, level1, level2)
    if features.get("avx2", False) and features.get("fma", False):
        return Machine(name, 32, 16, True, level1, level2)
    if platform.machine() in ("aarch64", "arm64"):
        return Machine(name, 16, 32, True, level1, level2)
    return Machine(name, 16, 16, False, level1, level2)


def _cache(level: int, otherwise: int) -> int:
    """Return the bytes of a core's data cache of a level, or `otherwise` if unknown."""
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            found = int((folder / "level").read_text())
            kind = (folder / "type").read_text().strip()
            size = re.fullmatch(r"(\d+)K", (folder / "size").read_text().strip())
        except (OSError, ValueError):
            continue
        if found == level and kind != "Instruction" and size:
            return int(size[1]) * 1024
    if hasattr(os, "sysconf") and f"SC_LEVEL{level}_DCACHE_SIZE" in os.sysconf_names:
        return os.sysconf(f"SC_LEVEL{level}_DCACHE_SIZE") or otherwise
    return otherwise
