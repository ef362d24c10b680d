"""Compute a layer of torch, with a norm and an activation after it, in the fastest way found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.compute.memory.arena import MOST_SHARED, Arena
from convlens.compute.networks.folding import (
    ACTIVATIONS,
    ADAPTIVE,
    CONVOLUTIONS,
    LAYERS,
    MAX_POOLS,
    NUMBERS,
    TRANSPOSED,
    activation_of,
    base_of,
    folded,
    hooked,
    is_norm_for,
    overridden,
)
from convlens.compute.networks.keeping import Held, hold, raw
from convlens.compute.networks.parts import (
    frozen,
    function_of,
    is_watched,
    laid_out,
    parameter_named,
    part_given,
    per_axis,
    raw_parameter,
)
from convlens.compute.networks.rewriting import taking_over
from convlens.compute.operators.gradients import seen_by_torch
from convlens.compute.planning import Plan, plan, plan_pool
from convlens.compute.reading.adaptive import even_size

__all__ = ["APART", "WAYS", "Place", "Planned"]

SHAPES = 8
"""The most input shapes a layer keeps weights packed for, since each costs memory."""

WAYS = ("torch", "onednn", "plan")
"""The ways of computing several parts together."""

APART = "apart"
"""The way of parts that are called one by one, because folding would lose too much accuracy."""

WEIGHTED = (*CONVOLUTIONS, *TRANSPOSED)

HOW = ("stride", "padding", "dilation", "groups", "padding_mode")
"""The options of a convolution, in the order of torch's functions."""

Run = Callable[[Tensor], Any]


@dataclass
class Place:
    """What the layers of a network share: the layout, memory for results, and a running contest.

    `last` is True if arrays are in channels last.
    """

    last: bool = False
    arena: Arena = field(default_factory=lambda: Arena(MOST_SHARED))
    contest: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "contest": None}


@dataclass
class _Packed:
    """What was prepared from the weights of a layer, valid while `numbers` stays the same."""

    numbers: Any = None
    own: tuple[Tensor, Tensor | None] | None = None
    runs: dict[Any, Run] = field(default_factory=dict)


