"""Which parameters are trained, and at what rate and decay each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from convlens.learn.recipe import Recipe

__all__ = ["frozen_stages", "parameter_groups", "stages"]

Stage = tuple[str, nn.Module]


def stages(network: nn.Module) -> list[Stage]:
    """Return the parts of a network that have parameters, in order, by their paths.

    They are its children; in place of a `Sequential`, its own children.

    >>> body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3))
    >>> [name for name, _ in stages(nn.Sequential(body, nn.Flatten(), nn.Linear(2, 2)))]
    ['0.0', '0.2', '2']
    """
    found = [one for one in _parts(network, "") if any(True for _ in one[1].parameters())]
    return found or [("", network)]


def _parts(module: nn.Module, path: str) -> Iterator[Stage]:
    for name, child in module.named_children():
        below = f"{path}.{name}" if path else name
        if type(child) is nn.Sequential:
            yield from _parts(child, below)
        else:
            yield below, child


def frozen_stages(network: nn.Module, freeze: int) -> list[Stage]:
    """Return the first `freeze` stages, all but the last for -1.

    Raises ValueError if nothing would be left to train.
    """
    found = stages(network)
    count = len(found) - 1 if freeze == -1 else freeze
    if count >= len(found):
        raise ValueError(
            f"`freeze` (={freeze}) must leave something to train, and the network has "
            f"{len(found)} stages with parameters; use {len(found) - 1} or less"
        )
    return found[:count]


def parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Return the optimizer's groups of the parameters that are trained.

    Each has `share`, what part of the rate it gets: `layer_decay` to the power of the number of
    stages after it. Biases and the numbers of norms do not decay.

    >>> network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    >>> [group["share"] for group in parameter_groups(network, Recipe(layer_decay=0.5))]
    [0.5, 0.5, 1.0, 1.0]
    """
    found = stages(network)
    known: dict[int, int] = {}
    for at, (_, module) in enumerate(found):
        for parameter in module.parameters():
            known.setdefault(id(parameter), at)
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        at, is_kernel = known.get(id(parameter), len(found) - 1), parameter.ndim > 1
        share = recipe.layer_decay ** (len(found) - 1 - at)
        decay = recipe.decay if is_kernel else 0.0
        group = groups.setdefault(
            (at if recipe.layer_decay != 1 else 0, is_kernel),
            {"params": [], "names": [], "weight_decay": decay, "share": share},
        )
        group["params"].append(parameter)
        group["names"].append(name)
    return list(groups.values())
