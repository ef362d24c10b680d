"""A process that trains gets the memory of a step back without the system's zeros."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

CODE = """
import resource
import numpy as np
from convlens.cli.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        np.empty(2**26, np.uint8)[::4096] = 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

first = faults()
keep_freed_memory()
np.empty(2**26, np.uint8)[::4096] = 1
print(first, faults())
"""


pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc has these settings"
)


def faults(**variables: str) -> tuple[int, int]:
    """The pages that the system brings before and after."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    said = subprocess.run(
        [sys.executable, "-c", CODE],
        check=True,
        capture_output=True,
        text=True,
        env={**kept, **variables},
    )
    before, after = map(int, said.stdout.split())
    return before, after


def test_freed_memory_is_handed_out_again() -> None:
    before, after = faults()
    assert after < before / 5


def test_a_user_s_own_setting_stays() -> None:
    before, after = faults(MALLOC_TRIM_THRESHOLD_="131072")
    assert after > before / 2
