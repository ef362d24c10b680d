"""Watch the layers of a network at the end of an epoch: weights, gradients, updates, dead units."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from convlens.learn.measuring.layers import LayerNumbers, UnitCount

__all__ = ["LayerWatch", "UnitWatch"]

ZERO_KINDS = (nn.ReLU, nn.ReLU6, nn.Hardswish)
"""Activations that are exactly 0 over a range, so that a channel can be 0 for every sample."""


class LayerWatch:
    """The layers of a network that have parameters, watched over one step.

    It reads; it changes no number of the training.
    """

    def __init__(self, network: nn.Module) -> None:
        own = {name: list(one.parameters(recurse=False)) for name, one in network.named_modules()}
        self._layers = {name or "network": found for name, found in own.items() if found}
        self._before: dict[str, list[Tensor]] = {}

    @torch.no_grad()
    def keep(self) -> None:
        """Copy the weights, right before the step."""
        self._before = {
            name: [one.clone() for one in found] for name, found in self._layers.items()
        }

    @torch.no_grad()
    def numbers(self, norm: float, clip: float) -> dict[str, LayerNumbers]:
        """Return the numbers of every layer, right after the step, and let go of the copies.

        `norm`: of the whole gradient before it was clipped to `clip`; 0 for never.
        """
        # clip_grad_norm_ multiplied every gradient by this, at most by 1.
        scale = min(1.0, clip / (norm + 1e-6)) if clip else 1.0
        found = {
            name: _numbers(parameters, self._before.pop(name), scale)
            for name, parameters in self._layers.items()
        }
        self._before = {}
        return found


def _numbers(parameters: list[nn.Parameter], before: list[Tensor], scale: float) -> LayerNumbers:
    gradients = [one.grad for one in parameters if one.grad is not None]
    moved = [now - then for now, then in zip(parameters, before, strict=True)]
    whole = _norm(before)
    return LayerNumbers(
        weights=_norm(list(parameters)),
        gradient=_norm(gradients) / scale if gradients else math.nan,
        update=_norm(moved) / whole if whole > 0 else math.nan,
    )


def _norm(tensors: list[Tensor]) -> float:
    """Return the norm of all numbers together, in double precision: squares of 1e-30 count."""
    norms = [float(torch.linalg.vector_norm(one, dtype=torch.float64)) for one in tensors]
    return math.hypot(*norms)


class UnitWatch:
    """Which channels of the activations were ever other than 0.

    An activation that is called several times in a pass is counted for each call.
    """

    def __init__(self) -> None:
        self._alive: dict[str, Tensor] = {}
        self._calls: Counter[str] = Counter()

    @contextmanager
    def watching(self, network: nn.Module) -> Iterator[None]:
        """Watch all passes of a network meanwhile."""
        handles = [network.register_forward_pre_hook(self._begin)]
        for name, module in network.named_modules():
            if isinstance(module, ZERO_KINDS):
                handles.append(module.register_forward_hook(self._hook(name or "network")))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def counts(self) -> dict[str, UnitCount]:
        """Return how many channels were 0 in all passes, by the name of the call."""
        return {
            name: UnitCount(int((~alive).sum()), len(alive)) for name, alive in self._alive.items()
        }

    def _begin(self, *_: Any) -> None:
        self._calls.clear()

    def _hook(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            self._calls[name] += 1
            call = self._calls[name]
            self._add(name if call == 1 else f"{name}#{call}", output)

        return hook

    def _add(self, name: str, output: Any) -> None:
        if not isinstance(output, Tensor) or output.ndim < 2 or output.numel() == 0:
            return
        alive = self._alive.setdefault(name, torch.zeros(output.shape[1], dtype=torch.bool))
        if len(alive) != output.shape[1]:
            return  # another number of channels each time: none of them means one thing
        asleep = (~alive).nonzero().flatten()
        if len(asleep) == 0:
            return
        # After the first pass few channels are left to look at.
        seen = output if len(asleep) == len(alive) else output[:, asleep.to(output.device)]
        axes = [axis for axis in range(output.ndim) if axis != 1]
        alive[asleep] = (seen.detach() != 0).any(dim=axes).cpu()
