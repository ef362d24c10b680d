"""Look at the layers of a network in training: weights, gradients, and channels that died."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from convlens.files import write_whole
from convlens.learn.modes import mode

__all__ = ["LayerHealth", "layer_health", "read_health", "troubles", "write_health"]

EXPLODING, VANISHING, DEAD = 1e3, 1e-6, 0.5
"""A gradient is too large or too small if it is that many times the median of all layers', for each
number; a layer is in trouble if that share of its channels is 0 on all pictures of a batch.

Layers of a sound network differ by factors of up to about a hundred. The median tells a layer that
has gone astray from a rate that is too large or small for all.
"""

RECTIFIERS = (nn.ReLU, nn.ReLU6)
"""Modules whose channels can die: once 0 for every input, they get no gradient any more."""


@dataclass(frozen=True)
class LayerHealth:
    """A layer: `weight` and `gradient`, the root mean squares of its numbers and of their gradient.

    `dead`: how many of its `channels` are 0 for a whole batch; both None for other layers than
    rectifiers, which in turn have no weights.
    """

    name: str
    kind: str
    weight: float | None = None
    gradient: float | None = None
    dead: int | None = None
    channels: int | None = None


def layer_health(network: nn.Module, answer: Any, inputs: Any) -> list[LayerHealth]:
    """Return the state of every layer with weights or with channels that may die.

    Gradients are those that the parameters hold, of the last step. `answer(network, inputs)` runs
    the network on a batch, which it does here in evaluation mode.

    >>> network = nn.Sequential(nn.Linear(1, 2), nn.ReLU())
    >>> _ = (
    ...     network[0].weight.data.copy_(torch.tensor([[1.0], [-1.0]])),
    ...     network[0].bias.data.zero_(),
    ... )
    >>> [one.dead for one in layer_health(network, lambda n, x: n(x), torch.ones(3, 1))]
    [None, 1]
    """
    died: dict[str, tuple[int, int]] = {}

    def watch(name: str, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim >= 2:
            alive = output.detach().transpose(0, 1).flatten(1).ne(0).any(1)
            # A module that runs several times is dead only where it is each time.
            count = int((~alive).sum())
            before = died.get(name)
            died[name] = (min(count, before[0]) if before else count, len(alive))

    hooks = [
        module.register_forward_hook(lambda _, __, output, name=name: watch(name, output))
        for name, module in network.named_modules()
        if isinstance(module, RECTIFIERS)
    ]
    try:
        with mode(network, training=False), torch.no_grad():
            answer(network, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    found = []
    for name, module in network.named_modules():
        own = list(module.parameters(recurse=False))
        if own or name in died:
            dead, channels = died.get(name, (None, None))
            weight, gradient = _size(own), _size([p.grad for p in own if p.grad is not None])
            found.append(LayerHealth(name, type(module).__name__, weight, gradient, dead, channels))
    return found


def _size(tensors: Sequence[Tensor]) -> float | None:
    """Return the root of the mean square of all numbers; None if there are none."""
    count = sum(tensor.numel() for tensor in tensors)
    if not count:
        return None
    total = sum(float(tensor.detach().float().square().sum()) for tensor in tensors)
    return math.sqrt(total / count)


def troubles(layers: Sequence[LayerHealth]) -> list[str]:
    """Return a sentence about each layer that is in trouble, the worst kind first.

    >>> troubles([LayerHealth("relu", "ReLU", dead=3, channels=4)])
    ['relu (ReLU): 3 of 4 channels are 0 on every picture of a batch, and learn nothing']
    """
    sizes = [one.gradient for one in layers if one.gradient]
    usual = statistics.median(sizes) if sizes else 0.0
    said = []
    for one in layers:
        called = f"{one.name or 'the network'} ({one.kind})"
        if one.gradient is not None and usual and one.gradient > EXPLODING * usual:
            said.append(
                f"{called}: its gradient is {one.gradient / usual:,.0f} times that of the layer in "
                "the middle, and explodes"
            )
        elif one.gradient is not None and usual and one.gradient < VANISHING * usual:
            said.append(f"{called}: its gradient has all but vanished, so that it learns nothing")
        if one.dead and one.channels and one.dead >= DEAD * one.channels:
            said.append(
                f"{called}: {one.dead} of {one.channels} channels are 0 on every picture of a "
                "batch, and learn nothing"
            )
    return said


def write_health(path: Path, epoch: int, layers: Sequence[LayerHealth]) -> None:
    """Write the state of the layers after an epoch, in place of that before."""
    content = {"epoch": epoch, "layers": [asdict(one) for one in layers]}
    write_whole(path, json.dumps(content) + "\n", durable=False)


def read_health(path: Path) -> tuple[int, list[LayerHealth]]:
    """Return the epoch and the layers that were written; 0 and none for a file that is not there.

    Raises ValueError for a file of another kind.
    """
    try:
        said: Mapping[str, Any] = json.loads(path.read_text())
        return int(said["epoch"]), [LayerHealth(**one) for one in said["layers"]]
    except FileNotFoundError:
        return 0, []
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"`run` ({path}) must be the layers of a training ({error})") from error
