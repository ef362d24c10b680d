"""Measure long filters on noise, and on noise with outliers that spoil plain transforms."""

from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import scipy.signal
import torch

import convlens
from bench.figures import Figure, repeat

Floats = np.ndarray[Any, Any]
ROUNDS = 15

FILTERS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "1M samples, 2,047 taps": ((1_000_000,), (2047,)),
    "48,000 samples, 1,024 taps": ((48_000,), (1024,)),
    "512 x 512, 31 x 31": ((512, 512), (31, 31)),
    "1024 x 1024, 31 x 31": ((1024, 1024), (31, 31)),
    "96 x 96 x 96, 15 x 15 x 15": ((96, 96, 96), (15, 15, 15)),
}


def spike(x: Floats) -> None:
    x.reshape(-1)[x.size // 2 + x.shape[-1] // 3] = 1e6


def patch(x: Floats) -> None:
    middle = tuple(slice(n // 3, n // 3 + 10) for n in x.shape)
    x[middle] = -9999


def tail(x: Floats) -> None:
    x *= np.exp(-np.arange(x.shape[-1]) / (x.shape[-1] / 100))


OUTLIERS: dict[str, Callable[[Floats], None]] = {
    "one value of 1e6": spike,
    "a patch of -9999, 10 wide": patch,
    "a tail that decays to nothing": tail,
}


def measure() -> list[Figure]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        return [figure for name in FILTERS for figure in _figures(name)]
    finally:
        torch.set_num_threads(threads)


def _figures(name: str) -> list[Figure]:
    """Return how many times as long as noise each input takes, in turn, and SciPy on noise."""
    shape, size = FILTERS[name]
    random = np.random.default_rng(0)
    noise = random.standard_normal(shape).astype(np.float32)
    kernel = random.standard_normal(size).astype(np.float32)
    weight = torch.from_numpy(kernel)[None, None]
    inputs = {"noise": noise}
    for what, change in OUTLIERS.items():
        inputs[what] = noise.copy()
        change(inputs[what])
    given = {what: torch.from_numpy(x)[None, None] for what, x in inputs.items()}
    plan = convlens.plan(given["noise"], weight, padding="same")
    for x in given.values():
        plan(x)
    seconds: dict[str, list[float]] = {what: [] for what in given}
    for _ in range(ROUNDS):
        for what, x in given.items():
            seconds[what] += repeat(lambda x=x: plan(x), 3, warmups=0)  # type: ignore[misc]
    wide = noise.astype(float), kernel.astype(float)[(slice(None, None, -1),) * kernel.ndim]
    scipy_ms = 1e3 * median(repeat(lambda: scipy.signal.oaconvolve(*wide, mode="same"), 5))
    noise_ms = 1e3 * median(seconds["noise"])
    note = f"{plan.method}; scipy's oaconvolve in float64 {scipy_ms:.3g} ms"
    figures = [Figure.of(f"{name}: noise", [1e3 * s for s in seconds["noise"]], "ms", note=note)]
    for what in OUTLIERS:
        ratios = [a / b for a, b in zip(seconds[what], seconds["noise"], strict=True)]
        note = f"{noise_ms * median(ratios):.3g} ms"
        figures.append(Figure.of(f"{name}: {what}", ratios, "times noise", note=note))
    return figures
