"""Seats: the maps that lie on the bench around one number, cut from their values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NotRequired, TypedDict

import numpy as np
import torch
from torch import Tensor

from convlens.lab.answers.envelope import Doubles, Singles
from convlens.lab.answers.sheets import WIDE, layout_in
from convlens.lens import Explanation, Recording, Step, Value
from convlens.lens.kinds import Kind
from convlens.lens.kinds.arguments import Arguments

MOST = 2**22
"""The most numbers of one seat: a map of 2048 x 2048."""

LARGEST_MATRIX = 2**16
"""The most numbers of a matrix that is one map."""

_PLACES = frozenset(("row", "column", "frame", "position", "feature"))
"""The axes of a value that have places; those before them count samples and channels."""


class SeatRow(TypedDict):
    """A map on the bench; its numbers begin at `start` in those of the answer.

    `role`: "in", "in2", "kernel", "bias", "out", "mean", "deviation", "scale", "shift", "curve",
    "taps" or "origin". `value`: the value that it is cut from, None where it is computed. `at`: its
    leading index in that value. `shape`: its 0 to 3 axes of places; a seat of several maps has an
    axis of channels before them.
    """

    role: str
    value: int | None
    at: list[int]
    shape: list[int]
    start: int


class BenchOrigin(TypedDict):
    """The value whose maps were laid out as a row, and the shape of these maps."""

    value: int
    shape: list[int]


class BenchDetail(TypedDict):
    """Facts of a number's family.

    Convolutions: `first`, the first input map of the group. Averages: `divisor` at this place;
    `override`, the divisor at every place; `counts_padding`; `padded`, the length of each axis with
    its padding. Pooling: `place`, where the number is the place of the largest. Two operands:
    the `sign` between them ("+", "-", "×", "/"), and the factor `alpha` of the second. Linear:
    `column` of the factor that the kernel is, where it is not a row; `alpha` and `beta` of products
    and bias; `origin` of the row. Along one axis: `dim`. Softmax: `log`, and `negated` scores.
    Functions of a number: `scalar`, `negative_slope`, `low`, `high`. Joined values: `operand`,
    which begins at `offset` of the axis `dim`. Resampling: `taps` of each axis.
    """

    first: NotRequired[int]
    divisor: NotRequired[int]
    override: NotRequired[int]
    counts_padding: NotRequired[bool]
    padded: NotRequired[list[int]]
    place: NotRequired[bool]
    sign: NotRequired[str]
    alpha: NotRequired[float]
    beta: NotRequired[float]
    column: NotRequired[int]
    origin: NotRequired[BenchOrigin]
    dim: NotRequired[int]
    log: NotRequired[bool]
    negated: NotRequired[bool]
    scalar: NotRequired[float]
    negative_slope: NotRequired[float]
    low: NotRequired[float]
    high: NotRequired[float]
    operand: NotRequired[int]
    offset: NotRequired[int]
    taps: NotRequired[list[int]]


class Unseated(ValueError):
    """A number that its family's seats cannot show; the sentence says why."""


@dataclass(frozen=True, eq=False)
class Benched:
    """A number on the bench: its explanation, and the call that made it.

    `channel` is the input map that was asked for.
    """

    recording: Recording
    explanation: Explanation
    kind: Kind
    given: Arguments
    channel: int | None

    @property
    def step(self) -> Step:
        """The step that made the number."""
        return self.given.step

    @property
    def value(self) -> Value:
        """The value that holds the number."""
        return self.explanation.value

    @property
    def index(self) -> tuple[int, ...]:
        """Where the number stands in its value."""
        return self.explanation.index

    @cached_property
    def lead(self) -> tuple[int, ...]:
        """The leading index of the map on which the number stands."""
        return self.index[: len(self.index) - places_of(self.recording, self.value)]


@dataclass(eq=False)
class Seats:
    """The seats of one number as they are laid, with the facts of its family.

    `channels` holds the input maps of a convolution and their sums, the strongest first; `channel`
    is the one that is shown.
    """

    rows: list[SeatRow] = field(default_factory=list)
    detail: BenchDetail = field(default_factory=lambda: BenchDetail())
    channels: list[tuple[int, float]] = field(default_factory=list)
    channel: int | None = None
    others: bool = False
    cuts: list[tuple[SeatRow, Callable[[Tensor], Tensor]]] = field(default_factory=list)
    _parts: list[Singles | Doubles] = field(default_factory=list)
    _count: int = 0

    def add(
        self, role: str, part: Tensor, value: int | None = None, at: Sequence[int] = ()
    ) -> None:
        """Lay a part of a value, or computed numbers, on a seat.

        Raises Unseated if there are more than `MOST` numbers.
        """
        count = math.prod(part.shape)
        if count > MOST:
            raise Unseated(f"a map of {count:,} numbers is larger than the {MOST:,} of a seat")
        shape, start = list(part.shape), self._count
        self.rows.append(
            {"role": role, "value": value, "at": list(at), "shape": shape, "start": start}
        )
        self._parts.append(_flat(part))
        self._count += count

    def cut(
        self, role: str, value: Value, at: Sequence[int], cut: Callable[[Tensor], Tensor]
    ) -> None:
        """Lay what `cut` takes of a value's tensor; it can be taken of another tensor, too."""
        self.add(role, cut(value.tensor), value.id, at)
        self.cuts.append((self.rows[-1], cut))

    def map(self, role: str, value: Value, at: Sequence[int]) -> None:
        """Lay the map of a value that stands at a leading index."""
        self.cut(role, value, at, lambda tensor: tensor[tuple(at)])

    @property
    def numbers(self) -> Singles | Doubles:
        """The numbers of all seats: float32, or float64 if one of the values needs it."""
        numbers: Singles | Doubles = np.zeros(self._count, np.float32)
        if any(part.dtype == np.float64 for part in self._parts):
            numbers = np.zeros(self._count, np.float64)
        for row, part in zip(self.rows, self._parts, strict=True):
            numbers[row["start"] : row["start"] + part.size] = part
        return numbers


def places_of(recording: Recording, value: Value) -> int:
    """Return how many of the last axes of a value are one map: a row at least.

    A large matrix has a map for each row, because its rows are samples.
    """
    if len(value.shape) == 2 and math.prod(value.shape) > LARGEST_MATRIX:
        return 1
    places = sum(axis in _PLACES for axis in layout_in(recording, value).axes)
    return max(places, min(1, len(value.shape)))


def _flat(part: Tensor) -> Singles | Doubles:
    """Return numbers in order, as they were recorded: each is a float32, or a float64."""
    part = part.detach()
    if part.dtype in WIDE:
        wide: Doubles = part.to("cpu", torch.float64).numpy().reshape(-1)
        return wide
    single: Singles = part.to("cpu", torch.float32).numpy().reshape(-1)
    return single
