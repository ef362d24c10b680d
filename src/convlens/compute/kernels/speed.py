"""How fast this machine is: measured once in some milliseconds, and kept in the user's cache.

Estimates count cycles and bytes, and a `Speed` turns them into seconds. Until the machine has been
measured, the speed is `NOMINAL`. It always is where machines must not differ, as in the choice of
"direct" (see `nominal`).
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import LANES, WIDTH, add, fma, load, store
from convlens.compute.kernels.launching import Launch, address_of, threads
from convlens.compute.kernels.machine import is_nominal, machine
from convlens.files import cache_folder, cached_numbers, write_cached

__all__ = ["CHAINS", "NOMINAL", "Estimate", "Speed", "measure_speed", "multiply_add", "speed"]

CHAINS = 12
"""The sums in progress at once: enough to hide a latency of 4 cycles twice over."""

ROUNDS, TURNS = 20_000, 5
"""The rounds of a turn, which take 0.1 ms, and the turns, of which the fastest counts."""

COPIED = 2**24
"""The bytes copied to measure the bandwidth: more than a second-level cache holds."""

WITHIN = 16.0
"""A measurement further than this factor from nominal is an accident, and is not kept."""


@dataclass(frozen=True)
class Speed:
    """What a machine does in a second.

    `clock` is the number of multiply-adds of vectors that one core does; estimates call the time of
    one a cycle. `bandwidth` is the number of bytes that all threads read and write in memory. An
    unaligned load takes `load` cycles.
    """

    clock: float
    bandwidth: float
    load: float


NOMINAL = Speed(clock=3.0e9, bandwidth=3.3e10, load=1.7)
"""A common machine."""


@dataclass(frozen=True)
class Estimate:
    """The cost of a method for one problem.

    `cycles` are those of the busiest thread. `bytes` is what all threads move to and from memory at
    the same time. `seconds` are added, at any speed.
    """

    cycles: float = 0.0
    bytes: float = 0.0
    seconds: float = 0.0

    def at(self, speed: Speed) -> float:
        """Return the seconds that it takes.

        >>> Estimate(cycles=6e6, bytes=1e6, seconds=1e-3).at(NOMINAL)
        0.003
        """
        return self.seconds + max(self.cycles / speed.clock, self.bytes / speed.bandwidth)

    def __add__(self, other: Estimate) -> Estimate:
        """Return the estimate of one after the other."""
        return Estimate(
            self.cycles + other.cycles, self.bytes + other.bytes, self.seconds + other.seconds
        )


_lock = threading.Lock()
_known: dict[int, Speed] = {}
"""What was measured or read, by the number of threads."""

# A fork while another thread measures would leave the lock locked in the child for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


def speed() -> Speed:
    """Return the speed measured for this number of threads, or the nominal one.

    >>> speed().clock > 0
    True
    """
    count = threads()
    if is_nominal():
        return NOMINAL
    found = _known.get(count)
    if found is None:
        found = _known[count] = _read(count) or NOMINAL
    return found


def measure_speed() -> Speed:
    """Return the speed, measured now if it never was: 20 ms, after kernels are compiled."""
    count = threads()
    with _lock:
        found = _known.get(count)
        if found is None or found is NOMINAL:
            found = _read(count)
            if found is None:
                found = _measured()
                _write(count, found)
            _known[count] = found
    return found


def multiply_add(task: int, scratch: int, rounds: int, data: int) -> None:
    """Do 12 multiply-adds of vectors a round."""
    a, b = load(data, 12 * LANES), load(data, 13 * LANES)
    s0, s1, s2 = load(data, 0), load(data, LANES), load(data, 2 * LANES)
    s3, s4, s5 = load(data, 3 * LANES), load(data, 4 * LANES), load(data, 5 * LANES)
    s6, s7, s8 = load(data, 6 * LANES), load(data, 7 * LANES), load(data, 8 * LANES)
    s9, s10, s11 = load(data, 9 * LANES), load(data, 10 * LANES), load(data, 11 * LANES)
    for _ in range(rounds):
        s0, s1, s2 = fma(s0, a, b), fma(s1, a, b), fma(s2, a, b)
        s3, s4, s5 = fma(s3, a, b), fma(s4, a, b), fma(s5, a, b)
        s6, s7, s8 = fma(s6, a, b), fma(s7, a, b), fma(s8, a, b)
        s9, s10, s11 = fma(s9, a, b), fma(s10, a, b), fma(s11, a, b)
    store(scratch, 0, add(add(add(s0, s1), add(s2, s3)), add(add(s4, s5), add(s6, s7))))
    store(scratch, LANES, add(add(s8, s9), add(s10, s11)))


def load_and_add(task: int, scratch: int, rounds: int, data: int) -> None:
    """Do 12 multiply-adds a round, each with a vector loaded from any place in a line."""
    a = load(data, 12 * LANES)
    s0, s1, s2, s3, s4, s5 = a, a, a, a, a, a
    s6, s7, s8, s9, s10, s11 = a, a, a, a, a, a
    for r in range(rounds):
        place = data + r % LANES * WIDTH
        s0, s1 = fma(load(place, 0), a, s0), fma(load(place, LANES), a, s1)
        s2, s3 = fma(load(place, 2 * LANES), a, s2), fma(load(place, 3 * LANES), a, s3)
        s4, s5 = fma(load(place, 4 * LANES), a, s4), fma(load(place, 5 * LANES), a, s5)
        s6, s7 = fma(load(place, 6 * LANES), a, s6), fma(load(place, 7 * LANES), a, s7)
        s8, s9 = fma(load(place, 8 * LANES), a, s8), fma(load(place, 9 * LANES), a, s9)
        s10, s11 = fma(load(place, 10 * LANES), a, s10), fma(load(place, 11 * LANES), a, s11)
    store(scratch, 0, add(add(add(s0, s1), add(s2, s3)), add(add(s4, s5), add(s6, s7))))
    store(scratch, LANES, add(add(s8, s9), add(s10, s11)))


def _measured() -> Speed:
    """Return the speed as it is now."""
    data = np.zeros(16 * machine().lanes("float32"), np.float32)
    rates = []
    for kernel in (multiply_add, load_and_add):
        launch = Launch(Kernel(kernel.__name__, "float32", kernel), tasks=1, scratch=1024)
        rates.append(CHAINS * ROUNDS / _least(partial(launch, ROUNDS, address_of(data))))
    x, y = torch.ones(COPIED // 4), torch.zeros(COPIED // 4)
    found = Speed(rates[0], 2 * COPIED / _least(lambda: y.copy_(x)), rates[0] / rates[1])
    return found if _plausible(found) else NOMINAL


def _least(action: Callable[[], object]) -> float:
    """Return the seconds of the fastest turn, after one that warms up."""
    action()
    times = []
    for _ in range(TURNS):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return max(min(times), 1e-9)


def _plausible(found: Speed) -> bool:
    """Return whether every number is near enough to the nominal one."""
    pairs = zip(asdict(found).values(), asdict(NOMINAL).values(), strict=True)
    return all(1 / WITHIN <= value / common <= WITHIN for value, common in pairs)


def _path(count: int) -> Path | None:
    """Return the file that keeps the speed for a number of threads."""
    folder = cache_folder()
    if folder is None:
        return None
    key = f"{machine()!r} {count} {torch.__version__} {_source()}"
    return folder / "measured" / f"speed-{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"


@functools.cache
def _source() -> str:
    return Path(__file__).read_text()


def _read(count: int) -> Speed | None:
    """Return the speed kept for a number of threads, or None."""
    kept = cached_numbers(_path(count), "speed")
    if kept.keys() != asdict(NOMINAL).keys():
        return None
    found = Speed(**kept)
    return found if _plausible(found) else None


def _write(count: int, found: Speed) -> None:
    """Keep the speed, where the cache can be written."""
    path = _path(count)
    if path:
        write_cached(path, json.dumps({"speed": asdict(found)}))
