"""Change colours: brightness, contrast, saturation, hue, and the number of grey levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlens.learn.augmenting.checks import check_range
from convlens.learn.augmenting.painting import Photometric, Sometimes, grey_of

__all__ = ["Colour", "Equalize", "Grey", "Posterize"]

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Colour(Photometric):
    """Change brightness, contrast, saturation and hue, in this order.

    The first three are factors of up to 1 plus or minus the field. `hue` turns the circle of
    colours by up to this share of it either way. Grey pictures have neither saturation nor hue.

    >>> picture = torch.full((1, 1, 1, 1), 100, dtype=torch.uint8)
    >>> Colour(brightness=0.5, contrast=0).many(picture, np.ones((1, 4)), 1.0).item()
    150
    """

    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.3
    hue: float = 0.02

    name = "colour"
    says = "change brightness, contrast, saturation, hue"
    draws = 4

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation"):
            check_range(name, getattr(self, name), 0, 1)
        check_range("hue", self.hue, 0, 0.5)

    def paint(self, pictures: Tensor, numbers: Numbers, strength: float) -> Tensor:
        """Return pictures in other colours, rounded once at the end."""
        most = strength * np.array([self.brightness, self.contrast, self.saturation, self.hue])
        amounts = torch.from_numpy((2 * numbers - 1) * most).float()
        bright, contrast, saturation, hue = amounts.T[..., None, None, None, None]
        x = pictures.float()
        if self.brightness:
            x = (x * (1 + bright)).clamp(0, 255)
        if self.contrast:
            # Whole numbers add up to the same sum in any order.
            mean = grey_of(x).floor().mean((1, 2, 3, 4), keepdim=True, dtype=torch.float64)
            x = _away_from(mean.float(), x, contrast)
        if pictures.shape[2] == 3:
            if self.saturation:
                x = _away_from(grey_of(x), x, saturation)
            if self.hue:
                x = _turned(x, hue)
        return x.round().to(torch.uint8)


def _away_from(centre: Tensor, x: Tensor, amount: Tensor) -> Tensor:
    return (x + (x - centre) * amount).clamp(0, 255)


def _turned(x: Tensor, share: Tensor) -> Tensor:
    """Return colours (n, t, 3, h, w) whose hue is turned by a share of the circle.

    Source: Smith, *Color Gamut Transform Pairs* (SIGGRAPH 1978), the hexcone model.
    """
    red, green, blue = x.unbind(2)
    most = torch.maximum(torch.maximum(red, green), blue)
    least = torch.minimum(torch.minimum(red, green), blue)
    chroma = most - least
    by = 1 / chroma.clamp(min=1e-9)
    hue = torch.where(
        most == red,
        (green - blue) * by,
        torch.where(most == green, (blue - red) * by + 2, (red - green) * by + 4),
    )
    hue = (hue + 6 * share[:, 0]).remainder(6)
    # Each colour is full for a third of the circle, and rises and falls for a sixth.
    parts = [(hue - 3).abs() - 1, 2 - (hue - 2).abs(), 2 - (hue - 4).abs()]
    return torch.stack([least + chroma * part.clamp(0, 1) for part in parts], 2)


@dataclass(frozen=True, kw_only=True)
class Grey(Sometimes):
    """Take the colours away, with the probability `chance`."""

    name = "grey"
    says = "take the colours away"
    draws = 1

    def paint(self, pictures: Tensor, numbers: Numbers, strength: float) -> Tensor:
        """Return grey pictures of as many channels."""
        return grey_of(pictures).round().to(torch.uint8).expand_as(pictures).contiguous()


@dataclass(frozen=True, kw_only=True)
class Equalize(Sometimes):
    """Spread the values of each channel so that all are as frequent, with the probability `chance`.

    Source: Cubuk et al., *AutoAugment* (arXiv 1805.09501, table 6), as in Pillow's `equalize`.
    """

    name = "equalize"
    says = "make all values as frequent"
    draws = 1

    def paint(self, pictures: Tensor, numbers: Numbers, strength: float) -> Tensor:
        """Return pictures by a table for each channel, of all frames together."""
        changed = pictures.clone()
        for picture in changed:
            for channel in picture.unbind(1):
                table = _equalizing(torch.bincount(channel.reshape(-1).int(), minlength=256))
                channel.copy_(table[channel.int()])
        return changed


def _equalizing(counts: Tensor) -> Tensor:
    """Return the new value, uint8 (256,), of each value that occurs `counts` times."""
    there = counts.nonzero()
    step = int(counts.sum() - counts[there[-1]]) // 255
    if step == 0:
        return torch.arange(256, dtype=torch.uint8)
    below = counts.cumsum(0) - counts
    return ((below + step // 2) // step).clamp(max=255).to(torch.uint8)


@dataclass(frozen=True, kw_only=True)
class Posterize(Sometimes):
    """Keep the highest 7 to `bits` bits of each value, with the probability `chance`."""

    bits: int = 4

    name = "posterize"
    says = "keep few levels of each colour"
    draws = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("bits", self.bits, 1, 7)

    def paint(self, pictures: Tensor, numbers: Numbers, strength: float) -> Tensor:
        """Return pictures of fewer levels."""
        dropped = 1 + (numbers[:, 1] * (8 - self.bits)).astype(np.int64)
        masks = torch.from_numpy((256 - 2**dropped).astype(np.uint8))
        return pictures & masks[:, None, None, None, None]
