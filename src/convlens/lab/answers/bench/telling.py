"""Seat the maps around a number whose explanation says all: choices, attention, any other step."""

from __future__ import annotations

import numpy as np

from convlens.lab.answers.bench.seats import Benched, Seats, places_of
from convlens.lens.terms import unravel


def told(number: Benched, seats: Seats) -> None:
    """Seat the map that holds the term with most weight, and that of the number."""
    terms = number.explanation.terms
    if len(terms):
        sizes = np.abs(terms.weight if number.explanation.rule == "chosen" else terms.product)
        strongest = int(np.nan_to_num(sizes, nan=-1).argmax())
        if terms.source[strongest] >= 0:
            source = number.recording.values[int(terms.source[strongest])]
            at = unravel(int(terms.position[strongest]), source.shape)
            lead = at[: len(at) - places_of(number.recording, source)]
            seats.map("in", source, lead)
    seats.map("out", number.value, number.lead)
