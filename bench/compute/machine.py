"""Describe the machine of a run, without which no figure means anything."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path
from typing import Any

import psutil

from bench.compute.contenders import threads
from bench.compute.peers import PEERS, version
from convlens.compute.kernels.machine import machine

BUSY = 0.05  # of the processors taken by others: from there on figures say little
PACKAGES = ("convlens", "llvmlite", *dict.fromkeys(p for names, _ in PEERS.values() for p in names))


def described() -> dict[str, Any]:
    """Return processor, system, versions and date, and how busy other processes keep it."""
    return {
        "processor": _processor(),
        "kernels": machine().name,
        "cores": os.cpu_count(),
        "threads": threads(),
        "memory": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := version(name))},
        "date": datetime.date.today().isoformat(),
        "busy": psutil.cpu_percent(1.0) / 100,
    }


def _processor() -> str:
    """Return the name of the processor, if the system has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
