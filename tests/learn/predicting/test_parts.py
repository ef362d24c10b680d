"""What heads add to a box is kept by its form, under the name that its head gives it."""

from __future__ import annotations

import numpy as np
import pytest

from convlens.learn.data.run_lengths import RunLengths
from convlens.learn.predicting.parts import PARTS, Points
from convlens.learn.predicting.predictions import Prediction, fields_of
from convlens.zoo.building import built_on_meta
from convlens.zoo.detection import DETECTORS

MASKS = RunLengths.of(np.eye(4, dtype=bool)[None])
POINTS = Points(np.ones((1, 2, 3), np.float32), np.ones((1, 2), np.float32))


@pytest.mark.parametrize("name", DETECTORS)
def test_no_heads_part_is_left_out(name: str) -> None:
    for head in built_on_meta(name).roi_heads.heads:  # type: ignore[union-attr]
        assert head.part is None or PARTS[head.part.name] is head.part


def test_the_fields_of_parts_give_the_parts_back() -> None:
    parts: dict[str, RunLengths | Points] = {
        "masks": MASKS,
        "keypoints": POINTS,
        "shadows": MASKS,
        "corners": POINTS,
    }
    prediction = Prediction("a", 4, 4, np.array([1]), np.ones(1, np.float32), **fields_of(parts))
    assert prediction.parts.keys() == parts.keys()
    for name, part in prediction.parts.items():
        if isinstance(part, RunLengths):
            assert part is MASKS, name
        else:
            assert (part.places is POINTS.places, part.scores is POINTS.scores) == (True, True)
    assert prediction.changed(error="no").parts["masks"] is MASKS


def test_an_error_in_place_of_boxes_leaves_no_part() -> None:
    parts: dict[str, RunLengths | Points] = {"masks": MASKS, "keypoints": POINTS, "shadows": MASKS}
    boxes = np.ones((1, 4), np.float32)
    found = Prediction("a", 4, 4, np.array([1]), np.ones(1, np.float32), boxes, **fields_of(parts))
    empty = found.without_boxes("lost")
    assert (empty.error, empty.boxes, empty.parts) == ("lost", None, {})
