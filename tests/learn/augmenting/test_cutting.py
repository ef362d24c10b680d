"""Crops, shifts and smaller pictures are torchvision's, for pictures, masks and boxes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convlens.learn.augmenting.cutting import Crop, Translate, ZoomOut
from convlens.learn.augmenting.numbers import draws
from convlens.learn.data.samples import Labelled, Mapped
from tests.cases.figures_of_samples import ellipse, figures, photograph
from tests.oracles.torchvision_networks import torchvision

MASKS = torch.stack([ellipse(40, 56, (25, 20), (9, 13)), ellipse(40, 56, (30, 16), (12, 6))])


def cut_of(crop: Crop, numbers: np.ndarray, strength: float) -> tuple[int, int, int, int]:
    """Top, left, height and width of a cut of 40 x 56, read from its map."""
    move = crop.move((40, 56), numbers, strength)
    assert move is not None
    across, down = move.matrix[0, 0], move.matrix[1, 1]
    high, wide = move.size[0] / down, move.size[1] / across
    cut = (-move.matrix[1, 2] / down, -move.matrix[0, 2] / across, high, wide)
    assert np.allclose(cut, np.round(cut))
    return tuple(round(part) for part in cut)


@pytest.mark.parametrize("size", [None, (32, 32), (90, 20)])
def test_crops_are_torchvisions(size: tuple[int, int] | None) -> None:
    torchvision()
    from torchvision import tv_tensors
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as tv

    crop, sample = Crop(size=size, visible=0), figures(MASKS, picture=photograph())
    without = figures(MASKS, picture=photograph(), has_masks=False)
    for numbers in draws(0, 0, np.arange(8), 4):
        cut, to = cut_of(crop, numbers, 1.0), list(size or (40, 56))
        found = crop.apply(sample, numbers, 1.0)
        wanted = tv.resized_crop(sample.picture, *cut, to, antialias=True)
        assert (found.picture.int() - wanted.int()).abs().max() <= 1
        # torchvision's "nearest" takes the pixel at the corner, its "nearest exact" the middle.
        part = tv.crop(MASKS.byte(), *cut)
        masks = tv.resize(part, to, InterpolationMode.NEAREST_EXACT).bool()
        kept = masks.any((1, 2))
        assert found.masks is not None
        assert torch.equal(found.masks, masks[kept])
        boxes = tv_tensors.BoundingBoxes(sample.boxes, format="XYXY", canvas_size=(40, 56))
        cropped = tv.resized_crop(boxes, *cut, to).as_subclass(torch.Tensor)
        moved = crop.apply(without, numbers, 1.0)
        shows = (cropped[:, 2:] > cropped[:, :2]).all(1)
        torch.testing.assert_close(moved.boxes, cropped[shows], atol=1e-3, rtol=0)


def test_crops_keep_within_their_limits() -> None:
    shares, ratios = [], []
    for numbers in draws(1, 0, np.arange(300), 4):
        move = Crop().move((100, 100), numbers, 1.0)
        if move is not None:
            across, down = move.matrix[0, 0], move.matrix[1, 1]
            shares.append(1 / (across * down))
            ratios.append(down / across)
    assert 0.34 < min(shares) < 0.37
    assert max(shares) > 0.9
    assert 0.73 < min(ratios) < 0.8
    assert 1.25 < max(ratios) < 1.36
    weak = [
        cut_of(Crop(), numbers, 0.1)
        for numbers in draws(1, 0, np.arange(50), 4)
        if Crop().move((40, 56), numbers, 0.1)
    ]
    assert min(high * wide for _, _, high, wide in weak) > 0.9 * 40 * 56
    assert len(weak) > 40


def test_a_whole_cut_is_the_sample_itself() -> None:
    sample = Labelled("a", photograph(), 0)
    assert Crop(ratio=1).apply(sample, np.zeros(4), 1.0) is sample
    assert Translate().apply(sample, np.array([0.5, 0.5]), 1.0) is sample


def test_shifts_are_torchvisions() -> None:
    torchvision()
    from torchvision.transforms.v2 import functional as tv

    sample = figures(MASKS, picture=photograph())
    seen = set()
    for numbers in draws(0, 0, np.arange(60), 2):
        move = Translate(fill=7).move((40, 56), numbers, 1.0)
        if move is None:
            continue
        x, y = (int(v) for v in move.matrix[:, 2])
        seen |= {("x", x), ("y", y)}
        padding = [max(x, 0), max(y, 0), max(-x, 0), max(-y, 0)]
        cut = (max(-y, 0), max(-x, 0), 40, 56)
        wanted = tv.crop(tv.pad(sample.picture, padding, fill=7), *cut)
        found = Translate(fill=7, visible=0).apply(sample, numbers, 1.0)
        assert torch.equal(found.picture, wanted)
        masks = tv.crop(tv.pad(MASKS.byte(), padding), *cut).bool()
        assert found.masks is not None
        assert torch.equal(found.masks, masks[masks.any((1, 2))])
    assert {v for axis, v in seen if axis == "x"} == set(range(-4, 5))
    assert {v for axis, v in seen if axis == "y"} == set(range(-3, 4))


def test_zooming_out_is_torchvisions_scaling_and_padding() -> None:
    torchvision()
    from torchvision.transforms.v2 import functional as tv

    zoom, sample = ZoomOut(chance=1), Mapped("a", photograph(), torch.full((40, 56), 3).byte())
    for numbers in draws(0, 0, np.arange(8), 4):
        move = zoom.move((40, 56), numbers, 1.0)
        assert move is not None
        high, wide = round(move.matrix[1, 1] * 40), round(move.matrix[0, 0] * 56)
        left, top = (int(v) for v in move.matrix[:, 2])
        small = tv.resize(sample.picture, [high, wide], antialias=True)
        around = [left, top, 56 - left - wide, 40 - top - high]
        wanted = tv.pad(small, around, fill=128)
        found = zoom.apply(sample, numbers, 1.0)
        assert (found.picture.int() - wanted.int()).abs().max() <= 1
        labels = tv.pad(torch.full((1, high, wide), 3).byte(), around, fill=255)[0]
        assert torch.equal(found.map, labels)
        assert 0.5 <= wide / 56 <= 1


def test_tiny_pictures_survive() -> None:
    pictures = torch.arange(3, dtype=torch.uint8).reshape(1, 3, 1, 1)
    for augmentation in (Crop(), Translate(most=1), ZoomOut(chance=1), Crop(size=(3, 2))):
        for numbers in draws(0, 0, np.arange(20), 4):
            changed = augmentation.many(pictures, numbers[None, : augmentation.draws], 1.0)
            assert changed is not None
            assert changed.shape[:2] == (1, 3)
