"""Seat what only moves numbers: from view to gather, and values that are joined."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from convlens.lab.answers.bench.seats import Benched, Seats, Unseated, places_of
from convlens.lens import Value
from convlens.lens.kinds.moving import MOVERS, data_of, joined, origins
from convlens.lens.kinds.pointwise import CASTS, cast_source
from convlens.lens.terms import PADDING, ravel, unravel


def moved(number: Benched, seats: Seats) -> None:
    """Seat the map that holds the number, the map of the number, and where its numbers are from.

    Of every number of the map, "origin" is its place on the first, counted in order; -1 for one
    that stands on another map, or was put there.
    """
    step, lead = number.step, number.lead
    if step.op in CASTS:
        _copied(number, seats)
        return
    if step.op not in MOVERS and step.op != "setitem":
        raise Unseated("it reads memory that others wrote")
    seats.map("out", number.value, lead)
    numbers, data = origins(number.given, number.value.slot, lead), data_of(number.given)
    own = int(numbers[number.index[len(lead) :]])
    shown = own or int(numbers[numbers != 0][:1].sum())  # of a constant, any map beside it
    for id, first in data.items():
        source = number.recording.values[id]
        if 0 <= shown - first < math.prod(source.shape):
            _from(number, seats, source, shown - first, numbers - first)
            return
    _from(number, seats, None, 0, numbers)


def _from(
    number: Benched, seats: Seats, source: Value | None, position: int, positions: Tensor
) -> None:
    """Seat the map of a value that holds a position, and the places of others on it."""
    start, size = 0, 0
    if source is not None:
        at = unravel(position, source.shape)
        lead = at[: len(at) - places_of(number.recording, source)]
        size = math.prod(source.shape[len(lead) :])
        start = ravel(lead, source.shape[: len(lead)]) * size
        seats.map("in", source, lead)
    places = positions.numpy() - start
    inside = (places >= 0) & (places < size)
    # A seat has fewer numbers than float32 can count.
    origin = np.where(inside, places, PADDING).astype(np.float32)
    seats.add("origin", torch.from_numpy(origin))


def _copied(number: Benched, seats: Seats) -> None:
    """Seat a value and its copy, place by place."""
    source = number.recording.values[cast_source(number.step)]
    if source.dtype != number.value.dtype:
        raise Unseated(f"it rounds {source.dtype} to {number.value.dtype}")
    shape = number.value.shape
    size = math.prod(shape[len(number.lead) :])
    if source.shape != shape:
        raise Unseated("it repeats what it copies")
    seats.map("in", source, number.lead)
    seats.map("out", number.value, number.lead)
    seats.add("origin", torch.arange(size, dtype=torch.float32).reshape(shape[len(number.lead) :]))


def concatenation(number: Benched, seats: Seats) -> None:
    """Seat the map of the operand that holds the number, and the joined one."""
    ids, dim = joined(number.given)
    at, offset = list(number.index), 0
    for operand, id in enumerate(ids):
        source = number.recording.values[id]
        if at[dim] < source.shape[dim]:
            seats.map("in", source, at[: len(number.lead)])
            seats.detail["operand"] = operand
            break
        at[dim] -= source.shape[dim]
        offset += source.shape[dim]
    seats.map("out", number.value, number.lead)
    seats.detail["offset"], seats.detail["dim"] = offset, dim