class Planned:
    """Modules that are called one after another, computed together in the fastest way known.

    `parts` are a layer and perhaps a norm, an activation, or both after it. A layer alone has this
    in place of its `forward`. `way` is "torch", "onednn" (packed weights), "plan" or `APART`. Each
    input shape is prepared once, and again if the weights change. The parts themselves are called
    if torch must follow, such as for a gradient, or if a part has changed, such as a norm in
    training.

    Raises TypeError for a layer whose `forward` cannot be taken over.
    """

    def __init__(self, parts: tuple[Any, ...], place: Place) -> None:
        self.parts, self.place, self.way = parts, place, "torch"
        self.layer = parts[0]
        self.norm = next((part for part in parts[1:] if is_norm_for(part, self.layer)), None)
        self.activation = activation_of(parts[-1])
        self.base: Any = base_of(self.layer, LAYERS)
        self._packed = _Packed()
        self._set_up()

    def _set_up(self) -> None:
        modules = [part for part in self.parts if isinstance(part, nn.Module)]
        self._checked = [(module, type(module)) for module in modules]
        self._held: list[tuple[dict[str, Any], str, Held]] = []
        for module in (self.layer, self.norm):
            if module is not None:
                names = zip(("_parameters", "_buffers"), hold(module), strict=True)
                self._held += [(vars(module), name, held) for name, held in names if len(held)]
        apart = ("weight", "bias", "training")
        own = vars(self.layer)
        self._names = tuple(name for name in NUMBERS if name in own and name not in apart)
        self.forget()
        self._forward: Any = None
        if type(self.layer).forward is not self.base.forward:
            self._forward = taking_over(type(self.layer).forward, self._within, raw_parameter)
            if self._forward is None:
                raise TypeError("its forward cannot be taken over")
        self._is_set_up = True

    @property
    def count(self) -> int:
        """The number of parts."""
        return len(self.parts)

    @property
    def what(self) -> str:
        """The names of all parts, joined by "+"."""
        named = (getattr(p, "__name__", type(p).__name__) for p in self.parts)
        return " + ".join(named)

    def __getstate__(self) -> dict[str, Any]:
        kept = ("parts", "place", "way", "layer", "norm", "activation", "base")
        return {name: vars(self)[name] for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._is_set_up, self._forward = False, None  # the modules may not be complete yet

    def __call__(self, *given: Any, **options: Any) -> Any:
        """Return what the parts compute, one after another."""
        if len(given) != 1 or options or torch.compiler.is_compiling() or not self._able(given[0]):
            return self.called(*given, **options)
        if self._forward is not None:
            return self._forward(self.layer, given[0])
        return self._run(given[0], None, self.called)

    def called(self, *given: Any, **options: Any) -> Any:
        """Call the parts themselves; if this replaces a layer's forward, call the original."""
        alone = len(self.parts) == 1
        first = partial(type(self.layer).forward, self.layer) if alone else self.layer
        y = first(*given, **options)
        for part in self.parts[1:]:
            y = part(y)
        return y

    def _able(self, x: Any) -> bool:
        """Return whether the parts, in their present state, may compute `x` together."""
        if type(x) not in (Tensor, nn.Parameter) or x.device.type != "cpu":
            return False
        if torch._C._is_any_autocast_enabled() or is_watched():
            return False
        if not self._is_set_up:
            self._set_up()
        for module, cls in self._checked:
            own = vars(module)
            forward = own.get("forward")
            if type(module) is not cls or hooked(module) or overridden(module):
                return False
            if forward is not None and not (module is self.layer and type(forward) is Planned):
                return False
        tensors: list[Any] = [x]
        for own, name, held in self._held:
            if own[name] is not held:
                return False
            if not held.plain:
                tensors += dict.values(held)
        if self.base in WEIGHTED and not self._weighted():
            return False
        return not seen_by_torch(*tensors)

    def _weighted(self) -> bool:
        """Return whether weights and statistics are where torch's own layers have them."""
        names = vars(self.layer)["_parameters"].keys()
        if "weight" not in names or "bias" not in names:
            return False
        if self.norm is None:
            return True
        statistics = raw(vars(self.norm)["_buffers"])
        kept = all(isinstance(statistics.get(n), Tensor) for n in ("running_mean", "running_var"))
        return kept and not self.norm.training

    def _now(self) -> _Packed:
        """Return what was prepared from the present weights, empty if they have changed."""
        own = vars(self.layer)
        numbers = (
            [held.settled() for _, _, held in self._held],
            [frozen(own[name]) for name in self._names],
            self.norm.eps if self.norm is not None else None,
        )
        if self._packed.numbers != numbers:
            self._packed = _Packed(numbers)
        return self._packed

    def forget(self) -> None:
        """Discard everything that was prepared."""
        self._packed = _Packed()

    def _numbers(self) -> tuple[Tensor, Tensor | None]:
        """Return weight and bias, with the norm folded in if there is one.

        Without a norm they are the layer's own, and no reference to them may be kept.
        """
        mine = raw(vars(self.layer)["_parameters"])
        weight: Tensor = mine["weight"].detach()
        bias: Tensor | None = None if mine["bias"] is None else mine["bias"].detach()
        if self.norm is not None:
            norm = raw(vars(self.norm)["_parameters"]) | raw(vars(self.norm)["_buffers"])
            groups = self.layer.groups if self.base in TRANSPOSED else None
            weight, bias = folded(weight, bias, norm, self.norm.eps, groups)
        return weight, bias

    def _own(self, packed: _Packed) -> tuple[Tensor, Tensor | None]:
        """Return copies of weight and bias in the network's layout, made once for all shapes."""
        if packed.own is None:
            weight, bias = self._numbers()
            if self.norm is None:
                weight, bias = weight.clone(), None if bias is None else bias.clone()
            packed.own = laid_out(weight, self.place.last), bias
        return packed.own

    def _within(self, function: Any, *given: Any, **options: Any) -> Any:
        """Compute the convolution that the forward of a layer's class returns."""
        x: Any = given[0] if given else options.get("input")
        more = given[1:]
        others = {name: part for name, part in options.items() if given or name != "input"}
        how = self._how_of(function, more, others)

        def plain(x: Any) -> Any:
            # Only torch's own functions are known to have x as their first argument.
            parts, named = (given, options) if how is None else ((x, *more), others)
            words = {name: part_given(self.layer, part) for name, part in named.items()}
            y = function(*(part_given(self.layer, part) for part in parts), **words)
            for part in self.parts[1:]:
                y = part(y)
            return y

        return plain(x) if how is None or not self._able(x) else self._run(x, how, plain)

    def _how_of(self, function: Any, more: Any, options: Any) -> dict[str, Any] | None:
        """Return the options of this call, or None unless it is torch's with weight and bias."""
        method = getattr(function, "__func__", None)
        if method in (self.base.forward, self.base._conv_forward):
            whole = ("weight", "bias") if method is self.base._conv_forward else ()
            fits = function.__self__ is self.layer and not options
            fits = fits and [parameter_named(part) for part in more] == list(whole)
            return self._how() if fits else None
        if function is not getattr(F, f"conv{self.base.__name__[-2:]}"):
            return None
        names = ("weight", "bias", "stride", "padding", "dilation", "groups")
        given: dict[str, Any] = dict(zip(names, more, strict=False)) | options
        if (
            set(given) - set(names)
            or len(more) > len(names)
            or parameter_named(given["weight"]) != "weight"
        ):
            return None
        bias = given.get("bias")
        if parameter_named(bias) != "bias" and not (bias is None and self._bias() is None):
            return None
        plain = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "padding_mode": "zeros"}
        return plain | {name: frozen(given[name]) for name in names[2:] if name in given}

    def _bias(self) -> Tensor | None:
        found: Tensor | None = raw(vars(self.layer)["_parameters"])["bias"]
        return found

    def _how(self) -> dict[str, Any]:
        names = HOW if self.base in CONVOLUTIONS else (*HOW, "output_padding")
        return {name: frozen(vars(self.layer)[name]) for name in names}

    def _run(self, x: Tensor, how: dict[str, Any] | None, plain: Run) -> Any:
        """Compute what `plain` does; `how` holds the options if they are not the layer's own."""
        if self.place.contest is not None:
            self.place.contest.hold(self, x, how, plain)
        if self.way == APART:
            return plain(x)
        packed = self._now()
        key = (x.shape, x.dtype, None if how is None else (*how.values(),))
        run = packed.runs.get(key)
        if run is None:
            if len(packed.runs) >= SHAPES:
                packed.runs.pop(next(iter(packed.runs)), None)
            run = self.ready(self.way, x, how) or self.ready("torch", x, how)
            packed.runs[key] = run  # type: ignore[assignment]
        return run(x)  # type: ignore[misc]

    def ready(self, way: str, x: Tensor, how: dict[str, Any] | None = None) -> Run | None:
        """Return a function for inputs like `x` that computes in this way, or None."""
        packed = self._now()
        if way == "onednn":
            return self._by_onednn(x, how)
        if way == "plan":
            return self._by_plan(packed, x, how)
        return partial(self._by_torch, packed, how)

    def method(self, way: str, run: Run) -> str:
        """Return the name of the method that finally computes."""
        return f"convlens {run.planned.method}" if way == "plan" else way  # type: ignore[attr-defined]

    def _by_torch(self, packed: _Packed, how: dict[str, Any] | None, x: Tensor) -> Any:
        x = laid_out(x, self.place.last)
        return self._activated(self._torch(packed, how, x))

    def _torch(self, packed: _Packed, how: dict[str, Any] | None, x: Tensor) -> Any:
        layer = self.layer
        if self.base not in WEIGHTED:
            return self.base.forward(layer, x)
        as_they_are = self.norm is None and not self.place.last
        weight, bias = self._numbers() if as_they_are else self._own(packed)
        if how is not None and how["padding_mode"] == "zeros":
            return function_of(self.base)(x, weight, bias, *list(how.values())[:4])
        if self.base in CONVOLUTIONS:
            return self.base._conv_forward(layer, x, weight, bias)
        more = layer.output_padding, layer.groups, layer.dilation
        return function_of(self.base)(x, weight, bias, layer.stride, layer.padding, *more)

    def _activated(self, y: Any) -> Any:
        return y if self.activation is None else ACTIVATIONS[self.activation](y)

    def _by_onednn(self, x: Tensor, how: dict[str, Any] | None) -> Run | None:
        """Pack the weights for oneDNN once, which torch does at every call; join activations."""
        reorders: dict[type, Any] = {
            nn.Conv2d: torch._C._nn.mkldnn_reorder_conv2d_weight,
            nn.Conv3d: torch._C._nn.mkldnn_reorder_conv3d_weight,
        }
        reorder = reorders.get(self.base)
        if reorder is None or x.dtype is not torch.float32:
            return None
        weight, bias = self._numbers()
        bias = None if bias is None else bias.clone()
        how = self._how() if how is None else how
        zeros = how["padding_mode"] == "zeros" and not isinstance(how["padding"], str)
        if not zeros or x.ndim != weight.ndim or not x.numel() or weight.dtype is not x.dtype:
            return None
        if not torch.backends.mkldnn.is_available():
            return None
        axes = weight.ndim - 2
        pad, stride, dilation = (
            per_axis(how[name], axes) for name in ("padding", "stride", "dilation")
        )
        words = pad, stride, dilation, how["groups"]
        ready = reorder(weight.to_mkldnn(), *words, list(x.shape))
        activation, last = self.activation or "none", self.place.last

        def run(x: Tensor) -> Tensor:
            x = laid_out(x, last)
            y: Tensor = torch.ops.mkldnn._convolution_pointwise(
                x, ready, bias, *words, activation, [], ""
            )
            return y

        return run

    def _by_plan(self, packed: _Packed, x: Tensor, how: dict[str, Any] | None) -> Run | None:
        try:
            planned = self._plan(packed, x, how)
        except (TypeError, ValueError):  # torch may accept what a plan refuses
            return None
        if planned is None:
            return None
        planned.prepared.share(self.place.arena)

        def run(x: Tensor) -> Any:
            y = planned(x)
            if isinstance(y, tuple):
                return y
            return self._activated(laid_out(y, self.place.last))

        run.planned = planned  # type: ignore[attr-defined]
        return run

    def _plan(self, packed: _Packed, x: Tensor, how: dict[str, Any] | None) -> Plan | None:
        """Return the plan for inputs like `x`, or None if convlens has no such operation."""
        layer: Any = self.layer
        if self.base in WEIGHTED:
            words = self._how() if how is None else how
            return plan(x, *self._own(packed), transposed=self.base in TRANSPOSED, **words)
        axes = int(self.base.__name__[-2])
        if self.base in ADAPTIVE:
            size = even_size(axes, x, layer.output_size)
            return None if size is None else plan_pool("avg_pool", x, size)
        words = {name: per_axis(getattr(layer, name), axes) for name in ("stride", "padding")}
        words |= {"ceil_mode": layer.ceil_mode}
        size = per_axis(layer.kernel_size, axes)
        if self.base in MAX_POOLS:
            words |= {"dilation": per_axis(layer.dilation, axes)}
            return plan_pool("max_pool", x, size, return_indices=layer.return_indices, **words)
        if getattr(layer, "divisor_override", None) is not None:
            return None
        return plan_pool("avg_pool", x, size, count_include_pad=layer.count_include_pad, **words)
