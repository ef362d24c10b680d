"""Measure the limits of this machine: multiply-adds and moved bytes per second."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from bench.compute.cases import Case
from bench.figures import repeat
from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import LANES, load, store
from convlens.compute.kernels.launching import Launch, address_of
from convlens.compute.kernels.machine import machine
from convlens.compute.kernels.speed import CHAINS, multiply_add

SIZES = tuple(2**power for power in range(18, 29))  # 256 KB to 256 MB, read and written together


@dataclass(frozen=True)
class Limits:
    """`flops` per second of float32 on all threads; `bandwidth`: bytes per second by size."""

    flops: float
    bandwidth: Mapping[int, float]

    def moving(self, size: int) -> float:
        """Return bytes per second for moving this many, interpolated between measured sizes."""
        known = sorted(self.bandwidth)
        rates = [self.bandwidth[n] for n in known]
        return float(np.interp(math.log(size), np.log(known), rates))

    def seconds(self, case: Case) -> float:
        """Return the roofline: the longer of the times for arithmetic and memory."""
        return max(case.flops / self.flops, case.traffic / self.moving(case.traffic))

    def to_dict(self) -> dict[str, object]:
        return {"flops": self.flops, "bandwidth": {str(n): r for n, r in self.bandwidth.items()}}


def copy(task: int, scratch: int, rounds: int, n: int, x: int, y: int) -> None:
    start = task * n
    for _ in range(rounds):
        for i in range(start, start + n, 4 * LANES):
            a, b = load(x, i), load(x, i + LANES)
            c, d = load(x, i + 2 * LANES), load(x, i + 3 * LANES)
            store(y, i, a)
            store(y, i + LANES, b)
            store(y, i + 2 * LANES, c)
            store(y, i + 3 * LANES, d)


def measure() -> Limits:
    """Measure both in a few seconds; a busy machine reaches less than its limits."""
    peak, best, bandwidth = _peak(), 0.0, {}
    for size in reversed(SIZES):
        best = max(best, _bandwidth(size))  # less is not moved slower; what seems so is overhead
        bandwidth[size] = best
    return Limits(peak, dict(sorted(bandwidth.items())))


def _peak() -> float:
    rounds, tasks = 200_000, 4 * torch.get_num_threads()
    data = np.zeros(16 * 16, np.float32)
    launch = Launch(Kernel("multiply_add", "float32", multiply_add), tasks=tasks, scratch=1024)
    lanes = machine().lanes("float32")
    return 2 * lanes * CHAINS * rounds * tasks / _least(lambda: launch(rounds, address_of(data)), 9)


def _bandwidth(size: int) -> float:
    """Return the better bandwidth of our copy and torch's, which may bypass the cache."""
    count = torch.get_num_threads()
    n = size // 8 // count // 64 * 64  # elements a thread reads, and as many that it writes
    rounds = max(1, 2**28 // size)
    x, y = torch.ones(n * count), torch.zeros(n * count)
    launch = Launch(Kernel("copy", "float32", copy), tasks=count)
    moved = 8 * n * count
    ours = moved * rounds / _least(lambda: launch(rounds, n, x.data_ptr(), y.data_ptr()), 5)
    return max(ours, moved / _least(lambda: y.copy_(x), 5 * min(rounds, 20)))


def _least(action: Callable[[], object], times: int) -> float:
    """Return the seconds of the fastest of some calls, after one that is not counted."""
    return min(repeat(action, times))
