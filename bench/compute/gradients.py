"""Compare the backward passes of layers, to input and weight, with torch's, in turn."""

import statistics
import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.figures import Figure
from convlens.compute import conv

ROUNDS, READY = 11, 12.0
"""Rounds, and seconds in which kernels are compiled and plans made before."""

Layer = tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]

LAYERS: dict[str, Layer] = {
    "1d fir 1M k31": ((1, 1, 1_000_000), (1, 1, 31), {"padding": 15}),
    "1d 64->64 k9": ((1, 64, 16384), (64, 64, 9), {"padding": 4}),
    "2d img 1024 k7": ((1, 1, 1024, 1024), (1, 1, 7, 7), {"padding": 3}),
    "2d stem 3->64 7x7 s2 bs8": ((8, 3, 224, 224), (64, 3, 7, 7), {"padding": 3, "stride": 2}),
    "2d 64->64 3x3 56 bs8": ((8, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}),
    "2d 256->64 1x1 56 bs8": ((8, 256, 56, 56), (64, 256, 1, 1), {}),
    "2d dw 96 3x3 112 bs8": ((8, 96, 112, 112), (96, 1, 3, 3), {"padding": 1, "groups": 96}),
    "2d resnext 128 g32 bs8": ((8, 128, 56, 56), (128, 4, 3, 3), {"padding": 1, "groups": 32}),
    "3d 16->16 k3 64": ((1, 16, 64, 64, 64), (16, 16, 3, 3, 3), {"padding": 1}),
}
CONVOLUTIONS: Any = (None, F.conv1d, F.conv2d, F.conv3d)


def measure() -> list[Figure]:
    found = [_layer(name, *layer) for name, layer in LAYERS.items()]
    ratios = [figure.median for figure in found]
    mean, note = statistics.geometric_mean(ratios), "geometric mean over the layers"
    all_of_them = Figure("backward, ours / torch", mean, min(ratios), max(ratios), 1, "x", 1, note)
    return [*found, all_of_them]


def _layer(
    name: str, shape: tuple[int, ...], kernel: tuple[int, ...], options: dict[str, Any]
) -> Figure:
    """Return the ratio of our time and torch's, which has its best layout."""
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(size, generator=generator) for size in (shape, kernel))
    last: Any = {4: torch.channels_last, 5: torch.channels_last_3d}.get(len(shape))
    ways = {"ours": (conv, x, weight)}
    for form in [torch.contiguous_format, *([last] if last else [])]:
        layer = CONVOLUTIONS[len(shape) - 2]
        parts = (part.contiguous(memory_format=form) for part in (x, weight))
        ways[str(form)] = (layer, *parts)
    passes = {way: _back(*parts, options) for way, parts in ways.items()}
    began = time.perf_counter()
    while time.perf_counter() - began < READY:  # plans are made behind calls
        passes["ours"]()
        time.sleep(0.05)
    samples: dict[str, list[float]] = {way: [] for way in passes}
    for _ in range(ROUNDS):
        for way, action in passes.items():
            action()  # wakes its threads
            start = time.perf_counter()
            action()
            samples[way].append((time.perf_counter() - start) * 1e3)
    theirs = min((way for way in passes if way != "ours"), key=lambda w: _middle(samples[w]))
    ratios = [a / b for a, b in zip(samples["ours"], samples[theirs], strict=True)]
    note = f"{_middle(samples['ours']):.3g} ms, torch {_middle(samples[theirs]):.3g} ms"
    return Figure.of(f"backward {name}, ours / torch", ratios, "x", 1, note)


def _middle(samples: list[float]) -> float:
    return statistics.median(samples)


def _back(layer: Any, x: Tensor, weight: Tensor, options: dict[str, Any]) -> Any:
    """Return the backward pass of a layer, from its result to input and weight."""
    leaves = x.detach().requires_grad_(), weight.detach().requires_grad_()
    y = layer(*leaves, **options)
    gradient = torch.ones_like(y)
    return lambda: torch.autograd.grad(y, leaves, gradient, retain_graph=True)
