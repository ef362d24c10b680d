"""Rotations, shears and their mixture are torchvision's, for pictures, masks and boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from convlens.learn.augmenting.turning import Affine, Rotate, Shear
from convlens.learn.data.samples import Labelled, Mapped
from tests.cases.figures_of_samples import ellipse, figures, photograph
from tests.oracles.torchvision_networks import torchvision

MASKS = torch.stack([ellipse(40, 56, (20, 20), (9, 13)), ellipse(40, 56, (34, 16), (12, 6))])


@pytest.mark.parametrize("degrees", [-15.0, 4.0, 12.5])
def test_rotations_are_torchvisions(degrees: float) -> None:
    torchvision()
    from torchvision import tv_tensors
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as tv

    sample, numbers = figures(MASKS, picture=photograph()), np.array([(degrees / 15 + 1) / 2])
    found = Rotate().apply(sample, numbers, 1.0)
    # torchvision turns the other way: y points up for it.
    wanted = tv.rotate(sample.picture, -degrees, InterpolationMode.BILINEAR)
    assert (found.picture.int() - wanted.int()).abs().max() <= 1
    other = tv.rotate(sample.picture, degrees, InterpolationMode.BILINEAR)
    assert (found.picture.int() - other.int()).abs().max() > 50
    masks = tv.rotate(tv_tensors.Mask(MASKS), -degrees).as_subclass(torch.Tensor)
    assert found.masks is not None
    assert (found.masks != masks).float().mean() < 0.001  # ties
    boxes = tv_tensors.BoundingBoxes(sample.boxes, format="XYXY", canvas_size=(40, 56))
    turned = tv.rotate(boxes, -degrees).as_subclass(torch.Tensor)
    by_corners = Rotate().apply(figures(MASKS, has_masks=False), numbers, 1.0).boxes
    torch.testing.assert_close(by_corners, turned, atol=0.01, rtol=0)
    # With masks, boxes are tighter.
    assert (found.boxes[:, :2] >= turned[:, :2] - 0.5).all()
    assert (found.boxes[:, 2:] <= turned[:, 2:] + 0.5).all()


def test_the_ground_is_torchvisions_but_for_the_rim() -> None:
    """On the rim torchvision mixes with black first, and then with the ground: a dark line."""
    torchvision()
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as tv

    white = Labelled("a", torch.full((1, 40, 56), 200, dtype=torch.uint8), 0)
    found = Rotate(fill=30).apply(white, np.array([0.9]), 1.0).picture.int()
    wanted = tv.rotate(white.picture, -12.0, InterpolationMode.BILINEAR, fill=[30.0]).int()
    rim = (found != 30) & (found != 200)
    assert torch.equal(found[~rim], wanted[~rim])
    assert (found[rim] >= wanted[rim]).all()
    assert 0 < rim.float().mean() < 0.15
    assert ((found >= 30) & (found <= 200)).all()


@pytest.mark.parametrize("across", [-0.15, 0.1])
def test_shears_are_torchvisions(across: float) -> None:
    torchvision()
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as tv

    sample = Labelled("a", photograph(), 0)
    found = Shear().apply(sample, np.array([(across / 0.15 + 1) / 2, 0.5]), 1.0)
    slant = [-math.degrees(math.atan(across)), 0.0]
    wanted = tv.affine(sample.picture, 0.0, [0, 0], 1.0, slant, InterpolationMode.BILINEAR)
    assert (found.picture.int() - wanted.int()).abs().max() <= 1


def test_a_mixture_is_torchvisions() -> None:
    torchvision()
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as tv

    sample, affine = Labelled("a", photograph(), 0), Affine(wide=0.1, high=0.1, across=2 / 56)
    angle, shear, scale, shift = 8.0, -0.12, 1.07, 2
    parts = [angle / 10, shear / 0.15, (scale - 1) / 0.1, (scale - 1) / 0.1, 1.0, 0.0]
    found = affine.apply(sample, (np.array(parts) + 1) / 2, 1.0)
    slant = [-math.degrees(math.atan(shear)), 0.0]
    wanted = tv.affine(sample.picture, angle, [shift, 0], scale, slant, InterpolationMode.BILINEAR)
    assert (found.picture.int() - wanted.int()).abs().max() <= 1


def test_floats_and_frames_are_warped_as_bytes_are() -> None:
    numbers, picture = np.array([0.1, 0.9, 0.2, 0.7, 0.3, 0.8]), photograph()
    exact = Affine().apply(Labelled("a", picture.float(), 0), numbers, 1.0).picture
    bytes_ = Affine().apply(Labelled("a", picture, 0), numbers, 1.0).picture
    assert exact.dtype == torch.float32
    assert torch.equal(exact.round().to(torch.uint8), bytes_)
    frames = Affine().matrices((40, 56), numbers[None], 1.0)
    move = Affine().move((40, 56), numbers, 1.0)
    assert move is not None
    np.testing.assert_array_equal(move.matrix, frames[0])
    assert torch.equal(move.pixels(torch.stack([picture] * 3))[2], bytes_)


def test_what_turns_in_from_outside_has_no_label() -> None:
    sample = Mapped("a", photograph(), torch.full((40, 56), 3).byte())
    found = Rotate().apply(sample, np.array([1.0]), 1.0)
    assert set(found.map.unique().tolist()) == {3, 255}
    assert found.map[0, 0] == 255


def test_strength_scales_all_amounts() -> None:
    numbers = np.array([[1.0, 1, 1, 1, 1, 1]])
    whole, half = (Affine().matrices((32, 64), numbers, strength)[0] for strength in (1.0, 0.5))
    assert whole @ [32, 16, 1] == pytest.approx([36, 17])
    assert half @ [32, 16, 1] == pytest.approx([34, 16.5])
    assert math.degrees(math.atan2(half[1, 0], half[0, 0])) == pytest.approx(5)
