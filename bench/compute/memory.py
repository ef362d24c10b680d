"""How much memory planning and computing a case takes at its peak, beside its arrays."""

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
    """Return the bytes at the peak beyond input, result and weight: of "planning", of a "call".

    What stays from call to call counts for both: packed weights, buffers, scratch memory. What is
    there once a process does not: code, compiled kernels, threads. The shape has been measured
    before, as planning does once. Read off the kernel, so on Linux only.
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
    """Let the peak be what is held now, and return that."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> int:
    """Return bytes as the kernel counts them."""
    text = Path("/proc/self/status").read_text()
    found = re.search(rf"{name}:\s+(\d+) kB", text)
    if found is None:
        raise OSError(f"this system does not tell {name}")
    return int(found[1]) * 1024


def measured(name: str) -> dict[str, Any]:
    case = case_named(name)
    arrays = 4 * (prod(case.x) + prod(case.y))
    return {"arrays": arrays, "weight": case.weight_bytes, **extra(inputs(case))}


if __name__ == "__main__":
    say(measured(sys.argv[1]))
