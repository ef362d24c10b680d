"""What every test stands on: one thread each, and memory given back after each file of tests."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """One thread, as the suite runs in parallel; who only hands tests out needs no torch."""
    if hasattr(config, "workerinput") or config.getoption("dist", "no") == "no":
        import torch

        torch.set_num_threads(1)


@pytest.fixture(scope="module", autouse=True)
def memory_given_back(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a file of tests, let go what it cached, and what the allocator keeps of it.

    glibc keeps freed blocks of up to 32 MB at hand, half a gigabyte after some files.
    """
    yield
    for value in vars(request.node.obj).values():
        if hasattr(value, "cache_clear") and value.__module__ == request.node.obj.__name__:
            value.cache_clear()
    gc.collect()
    if sys.platform == "linux":
        getattr(ctypes.CDLL(None), "malloc_trim", lambda kept: 0)(0)
