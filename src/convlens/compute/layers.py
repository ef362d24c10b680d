"""A layer of torch that computes as it was found best: by torch, by packed weights, by a plan."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.compute.adaptive import even_size
from convlens.compute.arena import MOST_SHARED, Arena
from convlens.compute.gradients import seen_by_torch
from convlens.compute.planning import plan, plan_pool

__all__ = ["LAYERS", "Contest", "Planned", "Verdict", "distance", "least_seconds"]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
AVG_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
ADAPTIVE = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
LAYERS = (*CONVOLUTIONS, *TRANSPOSED, *MAX_POOLS, *AVG_POOLS, *ADAPTIVE)
"""The layers that may be computed here; subclasses of them are left alone."""

SHAPES = 8
"""Shapes of input that a layer is kept ready for: packed weights cost memory for each."""

WAYS = ("torch", "onednn", "plan")

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "hardswish": F.hardswish}

Run = Callable[[Tensor], Any]


@dataclass(frozen=True)
class Verdict:
    """What became of a layer: the way and method found best, and seconds by torch and by it."""

    what: str
    way: str
    method: str
    before: float
    after: float


class Planned(nn.Module):
    """A layer that computes what `layer` does, and then the activation, in the best way known.

    `way` is "torch", "onednn" (packed weights) or "plan"; what it needs is made ready once a shape
    of input. Results of plans lie in `arena`, which layers may share. Where torch must see what
    happens, as for a gradient, it is always torch's.
    """

    def __init__(self, layer: nn.Module, activation: str | None, *, last: bool, what: str) -> None:
        super().__init__()
        self.layer, self.activation, self.last, self.what = layer, activation, last, what
        self.way = "torch"
        self.contest: Contest | None = None
        self.arena = Arena(MOST_SHARED)
        self._runs: dict[Any, Run] = {}

    def __getattr__(self, name: str) -> Any:
        """Return what the layer itself has: whoever asks for its weight or stride finds it."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("layer"), name)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_runs": {}, "contest": None}

    def _apply(self, *arguments: Any, **more: Any) -> nn.Module:
        self._runs.clear()
        super()._apply(*arguments, **more)  # type: ignore[no-untyped-call]
        return self

    def extra_repr(self) -> str:
        """Say how it computes, where a module prints itself."""
        after = f", then {self.activation}" if self.activation else ""
        return f"by {self.way}{after}{', channels last' if self.last else ''}"

    def forward(self, x: Tensor, *more: Any, **options: Any) -> Any:
        """Compute the layer and its activation."""
        parameters = self.layer._parameters.values()
        if more or options or torch.compiler.is_compiling() or seen_by_torch(x, *parameters):
            return self._activated(self.layer(x, *more, **options))
        if self.contest is not None:
            self.contest.hold(self, x)
        versions = [0 if p is None or p.is_inference() else p._version for p in parameters]
        key = (x.shape, x.dtype, x.device, *versions)
        if key not in self._runs:
            if len(self._runs) >= SHAPES:
                self._runs.pop(next(iter(self._runs)), None)
            self._runs[key] = self.ready(self.way, x) or self._by_torch
        return self._runs[key](x)

    def ready(self, way: str, x: Tensor) -> Run | None:
        """Return the layer for inputs as `x`, in a way; None if it cannot go that way."""
        if way == "onednn":
            return self._packed(x)
        if way == "plan":
            return self._plan(x)
        return self._by_torch

    def method(self, way: str, run: Run) -> str:
        """Return the name of what computes in the end."""
        return f"convlens {run.planned.method}" if way == "plan" else way  # type: ignore[attr-defined]

    def _by_torch(self, x: Tensor) -> Any:
        return self._activated(self.layer(self._laid_out(x)))

    def _laid_out(self, y: Any) -> Any:
        """Return a tensor with a batch in the memory format of the network."""
        form = {4: torch.channels_last, 5: torch.channels_last_3d}.get(y.ndim if self.last else 0)
        return y if form is None else y.contiguous(memory_format=form)

    def _activated(self, y: Any) -> Any:
        return y if self.activation is None else ACTIVATIONS[self.activation](y)

    def _packed(self, x: Tensor) -> Run | None:
        """Pack the weights for oneDNN once, as torch does at every call; it activates, too."""
        layer: Any = self.layer
        reorders: dict[type, Any] = {
            nn.Conv2d: torch._C._nn.mkldnn_reorder_conv2d_weight,
            nn.Conv3d: torch._C._nn.mkldnn_reorder_conv3d_weight,
        }
        reorder = reorders.get(type(layer))
        if reorder is None or x.device.type != "cpu" or x.dtype is not torch.float32:
            return None
        zeros = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
        if not zeros or x.ndim != layer.weight.ndim or not x.numel():
            return None
        if not torch.backends.mkldnn.is_available():
            return None
        how = layer.padding, layer.stride, layer.dilation, layer.groups
        weight = reorder(layer.weight.detach().to_mkldnn(), *how, list(x.shape))
        bias, activation = layer.bias, self.activation or "none"

        def run(x: Tensor) -> Tensor:
            x = self._laid_out(x)
            y: Tensor = torch.ops.mkldnn._convolution_pointwise(
                x, weight, bias, *how, activation, [], ""
            )
            return y

        return run

    def _plan(self, x: Tensor) -> Run | None:
        try:
            planned = _plan_of(self.layer, x)
        except (TypeError, ValueError):  # what we refuse, torch may do
            return None
        if planned is None:
            return None
        planned.share(self.arena)

        def run(x: Tensor) -> Any:
            y = planned(x)
            return y if isinstance(y, tuple) else self._activated(self._laid_out(y))

        run.planned = planned  # type: ignore[attr-defined]
        return run


