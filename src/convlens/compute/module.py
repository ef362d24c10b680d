"""The same torch module, faster: norms folded, each layer by its measured best, checked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from convlens.compute.arena import MOST_SHARED, Arena
from convlens.compute.folding import (
    ACTIVATIONS,
    Chain,
    confirmed,
    copied,
    fold,
    lone_chains,
    watched,
)
from convlens.compute.layers import LAYERS, Contest, Planned, distance, least_seconds
from convlens.compute.reading import read_tolerance

__all__ = ["Acceleration", "Change", "accelerate"]


@dataclass(frozen=True)
class Change:
    """One layer: its path, what it is with all that was folded into it, and the method it now has.

    `before` and `after` are in seconds, by torch and now, for the layer alone where it stands.
    """

    path: str
    what: str
    method: str
    before: float
    after: float


@dataclass(frozen=True)
class Acceleration:
    """What `accelerate` changed and won: the layers and the whole network, in seconds.

    `layout` says how the arrays lie; `eager` is the network as it was given, `channels_last` the
    same with its weights in that memory format, `accelerated` the result. `error` is the distance
    of the outputs: the root mean square of the error over that of the output.
    """

    layout: str
    eager: float
    channels_last: float
    accelerated: float
    error: float
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        """Print a line a layer, and what the whole won."""
        rows = [("path", "what", "method", "before", "after")]
        rows += [
            (c.path, c.what, c.method, f"{c.before * 1e3:.3f} ms", f"{c.after * 1e3:.3f} ms")
            for c in self.changes
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        best = min(self.eager, self.channels_last)
        lines.append(
            f"{self.layout}: {self.accelerated * 1e3:.3f} ms; it was {self.eager * 1e3:.3f} ms, in "
            f"channels last {self.channels_last * 1e3:.3f} ms: {best / self.accelerated:.2f} times "
            f"as fast; error {self.error:.1e} of the output"
        )
        return "\n".join(lines)


def accelerate(module: nn.Module, example: Any, *, rtol: float = 1e-5) -> nn.Module:
    """Return a copy of a network that computes the same faster, for inference on the CPU.

    `example` is an input, or a tuple of inputs, of the size that matters. In the copy, which is in
    evaluation mode and wants no gradients of its parameters, batch norms are folded into the
    convolutions before them and ReLU and Hardswish joined to them, where it is proved that nothing
    else reads in between; and each convolution and pooling computes by what was fastest on the
    example: torch, oneDNN with weights packed once, or a plan of ours. Both layouts of the whole,
    contiguous and channels last, are tried, and the network as it was in channels last: the fastest
    is kept. Inputs of other shapes are planned when they first come. Where torch must see what is
    done, as for the gradient of an input, the layers compute by torch.

    No layer may be further than `rtol` from torch's, nor the outputs further than `rtol` times the
    number of layers; distances are root mean squares, relative to that of the output. Half types
    are allowed two units in the last place where that is more.

    `.acceleration` of the result, an `Acceleration`, prints what was changed and won. The module
    given is left as it is. Raises TypeError for what is no module or cannot be copied, ValueError
    for a module or input that is not on the CPU, or whose outputs are not the same twice.

    >>> layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).eval()
    >>> x = torch.randn(1, 3, 16, 16)
    >>> fast = accelerate(layers, x)
    >>> torch.allclose(fast(x), layers(x), atol=1e-5)
    True
    """
    inputs = example if isinstance(example, tuple) else (example,)
    rtol = read_tolerance(rtol)
    _check(module, inputs)
    with torch.inference_mode(False), torch.no_grad():
        original = copied(module).eval().requires_grad_(False)
        expected = original(*_fresh(inputs))
        rtol = max(rtol, _least_tolerance(expected))
        if not distance(original(*_fresh(inputs)), expected) <= rtol:
            raise ValueError(
                "`module` gives another output for the same `example` a second time, so that "
                "nothing can be compared; make it deterministic"
            )
        chains = confirmed(original, lone_chains(original), _fresh(inputs))
        networks = {"as it was": original, "as it was, in channels last": _laid_out(original)}
        contests = {}
        for layout, last in (("channels last", True), ("contiguous", False)):
            contest = Contest(rtol)
            network = _planned(original, chains, contest, last=last)
            _hold(network, contest, _fresh(inputs))
            error = distance(network(*_fresh(inputs)), expected)
            if error <= rtol * max(1, len(contest.verdicts)):
                networks[layout], contests[layout] = network, contest
        return _best(networks, contests, _fresh(inputs), expected)


def _best(
    networks: dict[str, nn.Module],
    contests: dict[str, Contest],
    inputs: tuple[Any, ...],
    expected: Any,
) -> nn.Module:
    """Measure the networks against each other and return the fastest with its report."""
    actions = {layout: partial(network, *inputs) for layout, network in networks.items()}
    seconds = least_seconds(actions, rounds=15, most=5.0)
    layout = min(seconds, key=lambda name: seconds[name])
    contest, (eager, last, *_) = contests.get(layout), seconds.values()
    changes = [] if contest is None else list(contest.verdicts.items())
    network: Any = networks[layout]
    network.acceleration = Acceleration(
        layout=layout,
        eager=eager,
        channels_last=last,
        accelerated=seconds[layout],
        error=distance(network(*inputs), expected),
        changes=tuple(Change(path, v.what, v.method, v.before, v.after) for path, v in changes),
    )
    result: nn.Module = network
    return result


def _planned(
    original: nn.Module, chains: list[Chain], contest: Contest, *, last: bool
) -> nn.Module:
    """Return a copy with folded norms and with layers that wait for the contest."""
    network = copied(original, share=True)
    joined = {chain.conv: chain for chain in chains}
    replaced: dict[int, Planned] = {}
    for path, layer in list(network.named_modules(remove_duplicate=False)):
        if type(layer) not in LAYERS or not path or watched(layer):
            continue
        if id(layer) not in replaced:
            parts = [network.get_submodule(p) for p in joined.get(path, Chain(path)).paths]
            replaced[id(layer)] = _joined(parts, last=last)
            contest.paths[id(replaced[id(layer)])] = path
        _put(network, path, replaced[id(layer)])
    for chain in chains:
        for path in chain.paths[1:]:
            _put(network, path, nn.Identity())
    return network.eval()


def _joined(parts: list[nn.Module], *, last: bool) -> Planned:
    """Return a convolution or pooling that does what a norm and an activation after it did."""
    layer, *after = parts
    activation = None
    for part in after:
        activation = ACTIVATIONS.get(type(part))
        if activation is None:
            fold(layer, part)
    if last:
        _lay_out(layer)
    return Planned(layer, activation, last=last, what=" + ".join(type(p).__name__ for p in parts))


def _hold(network: nn.Module, contest: Contest, inputs: tuple[Any, ...]) -> None:
    """Run the network once, every layer measured on what reaches it."""
    layers = [layer for layer in network.modules() if isinstance(layer, Planned)]
    arena = Arena(MOST_SHARED)
    for layer in layers:
        layer.contest, layer.arena = contest, arena
    network(*inputs)
    for layer in layers:
        layer.contest = None


def _laid_out(original: nn.Module) -> nn.Module:
    """Return a copy with the weights of its convolutions in channels last."""
    network = copied(original, share=True)
    for layer in network.modules():
        if type(layer) in LAYERS:
            _lay_out(layer)
    return network


def _lay_out(layer: Any) -> None:
    weight = getattr(layer, "weight", None)
    form = {4: torch.channels_last, 5: torch.channels_last_3d}.get(getattr(weight, "ndim", 0))
    if weight is not None and form is not None:
        laid_out = weight.detach().contiguous(memory_format=form)
        layer.weight = nn.Parameter(laid_out, requires_grad=False)


def _put(network: nn.Module, path: str, layer: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, layer)


def _fresh(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return copies, which a network may write into."""
    result: tuple[Any, ...] = tree_map(
        lambda part: part.detach().clone() if isinstance(part, Tensor) else part, inputs
    )
    return result


def _least_tolerance(expected: Any) -> float:
    """Return two units in the last place of the coarsest half type of the outputs, else 0."""
    dtypes = {part.dtype for part in tree_leaves(expected) if isinstance(part, Tensor)}
    halves = dtypes & {torch.float16, torch.bfloat16}
    return max((2 * torch.finfo(dtype).eps for dtype in halves), default=0.0)


def _check(module: object, inputs: tuple[Any, ...]) -> None:
    if not isinstance(module, nn.Module):
        raise TypeError(f"`module` must be a torch.nn.Module, not {type(module).__name__}")
    tensors = [part for part in tree_leaves(inputs) if isinstance(part, Tensor)]
    if not tensors:
        raise TypeError("`example` must be a tensor or a tuple of the arguments, with a tensor")
    for name, parts in (("example", tensors), ("module", [*module.parameters()])):
        for part in parts:
            if part.device.type != "cpu":
                raise ValueError(f"`{name}` is on {part.device}; only the CPU is served: move it")
