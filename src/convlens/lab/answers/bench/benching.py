"""Answer what the bench asks about one number: its seats, and its explanation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypedDict

from convlens.lab.answers.arithmetic import Explained, explained
from convlens.lab.answers.bench import (
    dense,
    moving,
    normalizing,
    pointwise,
    resampling,
    telling,
    windowed,
)
from convlens.lab.answers.bench.besides import lay_beside
from convlens.lab.answers.bench.seats import (
    BenchDetail,
    Benched,
    SeatRow,
    Seats,
    Unseated,
    places_of,
)
from convlens.lab.answers.envelope import Doubles, Singles
from convlens.lab.answers.families import family_of
from convlens.lab.answers.segments import Standing
from convlens.lab.guarding import SENTENCES
from convlens.lens import Explanation, Recording, Value, explain_value
from convlens.lens.kinds import bound

FAMILIES: dict[str, Callable[[Benched, Seats], None]] = {
    "conv": windowed.convolution,
    "transposed": windowed.convolution,
    "max_pool": windowed.pooling,
    "avg_pool": windowed.pooling,
    "linear": dense.linear,
    "softmax": dense.softmax,
    "reduce": dense.reduction,
    "pointwise": pointwise.function,
    "add": pointwise.addition,
    "multiply": pointwise.product,
    "concat": moving.concatenation,
    "move": moving.moved,
    "norm": normalizing.normalization,
    "resample": resampling.resampled,
    "select": telling.told,
    "other": telling.told,
}
"""What lays the seats of each family."""


class BenchAnswer(TypedDict):
    """One number and all that it is made with.

    Plain sums of float64 over the `numbers` of the `seats` give `total` within `bound`, except in
    the families "select" and "other", which only `explained` shows. Where `others`, the input maps
    that are not seated add the rest. `note` says why a number is not shown as its step's family, if
    so; `refusal` why it is not explained. `channel`: the input map shown; `channels`: the input
    maps that add most, each with its sum.
    """

    value: int
    index: list[int]
    step: int | None
    family: str
    recorded: float
    total: float
    bound: float
    rule: str
    formula: str
    note: str
    refusal: str
    channel: int | None
    channels: list[tuple[int, float]]
    seats: list[SeatRow]
    numbers: Singles | Doubles
    others: bool
    detail: BenchDetail
    explained: Explained | None


def bench_of(
    recording: Recording,
    value: Value,
    index: tuple[int, ...],
    channel: int | None = None,
    standing: Standing | None = None,
    beside: Recording | None = None,
) -> BenchAnswer:
    """Return the bench of one number.

    Args:
        recording: the recording that the value belongs to.
        value: any value of it.
        index: where the number stands in the value.
        channel: the input map of a convolution to show; the one that adds most for None, and for
            a map that the convolution does not read here.
        standing: how the score of a class stands at its pixel, where the number is one.
        beside: another recording, whose maps are laid beside these.
    """
    try:
        found = explain_value(recording, value.id, index)
    except SENTENCES as error:
        return _refused(recording, value, index, str(error) or type(error).__name__)
    family, seats, note = _laid(recording, found, channel)
    if beside is not None:
        lay_beside(seats, beside)
    return {
        "value": value.id,
        "index": list(index),
        "step": None if found.step is None else found.step.index,
        "family": family,
        "recorded": found.recorded,
        "total": found.total,
        "bound": found.bound,
        "rule": found.rule,
        "formula": found.formula,
        "note": "; ".join(filter(None, (found.note, note))),
        "refusal": "",
        "channel": seats.channel,
        "channels": seats.channels,
        "seats": seats.rows,
        "numbers": seats.numbers,
        "others": seats.others,
        "detail": seats.detail,
        "explained": explained(recording, found, standing),
    }


def _laid(recording: Recording, found: Explanation, channel: int | None) -> tuple[str, Seats, str]:
    """Return the family of a number, its seats, and why they are not those of its step."""
    if found.step is None:
        return "other", _alone(recording, found.value, found.index), ""
    kind, given = bound(recording, found.step)
    number = Benched(recording, found, kind, given, channel)
    family, note = family_of(kind, found.step), ""
    for name in dict.fromkeys((family, "other")):
        seats = Seats()
        try:
            FAMILIES[name](number, seats)
            return name, seats, note
        except Unseated as error:
            note = str(error)
    return "other", Seats(), note


def _alone(recording: Recording, value: Value, index: tuple[int, ...]) -> Seats:
    """Return the seat of the map on which a number stands, if it can be shown."""
    seats = Seats()
    try:
        lead = index[: len(index) - places_of(recording, value)]
        seats.map("out", value, lead)
    except SENTENCES:  # too large, or not numbers that can be read one by one
        return Seats()
    return seats


def _refused(
    recording: Recording, value: Value, index: tuple[int, ...], refusal: str
) -> BenchAnswer:
    """Return the bench of a number that cannot be explained: the map on which it stands."""
    seats = Seats()
    if not (value.opaque or value.stale or value.dtype.is_complex):
        seats = _alone(recording, value, index)
    recorded = float(value.tensor[index]) if seats.rows else math.nan
    return {
        "value": value.id,
        "index": list(index),
        "step": value.step if value.step >= 0 else None,
        "family": "other",
        "recorded": recorded,
        "total": recorded,
        "bound": 0.0,
        "rule": "",
        "formula": "",
        "note": "",
        "refusal": refusal,
        "channel": None,
        "channels": [],
        "seats": seats.rows,
        "numbers": seats.numbers,
        "others": False,
        "detail": {},
        "explained": None,
    }
