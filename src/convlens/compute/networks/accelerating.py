"""The same torch module, faster: norms folded, each layer by its measured best, checked."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves, tree_map

from convlens.compute.networks.contest import LayerContest, distance, least_seconds
from convlens.compute.networks.folding import (
    CONVOLUTIONS,
    LAYERS,
    NORMS,
    TRANSPOSED,
    base_of,
    changes,
    copied,
    hooked,
)
from convlens.compute.networks.joining import JoinedMethod, JoinedRow, put_together, reason_against
from convlens.compute.networks.keeping import unchanged
from convlens.compute.networks.layers import Place, Planned
from convlens.compute.operands.autocast import autocast_off
from convlens.compute.reading.values import read_tolerance
from convlens.tables import table

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
    of the outputs: the root mean square of the error over that of the output. `left` has the path
    of every convolution, pooling and norm that was left alone, with the reason.
    """

    layout: str
    eager: float
    channels_last: float
    accelerated: float
    error: float
    changes: tuple[Change, ...]
    left: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """Print a line a layer, what was left alone, and what the whole won."""
        rows = [("path", "what", "method", "before", "after")]
        rows += [
            (c.path, c.what, c.method, f"{c.before * 1e3:.3f} ms", f"{c.after * 1e3:.3f} ms")
            for c in self.changes
        ]
        lines = [table(rows)]
        lines += [f"{path or 'the whole'} was left alone: {reason}" for path, reason in self.left]
        best = min(self.eager, self.channels_last)
        lines.append(
            f"{self.layout}: {self.accelerated * 1e3:.3f} ms; it was {self.eager * 1e3:.3f} ms, in "
            f"channels last {self.channels_last * 1e3:.3f} ms: {best / self.accelerated:.2f} times "
            f"as fast; error {self.error:.1e} of the output"
        )
        return "\n".join(lines)


