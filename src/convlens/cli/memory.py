"""Settle how much freed memory a process keeps at hand."""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["SETTING", "keep_freed_memory"]

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Of glibc's `mallopt`, see mallopt(3)."""

SETTING = "MALLOC_TRIM_THRESHOLD_"
"""The variable by which a user settles the same, see mallopt(3)."""


def keep_freed_memory(most: int = 2**30) -> None:
    """Let glibc hand out freed blocks of up to `most` bytes again, and give back larger ones.

    Each step of a training needs the same memory once more. Left to itself glibc gives large blocks
    back to the system, which fills each new page with zeros: 2 to 8 % of a step on a CPU. Where
    there is no glibc, or the user's own settings say what to keep, nothing happens.
    """
    if sys.platform == "linux" and SETTING not in os.environ:
        set_option = getattr(ctypes.CDLL(None), "mallopt", lambda option, value: 0)
        for option in (TRIM_THRESHOLD, MMAP_THRESHOLD):
            set_option(option, most)
