"""Apply several augmentations to a sample or a batch, each with its own random numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlens.learn.augmenting.augmentation import Augmentation, S
from convlens.learn.augmenting.colouring import Colour, Equalize, Grey, Posterize
from convlens.learn.augmenting.cutting import Crop, Translate, ZoomOut
from convlens.learn.augmenting.flipping import Flip, Mirror, QuarterTurn
from convlens.learn.augmenting.numbers import draws, stream
from convlens.learn.augmenting.spoiling import Blur, Erase, Noise
from convlens.learn.augmenting.turning import Affine, Rotate, Shear
from convlens.learn.data.samples import Labelled

__all__ = ["AUGMENTATIONS", "augment", "augment_many", "check_names"]

AUGMENTATIONS: tuple[Augmentation, ...] = (
    *(Mirror(), Flip(), QuarterTurn(), Crop(), Translate(), ZoomOut(), Rotate(), Shear(), Affine()),
    *(Colour(), Grey(), Equalize(), Posterize(), Blur(), Noise(), Erase()),
)
"""All of them, as they are by default."""


def augment(
    sample: S,
    augmentations: Sequence[Augmentation],
    seed: int,
    epoch: int,
    index: int,
    strength: float,
) -> S:
    """Return a sample changed by all augmentations in turn; itself at a strength of 0.

    The numbers depend on the place (seed, epoch, index) and the name of each augmentation alone.
    Another one more or less changes nothing of the others.

    Raises ValueError for a `strength` that is not from 0 to 1, and for two of one name.

    >>> sample = Labelled("a", torch.zeros(3, 8, 8, dtype=torch.uint8), 0)
    >>> augment(sample, (Mirror(), Colour()), seed=0, epoch=1, index=7, strength=0.5).label
    0
    """
    if not _changes(strength, augmentations):
        return sample
    numbers = draws(_streams(seed, _names(augmentations)), epoch, index, _most(augmentations))
    for augmentation, row in zip(augmentations, numbers, strict=True):
        sample = augmentation.apply(sample, row[: augmentation.draws], strength)
    return sample


def augment_many(
    pictures: Tensor,
    augmentations: Sequence[Augmentation],
    seed: int,
    epoch: int,
    indices: NDArray[np.integer],
    strength: float,
) -> Tensor:
    """Return pictures (n, c, h, w), each changed as `augment` does at its place in `indices` (n,).

    Raises ValueError as `augment` does, and if the pictures end in different sizes.

    >>> batch = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    >>> augment_many(batch, (Affine(),), 0, 1, np.array([5, 3]), strength=1.0).shape
    torch.Size([2, 1, 8, 8])
    """
    if not _changes(strength, augmentations):
        return pictures
    seeds = _streams(seed, _names(augmentations))[:, None]
    numbers = draws(seeds, epoch, indices, _most(augmentations))
    for augmentation, rows in zip(augmentations, numbers, strict=True):
        rows = rows[:, : augmentation.draws]
        changed = augmentation.many(pictures, rows, strength)
        if changed is None:
            changed = _one_by_one(pictures, augmentation, rows, strength)
        pictures = changed
    return pictures


def _one_by_one(
    pictures: Tensor, augmentation: Augmentation, numbers: NDArray[np.float64], strength: float
) -> Tensor:
    samples = [Labelled("", picture, 0) for picture in pictures]
    changed = [
        augmentation.apply(sample, row, strength).picture
        for sample, row in zip(samples, numbers, strict=True)
    ]
    sizes = sorted({(int(one.shape[-2]), int(one.shape[-1])) for one in changed})
    if len(sizes) > 1:
        raise ValueError(
            f"`pictures` must have one size after `{augmentation.name}` and have {sizes}; give "
            "square pictures, or leave it out"
        )
    return torch.stack(changed)


def _changes(strength: float, augmentations: Sequence[Augmentation]) -> bool:
    """Return whether there is anything to do, after checking that it can be done."""
    if not (math.isfinite(strength) and 0 <= strength <= 1):
        raise ValueError(
            f"`strength` (={strength}) must be from 0, which changes nothing, to 1; use such a "
            "number, and the fields of the augmentations for more"
        )
    names = _names(augmentations)
    check_names(names)
    return strength > 0 and bool(names)


def check_names(names: tuple[str, ...]) -> None:
    """Raise ValueError for two augmentations of one name."""
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"`augmentations` have two of the name {twice!r}, which would draw the same numbers; "
            "leave one out"
        )


def _names(augmentations: Sequence[Augmentation]) -> tuple[str, ...]:
    return tuple(augmentation.name for augmentation in augmentations)


def _most(augmentations: Sequence[Augmentation]) -> int:
    return max(augmentation.draws for augmentation in augmentations)


@cache
def _streams(seed: int, names: tuple[str, ...]) -> NDArray[np.uint64]:
    return np.array([stream(seed, name) for name in names], np.uint64)