def _plan_of(layer: Any, x: Tensor) -> Any:
    """Return the plan of a layer for inputs as `x`; None where it is not one of ours."""
    if isinstance(layer, (*CONVOLUTIONS, *TRANSPOSED)):
        how = {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "groups")}
        if isinstance(layer, TRANSPOSED):
            how |= {"output_padding": layer.output_padding, "transposed": True}
        return plan(x, layer.weight, layer.bias, padding_mode=layer.padding_mode, **how)
    axes = int(type(layer).__name__[-2])
    if isinstance(layer, ADAPTIVE):
        size = even_size(axes, x, layer.output_size)
        return None if size is None else plan_pool("avg_pool", x, size)

    def every(value: Any) -> tuple[int, ...]:
        return (value,) * axes if isinstance(value, int) else tuple(value)

    how = {"stride": every(layer.stride), "padding": every(layer.padding)}
    how |= {"ceil_mode": layer.ceil_mode}
    size = every(layer.kernel_size)
    if isinstance(layer, MAX_POOLS):
        how |= {"dilation": every(layer.dilation), "return_indices": layer.return_indices}
        return plan_pool("max_pool", x, size, **how)
    if getattr(layer, "divisor_override", None) is not None:
        return None
    return plan_pool("avg_pool", x, size, count_include_pad=layer.count_include_pad, **how)


@dataclass
class Contest:
    """Which way each layer goes, found by measuring it where it stands, on what reaches it.

    Layers alike on inputs alike are measured once. A way is out where its result is further than
    `rtol` from torch's, as `distance` tells.
    """

    rtol: float
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    paths: dict[int, str] = field(default_factory=dict)
    _known: dict[Any, Verdict] = field(default_factory=dict)

    def hold(self, planned: Planned, x: Tensor) -> None:
        """Measure a layer on `x`, the first time it is called."""
        path = self.paths[id(planned)]
        if path in self.verdicts:
            return
        key = (repr(planned.layer), planned.what, planned.last, x.shape, x.stride(), x.dtype)
        if key not in self._known:
            self._known[key] = self._measured(planned, x)
        self.verdicts[path] = verdict = self._known[key]
        planned.way = verdict.way

    def _measured(self, planned: Planned, x: Tensor) -> Verdict:
        runs = {way: planned.ready(way, x) for way in WAYS}
        able = {way: run for way, run in runs.items() if run is not None}
        expected = able["torch"](x)
        for way in list(able):
            if distance(able[way](x), expected) > self.rtol:
                del able[way]
        seconds = least_seconds({way: partial(run, x) for way, run in able.items()})
        best = min(able, key=lambda way: seconds[way])
        method = planned.method(best, able[best])
        return Verdict(planned.what, best, method, seconds["torch"], seconds[best])


def least_seconds(
    actions: Mapping[str, Callable[[], object]], *, rounds: int = 5, most: float = 1.0
) -> dict[str, float]:
    """Return the least seconds each action took, in turn, in so many rounds or `most` seconds.

    Whatever else a machine does makes an action slower, never faster: the least is the nearest to
    its own time.

    >>> 0 <= least_seconds({"nothing": lambda: None})["nothing"] < 1
    True
    """
    least = dict.fromkeys(actions, float("inf"))
    began = time.perf_counter()
    for count in range(rounds):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            least[name] = min(least[name], time.perf_counter() - start)
        if count and time.perf_counter() - began > most:
            break
    return least


def distance(found: Any, expected: Any) -> float:
    """Return the root mean square of the error over that of what is expected, at worst of several.

    Tuples, lists and dicts are compared part by part; integers and flags must be equal, and so must
    the places of numbers that are not finite; otherwise it is infinite.

    >>> round(distance(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.5])), 3)
    0.092
    """
    found_parts, form = torch.utils._pytree.tree_flatten(found)
    parts, expected_form = torch.utils._pytree.tree_flatten(expected)
    if form != expected_form:
        return float("inf")
    return max((_distance(*pair) for pair in zip(found_parts, parts, strict=True)), default=0.0)


def _distance(found: Any, expected: Any) -> float:
    if not isinstance(expected, Tensor) or not isinstance(found, Tensor):
        return 0.0 if type(found) is type(expected) else float("inf")
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return float("inf")
    if not (expected.is_floating_point() or expected.is_complex()):
        return 0.0 if torch.equal(found, expected) else float("inf")
    finite = expected.isfinite()
    if not torch.equal(finite, found.isfinite()):
        return float("inf")
    wide = torch.complex128 if expected.is_complex() else torch.float64
    error = torch.linalg.vector_norm((found - expected)[finite].to(wide)).item()
    size = torch.linalg.vector_norm(expected[finite].to(wide)).item()
    return error / size if size else (float("inf") if error else 0.0)
