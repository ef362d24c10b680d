"""Define what a measure is: it adds up answers batch by batch, and says how good they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

__all__ = ["Judgement", "Measure", "State", "deciding"]

State = dict[str, NDArray[Any]]
"""All that a measure has added up, by name."""


@dataclass(frozen=True)
class Judgement:
    """What a measure thinks of the answer to one sample.

    `key` of the sample. `right`: whether the answer is. `badness`: sorts the worst mistakes first.
    `said` and `truth`: the answer and the label in words.
    """

    key: str
    right: bool
    badness: float
    said: str
    truth: str


class Measure(Protocol):
    """Adds up answers and says how good they are; what it holds is arrays, so that ranks can merge.

    A mean is a sum over all samples divided once, never a mean of batches.
    """

    def add(self, outputs: Any, targets: Any, keys: tuple[str, ...]) -> list[Judgement]:
        """Count the answers to a batch, and return a judgement on each sample.

        `outputs`: what the network gives in evaluation mode. `targets`: those of the batch.
        """

    def state(self) -> State:
        """Return all that was added up."""

    def merge(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Add what another process, or an earlier one, added up."""

    def values(self) -> dict[str, float]:
        """Return the measures by name, the one that decides which is best first; see `deciding`.

        One that nothing was counted for is not a number.
        """

    def by_class(self) -> dict[str, float]:
        """Return a measure for each class by name, not a number without truth."""

    def notes(self) -> tuple[str, ...]:
        """Return sentences on the rules by which it was measured."""


def deciding(values: Mapping[str, float]) -> str:
    """Return the name of the measure that decides what is best: the first that is a number.

    It is the first of all if none is, and "" without any.

    >>> deciding({"point AP": math.nan, "AP": 0.5}), deciding({"AP": math.nan})
    ('AP', 'AP')
    """
    known = (name for name, value in values.items() if not math.isnan(value))
    return next(known, next(iter(values), ""))
