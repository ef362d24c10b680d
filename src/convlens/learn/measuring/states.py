"""Add counts that several processes made, and find the answers that cannot be counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlens.learn.measuring.measure import State

__all__ = [
    "CountedMeasure",
    "add_counts",
    "check_classes",
    "check_finite",
    "check_rows",
    "check_same",
    "mean",
]


class CountedMeasure:
    """A measure that holds arrays of counts, which add up."""

    _state: State

    def state(self) -> State:
        """Return all that was counted, by name."""
        return {name: counts.copy() for name, counts in self._state.items()}

    def merge(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Add another state; raise ValueError if it is not one of these classes."""
        add_counts(self._state, state)


def add_counts(own: State, other: Mapping[str, NDArray[Any]]) -> None:
    """Add arrays of counts to those of the same name, in place.

    Raises ValueError if names, shapes or types differ.

    >>> own = {"n": np.array([1, 2])}
    >>> add_counts(own, {"n": np.array([10, 20])})
    >>> own["n"].tolist()
    [11, 22]
    """
    check_same(own, other, leading=False)
    for name, counts in own.items():
        counts += other[name]


def check_same(own: State, other: Mapping[str, NDArray[Any]], *, leading: bool) -> None:
    """Raise ValueError unless two states have arrays of the same names, types and shapes.

    `leading`: whether the first axis may differ.
    """
    first = 1 if leading else 0
    for name in sorted({*own, *other}):
        if name not in own or name not in other:
            where = "this measure has none" if name in other else "is missing in `state`"
            raise ValueError(
                f"`state` (={sorted(other)}) must have the arrays of this measure, and {name!r} "
                f"{where}; merge states of the same measure"
            )
        mine, given = own[name], other[name]
        if mine.dtype != given.dtype or mine.shape[first:] != given.shape[first:]:
            raise ValueError(
                f"`state` (={name!r}: {given.dtype} {given.shape}) must be as this measure's, "
                f"{mine.dtype} {mine.shape}; merge states of the same classes and points"
            )


def check_classes(classes: Sequence[str], least: int) -> None:
    """Raise ValueError for fewer than `least` classes."""
    if len(classes) < least:
        raise ValueError(
            f"`classes` (={len(classes)}) must be at least {least}; name every category"
        )


def check_rows(count: int, targets: int, keys: tuple[str, ...]) -> None:
    """Raise ValueError unless there are as many answers as targets and keys."""
    if not count == targets == len(keys):
        raise ValueError(
            f"`outputs` (={count}) must be as many as the {targets} targets and {len(keys)} keys; "
            "give one of each for every sample"
        )


def check_finite(outputs: Tensor, keys: tuple[str, ...]) -> None:
    """Raise ValueError, with the first sample, if scores (n, classes, ...) are not finite.

    Minus infinity is allowed beside others: it rules a class out.
    """
    good = outputs.amax(1).isfinite()
    if good.all():
        return
    bad = ~good.reshape(len(outputs), -1).all(1)
    first = keys[int(torch.nonzero(bad)[0])]
    raise ValueError(
        f"`outputs` (={int(bad.sum())} of {len(bad)} samples) must be finite, and those of "
        f"{first!r} are not; the network's weights may have diverged, use earlier ones"
    )


def mean(total: float | np.integer[Any], count: int | np.integer[Any]) -> float:
    """Return total / count; not a number if the count is 0.

    >>> mean(1, 4), mean(0, 0)
    (0.25, nan)
    """
    return float(total) / float(count) if count else float("nan")
