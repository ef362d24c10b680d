"""Detections keep the scores that the detector gave, and lose those that are not finite."""

from __future__ import annotations

import json

import pytest
import torch

from convlens.draw import drawn
from tests.cases.answering import INF, NAN, PICTURE, said


def test_detections_with_scores_above_one_stay_as_they_are() -> None:
    box = torch.tensor([[1.0, 1.0, 5.0, 5.0]])
    found = said(lambda x: [{"boxes": box, "labels": torch.tensor([-1]), "scores": 7 * box[:, 0]}])
    assert str(found).splitlines()[1].startswith("  score 7  -1, x 1 to 5")
    assert drawn(PICTURE, found).size == (260, 208)


def test_all_scores_of_a_detector_say_whether_they_are_probabilities() -> None:
    boxes = torch.tensor([[1.0, 1, 5, 5]]).repeat(2, 1)
    for low, are in ((0.1, True), (-3.0, False)):
        scores = torch.tensor([0.9, low])  # the second is below any threshold
        answer = {"boxes": boxes, "labels": torch.ones(2), "scores": scores}
        found = said(lambda x, answer=answer: [answer])  # type: ignore[misc]
        assert (len(found.labels), found.probabilities) == (1, are)


@pytest.mark.parametrize("part", ["boxes", "scores", "masks", "keypoints", "keypoints_scores"])
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_detections_that_are_not_finite_are_left_out_and_said(part: str, bad: float) -> None:
    if (part, bad) == ("scores", -INF):
        return  # below every threshold
    one = {
        "boxes": torch.tensor([[1.0, 1, 5, 5], [2, 2, 7, 7]]),
        "labels": torch.tensor([1, 2]),
        "scores": torch.tensor([0.9, 0.8]),
        "masks": torch.ones(2, 1, 8, 10),
        "keypoints": torch.ones(2, 3, 3),
        "keypoints_scores": torch.ones(2, 3),
    }
    one[part][0].reshape(-1)[0:1].fill_(bad)
    found = said(lambda x: [one])
    assert found.labels.tolist() == [2]
    assert "no finite numbers for 1 of 2 detections" in found.warnings[0]
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["warnings"]
    assert "  ! the network gave no finite numbers" in str(found)
    one[part][1].reshape(-1)[0:1].fill_(bad)
    assert "for 2 of 2 detections" in str(said(lambda x: [one]).error)
