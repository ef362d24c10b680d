"""Compare networks as they are, in channels last, and accelerated, in turn, on one input."""

import gc
import statistics
import time
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.figures import Figure
from bench.zoo.architectures import ARCHITECTURES
from convlens.compute.networks.accelerating import accelerate

ROUNDS, MOST = 15, 20.0  # rounds, or seconds a network
RATIO = 1 / 1.5  # what the time accelerated over the time in channels last may be, in the mean


def measure() -> list[Figure]:
    figures, ratios = [], []
    for name in ARCHITECTURES:
        found = _network(name)
        figures += found
        ratios.append(found[-1].median)
        gc.collect()
    mean = statistics.geometric_mean(ratios)
    note = "geometric mean over the networks"
    figures.append(Figure("accelerated / channels last", mean, *_ends(ratios), 1, "x", RATIO, note))
    return figures


def _ends(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def _network(name: str) -> list[Figure]:
    """Return a network's three times, and the ratio of the last two, which must not exceed 1."""
    make, shape = ARCHITECTURES[name]
    torch.manual_seed(0)
    network, x = stirred(make()), torch.randn(shape)
    form = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
    fast: Any = accelerate(network, x)
    last: Any = stirred(make())
    last.to(memory_format=form)
    x_last = x.to(memory_format=form)
    actions = {
        "eager": partial(network, x),
        "channels last": partial(last, x_last),
        "accelerated": partial(fast, x),
    }
    samples: dict[str, list[float]] = {kind: [] for kind in actions}
    began = time.perf_counter()
    with torch.no_grad():
        for count in range(ROUNDS + 1):
            for kind, action in actions.items():
                start = time.perf_counter()
                action()
                samples[kind].append((time.perf_counter() - start) * 1e3)
            if count > 3 and time.perf_counter() - began > MOST:
                break
    kept = {kind: values[1:] for kind, values in samples.items()}  # the first round warms up
    figures = [Figure.of(f"{name}, {kind}", values, "ms") for kind, values in kept.items()]
    pairs = zip(kept["accelerated"], kept["channels last"], strict=True)
    report = fast.acceleration
    note = f"{report.layout}, error {report.error:.0e}"
    ratios = [after / before for after, before in pairs]
    return [*figures, Figure.of(f"{name}, accelerated / channels last", ratios, "x", 1, note)]


def stirred(network: nn.Module) -> nn.Module:
    """Give the norms statistics that are not 0 and 1, so that folding them has an effect."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            mean, variance = module.running_mean, module.running_var
            if isinstance(mean, Tensor) and isinstance(variance, Tensor):
                nn.init.uniform_(mean, -0.1, 0.1)
                nn.init.uniform_(variance, 0.5, 2)
    return network.eval()
