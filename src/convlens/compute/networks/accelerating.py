"""Accelerate a torch module: fold norms, and compute each layer the way measured to be fastest."""

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
    """One layer: its path, its name with the parts joined to it, and the method it now uses.

    `before` and `after` are the seconds of this layer alone, by torch and now.
    """

    path: str
    what: str
    method: str
    before: float
    after: float


@dataclass(frozen=True)
class Acceleration:
    """A report of what `accelerate` changed and gained, for each layer and for the whole network.

    `eager`, `channels_last` and `accelerated` are the seconds of the given network, of the same
    network in that memory format, and of the result. `layout` is the memory format of the result,
    or begins with "unchanged" if no layer changed. `error` is the root mean square of the outputs'
    error over that of the outputs. `left` holds the path of every convolution, pooling and norm
    that was left alone, with the reason.
    """

    layout: str
    eager: float
    channels_last: float
    accelerated: float
    error: float
    changes: tuple[Change, ...]
    left: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """Return a line for each layer, what was left alone, and the gain of the whole network."""
        rows = [("path", "what", "method", "before", "after")]
        rows += [
            (c.path, c.what, c.method, f"{c.before * 1e3:.3f} ms", f"{c.after * 1e3:.3f} ms")
            for c in self.changes
        ]
        lines = [table(rows)]
        lines += [f"{path or 'the network'} was left alone: {reason}" for path, reason in self.left]
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

    `example` is an input, or a tuple of inputs, of the size that matters. The copy is in evaluation
    mode, and its parameters require no gradients. Each convolution and pooling uses what was
    fastest on the example: torch, oneDNN with weights packed once, or a plan of convlens. A batch
    norm is folded into the convolution called right before it, and ReLU and Hardswish are joined to
    it. That needs a calling method which shows that nothing else reads the values in between. Both
    layouts, contiguous and channels last, compete with the unchanged network in channels last.

    Inputs of other shapes are planned when they first occur, and changed weights are packed again.
    If torch must follow the call, such as for a gradient, and under autocast, torch computes.

    The error of each layer is at most `rtol`, that of the outputs `rtol` times the number of
    layers: root mean squares, relative to torch's output. Half types are allowed at least two units
    in the last place. Print `.acceleration` of the copy, an `Acceleration`, to see what changed.

    The given module is not changed. Raises TypeError for anything but a module that can be copied.
    Raises ValueError for a module or input that is not on the CPU, for layers that do not know
    their sizes yet, and for outputs that differ between two calls.

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
    gc.collect()  # other copies holding the weights would force a comparison at every call
    return fastest


def _fastest(module: nn.Module, inputs: tuple[Any, ...], rtol: float) -> nn.Module:
    original = copied(module).eval().requires_grad_(False)
    expected = original(*_fresh(inputs))
    rtol = max(rtol, _least_tolerance(expected))
    if not distance(original(*_fresh(inputs)), expected) <= rtol:
        raise ValueError(
            "`module` gives another output when called again with the same `example`, so results "
            "cannot be compared; make it deterministic"
        )
    networks = {"unchanged": original, "unchanged, channels last": _laid_out(original)}
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
    for action in actions.values():  # each packs the weights, which they share, before the timing
        action()
    with unchanged():
        seconds = least_seconds(actions, rounds=15, most=5.0)
    layout = min(seconds, key=lambda name: seconds[name])
    contest, (eager, last, *_) = contests.get(layout), seconds.values()
    verdicts = [] if contest is None else list(contest.verdicts.values())
    network: Any = networks[layout]
    why = "the network was fastest unchanged" if contests else "the outputs would exceed `rtol`"
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
    """Return a copy whose layers compute in the fastest way, and the contest that found it."""
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
    """Yield the path of every layer and norm of an unchanged network, and why it is unchanged."""
    for path, module in network.named_modules():
        layer = base_of(module, LAYERS) is not None
        if layer or base_of(module, NORMS) is not None:
            yield path, (reason_against(module) if layer else None) or why


def _left(network: nn.Module, contest: LayerContest) -> Iterator[tuple[str, str]]:
    """Yield the path of each layer and norm that was left alone, and why."""
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
                yield path, "it has hooks"
            elif vars(module)["_buffers"].get("running_mean") is None:
                yield path, "it keeps no statistics"
            else:
                yield path, "it is not shown to be the only reader of a convolution"
        if isinstance(module, torch.jit.ScriptModule):
            yield path, "it was compiled by torch.jit"


def _all_planned(network: nn.Module) -> Iterator[Planned]:
    """Yield all `Planned` objects of a network, of single layers and of joined ones."""
    for module in network.modules():
        for value in list(vars(module).values()):
            if isinstance(value, Planned):
                yield value
            elif isinstance(value, JoinedRow | JoinedMethod):
                yield from value.joins.planned


def _laid_out(original: nn.Module) -> nn.Module:
    """Return a copy whose convolutions compute by torch in channels last.

    The parameters keep their layout, because some of torch's tools view them as vectors.
    """
    network, place = copied(original, share=True), Place(last=True)
    for layer in network.modules():
        if type(layer) in (*CONVOLUTIONS, *TRANSPOSED) and reason_against(layer) is None:
            vars(layer)["forward"] = Planned((layer,), place)
    return network


def _fresh(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return copies of the inputs, which a network may write into."""
    result: tuple[Any, ...] = tree_map(
        lambda part: part.detach().clone() if isinstance(part, Tensor) else part, inputs
    )
    return result


def _least_tolerance(expected: Any) -> float:
    """Return two units in the last place of the outputs' coarsest half type, 0 without one."""
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
                "it once first"
            )
    for name, parts in (("example", tensors), ("module", [*module.parameters()])):
        for part in parts:
            if part.device.type != "cpu":
                raise ValueError(f"`{name}` is on {part.device}; only the CPU works: move it there")
