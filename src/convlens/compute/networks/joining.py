"""Join calls of modules that follow one another if one computation can replace them.

Calls are joined only if the caller evidently passes each result to the next module and to nothing
else. This holds for an `nn.Sequential`, and for methods of modules that `rewriting` has analysed.
A part that is called in any other way computes what it always did.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from convlens.compute.networks.folding import (
    CONVOLUTIONS,
    LAYERS,
    TRANSPOSED,
    activation_of,
    base_of,
    changes,
    hooked,
    is_norm_for,
    overridden,
)
from convlens.compute.networks.keeping import raw
from convlens.compute.networks.layers import Place, Planned
from convlens.compute.networks.rewriting import joining, taking_over

__all__ = ["JoinedMethod", "JoinedRow", "Joins", "put_together", "reason_against"]


def reason_against(layer: nn.Module) -> str | None:
    """Return why a convolution or pooling is left alone, or None.

    >>> reason_against(nn.Conv2d(3, 4, 3)) is None
    True
    >>> class Squared(nn.Conv2d):
    ...     def forward(self, x):
    ...         return super().forward(x).square()
    >>> reason_against(Squared(3, 4, 3))
    'Squared has its own forward'
    """
    base = base_of(layer, LAYERS)
    name = type(layer).__name__
    if base is None or isinstance(layer, torch.jit.ScriptModule):
        return f"{name} is not a layer that can be accelerated"
    own = changes(layer, base)
    convolves = base in (*CONVOLUTIONS, *TRANSPOSED)
    if own == ["forward"] and base in CONVOLUTIONS:
        own = [] if taking_over(type(layer).forward, print, print) else own
    if own:
        return f"{name} has its own {', '.join(own)}"
    if type(vars(layer).get("forward")) not in (type(None), Planned):
        return "its forward was replaced"
    if overridden(layer):
        return f"its {', '.join(overridden(layer))} was replaced"
    if hooked(layer):
        return "it has hooks"
    parameters = raw(vars(layer)["_parameters"])
    if convolves and not {"weight", "bias"} <= parameters.keys():
        return "its weight is computed from others"
    plain = (nn.Parameter, Tensor, type(None))
    if any(type(parameter) not in plain for parameter in parameters.values()):
        return "its weight is not a plain tensor"
    return None


class Joins:
    """The joined calls of one module, found during a contest and used after it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.planned: list[Planned] = []
        self._known: dict[tuple[int, ...], Planned] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"place": self.place, "planned": self.planned}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._known = {}

    def find(self, *parts: Any) -> Planned | None:
        """Return a `Planned` for the first callables, as many as can be joined, or None.

        The keys are the identities of the parts, which each `Planned` keeps alive.
        """
        if len(self._known) != len(self.planned):  # this is a copy
            self._known = {tuple(map(id, each.parts)): each for each in self.planned}
        for count in range(len(parts), 1, -1):
            some = parts[:count]
            key = tuple(map(id, some))
            found = self._known.get(key)
            if found is None and self.place.contest is not None and _fit(some):
                found = Planned(some, self.place)
                self.planned.append(found)
                self._known[key] = found
            if found is not None:
                return found
        return None

    def steps(self, callables: tuple[Any, ...]) -> list[Any]:
        """Return callables that compute these in turn, with joined ones in place of several."""
        found, at = [], 0
        while at < len(callables):
            planned = self.find(*callables[at : at + 3])
            found.append(callables[at] if planned is None else planned)
            at += 1 if planned is None else planned.count
        return found

    def row(self, *callables: Any) -> Callable[..., Any]:
        """Return a callable that computes f(g(h(...))), given f, g, h."""
        first, *others = self.steps(callables[::-1])

        def run(*arguments: Any, **options: Any) -> Any:
            y = first(*arguments, **options)
            for step in others:
                y = step(y)
            return y

        return run if others else first


def _fit(parts: tuple[Any, ...]) -> bool:
    """Return whether the parts are a convolution and a norm, an activation, or both after it."""
    layer, *after = parts
    base = base_of(layer, LAYERS)
    if base is None or "Conv" not in base.__name__ or reason_against(layer) is not None:
        return False
    if len(after) == 2 and not is_norm_for(after[0], layer):
        return False
    weights = raw(vars(layer)["_parameters"]).values()
    if is_norm_for(after[0], layer):
        real = all(w is None or w.is_floating_point() for w in weights)
        kept = isinstance(raw(vars(after[0])["_buffers"]).get("running_mean"), Tensor)
        return real and kept and not hooked(after[0]) and all(activation_of(p) for p in after[1:])
    return activation_of(after[0]) is not None


class JoinedRow:
    """The forward of an `nn.Sequential`, with its modules joined where possible."""

    def __init__(self, owner: nn.Module, joins: Joins) -> None:
        self.owner, self.joins = owner, joins
        self._modules: tuple[Any, ...] = ()
        self._steps: list[Any] = []

    def __getstate__(self) -> dict[str, Any]:
        return {"owner": self.owner, "joins": self.joins, "_modules": (), "_steps": []}

    def __call__(self, input: Any) -> Any:
        """Call all modules in turn."""
        modules = tuple(vars(self.owner)["_modules"].values())
        if torch.compiler.is_compiling():
            for module in modules:
                input = module(input)
            return input
        held = self._modules
        same = len(held) == len(modules) and all(map(operator.is_, held, modules))
        if not same or self.joins.place.contest is not None:
            self._modules, self._steps = modules, self.joins.steps(modules)
        for step in self._steps:
            input = step(input)
        return input


class JoinedMethod:
    """A method of a module, with the calls in it joined where possible."""

    def __init__(self, owner: nn.Module, name: str, joins: Joins) -> None:
        self.owner, self.name, self.joins = owner, name, joins
        self._made: tuple[Any, Any] = (None, None)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_made": (None, None)}

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call the method with its calls joined."""
        function = getattr(type(self.owner), self.name)
        if torch.compiler.is_compiling():
            return function(self.owner, *arguments, **options)
        made, new = self._made
        if made is not function:
            new = joining(function, self.joins.row, self.joins.find) or function
            self._made = function, new
        return new(self.owner, *arguments, **options)


def put_together(module: nn.Module, place: Place) -> None:
    """Replace the methods of a module that call others in turn by versions that join the calls."""
    cls, own = type(module), vars(module)
    if isinstance(module, torch.jit.ScriptModule):
        return
    if isinstance(module, nn.Sequential) and not changes(module, nn.Sequential):
        if "forward" not in own and getattr(cls, "__iter__", None) is nn.Sequential.__iter__:
            own["forward"] = JoinedRow(module, Joins(place))
        return
    joins = Joins(place)
    for name in dir(cls):
        function = inspect.getattr_static(cls, name)
        if type(function) is not FunctionType or name in own or name.startswith("__"):
            continue
        if str(function.__module__).partition(".")[0] == "torch":
            continue
        if joining(function, joins.row, joins.find) is not None:
            own[name] = JoinedMethod(module, name, joins)
