"""Measure how long the candidates of a plan take and how accurate they are, and keep the times.

Times are kept in the user's cache by machine, number of threads and problem, so that a shape is
measured once. Errors depend on the weights, and are measured each time on a few outputs.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from convlens.compute import background
from convlens.compute.kernels.launching import threads
from convlens.compute.kernels.machine import machine
from convlens.compute.methods import reference
from convlens.compute.problems import DTYPES, Problem
from convlens.files import cache_folder, cached_numbers, write_cached

__all__ = ["example", "measured_error", "measured_seconds", "recalled", "remember"]

ROUNDS, BUDGET = 7, 0.5
"""The most turns of each candidate, and about the seconds for all turns after the first."""

TURN, MOST = 1.5e-3, 12
"""The seconds and the most calls of a turn; it has several, since the first are slow."""

FEW, LONG = 3, 0.03
"""The fewest calls of a turn, in case one is interrupted, unless they take `LONG` seconds."""

HOPELESS = 1.6
"""The best time over that of the best candidate with which a candidate is not run again."""


def example(problem: Problem) -> Tensor:
    """Return an input (n, c, *space) of random numbers for a problem, in its element type."""
    shape = (problem.batch, problem.channels, *problem.space)
    generator = torch.Generator().manual_seed(0)
    dtype = DTYPES[problem.dtype]
    if dtype.is_floating_point or dtype.is_complex:
        wide = torch.complex64 if dtype.is_complex else torch.float32
        return torch.randn(shape, generator=generator, dtype=wide).to(problem.device, dtype)
    small = torch.randint(0, 5, shape, generator=generator, dtype=torch.int64)
    return small.to(problem.device, dtype)


def measured_seconds(candidates: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return the least time of each candidate; they run in turn, under the same conditions."""
    best: dict[str, float] = {}
    for name, action in candidates.items():  # the first runs warm up caches, pages and clocks
        action()
        best[name] = _least(action)
    began = time.perf_counter()
    for _ in range(ROUNDS - 1):
        limit = HOPELESS * min(best.values(), default=0.0)
        running = [name for name in candidates if best[name] <= limit]
        if time.perf_counter() - began > BUDGET:
            break
        for name in running:
            best[name] = min(best[name], _least(candidates[name]))
    return best


def _least(action: Callable[[], object]) -> float:
    """Return the seconds of the fastest call of a turn."""
    times: list[float] = []
    while len(times) < MOST and sum(times) < (LONG if len(times) < FEW else TURN):
        background.pause()
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return min(times)


def measured_error(
    problem: Problem, x: Tensor, weight: Tensor, y: Tensor, places: int = 48
) -> float:
    """Return the error of y, a convolution of x without bias, relative to its size.

    The root mean squares are over all channels of some outputs, against sums in float64.
    """
    rng = np.random.default_rng(0)
    n = int(rng.integers(problem.batch))
    wide = torch.complex128 if y.is_complex() else torch.float64
    flat = y[n].flatten(1).to("cpu", wide).numpy()
    exact, found = [], []
    for _ in range(places):
        o = tuple(int(rng.integers(count)) for count in problem.outputs)
        exact.append(reference.at(problem, x[n], weight, o))
        found.append(flat[:, np.ravel_multi_index(o, problem.outputs)])
    error, size = np.abs(np.array(found) - np.array(exact)), np.abs(np.array(exact))
    whole = math.sqrt(float(np.mean(size**2)))
    return math.sqrt(float(np.mean(error**2))) / whole if whole else float(error.max())


def recalled(problem: Problem) -> dict[str, float]:
    """Return the times kept for a problem, by method; none if it was never measured."""
    return cached_numbers(_path(problem), "seconds")


def remember(problem: Problem, seconds: Mapping[str, float]) -> None:
    """Keep the times measured for a problem, if the cache can be written."""
    path = _path(problem)
    if path:
        content = json.dumps({"problem": repr(problem), "seconds": dict(seconds)})
        write_cached(path, content)


def _path(problem: Problem) -> Path | None:
    folder = cache_folder()
    if folder is None:
        return None
    # Problems that differ only in what does not affect the time share a file.
    key = f"{replace(problem, batched=True)!r} {threads()} {machine()!r} {_code()}"
    return folder / "measured" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"


@cache
def _code() -> str:
    """Return a digest of the methods, so that changed ones are measured again."""
    texts = [path.read_text() for path in sorted(Path(__file__).parent.rglob("*.py"))]
    return hashlib.sha256("".join([*texts, torch.__version__]).encode()).hexdigest()
