"""Say what a recording does not follow, and where it may differ from a plain run."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from torch import Tensor

COMPILED = "compiled modules are recorded as they run uncompiled; their last bits may differ"

ACCELERATED = (
    "an accelerated network is recorded by torch's own layers; it computes by packed weights and "
    "plans where that is faster, whose last bits differ"
)

LSTM = (
    "`lstm` is recorded as it runs without gradients; with them torch computes it another way, "
    "whose last bits differ"
)

# What may hold no tensor without surprise.
_PLAIN = (bool, int, float, complex, str, list, dict, tuple)
_LEAVES_TORCH = ("numpy", "__array__", "tolist")


def of_step(name: str, function: Any, inputs: list[Tensor], gradients: bool) -> str:
    """Return what is to be said of a step's last bits; "" mostly.

    `gradients` is whether they were on where the recording was asked for.
    """
    if name == "lstm" and gradients and any(t.requires_grad for t in inputs):
        return LSTM
    if not _chooses(function) or getattr(function, "settled", False) or "pool" in name:
        return ""
    return (
        f"`{name}` chooses how it computes: a call before or after its plan was ready may differ "
        'in the last bits; a plan, or method="direct", always gives the same'
    )


@functools.cache
def _chooses(function: Any) -> bool:
    """Return whether a function may choose how it computes."""
    return hasattr(function, "settled") or getattr(function, "namespace", "") == "convlens"


def of_reading(name: str, source: tuple[str, int]) -> str:
    """Return what is to be said of a call that takes numbers out of torch; "" of a single one."""
    if name not in _LEAVES_TORCH:
        return ""
    return (
        f"`{name}` at {source[0]}:{source[1]} takes numbers out of torch; "
        "what is computed from them there is not followed"
    )


def of_gradients_asked(file: str, line: int) -> str:
    """Return what is to be said of a network that asks whether gradients are on."""
    return (
        f"{file}:{line} asks for `torch.is_grad_enabled()`: "
        "recorded as without gradients, with which it may go another way"
    )


def of_outputs(outputs: Any, found: bool) -> str:
    """Return what is to be said of what the network returned; "" where tensors were `found`."""
    if found or outputs is None or isinstance(outputs, _PLAIN):
        return ""
    return (
        f"the network returned a {type(outputs).__name__}, in which no tensor was found; lists, "
        "tuples, mappings and dataclasses are looked through"
    )


def of_separated(paths: Iterable[str]) -> str:
    """Return what is to be said of modules whose steps a plain run computes as one; "" of none."""
    names = [f"`{path}`" if path else "the network" for path in paths]
    if not names:
        return ""
    return (
        f"{_listed(names)}: recorded by separate steps, where a plain run computes by one fused "
        "operator, whose last bits differ"
    )


def of_opaque(why: str, names: Iterable[str]) -> str:
    """Return what is to be said of values whose numbers cannot be read one by one."""
    return f"{_listed([f'`{name}`' for name in names])}: {why}, kept whole, not taken apart"


def _listed(names: list[str]) -> str:
    """Return names for a sentence: the first three, and how many more there are."""
    first = ", ".join(names[:3])
    return f"{first} and {len(names) - 3} more" if len(names) > 3 else first
