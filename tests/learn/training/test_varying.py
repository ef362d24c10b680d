"""Samples of an epoch are moved, brought to the size of the input, and then painted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlens.learn.augmenting.applying import augment
from convlens.learn.augmenting.colouring import Colour
from convlens.learn.augmenting.cutting import Crop
from convlens.learn.augmenting.flipping import Mirror
from convlens.learn.augmenting.painting import Photometric
from convlens.learn.data.samples import Labelled, Mapped
from convlens.learn.preparing import Preparation
from convlens.learn.tasks import TASKS
from convlens.learn.tasks.fitting import fitted
from convlens.learn.training.varying import Variation

PREPARATION = Preparation(size=32, crop=24)
CLASSES, MAPS = TASKS["classification"], TASKS["semantic segmentation"]


def photograph(h: int = 60, w: int = 80) -> Labelled:
    across = torch.arange(w).expand(3, h, w).to(torch.uint8)
    return Labelled("photograph", across.contiguous(), 0)


@dataclass(frozen=True)
class Watching(Photometric):
    """An augmentation that changes nothing and keeps the sizes that it saw."""

    sizes: list[tuple[int, ...]] = field(default_factory=list)

    name = "watching"
    says = "watch"
    draws = 1

    def paint(self, pictures: Tensor, numbers: NDArray[np.float64], strength: float) -> Tensor:
        self.sizes.append(tuple(pictures.shape[-2:]))
        return pictures


def varied(sample: Any, *augmentations: Any, strength: float = 1.0, **others: Any) -> Any:
    task = others.get("task", CLASSES)
    variation = Variation.of(task, PREPARATION, augmentations, strength)
    return variation.varied(sample, 0, 1, 7)


def test_values_are_changed_at_the_size_of_the_input() -> None:
    watching = Watching()
    varied(photograph(), Mirror(), watching)
    assert watching.sizes == [(24, 24)]


def test_values_that_come_before_a_move_are_changed_before_it() -> None:
    watching = Watching()
    varied(photograph(), watching, Mirror())
    assert watching.sizes == [(60, 80)]


def test_a_crop_is_scaled_once_to_what_the_network_reads() -> None:
    found = varied(photograph(), Crop(area=0.5), Colour())
    cut = augment(photograph(), (Crop(area=0.5, size=(24, 24)),), 0, 1, 7, 1.0)
    expected = augment(cut, (Colour(),), 0, 1, 7, 1.0)
    assert torch.equal(found.picture, expected.picture)


def test_without_a_crop_the_picture_is_cut_as_for_a_prediction() -> None:
    found = varied(photograph(), Mirror(chance=1.0))
    expected = fitted(photograph().picture.flip(-1), PREPARATION)
    assert torch.equal(found.picture, expected)


def test_at_a_strength_of_0_a_picture_is_that_of_a_prediction() -> None:
    found = varied(photograph(), Mirror(), Crop(), Colour(), strength=0.0)
    assert torch.equal(found.picture, fitted(photograph().picture, PREPARATION))


def test_a_map_is_cut_where_its_picture_is() -> None:
    """The map says in which half a pixel is, and so does the picture's grey."""
    photo = photograph()
    halves = Mapped("a", photo.picture, (photo.picture[0] >= 40).to(torch.uint8))
    found = varied(halves, Crop(area=0.3), task=MAPS)
    assert tuple(found.picture.shape[-2:]) == tuple(found.map.shape) == (24, 24)
    far = (found.picture[0].float() - 39.5).abs() > 3
    assert torch.equal((found.picture[0] >= 40)[far], found.map.bool()[far])
    assert 0 < found.map.float().mean() < 1


def test_ink_is_cut_as_its_preparation_cuts_it() -> None:
    """A handwritten digit is found in the picture; a crop must not take its place."""
    ink = replace(PREPARATION, size=8, crop=True, channels=1, ink=True)
    variation = Variation.of(CLASSES, ink, (Crop(), Mirror()), 1.0)
    assert variation.preparation == ink
    assert variation.moving == (Crop(), Mirror())
