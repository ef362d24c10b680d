"""Small trainings: a network with norms and dropout, and samples that it learns in a second."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.learn.kills import end_of
from bench.learn.kills import network as small_network
from convlens.learn.data.arrays import ArraySamples
from convlens.learn.data.splits import Data
from convlens.learn.recipe import Recipe

__all__ = ["QUICK", "end_of", "numbers", "shades", "small_network"]

QUICK = Recipe(epochs=3, batch=12, rate=0.02, threads=1, smooth=0.0, seed=3)


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
