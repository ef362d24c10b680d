"""Weights for networks of the zoo that are quick to draw and involve every number."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor, nn

from convlens.zoo import NETWORKS, Weights
from convlens.zoo.weights.released import RELEASED

_POOL = 1 << 20


def drawn(network: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """A state dict for a network built on the meta device: every parameter and statistic varied.

    Weights are normal of variance 2 / fan-in, so that signals neither vanish nor explode; they
    repeat a pool of a million numbers, as a hundred million take seconds to draw.
    """
    generator = torch.Generator().manual_seed(seed)
    pool = torch.randn(_POOL, generator=generator)
    table = {}
    at = 0
    for name, like in network.state_dict().items():
        if not like.dtype.is_floating_point:
            table[name] = torch.zeros(like.shape, dtype=like.dtype)
            continue
        n = like.numel()
        at = (at + 7919) % _POOL
        numbers = torch.cat([pool[at:], pool.repeat(n // _POOL + 1)])[:n].reshape(like.shape)
        if name.endswith("running_var"):
            table[name] = 0.5 + numbers.abs()
        elif like.ndim == 1:
            table[name] = 0.1 * numbers + (1.0 if name.endswith("weight") else 0.0)
        else:
            table[name] = numbers * math.sqrt(2 / like[0].numel())
    return table


def with_weights(network: nn.Module, table: dict[str, Tensor]) -> nn.Module:
    """A network built on the meta device, holding these weights as its own."""
    network = network.to_empty(device="cpu")
    network.load_state_dict(table)
    return network


def release(monkeypatch: pytest.MonkeyPatch, name: str, *entries: Weights) -> None:
    """Take `entries` for the released weights of the network called `name`, the DEFAULT first."""
    monkeypatch.setitem(RELEASED, name, {entry.name: entry for entry in entries})
    network = dataclasses.replace(NETWORKS[name], weights=entries)
    monkeypatch.setitem(NETWORKS, name, network)
