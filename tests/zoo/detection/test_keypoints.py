"""Points are the peaks of their maps, as torchvision finds them."""

from __future__ import annotations

import pytest
import torch

from convlens.zoo.detection.keypoints import KeypointHead, cells_of_points, points_of_maps
from tests.cases.boxes import scattered
from tests.oracles.torchvision_networks import torchvision


def test_peaks_of_maps_are_torchvisions() -> None:
    torchvision()
    from torchvision.models.detection.roi_heads import heatmaps_to_keypoints, keypoints_to_heatmap

    maps = torch.randn(10, 17, 56, 56, generator=torch.Generator().manual_seed(8))
    boxes = scattered(10)
    found, theirs = points_of_maps(maps, boxes), heatmaps_to_keypoints(maps, boxes)
    assert torch.equal(found[0], theirs[0])
    assert torch.equal(found[1], theirs[1])
    assert not torch.equal(found[0], heatmaps_to_keypoints(maps, boxes + 1)[0])
    # And back: the cell of each point; some unseen, some outside, some on the far edges.
    points = found[0].clone()
    points[0, :9, 2] = 0
    points[1, :5] += 300
    points[2, :4, :2] = boxes[2, 2:]
    cells, valid = keypoints_to_heatmap(points, boxes, 56)
    assert 10 < int((valid == 0).sum()) < 100
    assert torch.equal(cells_of_points(points, boxes, 56), torch.where(valid > 0, cells, -1))


def test_keypoints_that_are_nowhere_are_refused() -> None:
    head, boxes = KeypointHead(), torch.zeros(1, 4)
    points = torch.ones(1, 17, 3)
    head.check({"boxes": boxes, "keypoints": points}, (8, 8))
    points[0, 3, 0] = torch.nan
    with pytest.raises(ValueError, match="`keypoints` of a target must be finite"):
        head.check({"boxes": boxes, "keypoints": points}, (8, 8))
