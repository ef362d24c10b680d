"""Batch norms and activations that alone read a convolution: finding them, folding norms.

A norm in evaluation mode is a product and a sum for each channel: those of the convolution before
it do as well. That is right only where nobody else reads the output in between, and
nobody else calls the two. `torch.fx` proves it for whatever it can trace, a whole network or its
parts; one run on an example confirms that the parts are used as traced.
"""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.fx import Graph, Node, Tracer

__all__ = ["Chain", "confirmed", "copied", "fold", "lone_chains", "watched"]

CONVOLUTIONS = {
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
    nn.ConvTranspose1d: nn.BatchNorm1d,
    nn.ConvTranspose2d: nn.BatchNorm2d,
    nn.ConvTranspose3d: nn.BatchNorm3d,
}
"""Every convolution with the norm of as many axes."""

ACTIVATIONS = {nn.ReLU: "relu", nn.Hardswish: "hardswish"}


@dataclass(frozen=True)
class Chain:
    """The paths of a convolution and of the norm and the activation that alone follow it."""

    conv: str
    norm: str | None = None
    activation: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the paths that are there, in order.

        >>> Chain("0", activation="1").paths
        ('0', '1')
        """
        return tuple(p for p in (self.conv, self.norm, self.activation) if p is not None)


def copied(module: nn.Module, *, share: bool = False) -> nn.Module:
    """Return a copy of a module, with the same numbers in memory of its own or, to `share`, theirs.

    Raises TypeError for a module that Python cannot copy.

    >>> layer = nn.Linear(2, 2)
    >>> copied(layer, share=True).weight is layer.weight
    True
    """
    tensors = [*module.parameters(), *module.buffers()] if share else []
    try:
        return copy.deepcopy(module, {id(tensor): tensor for tensor in tensors})
    except Exception as error:
        raise TypeError(f"`module` cannot be copied ({error}); see copy.deepcopy") from error


def lone_chains(module: nn.Module) -> list[Chain]:
    """Return every convolution of a module in evaluation mode that a foldable module follows alone.

    >>> lone_chains(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval())
    [Chain(conv='0', norm='1', activation='2')]
    """
    found = []
    for prefix, part, graph in _parts(module, ""):
        within = _Part(module, part, graph)
        for node in graph.nodes:
            if within.lone(node) not in CONVOLUTIONS:
                continue
            norm = within.follower(node, _folds)
            activation = within.follower(norm or node, lambda _, after: type(after) in ACTIVATIONS)
            if norm is not None or activation is not None:
                names = [None if n is None else prefix + str(n.target) for n in (norm, activation)]
                found.append(Chain(prefix + node.target, *names))
    return found


def confirmed(module: nn.Module, chains: list[Chain], inputs: tuple[Any, ...]) -> list[Chain]:
    """Return the chains whose modules, in one run, read just what the one before them gave.

    >>> import torch
    >>> layers = nn.Sequential(nn.Conv1d(1, 1, 1), nn.ReLU())
    >>> confirmed(layers, [Chain("0", activation="1")], (torch.ones(1, 1, 1),))
    [Chain(conv='0', norm=None, activation='1')]
    """
    last: dict[str, Any] = {}
    calls: Counter[str] = Counter()
    met: Counter[tuple[str, str]] = Counter()
    before = {after: path for chain in chains for path, after in pairwise(chain.paths)}
    handles = []
    for path in {path for chain in chains for path in chain.paths}:

        def watch(_: nn.Module, given: Any, output: Any, path: str = path) -> None:
            calls[path] += 1
            source = before.get(path)
            if source is not None and given and given[0] is last.pop(source, None):
                met[source, path] += 1
            last[path] = output

        handles.append(module.get_submodule(path).register_forward_hook(watch))
    try:
        module(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return [
        chain
        for chain in chains
        if all(calls[a] == calls[b] == met[a, b] > 0 for a, b in pairwise(chain.paths))
    ]


def fold(conv: Any, norm: Any) -> None:
    """Multiply the weights of `conv` by what `norm` multiplies by, and so on; in float64.

    >>> import torch
    >>> conv, norm = nn.Conv1d(1, 1, 1), nn.BatchNorm1d(1).eval()
    >>> x = torch.ones(1, 1, 3)
    >>> before = norm(conv(x))
    >>> fold(conv, norm)
    >>> torch.allclose(conv(x), before, atol=1e-6)
    True
    """
    mean, variance = norm.running_mean.double(), norm.running_var.double()
    scale = (variance + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.detach().double()
    bias = (0 if conv.bias is None else conv.bias.detach().double()) - mean
    bias = bias * scale + (0 if norm.bias is None else norm.bias.detach().double())
    weight = conv.weight.detach().double()
    if "Transpose" in type(conv).__name__:  # (c, k / groups, *size)
        each = scale.reshape(conv.groups, 1, -1).expand(-1, len(weight) // conv.groups, -1)
        scale = each.reshape(weight.shape[:2])
    weight = weight * scale.reshape(*scale.shape, *[1] * (weight.ndim - scale.ndim))
    for name, value in (("weight", weight), ("bias", bias)):
        setattr(conv, name, nn.Parameter(value.to(conv.weight.dtype), requires_grad=False))


def watched(module: nn.Module) -> bool:
    """Tell whether something hooks into a module, or takes the place of its computation.

    >>> watched(nn.ReLU())
    False
    """
    hooks = module._forward_hooks, module._forward_pre_hooks, module._backward_hooks
    return any(hooks) or "forward" in vars(module)


def _folds(conv: Any, norm: Any) -> bool:
    if type(norm) is not CONVOLUTIONS.get(type(conv)):
        return False
    kept = isinstance(norm.running_mean, Tensor) and isinstance(norm.running_var, Tensor)
    return kept and not norm.training


def _parts(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module, Graph]]:
    """Yield the largest parts that can be traced: path, module and graph of each."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # What a network does to itself while it is traced is done to a copy.
            graph = Tracer().trace(copied(module, share=True))
    except Exception:  # whatever a network does with a stand-in for a tensor
        for name, child in module.named_children():
            yield from _parts(child, f"{prefix}{name}.")
    else:
        yield prefix, module, graph


class _Part:
    """A traced part: which of its modules are used once, and by whom."""

    def __init__(self, whole: nn.Module, part: nn.Module, graph: Graph) -> None:
        self.modules = dict(part.named_modules())
        self.registered = Counter(id(m) for _, m in whole.named_modules(remove_duplicate=False))
        self.called = Counter(node.target for node in graph.nodes if node.op == "call_module")
        self.read = {
            str(node.target).rpartition(".")[0] for node in graph.nodes if node.op == "get_attr"
        }

    def lone(self, node: Node) -> type[nn.Module] | None:
        """Return the type of the module a node calls, if nothing else calls or reads it."""
        if node.op != "call_module" or self.called[node.target] != 1 or node.target in self.read:
            return None
        module = self.modules.get(str(node.target))
        if module is None or self.registered[id(module)] != 1 or watched(module):
            return None
        return type(module)

    def follower(self, node: Node, fits: Any) -> Node | None:
        """Return the one node that reads the output of a node, if it is lone and fits."""
        if len(node.users) != 1:
            return None
        (after,) = node.users
        if self.lone(after) is None or after.args != (node,) or after.kwargs:
            return None
        modules = [self.modules[str(each.target)] for each in (node, after)]
        return after if fits(*modules) else None
