"""What must be said with every answer of a network: random weights, and weights that diverged."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from convlens.zoo.weights.drawn import random_parts, told

__all__ = ["broken_inside", "broken_weights", "doubts", "not_finite"]


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
    """Return in a sentence where in a network numbers are first lost that are not finite.

    Which of its modules gives some, or computes what is no number: of infinite ones that it drops
    itself it may well make use. Runs it once more. A detector drops such numbers on its way, and
    seems to find nothing.

    >>> broken_inside(nn.Sequential(nn.Linear(1, 1), nn.ReLU()), torch.tensor([[torch.nan]]))
    'the network gave no finite numbers in 0 (Linear), so that its answer is none; ...'
    """
    lost = _Lost()
    hooks = []
    for path, module in network.named_modules():
        name = f"{path} ({type(module).__name__})" if path else type(module).__name__
        hooks.append(module.register_forward_pre_hook(lambda *_, name=name: lost.enter(name)))
        hooks.append(module.register_forward_hook(lambda m, _, output: lost.leave(output)))
    try:
        with torch.inference_mode(), lost:
            network(x)
    finally:
        for hook in hooks:
            hook.remove()
    if lost.found is None:
        return None
    return (
        f"the network gave no finite numbers in {lost.found}, so that its answer is none; its "
        "weights may have diverged, take others"
    )


class _Lost(TorchDispatchMode):
    """While this is entered, it keeps in which module numbers were first lost."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: str | None = None
        self._inside: list[str] = []

    def enter(self, name: str) -> None:
        self._inside.append(name)

    def leave(self, output: Any) -> None:
        name = self._inside.pop()
        if any(not (t.isfinite() | t.isneginf()).all() for t in _numbers(output)):
            self.found = self.found or name

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        # Memory that was only taken holds anything.
        reads = self.found is None and self._inside and _numbers(args)
        if reads and any(t.isnan().any() for t in _numbers(output)):
            self.found = self._inside[-1]
        return output


def _numbers(values: Any) -> list[Tensor]:
    tensors = [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
    return [t for t in tensors if t.is_floating_point() and t.layout == torch.strided]


def not_finite(count: int, of: int, what: str) -> str:
    """Return in a sentence that some of what a network gave is infinite or no number."""
    gave = f"the network gave no finite numbers for {count:,} of {of:,} {what}"
    return f"{gave}; its weights may have diverged, take others"
