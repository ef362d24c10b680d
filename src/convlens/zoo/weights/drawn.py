"""Keep track of the weights that were drawn at random, so that answers can mention them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

__all__ = ["EVERYTHING", "TrackedModule", "random_parts", "random_text"]

EVERYTHING = ("*",)
"""The random parts of a network into which nothing was loaded."""


_Drawn = tuple[int, tuple[float, ...]]
"""A parameter when it was drawn: its version and some of its numbers.

torch counts the version up at every write, except for writes through `.data`.
"""


def _sample(parameter: Tensor) -> tuple[float, ...]:
    """Return the first number, one in the middle and the last, if there are numbers."""
    if parameter.is_meta or not parameter.numel():
        return ()
    places = ([part * (n - 1) // 2 for n in parameter.shape] for part in range(3))
    return tuple(float(parameter.detach()[tuple(place)]) for place in places)


def _is(parameter: Tensor, drawn: _Drawn) -> bool:
    """Return whether a parameter is as it was drawn, perhaps rounded to another type."""
    version, numbers = drawn
    if not parameter.is_inference() and parameter._version > version:
        return False
    now = zip(numbers, _sample(parameter), strict=False)
    return all(math.isclose(a, b, rel_tol=0.01, abs_tol=1e-6) for a, b in now)


class TrackedModule(nn.Module):
    """A module that knows which of its parameters are as they were drawn, and prints it."""

    __jit_unused_properties__ = ("random_parts",)  # torch.jit.script would compile it

    def __init__(self) -> None:
        super().__init__()
        self._drawn: Mapping[str, _Drawn] = {}

    @property
    def random_parts(self) -> tuple[str, ...]:
        """The paths of the modules that are as they were drawn, ("*",) if all are.

        Modules that were loaded or trained are left out. This can be set.
        """
        names = self._still_drawn()
        if names and len(names) >= len(dict(self.named_parameters())):
            return EVERYTHING
        return tuple(dict.fromkeys(name.rpartition(".")[0] for name in names))

    @random_parts.setter
    def random_parts(self, parts: tuple[str, ...]) -> None:
        self._drawn = {
            name: (0 if p.is_inference() else p._version, _sample(p))
            for name, p in self.named_parameters()
            if parts == EVERYTHING or any(f"{name}.".startswith(f"{part}.") for part in parts)
        }

    def _still_drawn(self) -> dict[str, _Drawn]:
        own = dict(self.named_parameters())
        return {n: drawn for n, drawn in self._drawn.items() if n not in own or _is(own[n], drawn)}

    def __getstate__(self) -> dict[str, Any]:
        # The tensors of a copy, or of a file, are new, with a version of 0.
        return {**self.__dict__, "_drawn": self._still_drawn()}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self._drawn = self._still_drawn()  # tensors on another device are new as well
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load parameters as torch does; they then count as loaded, not random."""
        loaded = super().load_state_dict(state_dict, strict, assign)
        self._drawn = {name: d for name, d in self._drawn.items() if name not in state_dict}
        return loaded

    def extra_repr(self) -> str:
        """Return what is random, for printing."""
        return random_text(self.random_parts)


def random_parts(network: nn.Module) -> tuple[str, ...]:
    """Return the paths of the modules of any network that are known to be as they were drawn.

    Of a user's own network these are the parts that `model` built, and those that the network
    names in an attribute `random_parts`, a tuple of paths or ("*",).

    >>> from convlens.zoo import model
    >>> random_parts(nn.Sequential(model("digits", weights=None), nn.ReLU()))
    ('0',)
    """
    found: list[str] = []
    for path, module in network.named_modules():
        parts = getattr(module, "random_parts", ())
        if not isinstance(parts, tuple | list):
            continue
        if not path and tuple(parts):
            return tuple(str(part) for part in parts)
        names = [path if part == "*" else f"{path}.{part}" for part in parts]
        found += [name for name in names if not any(f"{name}.".startswith(f"{p}.") for p in found)]
    return tuple(found)


def random_text(parts: tuple[str, ...]) -> str:
    """Return in words which parts of a network are random; "" if there are none.

    >>> random_text(("*",)), random_text(("fc",))
    ('weights drawn at random', 'fc drawn at random')
    """
    if not parts:
        return ""
    if parts == EVERYTHING:
        return "weights drawn at random"
    few = ", ".join(parts[:3]) + (f" and {len(parts) - 3} more" if len(parts) > 3 else "")
    return f"{few} drawn at random"