@autocast_off
def accelerate(module: nn.Module, example: Any, *, rtol: float = 1e-5) -> nn.Module:
    """Return a copy of a network that computes the same faster, for inference on the CPU.

    `example` is an input, or a tuple of inputs, of the size that matters. In the copy, which is in
    evaluation mode and wants no gradients of its parameters, each convolution and pooling computes
    by what was fastest on the example: torch, oneDNN with weights packed once, or a plan of ours.
    Batch norms are folded into the convolutions called right before them, and ReLU and Hardswish
    joined, where the method that calls both shows that nothing else reads in between; whoever calls
    such a module in any other way gets what it gave before. Both layouts of the whole, contiguous
    and channels last, are tried, and the network as it was in channels last: the fastest is kept.
    Inputs of other shapes are planned when they first come, and weights that have changed are
    packed again. Where torch must see what is done, as for a gradient, and under autocast, the
    layers compute by torch.

    No layer may be further than `rtol` from torch's, nor the outputs further than `rtol` times the
    number of layers; distances are root mean squares, relative to that of the output. Half types
    are allowed two units in the last place where that is more.

    `.acceleration` of the result, an `Acceleration`, prints what was changed and won, and what was
    left alone. The module given is left as it is. Raises TypeError for what is no module or cannot
    be copied, ValueError for a module or input that is not on the CPU, whose layers do not know
    their sizes yet, or whose outputs are not the same twice.

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
        fastest = _fastest(module, inputs, rtol)
    gc.collect()  # the others hold the same weights, which would have to be compared at every call
    return fastest


def _fastest(module: nn.Module, inputs: tuple[Any, ...], rtol: float) -> nn.Module:
    original = copied(module).eval().requires_grad_(False)
    expected = original(*_fresh(inputs))
    rtol = max(rtol, _least_tolerance(expected))
    if not distance(original(*_fresh(inputs)), expected) <= rtol:
        raise ValueError(
            "`module` gives another output for the same `example` a second time, so that "
            "nothing can be compared; make it deterministic"
        )
    networks = {"as it was": original, "as it was, in channels last": _laid_out(original)}
    contests = {}
    for layout, last in (("channels last", True), ("contiguous", False)):
        network, contest = _planned(original, rtol, _fresh(inputs), last=last)
        error = distance(network(*_fresh(inputs)), expected)
        if error <= rtol * max(1, len(contest.verdicts)):
            networks[layout], contests[layout] = network, contest
    return _best(networks, contests, _fresh(inputs), expected)


def _best(
    networks: dict[str, nn.Module],
    contests: dict[str, LayerContest],
    inputs: tuple[Any, ...],
    expected: Any,
) -> nn.Module:
    """Measure the networks against each other and return the fastest with its report."""
    actions = {layout: partial(network, *inputs) for layout, network in networks.items()}
    for action in actions.values():  # and let each settle its weights, which they share
        action()
    with unchanged():
        seconds = least_seconds(actions, rounds=15, most=5.0)
    layout = min(seconds, key=lambda name: seconds[name])
    contest, (eager, last, *_) = contests.get(layout), seconds.values()
    verdicts = [] if contest is None else list(contest.verdicts.values())
    network: Any = networks[layout]
    why = (
        "the whole was fastest as it was" if contests else "the outputs were beyond `rtol` with it"
    )
    left = _as_it_was(network, why) if contest is None else _left(network, contest)
    network.acceleration = Acceleration(
        layout=layout,
        eager=eager,
        channels_last=last,
        accelerated=seconds[layout],
        error=distance(network(*inputs), expected),
        changes=tuple(Change(v.path, v.what, v.method, v.before, v.after) for v in verdicts),
        left=tuple(left),
    )
    result: nn.Module = network
    return result


def _planned(
    original: nn.Module, rtol: float, inputs: tuple[Any, ...], *, last: bool
) -> tuple[nn.Module, LayerContest]:
    """Return a copy whose layers compute as was found best, and what was found."""
    network, place = copied(original, share=True), Place(last)
    for layer in network.modules():
        if base_of(layer, LAYERS) is None or reason_against(layer) is not None:
            continue
        vars(layer)["forward"] = Planned((layer,), place)
    for module in network.modules():
        put_together(module, place)
    paths = {id(layer): path for path, layer in network.named_modules()}
    contest = place.contest = LayerContest(rtol, paths)
    network(*inputs)
    place.contest = None
    return network, contest


def _as_it_was(network: nn.Module, why: str) -> Iterator[tuple[str, str]]:
    """Yield the path of every layer and norm of a network in which nothing was changed, and why."""
    for path, module in network.named_modules():
        layer = base_of(module, LAYERS) is not None
        if layer or base_of(module, NORMS) is not None:
            yield path, (reason_against(module) if layer else None) or why


def _left(network: nn.Module, contest: LayerContest) -> Iterator[tuple[str, str]]:
    """Yield the path of what was left alone, and why."""
    planned = [each for each in _all_planned(network) if id(each) in contest.verdicts]
    reached = {id(each.layer) for each in planned}
    joined = {id(each.norm) for each in planned}
    for path, module in network.named_modules():
        if base_of(module, LAYERS) is not None:
            reason = reason_against(module)
            if reason is not None or id(module) not in reached:
                yield path, reason or "the example does not reach it"
        norm = base_of(module, NORMS)
        if norm is not None and id(module) not in joined:
            own = changes(module, norm)
            if own:
                yield path, f"{type(module).__name__} has its own {', '.join(own)}"
            elif hooked(module):
                yield path, "something is hooked to it"
            elif vars(module)["_buffers"].get("running_mean") is None:
                yield path, "it keeps no statistics"
            else:
                yield path, "nothing shows that it alone reads what a convolution gives"
        if isinstance(module, torch.jit.ScriptModule):
            yield path, "it was compiled by torch.jit"


def _all_planned(network: nn.Module) -> Iterator[Planned]:
    """Yield what computes for the modules of a network, alone or joined."""
    for module in network.modules():
        for value in list(vars(module).values()):
            if isinstance(value, Planned):
                yield value
            elif isinstance(value, JoinedRow | JoinedMethod):
                yield from value.joins.planned


def _laid_out(original: nn.Module) -> nn.Module:
    """Return a copy whose convolutions compute by torch in channels last.

    The parameters stay as they are: torch's own tools want to look at them as vectors.
    """
    network, place = copied(original, share=True), Place(last=True)
    for layer in network.modules():
        if type(layer) in (*CONVOLUTIONS, *TRANSPOSED) and reason_against(layer) is None:
            vars(layer)["forward"] = Planned((layer,), place)
    return network


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
    for path, part in module.named_modules():
        if any(map(is_lazy, (*part._parameters.values(), *part._buffers.values()))):
            raise ValueError(
                f"`module` has a layer that does not know its sizes yet ({path or 'itself'}); call "
                "it once before"
            )
    for name, parts in (("example", tensors), ("module", [*module.parameters()])):
        for part in parts:
            if part.device.type != "cpu":
                raise ValueError(f"`{name}` is on {part.device}; only the CPU is served: move it")
