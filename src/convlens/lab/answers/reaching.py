"""Follow one number through the network: what it is made of in each value, what it reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from convlens.lab.guarding import SENTENCES
from convlens.lens import Recording, Region, reach


class BoxRow(TypedDict):
    """Where in a value a number comes from (`way` is "made"), or what it reaches in it ("feeds").

    `box`: first and one past the last place along each axis. `count`: how many numbers of the box.
    Where it is not `exact`, some of them may have no part in it.
    """

    value: int
    way: str
    box: list[tuple[int, int]]
    count: int
    exact: bool


class ReachAnswer(TypedDict):
    """The way of a number through the network, or the `refusal` that says why it is not known."""

    boxes: list[BoxRow]
    refusal: str


def reach_of(recording: Recording, id: int, index: tuple[int, ...]) -> ReachAnswer:
    """Return for each other value the box that a number is made of, or that it reaches."""
    try:
        found = reach(recording, id, index)
    except SENTENCES as error:
        return {"boxes": [], "refusal": str(error) or type(error).__name__}
    boxes = [*_boxes("made", found.earlier), *_boxes("feeds", found.later)]
    return {"boxes": boxes, "refusal": ""}


def _boxes(way: str, regions: Sequence[Region]) -> list[BoxRow]:
    return [
        {
            "value": region.value.id,
            "way": way,
            "box": [(span.start, span.stop) for span in region.box],
            "count": region.count,
            "exact": not region.upper_bound,
        }
        for region in regions
    ]
