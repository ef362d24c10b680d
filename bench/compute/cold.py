"""Measure how long the first call of a new shape takes, and when calls become fast."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from bench.compute.children import say
from bench.compute.contenders import one_call
from bench.compute.lists import case_named
from bench.compute.truth import inputs

QUIET, LONGEST = 8.0, 40.0  # seconds without gain after which to stop, and at most
GAIN, CLOSE = 0.9, 1.25  # a time that is less by this is a gain; one that is more is not yet fast
REST = 5e-3  # seconds between calls, in which to compile beside them


def calls(action: Callable[[], object]) -> list[tuple[float, float]]:
    """Return when each call ended and how long it took, in seconds from the start of the first."""
    made: list[tuple[float, float]] = []
    start = time.perf_counter()
    best, gained = float("inf"), 0.0
    while True:
        began = time.perf_counter()
        action()
        ended = time.perf_counter()
        made.append((ended - start, ended - began))
        if ended - began < GAIN * best:
            best, gained = ended - began, ended - start
        if ended - start > min(gained + QUIET, LONGEST):
            return made
        time.sleep(REST)


def settled(made: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return after how many seconds calls stay fast, and how many seconds one then takes.

    The fast time is the median of the last tenth of the calls. It is reached at the end of the
    first call of that speed after which the median of any five in a row stays close to it.
    """
    seconds = [took for _, took in made]
    fast = statistics.median(seconds[-max(1, len(made) // 10) :])
    runs = [statistics.median(seconds[i : i + 5]) for i in range(max(1, len(made) - 4))]
    slow = [i for i, median in enumerate(runs) if median > CLOSE * fast]
    first = slow[-1] + 1 if slow else 0
    at = next((at for at, took in made[first:] if took <= CLOSE * fast), made[-1][0])
    return at, fast


def measured(name: str) -> dict[str, Any]:
    given = inputs(case_named(name))
    torch.ones(2**20).sum()  # torch's threads are there before, as in any program that uses it
    made = calls(one_call(given))
    after, fast = settled(made)
    return {"first": made[0][1], "after": after, "fast": fast}


if __name__ == "__main__":
    say(measured(sys.argv[1]))
