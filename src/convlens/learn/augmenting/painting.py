"""Define augmentations that change the values of pixels and leave them where they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlens.learn.augmenting.augmentation import S
from convlens.learn.augmenting.checks import check_range
from convlens.learn.augmenting.moving import pixels_of
from convlens.learn.data.samples import ClipSample
from convlens.zoo.small import LUMA

__all__ = ["Photometric", "Sometimes", "grey_of"]

Numbers = NDArray[np.float64]

_AT_ONCE = 2**20
"""Pixels that are changed at once: in floats, so few stay in a core's cache."""


class Photometric(ABC):
    """An augmentation of values, for uint8 pictures.

    `paint` computes each picture by itself, so that a picture becomes the same in any batch.
    """

    @abstractmethod
    def paint(self, pictures: Tensor, numbers: Numbers, strength: float) -> Tensor:
        """Return changed pictures, uint8 (n, t, c, h, w), by numbers (n, draws).

        A picture has one frame, t = 1; all frames of a clip change in the same way.
        """

    def chosen(self, numbers: Numbers, strength: float) -> NDArray[np.bool_]:
        """Return which pictures change, (n,)."""
        return np.full(len(numbers), strength > 0)

    def others(self, sample: Any, numbers: Numbers, strength: float) -> Any:
        """Return a sample whose labels follow its changed pixels; most have nothing to follow."""
        return sample

    def apply(self, sample: S, numbers: Numbers, strength: float) -> S:
        """Return the sample with changed pixels; itself if they do not change.

        Raises TypeError for pixels that are not uint8.
        """
        if not self.chosen(numbers[None], strength)[0]:
            return sample
        pixels = pixels_of(sample)
        _check_bytes(pixels)
        frames = pixels if pixels.ndim == 4 else pixels[None]
        painted = self.paint(frames[None], numbers[None], strength)[0].reshape(pixels.shape)
        field = "frames" if isinstance(sample, ClipSample) else "picture"
        given: Any = sample
        changed: S = self.others(replace(given, **{field: painted}), numbers, strength)
        return changed

    def many(self, pictures: Tensor, numbers: Numbers, strength: float) -> Tensor:
        """Return changed pictures (n, c, h, w).

        Raises TypeError for pixels that are not uint8.
        """
        rows = np.flatnonzero(self.chosen(numbers, strength))
        if not len(rows):
            return pictures
        _check_bytes(pictures)
        changed = pictures.clone()
        for part in _parts(rows, pictures[0].numel()):
            places = torch.from_numpy(part)
            changed[places] = self.paint(pictures[places][:, None], numbers[part], strength)[:, 0]
        return changed


@dataclass(frozen=True, kw_only=True)
class Sometimes(Photometric):
    """An augmentation of values with the probability `chance`; its first number decides."""

    chance: float = 0.1

    def __post_init__(self) -> None:
        check_range("chance", self.chance, 0, 1)

    def chosen(self, numbers: Numbers, strength: float) -> NDArray[np.bool_]:
        """Return which pictures change, by chance."""
        return numbers[:, 0] < self.chance * strength


def _parts(rows: NDArray[np.intp], pixels: int) -> Iterator[NDArray[np.intp]]:
    step = max(1, _AT_ONCE // max(1, pixels))
    return (rows[at : at + step] for at in range(0, len(rows), step))


def _check_bytes(pixels: Tensor) -> None:
    if pixels.dtype != torch.uint8:
        raise TypeError(
            f"`picture` ({pixels.dtype}) must be uint8 to change its colours; give pixels from 0 "
            "to 255, or leave out all augmentations of values"
        )


def grey_of(pictures: Tensor) -> Tensor:
    """Return the grey, float32 (..., 1, h, w), of pictures (..., c, h, w) of 1 or 3 channels.

    Source: ITU-R BT.601, section 2.5.1.
    """
    if pictures.shape[-3] == 1:
        return pictures.float()
    red, green, blue = (pictures[..., k : k + 1, :, :].float() for k in range(3))
    return red * LUMA[0] + green * LUMA[1] + blue * LUMA[2]
