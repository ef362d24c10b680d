"""What every test stands on: one thread each, and memory given back as the tests go on."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SPARE = 200 * 2**20
"""The bytes by which a process may grow before what is out of reach is collected."""


def pytest_configure(config: pytest.Config) -> None:
    """One thread, as the suite runs in parallel; who only hands tests out needs no torch.

    Blocks of 4 mebibytes and more go back to the system when they are freed: left to itself glibc
    keeps those of up to 32 at hand, half a gigabyte after some files.
    """
    if hasattr(config, "workerinput") or config.getoption("dist", "no") == "no":
        import torch

        from convlens.cli.memory import SETTING, keep_freed_memory

        torch.set_num_threads(1)
        keep_freed_memory(2**22)
        os.environ.setdefault(SETTING, str(2**22))  # `convlens train` keeps to it
        config.pluginmanager.register(Collector())


def pytest_collection_finish(session: pytest.Session) -> None:
    """Stop where tests that belong to one worker would be dealt to several.

    What stands by now, a million objects of tests and libraries, is never collected again: walking
    it took half a second after each file.
    """
    gc.collect()
    gc.freeze()
    if getattr(session.config.option, "loadgroup", False):
        grouped = [item for item in session.items if item.get_closest_marker("xdist_group")]
        assert all("@" in item.nodeid for item in grouped), "pytest-xdist forms no groups"


class Collector:
    """Collects what is out of reach where a process has grown: recordings are large."""

    def __init__(self) -> None:
        self.least = resident()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self) -> None:
        """Collect after a test, not within one."""
        now = resident()
        if now > self.least + SPARE:
            gc.collect()
            now = self.least = resident()
        self.least = min(self.least, now)


def resident() -> int:
    """The bytes of this process that lie in memory, or 0 where that is not known."""
    counts = Path("/proc/self/statm")
    return 4096 * int(counts.read_text().split()[1]) if counts.exists() else 0


@pytest.fixture(scope="module", autouse=True)
def memory_given_back(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a file of tests, let go what it cached."""
    yield
    module = request.node.obj
    if module is None or not module.__name__.rpartition(".")[2].startswith("test_"):
        return  # examples in texts
    for value in vars(module).values():
        if hasattr(value, "cache_clear") and value.__module__ == module.__name__:
            value.cache_clear()
    gc.collect()
    if sys.platform == "linux":
        getattr(ctypes.CDLL(None), "malloc_trim", lambda kept: 0)(0)
