"""What must be said with every answer of a network: random weights, and weights that diverged."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from convlens.zoo.drawn import random_parts, told

__all__ = ["broken_inside", "broken_weights", "doubts"]


def doubts(network: nn.Module) -> tuple[str, ...]:
    """Return the sentences that go with every answer of a network; () where there is no doubt.

    >>> from convlens.zoo import model
    >>> doubts(model("digits", weights=None)), doubts(model("digits"))
    (('weights drawn at random: the answer means nothing',), ())
    """
    parts = random_parts(network)
    said = (f"{told(parts)}: the answer means nothing",) if parts else ()
    broken = broken_weights(network)
    return said if broken is None else (*said, broken)


def broken_weights(network: nn.Module) -> str | None:
    """Return in a sentence which weights are infinite or no numbers; None where all are finite.

    >>> layer = nn.Linear(2, 1)
    >>> _ = layer.weight.data.fill_(torch.nan)
    >>> broken_weights(layer)
    'the network has 2 weights that are no finite numbers, the first in weight; take others'
    """
    names = [name for name, tensor in _weights(network) if not tensor.isfinite().all()]
    if not names:
        return None
    state = dict(_weights(network))
    count = sum(int((~state[name].isfinite()).sum()) for name in names)
    return (
        f"the network has {count:,} weights that are no finite numbers, the first in {names[0]}; "
        "take others"
    )


_LAZY = (nn.parameter.UninitializedParameter, nn.parameter.UninitializedBuffer)


def _weights(network: nn.Module) -> list[tuple[str, Tensor]]:
    """Parameters and running statistics; other buffers, such as masks, may well be infinite."""
    buffers = (
        (name, buffer)
        for name, buffer in network.named_buffers()
        if name.rpartition(".")[2].startswith("running_")
    )
    return [
        (name, tensor.detach())
        for name, tensor in (*network.named_parameters(), *buffers)
        if not isinstance(tensor, _LAZY)
        and tensor.is_floating_point()
        and tensor.layout == torch.strided
        and not tensor.is_meta
    ]


def broken_inside(network: nn.Module, x: Tensor) -> str | None:
    """Return in a sentence which module of a network first gives numbers that are not finite.

    Runs it once more. A detector drops such numbers on its way, and seems to find nothing.

    >>> broken_inside(nn.Sequential(nn.Linear(1, 1), nn.ReLU()), torch.tensor([[torch.nan]]))
    'the network gave no finite numbers in 0 (Linear), so that its answer is none; ...'
    """
    found: list[str] = []

    def look(path: str, module: nn.Module, output: Any) -> None:
        for tensor in tree_leaves(output):
            is_number = isinstance(tensor, Tensor) and tensor.is_floating_point()
            if is_number and not found and not (tensor.isfinite() | tensor.isneginf()).all():
                found.append(f"{path or 'its output'} ({type(module).__name__})")

    hooks = [
        module.register_forward_hook(lambda m, _, out, path=path: look(path, m, out))
        for path, module in network.named_modules()
    ]
    try:
        with torch.inference_mode():
            network(x)
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        return None
    return (
        f"the network gave no finite numbers in {found[0]}, so that its answer is none; its "
        "weights may have diverged, take others"
    )
