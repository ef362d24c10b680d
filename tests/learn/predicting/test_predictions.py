"""Predictions print as text, and COCO's tools read them."""

from __future__ import annotations

import json

import pytest

from convlens.learn.predicting.predictions import Prediction
from convlens.learn.predicting.starting import predict
from tests.cases.predicting import Boxes, noise


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_reads_the_results() -> None:
    """COCO's own reader, pycocotools, reads the rows back as what they were made from."""
    from pycocotools import mask as coco_masks
    from pycocotools.coco import COCO

    (found,) = predict(Boxes(), noise(8, 10))
    rows = json.loads(json.dumps(found.to_dict()))["predictions"]
    truth = COCO()
    truth.dataset = {"images": [{"id": 1, "width": 10, "height": 8}], "annotations": []}
    truth.dataset["categories"] = [{"id": n, "name": name} for n, name in enumerate("abc")]
    truth.createIndex()
    read = truth.loadRes([{**row, "image_id": 1} for row in rows])
    assert [row["bbox"] for row in read.anns.values()] == [[0, 0, 10, 2.5], [3, 2, 4, 3]]
    assert found.masks is not None
    for row, mask in zip(rows, found.masks, strict=True):
        assert (coco_masks.decode(row["segmentation"]) == mask).all()
    assert rows[0]["keypoints"] == [6, 7, 8, 9, 10, 11]


def test_predictions_print_as_text() -> None:
    (boxes,) = predict(Boxes(), noise(8, 10))
    assert str(boxes).splitlines() == [
        *("noise-0 (10 x 8)", "   90.0 %  cat, x 0 to 10, y 0 to 2"),
        "   60.0 %  person, x 3 to 7, y 2 to 5",
    ]
    assert str(Prediction("a", 3, 2)) == "a (3 x 2)\n  nothing found"
    clip = Prediction("a", 3, 2, time=1.5, frame=3)
    assert str(clip).startswith("a at 1.50 s (3 x 2)")
