"""Measure the peak memory of planning and computing a case, in addition to its arrays."""

from __future__ import annotations

import ctypes
import gc
import re
import sys
from math import prod
from pathlib import Path
from typing import Any

import torch

from bench.compute.children import say
from bench.compute.contenders import our_plan
from bench.compute.lists import case_named
from bench.compute.truth import Inputs, inputs
from convlens.compute.kernels import launching

TIMES = 3  # of which the least: what other threads of the process touch meanwhile is not ours


def extra(given: Inputs) -> dict[str, int]:
    """Return the peak bytes of "planning" and of a "call", in addition to the case's arrays.

    Memory that stays between calls counts for both: packed weights, buffers, scratch memory. Memory
    that a process needs once does not count: code, compiled kernels, threads. The shape has been
    measured before. The operating system's kernel keeps these numbers, on Linux only.
    """
    case, x = given.case, torch.from_numpy(given.x)
    for _ in range(2):
        our_plan(given)(x)
    found = []
    for _ in range(TIMES):
        launching._pool.clear()
        before = _from_now()
        planned = our_plan(given)
        planning = _status("VmHWM") - before
        _from_now()
        y = planned(x)
        found.append((_status("VmHWM") - before - 4 * prod(case.y), planning))
        del planned, y
    calls, plannings = zip(*found, strict=True)
    return {"extra": max(0, min(calls)), "planning": max(0, min(plannings))}


def _from_now() -> int:
    """Reset the peak to the memory held now, and return it."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> int:
    """Return bytes as the operating system counts them."""
    text = Path("/proc/self/status").read_text()
    found = re.search(rf"{name}:\s+(\d+) kB", text)
    if found is None:
        raise OSError(f"this system has no {name}")
    return int(found[1]) * 1024


def measured(name: str) -> dict[str, Any]:
    case = case_named(name)
    arrays = 4 * (prod(case.x) + prod(case.y))
    return {"arrays": arrays, "weight": case.weight_bytes, **extra(inputs(case))}


if __name__ == "__main__":
    say(measured(sys.argv[1]))
