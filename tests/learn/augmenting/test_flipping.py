"""Mirrors and quarter turns are torchvision's, for pictures, masks and boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from convlens.learn.augmenting.flipping import Flip, Mirror, QuarterTurn
from convlens.learn.data.samples import Labelled
from tests.cases.figures_of_samples import box_in, ellipse, figures, photograph
from tests.oracles.torchvision_networks import torchvision

MASKS = torch.stack([ellipse(40, 56, (14, 20), (9, 13)), ellipse(40, 56, (40, 9), (12, 6))])
NOW = np.array([0.0])


@pytest.mark.parametrize(("augmentation", "name"), [(Mirror(), "hflip"), (Flip(), "vflip")])
def test_flips_are_torchvisions(augmentation: Mirror | Flip, name: str) -> None:
    torchvision()
    from torchvision import tv_tensors
    from torchvision.transforms.v2 import functional as tv

    function: Any = getattr(tv, f"horizontal_{name[1:]}" if name == "hflip" else "vertical_flip")
    sample = figures(MASKS, picture=photograph())
    found = augmentation.apply(sample, NOW, 1.0)
    boxes = tv_tensors.BoundingBoxes(sample.boxes, format="XYXY", canvas_size=(40, 56))
    assert torch.equal(found.picture, function(sample.picture))
    assert found.masks is not None
    assert torch.equal(found.masks, function(tv_tensors.Mask(MASKS)).as_subclass(torch.Tensor))
    assert torch.equal(found.boxes, function(boxes).as_subclass(torch.Tensor))
    assert not torch.equal(found.boxes, sample.boxes)
    assert torch.equal(found.area, sample.area)
    twice = augmentation.apply(found, NOW, 1.0)
    assert torch.equal(twice.picture, sample.picture)
    assert torch.equal(twice.boxes, sample.boxes)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_are_exact(turns: int) -> None:
    sample = figures(MASKS, picture=photograph(), points=torch.tensor([[[14.0, 20, 2]]] * 2))
    numbers = np.array([(turns - 0.5) / 3 * 0.75])
    found = QuarterTurn().apply(sample, numbers, 1.0)
    assert torch.equal(
        found.picture, torch.from_numpy(np.rot90(sample.picture, turns, (1, 2)).copy())
    )
    assert found.masks is not None
    assert torch.equal(found.masks, torch.from_numpy(np.rot90(MASKS, turns, (1, 2)).copy()))
    assert torch.equal(found.boxes, torch.stack([box_in(mask) for mask in found.masks]))
    assert found.points is not None
    x, y = {1: (20, 56 - 14), 2: (56 - 14, 40 - 20), 3: (40 - 20, 14)}[turns]
    assert found.points[0, 0].tolist() == [x, y, 2]


def test_chance_grows_with_strength() -> None:
    sample = Labelled("a", photograph(), 0)
    for augmentation in (Mirror(), Flip(), QuarterTurn(chance=0.5)):
        assert augmentation.apply(sample, np.array([0.3]), 0.5) is sample
        assert augmentation.apply(sample, np.array([0.3]), 1.0) is not sample


def test_boxes_and_points_are_mirrored_at_edges_not_at_middles() -> None:
    """The first pixel is 0, 0, 1, 1; its mirror is the last pixel of the row."""
    masks = torch.zeros(1, 4, 6, dtype=torch.bool)
    masks[0, 0, 0] = True
    points = torch.tensor([[[0.5, 0.5, 2], [2, 1, 1]]])
    found = Mirror().apply(figures(masks, points=points, pairs=()), NOW, 1.0)
    assert found.boxes.tolist() == [[5, 0, 6, 1]]
    assert found.points is not None
    assert found.points.tolist() == [[[5.5, 0.5, 2], [4, 1, 1]]]


def test_pictures_that_are_not_square_cannot_be_turned_in_a_batch() -> None:
    assert QuarterTurn().many(torch.zeros(2, 1, 4, 6), np.array([[0.1], [0.9]]), 1.0) is None
