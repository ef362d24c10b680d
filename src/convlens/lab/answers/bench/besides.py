"""Lay the maps of another recording beside those on the bench, to show what differs."""

from __future__ import annotations

from convlens.lab.answers.bench.seats import Seats
from convlens.lens import Recording

ROLES = {"out": "real", "in": "real_in"}
"""The seats that have one beside them, and its role."""


def lay_beside(seats: Seats, other: Recording) -> None:
    """Lay the same parts of another recording's values, where it has them in the same size."""
    for row, cut in [*seats.cuts]:
        id = row["value"]
        if row["role"] not in ROLES or id is None or id >= len(other.values):
            continue
        if other.values[id].opaque:
            continue
        try:
            part = cut(other.values[id].tensor)
        except (IndexError, RuntimeError):  # the value has other axes there
            continue
        if list(part.shape) == row["shape"]:
            seats.add(ROLES[row["role"]], part, id, row["at"])
