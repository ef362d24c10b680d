"""Spoil pictures as cameras and obstacles do: blur, noise, and a part that is hidden."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from convlens.learn.augmenting.checks import check_range, check_span
from convlens.learn.augmenting.painting import Sometimes
from convlens.learn.data.samples import Boxed

__all__ = ["Blur", "Erase", "Noise"]

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Blur(Sometimes):
    """Blur by a Gaussian, with the probability `chance`.

    `sigma`: its standard deviation in pixels, at least and, at strength 1, at most. The picture is
    reflected at its border. The Gaussian ends at 3 deviations.
    """

    sigma: tuple[float, float] = (0.1, 2.0)

    name = "blur"
    says = "blur by a Gaussian"
    draws = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_span("sigma", self.sigma, 0.01, 50)

    def paint(self, pictures: Tensor, numbers: Numbers, strength: float) -> Tensor:
        """Return blurred pictures, one after the other."""
        least, most = self.sigma
        sigmas = least + (most - least) * strength * numbers[:, 1]
        blurred = [_blurred(one, float(s)) for one, s in zip(pictures, sigmas, strict=True)]
        return torch.stack(blurred)


def _blurred(frames: Tensor, sigma: float) -> Tensor:
    """Return frames, uint8 (t, c, h, w), blurred along rows and columns."""
    h, w = frames.shape[-2:]
    across, down = _gaussian(sigma, w), _gaussian(sigma, h)
    x = frames.reshape(-1, 1, h, w).float()
    x = F.pad(x, (len(across) // 2, len(across) // 2, len(down) // 2, len(down) // 2), "reflect")
    x = F.conv2d(F.conv2d(x, across.reshape(1, 1, 1, -1)), down.reshape(1, 1, -1, 1))
    return x.round().to(torch.uint8).reshape(frames.shape)


def _gaussian(sigma: float, side: int) -> Tensor:
    """Return weights (2 r + 1,), cut to what a side of the picture can reflect."""
    r = min(math.ceil(3 * sigma), side - 1)
    weights = torch.exp(-0.5 * (torch.arange(-r, r + 1, dtype=torch.float64) / sigma) ** 2)
    return (weights / weights.sum()).float()


@dataclass(frozen=True, kw_only=True)
class Noise(Sometimes):
    """Add normal noise, with the probability `chance`.

    `most`: its standard deviation in grey levels, at most at strength 1. All frames of a clip get
    the same noise.
    """

    chance: float = 0.2
    most: float = 12.0

    name = "noise"
    says = "add normal noise"
    draws = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("most", self.most, 0, 255)

    def paint(self, pictures: Tensor, numbers: Numbers, strength: float) -> Tensor:
        """Return noisy pictures; the third number is the seed of the noise."""
        shape, noise = pictures.shape[2:], []
        for _, amount, seed in numbers:
            # torch's generator reads 32 bits of a seed.
            random = torch.Generator().manual_seed(int(seed * 2**32))
            noise.append(torch.randn(shape, generator=random) * (self.most * strength * amount))
        noisy = pictures.float() + torch.stack(noise)[:, None]
        return noisy.round().clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True, kw_only=True)
class Erase(Sometimes):
    """Fill a rectangle with `fill`, with the probability `chance`.

    `area`: its share of the picture, at least and, at strength 1, at most. `ratio`: of its width
    to its height at most, or the reverse. Boxes, masks and maps stay: the network shall guess what
    is behind. Points behind become hidden, visibility 1.

    Source: Zhong et al., *Random Erasing Data Augmentation* (arXiv 1708.04896, algorithm 1).
    """

    chance: float = 0.25
    area: tuple[float, float] = (0.02, 0.2)
    ratio: float = 3.0
    fill: int = 128

    name = "erase"
    says = "hide a rectangle"
    draws = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_span("area", self.area, 0, 1)
        check_range("ratio", self.ratio, 1, 100)
        check_range("fill", self.fill, 0, 255)

    def paint(self, pictures: Tensor, numbers: Numbers, strength: float) -> Tensor:
        """Return pictures with a rectangle each."""
        changed = pictures.clone()
        h, w = pictures.shape[-2:]
        for picture, row in zip(changed, numbers, strict=True):
            left, top, right, bottom = self.rectangle((h, w), row, strength)
            picture[..., top:bottom, left:right] = self.fill
        return changed

    def others(self, sample: Any, numbers: Numbers, strength: float) -> Any:
        """Return the sample with the points behind the rectangle hidden."""
        if not isinstance(sample, Boxed) or sample.points is None:
            return sample
        h, w = sample.picture.shape[-2:]
        left, top, right, bottom = self.rectangle((h, w), numbers, strength)
        x, y, seen = sample.points.unbind(-1)
        behind = (x >= left) & (x < right) & (y >= top) & (y < bottom)
        hidden = torch.where(behind, seen.clamp(max=1), seen)
        return replace(sample, points=torch.stack([x, y, hidden], -1))

    def rectangle(
        self, size: tuple[int, int], numbers: Numbers, strength: float
    ) -> tuple[int, int, int, int]:
        """Return left, top, right and bottom, in pixels, for a picture of `size` (h, w)."""
        (h, w), (least, most) = size, self.area
        share = least + (most - least) * strength * numbers[1]
        ratio = self.ratio ** (2 * numbers[2] - 1)
        wide = min(w, max(1, round(math.sqrt(share * h * w * ratio))))
        high = min(h, max(1, round(math.sqrt(share * h * w / ratio))))
        left, top = int(numbers[3] * (w - wide + 1)), int(numbers[4] * (h - high + 1))
        return left, top, left + wide, top + high
