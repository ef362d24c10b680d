"""Find the names that change places in a mirror, such as "left eye" and "right eye"."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["mirrored"]

_SIDES = (
    ("left", "right"),
    ("anticlockwise", "clockwise"),
    ("counterclockwise", "clockwise"),
    ("counter-clockwise", "clockwise"),
)


def mirrored(names: Sequence[str]) -> tuple[tuple[int, int], ...] | None:
    """Return the pairs of places whose names differ by left and right, or by clockwise or not.

    None if no name has a side, or one with a side lacks its other: the names do not say.

    >>> mirrored(["nose", "left_eye", "right_eye"]), mirrored(["nose", "tail"])
    (((1, 2),), None)
    >>> mirrored(["turning clockwise", "turning anticlockwise"]), mirrored(["left_eye"])
    (((0, 1),), None)
    """
    places = {name.casefold(): place for place, name in enumerate(names)}
    pairs = set()
    for name, place in places.items():
        others = [other for other in _others(name) if other in places]
        if others:
            pairs.add((min(place, places[others[0]]), max(place, places[others[0]])))
        elif _others(name):
            return None
    return tuple(sorted(pairs)) or None


def _others(name: str) -> list[str]:
    """Return what the mirror image of a thing of this name may be called."""
    found = []
    for one, other in _SIDES:
        for this, that in ((one, other), (other, one)):
            # "brightness" has no side, and "anticlockwise" contains "clockwise".
            changed = re.sub(rf"(?<![a-z]){re.escape(this)}(?![a-z])", that, name)
            if changed != name and not (this == "clockwise" and "counter-clockwise" in name):
                found.append(changed)
    return found
