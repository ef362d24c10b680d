"""Labelled samples in a grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from convlens import draw
from convlens.draw.colours import category_colour
from convlens.learn.data.samples import Boxed, ClipSample, Labelled, Mapped, Sample

GREY = torch.full((3, 32, 64), 90, dtype=torch.uint8)


def has(pixels: NDArray[np.uint8], colour: tuple[int, ...]) -> bool:
    return bool((pixels == colour).all(2).any())


def test_boxes_masks_and_points_are_drawn() -> None:
    mask = torch.zeros(1, 32, 64, dtype=torch.bool)
    mask[:, 8:20, 10:30] = True
    sample = Boxed(
        "a.png",
        GREY,
        torch.tensor([[10.0, 8, 30, 20]]),
        torch.tensor([2]),
        torch.tensor([False]),
        torch.tensor([240.0]),
    )
    plain = np.asarray(draw.sheet([sample], ["cat", "dog"]))
    assert plain.shape == (256 + 42, 256, 3)
    assert has(plain, category_colour(2))
    assert not has(plain, category_colour(1))
    assert has(plain, (90, 90, 90))
    points = torch.tensor([[[20.0, 14, 2], [0, 0, 0]]])
    fields = (sample.key, sample.picture, sample.boxes, sample.labels, sample.crowd, sample.area)
    more = np.asarray(draw.sheet([Boxed(*fields, mask, points)], ["cat", "dog"]))
    assert (more != plain).any(2).sum() > 1000


def test_maps_and_classes_are_drawn() -> None:
    numbers = torch.zeros(32, 64, dtype=torch.uint8)
    one = np.asarray(draw.sheet([Mapped("a", GREY, numbers)], ["ground", "road"]))
    numbers[:, 32:] = 1
    other = np.asarray(draw.sheet([Mapped("a", GREY, numbers)], ["ground", "road"]))
    assert (one != other)[:256].any()
    label = np.asarray(draw.sheet([Labelled("a", GREY, 1)], ["ground", "road"]))
    assert has(label[256:], category_colour(1))


def test_many_samples_make_rows() -> None:
    samples: list[Sample] = [Labelled(str(n), GREY[:1], n % 2) for n in range(7)]
    samples.append(ClipSample("clip", GREY[None].repeat(4, 1, 1, 1), 0))
    assert draw.sheet(samples, ["a", "b"]).size == (6 * 256, 2 * 298)
    assert draw.sheet(samples, ["a", "b"], columns=2).size == (2 * 256, 4 * 298)
    with pytest.raises(ValueError, match=r"`samples` \(=\[\]\) must have one"):
        draw.sheet([], [])


def test_large_and_narrow_pictures_fit() -> None:
    wide = Labelled("é" * 300, torch.zeros(3, 5, 3000, dtype=torch.uint8), 9)
    assert draw.sheet([wide], []).size == (256, 298)
