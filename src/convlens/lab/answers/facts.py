"""Sum up the numbers of a map, and of all maps of its sample: their spread, zeros and health."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from convlens.lab.answers.sheets import (
    SheetLayout,
    layout,
    parts_of,
    planes_of,
    reads_batches,
)
from convlens.lens import Recording, Value

_KEPT = 16
"""The facts of whole values that are kept: a click on another number of a value asks for them."""


class StatisticsRow(TypedDict):
    """What is known of some numbers.

    `low`, `high`, `mean` and `deviation` (the root of the mean square about the mean) are those of
    the finite numbers, NaN where none is finite. `zeros` are as many as are 0, `nans` as are NaN,
    `infinite` as are infinite.
    """

    count: int
    low: float
    high: float
    mean: float
    deviation: float
    zeros: int
    nans: int
    infinite: int


class FactsRow(TypedDict):
    """The numbers around one number: those of its `map`, and those of all maps of its sample.

    `constant` counts the maps of which all numbers are equal, of `maps` in all; a map of a single
    number is not counted. `number` is the map's number on the sheet.
    """

    map: StatisticsRow
    sample: StatisticsRow
    number: int
    maps: int
    constant: int


def facts_of(recording: Recording, value: Value, index: tuple[int, ...]) -> FactsRow | None:
    """Return what is known of the numbers around one number; None where they cannot be read."""
    if value.opaque or value.tensor.is_meta:
        return None
    batched = reads_batches(recording)
    plan = layout(value, batched=batched)
    first = index[0] if plan.sliced else 0
    planes = planes_of(value, first, batched=batched)
    number = _map(value.shape, plan, index)
    key = value.id + first * len(recording.values)
    whole = recording.kept("facts", key, _KEPT, lambda: _of_all(parts_of(planes)))
    return {
        "map": _of_all(parts_of(planes[number : number + 1]))[0],
        "sample": whole[0],
        "number": number,
        "maps": len(planes),
        "constant": whole[1],
    }


def _map(shape: tuple[int, ...], plan: SheetLayout, index: tuple[int, ...]) -> int:
    """Return the number of the map that an index lies in."""
    begin, end = int(plan.sliced), len(index) - plan.plane
    number = 0
    for i, n in zip(index[begin:end], shape[begin:end], strict=True):
        number = number * n + i
    return number


def _of_all(parts: Iterable[npt.NDArray[Any]]) -> tuple[StatisticsRow, int]:
    """Return the statistics of all maps, and how many maps are constant."""
    tally, constant = _Tally(), 0
    for part in parts:
        tally.add(part)
        if part[0].size > 1:
            constant += int((part.min((1, 2)) == part.max((1, 2))).sum())
    return tally.row(), constant


class _Tally:
    """Counts and sums of numbers that come in parts."""

    def __init__(self) -> None:
        self.count = self.zeros = self.nans = self.infinite = 0
        self.low, self.high = math.inf, -math.inf
        self.mean = self.squares = 0.0  # of the finite numbers; squares are about the mean

    def add(self, part: npt.NDArray[Any]) -> None:
        """Count a part, whose mean and squares are merged with those so far."""
        finite = part[np.isfinite(part)]
        nans = int(np.isnan(part).sum()) if finite.size < part.size else 0
        before = self.count - self.nans - self.infinite
        self.count += part.size
        self.nans += nans
        self.infinite += part.size - finite.size - nans
        if not finite.size:
            return
        self.zeros += finite.size - int(np.count_nonzero(finite))
        self.low = min(self.low, float(finite.min()))
        self.high = max(self.high, float(finite.max()))
        mean = float(finite.mean(dtype=np.float64))
        apart, both = mean - self.mean, before + finite.size
        with np.errstate(over="ignore"):
            self.squares += float(np.square(finite - np.float64(mean)).sum())
            self.squares += apart * apart * before * finite.size / both
        self.mean += apart * finite.size / both

    def row(self) -> StatisticsRow:
        """Return what was counted."""
        finite = self.count - self.nans - self.infinite
        return {
            "count": self.count,
            "low": self.low if finite else math.nan,
            "high": self.high if finite else math.nan,
            "mean": self.mean if finite else math.nan,
            "deviation": math.sqrt(self.squares / finite) if finite else math.nan,
            "zeros": self.zeros,
            "nans": self.nans,
            "infinite": self.infinite,
        }
