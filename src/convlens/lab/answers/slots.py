"""Find the inputs that a network wants, each of which has a picture of its own on the page."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class InputSources:
    """What the inputs of a network are read from, in order, with the names that people see."""

    given: tuple[object, ...]
    names: tuple[str, ...]

    def put(self, slot: int, source: object, name: str) -> InputSources:
        """Return the sources with another one in a slot.

        Raises ValueError where there is no such slot.
        """
        if not 0 <= slot < len(self.given):
            raise ValueError(f"`slot` (={slot}) must be one of {len(self.given)} inputs; use 0")
        given, names = list(self.given), list(self.names)
        given[slot], names[slot] = source, name
        return InputSources(tuple(given), tuple(names))


def slots_of(network: nn.Module) -> tuple[str, ...]:
    """Return the names of the inputs that a network cannot run without; at least one.

    >>> class Pair(nn.Module):
    ...     def forward(self, left, right, scale=1):
    ...         return left - scale * right
    >>> slots_of(Pair()), slots_of(nn.ReLU())
    (('left', 'right'), ('input',))
    """
    try:
        parameters = inspect.signature(network.forward).parameters.values()
    except (TypeError, ValueError):
        return ("input",)
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    wanted = [p.name for p in parameters if p.kind in places and p.default is p.empty]
    return tuple(wanted) or ("input",)
