"""Targets that lack what a head learns, or are malformed, are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from convlens.zoo.detection import Detector, detector
from convlens.zoo.detection.heads import BoxHead, BoxPredictor
from tests.cases.compared_detectors import images, ours, targets, training


@pytest.mark.parametrize("name", ["maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn"])
def test_without_a_true_box_masks_and_keypoints_lose_nothing(name: str) -> None:
    network = ours(name).train()
    none = {key: part[:0] for key, part in targets(2)[0].items()}
    losses = network(images()[:1], [none])
    assert losses["loss_mask" if name.startswith("mask") else "loss_keypoint"] == 0


def test_another_predictor_is_used_in_its_place(network: Detector) -> None:
    network = training(network)
    network.roi_heads.box_predictor = BoxPredictor(3)
    network.roi_heads.heads = (BoxHead(3, score_thresh=0.0),)
    with torch.no_grad():
        found = network.eval()(images())
    assert {*found[0]["labels"].tolist()} <= {1, 2}


def spoiled(**parts: Tensor | None) -> list[dict[str, Tensor]]:
    target = {**targets(2)[1], **parts}
    return [{key: part for key, part in target.items() if part is not None}]


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        (None, ValueError, r"`targets` \(=None\) must hold one dict for each of the 1 pictures"),
        ([], ValueError, r"`targets` \(=0\) must hold one dict"),
        (spoiled(boxes=None), ValueError, r"`boxes` \(=None\) of a target must be \(m, 4\)"),
        (spoiled(boxes=torch.zeros(4)), ValueError, r"`boxes` \(=\(4,\)\) of a target must be"),
        (
            spoiled(boxes=torch.tensor([[0, 0, 4, 4]] * 2)),
            TypeError,
            r"`boxes` \(=torch.int64\) of a target must be floats",
        ),
        (
            spoiled(boxes=torch.tensor([[0.0, 0, 4, 4], [5, 5, 5, 9]])),
            ValueError,
            r"`boxes` \(=\[5.0, 5.0, 5.0, 9.0\]\) of a target must have x1 < x2",
        ),
        *(
            (
                spoiled(boxes=torch.tensor([[0.0, 0.0, 4.0, 4.0], box])),
                ValueError,
                r"`boxes` \(=.*\) of a target must have finite sides and area",
            )
            for box in (
                [0.0, 0.0, torch.inf, 4.0],
                [-torch.inf, 0.0, 4.0, 4.0],
                [0.0, torch.nan, 4.0, 4.0],
                [-3e38, 0.0, 3e38, 4.0],
                [0.0, 0.0, 1e20, 1e20],
            )
        ),
        (spoiled(labels=None), ValueError, r"`labels` \(=None\) of a target must be int64"),
        (
            spoiled(labels=torch.ones(2)),
            ValueError,
            r"`labels` \(=\(2,\), torch.float32\) of a target must be int64",
        ),
        (
            spoiled(labels=torch.tensor([1, 91])),
            ValueError,
            r"`labels` \(=91\) of a target must be 1 to 90",
        ),
        (
            spoiled(labels=torch.tensor([1, 0])),
            ValueError,
            r"`labels` \(=0\) of a target must be 1 to 90",
        ),
    ],
)
def test_other_targets_are_refused(
    network: Detector, given: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        training(network)(images()[:1], given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "part", "said"),
    [
        ("maskrcnn_resnet50_fpn", "masks", r"\(m, h, w\), here \(2, 194, 66\)"),
        ("keypointrcnn_resnet50_fpn", "keypoints", r"\(m, 17, 3\), here \(2, 17, 3\)"),
    ],
)
def test_targets_lacking_what_a_head_learns_are_refused(name: str, part: str, said: str) -> None:
    with torch.device("meta"):
        network: nn.Module = detector(name)
    for given in (None, torch.zeros(2, 3, 3)):
        with pytest.raises(ValueError, match=rf"`{part}` \(=.*\) of a target must be {said}"):
            network(images()[1:], spoiled(**{part: given}))
