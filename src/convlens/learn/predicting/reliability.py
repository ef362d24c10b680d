"""Say why a network's answer is not reliable: random weights, or numbers that are not finite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from convlens.zoo.weights.drawn import random_parts, random_text

__all__ = ["broken_inside", "broken_weights", "doubts", "not_finite", "ruled_out"]

_DIVERGED = "its weights may have diverged; use others"


def doubts(network: nn.Module) -> tuple[str, ...]:
    """Return the sentences that go with every answer of a network; () if its weights are sound.

    >>> from convlens.zoo import model
    >>> doubts(model("digits", weights=None)), doubts(model("digits"))
    (('weights drawn at random: the answer means nothing',), ())
    """
    parts = random_parts(network)
    said = (f"{random_text(parts)}: the answer means nothing",) if parts else ()
    broken = broken_weights(network)
    return said if broken is None else (*said, broken)


def broken_weights(network: nn.Module) -> str | None:
    """Return a sentence about weights that are not finite; None if all are finite.

    >>> layer = nn.Linear(2, 1)
    >>> _ = layer.weight.data.fill_(torch.nan)
    >>> broken_weights(layer)
    'the network has 2 weights that are not finite, the first in weight; use others'
    """
    names = [name for name, tensor in _weights(network) if not _finite(tensor)]
    if not names:
        return None
    state = dict(_weights(network))
    count = sum(int((~state[name].isfinite()).sum()) for name in names)
    return (
        f"the network has {count:,} weights that are not finite, the first in {names[0]}; use "
        "others"
    )


def _finite(tensor: Tensor) -> bool:
    """Return whether all numbers are finite; by their ends, which takes a quarter of the time.

    >>> _finite(torch.ones(2)), _finite(torch.tensor([1.0, torch.nan])), _finite(torch.ones(0))
    (True, False, True)
    """
    if not tensor.numel():
        return True
    return bool(tensor.amin().isfinite()) and bool(tensor.amax().isfinite())


_LAZY = (nn.parameter.UninitializedParameter, nn.parameter.UninitializedBuffer)


def _weights(network: nn.Module) -> list[tuple[str, Tensor]]:
    """Return parameters and running statistics; other buffers, such as masks, may be infinite."""
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
    """Return a sentence about the first module that makes numbers which are not finite, if any.

    A detector drops such numbers on its way, and seems to find nothing. A module counts if it
    returns some, or computes some that are not numbers; it may use infinite ones that it drops
    itself. The network runs once more for this.

    >>> broken_inside(nn.Sequential(nn.Linear(1, 1), nn.ReLU()), torch.tensor([[torch.nan]]))
    'the network gave no finite numbers in 0 (Linear), so that it has no answer; ...'
    """
    lost = _Lost()
    with _hooked(network, lost), torch.inference_mode(), lost:
        network(x)
    if lost.found is None:
        return None
    return (
        f"the network gave no finite numbers in {lost.found}, so that it has no answer; {_DIVERGED}"
    )


def not_finite(count: int, of: int, what: str) -> str:
    """Return the sentence for parts of an output that are infinite or not a number."""
    return f"the network gave no finite numbers for {count:,} of {of:,} {what}; {_DIVERGED}"


def ruled_out(count: int, of: int) -> str:
    """Return the sentence for scores of minus infinity."""
    return f"the network gave minus infinity for {count:,} of {of:,} scores, which rules them out"


@contextmanager
def _hooked(network: nn.Module, lost: _Lost) -> Iterator[None]:
    """Report to `lost` which modules begin and end."""
    hooks = []
    for path, module in network.named_modules():
        name = f"{path} ({type(module).__name__})" if path else type(module).__name__
        hooks.append(module.register_forward_pre_hook(lambda *_, name=name: lost.enter(name)))
        hooks.append(module.register_forward_hook(lambda m, _, output: lost.leave(output)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class _Lost(TorchDispatchMode):
    """A mode of torch that finds the module in which numbers were first lost."""

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
        # Fresh memory may hold anything.
        reads = self.found is None and self._inside and _numbers(args)
        if reads and any(t.isnan().any() for t in _numbers(output)):
            self.found = self._inside[-1]
        return output


def _numbers(values: Any) -> list[Tensor]:
    tensors = [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
    return [t for t in tensors if t.is_floating_point() and t.layout == torch.strided]
