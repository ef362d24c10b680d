"""Boxes: fast against the slow definition, and both against cases worked by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from convlens.zoo.detection.boxes import (
    batched_nms,
    box_area,
    box_iou,
    clip_boxes_to_image,
    decode_boxes,
    encode_boxes,
    nms,
    remove_small_boxes,
)
from tests.cases.boxes import crowded, lattice, scattered

# The definition: one box at a time


def suppress(boxes: Tensor, scores: Tensor, threshold: float) -> list[int]:
    """Take the best box, drop those that overlap it by more than the threshold, go on."""
    left = scores.sort(descending=True, stable=True).indices.tolist()
    kept = []
    while left:
        best, *left = left
        kept.append(best)
        overlaps = iou(boxes[best], boxes[left]) if left else boxes.new_zeros(0)
        passing = (overlaps > threshold).tolist()
        left = [box for box, much in zip(left, passing, strict=True) if not much]
    return kept


def iou(box: Tensor, boxes: Tensor) -> Tensor:
    x1, y1, x2, y2 = boxes.unbind(1)
    wide = (torch.minimum(box[2], x2) - torch.maximum(box[0], x1)).clamp(min=0)
    tall = (torch.minimum(box[3], y2) - torch.maximum(box[1], y1)).clamp(min=0)
    common = wide * tall
    own = (box[2] - box[0]) * (box[3] - box[1])
    result: Tensor = common / (own + (x2 - x1) * (y2 - y1) - common)
    return result


# Cases


BOXES = {
    "scattered": scattered(700),
    "in double": scattered(500, kind=torch.float64),
    "crowded": crowded(700),
    "a lattice": lattice(700),
    "a chain": torch.arange(600.0)[:, None] * 3 + torch.tensor([0.0, 0.0, 10.0, 10.0]),
    "far apart": scattered(300) + torch.arange(300)[:, None] % 3 * 3e5,
    "one": scattered(1),
    "none": scattered(0),
    "the same": scattered(1).repeat(50, 1),
    "flat, reversed and endless": torch.tensor(
        [
            *([0, 0, 4, 4], [0, 0, 4, 4.1], [2, 2, 2, 5], [3, 3, 1, 1], [0, 4, 4, 0]),
            *([0, 0, math.inf, 4], [0, 0, math.nan, 4], [-math.inf, 0, 3, 3], [0, 0, 4.1, 4]),
        ]
    ),
}


@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("name", BOXES)
def test_suppression_keeps_what_its_definition_keeps(name: str, threshold: float) -> None:
    boxes = BOXES[name]
    scores = torch.rand(len(boxes), generator=torch.Generator().manual_seed(3))
    kept = nms(boxes, scores, threshold)
    assert kept.dtype == torch.int64
    assert kept.tolist() == suppress(boxes, scores, threshold)


def test_the_definition_of_suppression_can_fail() -> None:
    boxes, scores = BOXES["crowded"], torch.rand(700, generator=torch.Generator().manual_seed(3))
    kept = nms(boxes, scores, 0.5).tolist()
    assert kept != suppress(boxes, scores, 0.45)
    assert kept != suppress(boxes, -scores, 0.5)


def test_suppression_in_bounded_memory_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes, scores = BOXES["crowded"], torch.arange(700.0)
    kept = nms(boxes, scores, 0.3)
    monkeypatch.setattr("convlens.zoo.detection.boxes._Index.MOST_PAIRS", 100)
    assert torch.equal(nms(boxes, scores, 0.3), kept)


def test_suppression_by_hand() -> None:
    # The second overlaps the first by 1/3, the third by 1/7 and the second by 3/5.
    boxes = torch.tensor([[0.0, 0, 4, 4], [2, 0, 6, 4], [3, 0, 7, 4]])
    scores = torch.tensor([0.9, 0.8, 0.7])
    torch.testing.assert_close(
        box_iou(boxes, boxes), torch.tensor([[1, 1 / 3, 1 / 7], [1 / 3, 1, 0.6], [1 / 7, 0.6, 1]])
    )
    assert nms(boxes, scores, 0.5).tolist() == [0, 1]
    assert nms(boxes, scores, 0.3).tolist() == [0, 2]
    assert nms(boxes, scores, 0.1).tolist() == [0]
    assert nms(boxes, -scores, 0.5).tolist() == [2, 0]
    # An overlap of exactly the threshold is not more than it; of equal scores the first wins.
    halves = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 2]])
    assert nms(halves, torch.tensor([1.0, 1.0]), 0.5).tolist() == [0, 1]
    assert nms(halves, torch.tensor([1.0, 1.0]), 0.49).tolist() == [0]
    with pytest.raises(ValueError, match=r"`iou_threshold` \(=1\.5\) must be 0 to 1"):
        nms(boxes, scores, 1.5)


@pytest.mark.parametrize("n", [0, 900, 1500])
def test_groups_do_not_suppress_each_other(n: int) -> None:
    boxes, groups = crowded(n), torch.arange(n) % 5
    scores = torch.rand(n, generator=torch.Generator().manual_seed(4))
    kept = batched_nms(boxes, scores, groups, 0.5)
    each = [torch.where(groups == group)[0] for group in range(5)]
    wanted = [
        index for own in each for index in own[suppress(boxes[own], scores[own], 0.5)].tolist()
    ]
    assert sorted(kept.tolist()) == sorted(wanted)
    assert torch.equal(scores[kept], scores[kept].sort(descending=True).values)
    if n:
        assert len(kept) > len(nms(boxes, scores, 0.5))  # able to fail: as if of one group


def test_clipping_small_boxes_and_areas() -> None:
    boxes = torch.tensor([[-3.0, -2, 5, 4], [1, 1, 20, 1.5], [30, 30, 40, 40]])
    inside = clip_boxes_to_image(boxes, (8, 10))
    assert inside.tolist() == [[0, 0, 5, 4], [1, 1, 10, 1.5], [10, 8, 10, 8]]
    assert box_area(inside).tolist() == [20, 4.5, 0]
    assert remove_small_boxes(inside, 0.5).tolist() == [0, 1]
    assert remove_small_boxes(inside, 0.6).tolist() == [0]


def test_codes_give_their_boxes_back() -> None:
    boxes, at = scattered(50, kind=torch.float64), scattered(50, 9, torch.float64)
    weights = (10.0, 10.0, 5.0, 5.0)
    codes = encode_boxes(boxes, at, weights)
    torch.testing.assert_close(decode_boxes(codes, at, weights)[:, 0], boxes)
    # By hand: moved by a tenth of 20 and of 10 pixels, twice as wide, half as high.
    code = torch.tensor([[1.0, -1.0, 5 * math.log(2), -5 * math.log(2)]])
    box = decode_boxes(code, torch.tensor([[0.0, 0, 20, 10]]), weights)
    torch.testing.assert_close(box, torch.tensor([[[-8.0, 1.5, 32, 6.5]]]))
    huge = decode_boxes(torch.tensor([[0.0, 0, 100, 0]]), torch.tensor([[0.0, 0, 2, 2]]), weights)
    assert (huge[0, 0, 2] - huge[0, 0, 0]).item() == pytest.approx(125)
