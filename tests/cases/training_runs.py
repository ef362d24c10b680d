"""Small trainings: a network with norms and dropout, and samples that it learns in a second."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from convlens.learn.data.arrays import ArraySamples
from convlens.learn.data.splits import Data
from convlens.learn.recipe import Recipe

QUICK = Recipe(epochs=3, batch=12, rate=0.02, threads=1, smooth=0.0, seed=3)


def small_network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return nn.Sequential(
            *(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2)),
            *(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 3)),
        )


def shades(count: int = 60, held_out: int = 15) -> Data:
    """Return pictures of noise, whose brightness is their category."""
    random = torch.Generator().manual_seed(1)
    labels = torch.arange(count + held_out) % 3
    inputs = torch.randn(len(labels), 3, 12, 12, generator=random) + labels[:, None, None, None]
    return Data(
        ArraySamples(inputs[:count], labels[:count]),
        ArraySamples(inputs[count:], labels[count:], ("dark", "grey", "light")),
    )


def numbers(network: nn.Module) -> Tensor:
    return torch.cat([one.detach().flatten().double() for one in network.state_dict().values()])


def end_of(run: Path) -> list[bytes]:
    """Return what must be the same, byte for byte, at the end of equal runs."""
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    lines = [json.dumps({**line, "seconds": 0}).encode() for line in history]
    last = sorted((run / "checkpoints").glob("step-*.safetensors"))[-1]
    layers = (run / "layers.jsonl").read_bytes()
    return [last.read_bytes(), (run / "best.safetensors").read_bytes(), layers, *lines]
