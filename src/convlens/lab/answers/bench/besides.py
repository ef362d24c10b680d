"""Lay the maps of another recording beside those on the bench, to show what differs."""

from __future__ import annotations

from convlens.lab.answers.bench.seats import SeatRow, Seats
from convlens.lens import Recording

ROLES = {"out": "real", "in": "real_in"}
"""The seats that have one beside them, and its role."""


def lay_beside(seats: Seats, other: Recording) -> None:
    """Lay the same maps of another recording, where it has them in the same size."""
    for row in [*seats.rows]:
        if row["role"] in ROLES and row["value"] is not None:
            _lay(seats, row, row["value"], other)


def _lay(seats: Seats, row: SeatRow, id: int, other: Recording) -> None:
    if id >= len(other.values) or other.values[id].opaque:
        return
    part = other.values[id].tensor[tuple(row["at"])]
    shape = tuple(row["shape"])
    if part.shape != shape and part.dim() == len(shape) and part.shape[1:] == shape[1:]:
        part = part.narrow(0, seats.detail.get("first", 0), shape[0])
    if part.shape == shape:
        seats.add(ROLES[row["role"]], part, id, row["at"])
