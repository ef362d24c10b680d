"""Cut, shift and shrink pictures along their sides."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from convlens.learn.augmenting.checks import check_range
from convlens.learn.augmenting.moving import Geometric, Move
from convlens.learn.augmenting.warping import resized

__all__ = ["Crop", "Translate", "ZoomOut"]


@dataclass(frozen=True, kw_only=True)
class Crop(Geometric):
    """Cut a part and scale it to `size` (h, w), or to the picture's own size.

    `area`: the part's share of the picture, from this at strength 1 up to everything. `ratio`: by
    how much its width to height may differ from that of the result. A part that would be wider or
    higher than the picture is cut to fit.

    Source: Szegedy et al., *Going Deeper with Convolutions* (arXiv 1409.4842, section 6), with
    weaker limits.
    """

    area: float = 0.35
    ratio: float = 4 / 3
    size: tuple[int, int] | None = None

    name = "crop"
    says = "cut a part and enlarge it"
    draws = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("area", self.area, 0.001, 1)
        check_range("ratio", self.ratio, 1, 100)
        if self.size is not None and min(self.size) < 1:
            raise ValueError(
                f"`size` (={self.size}) must be two numbers of pixels (h, w); use (224, 224)"
            )

    def move(
        self, size: tuple[int, int], numbers: NDArray[np.float64], strength: float
    ) -> Move | None:
        """Return the cut; None if it is the whole picture."""
        (h, w), to = size, self.size or size
        share = 1 - (1 - self.area) * strength * numbers[0]
        ratio = to[1] / to[0] * self.ratio ** (strength * (2 * numbers[1] - 1))
        wide = min(w, max(1, round(math.sqrt(share * h * w * ratio))))
        high = min(h, max(1, round(math.sqrt(share * h * w / ratio))))
        left, top = int(numbers[2] * (w - wide + 1)), int(numbers[3] * (h - high + 1))
        if (high, wide) == size == to:
            return None
        across, down = to[1] / wide, to[0] / high
        matrix = np.array([[across, 0, -left * across], [0, down, -top * down]])

        def cut(pixels: Tensor) -> Tensor:
            return resized(pixels[..., top : top + high, left : left + wide], to)

        return Move(matrix, to, cut)


@dataclass(frozen=True, kw_only=True)
class Translate(Geometric):
    """Shift by whole pixels, up to the share `most` of each side, with `fill` where nothing is."""

    most: float = 0.08
    fill: int = 0

    name = "translate"
    says = "shift by whole pixels"
    draws = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("most", self.most, 0, 1)
        check_range("fill", self.fill, 0, 255)

    def move(
        self, size: tuple[int, int], numbers: NDArray[np.float64], strength: float
    ) -> Move | None:
        """Return the shift; None if it is 0."""
        most = [round(self.most * strength * side) for side in (size[1], size[0])]
        x, y = (int(u * (2 * m + 1)) - m for u, m in zip(numbers, most, strict=True))
        if x == y == 0:
            return None
        matrix = np.array([[1.0, 0, x], [0, 1, y]])
        return Move(matrix, size, lambda pixels: _pasted(pixels, size, x, y, self.fill))


@dataclass(frozen=True, kw_only=True)
class ZoomOut(Geometric):
    """Shrink the picture, and put it anywhere on a ground of its old size and of colour `fill`.

    `least`: the smallest side that is left at strength 1, as a share of the old one.

    Source: Liu et al., *SSD: Single Shot MultiBox Detector* (arXiv 1512.02325, section 3.6).
    """

    least: float = 0.5
    chance: float = 0.5
    fill: int = 128

    name = "zoom out"
    says = "shrink, on a larger ground"
    draws = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("least", self.least, 0.05, 1)
        check_range("chance", self.chance, 0, 1)
        check_range("fill", self.fill, 0, 255)

    def move(
        self, size: tuple[int, int], numbers: NDArray[np.float64], strength: float
    ) -> Move | None:
        """Return how it shrinks, or None by chance."""
        if numbers[0] >= self.chance * strength:
            return None
        h, w = size
        scale = 1 - (1 - self.least) * strength * numbers[1]
        high, wide = max(1, round(scale * h)), max(1, round(scale * w))
        left, top = int(numbers[2] * (w - wide + 1)), int(numbers[3] * (h - high + 1))
        matrix = np.array([[wide / w, 0, left], [0, high / h, top]])

        def shrunk(pixels: Tensor) -> Tensor:
            return _pasted(resized(pixels, (high, wide)), size, left, top, self.fill)

        return Move(matrix, size, shrunk)


def _pasted(pixels: Tensor, size: tuple[int, int], x: int, y: int, fill: float) -> Tensor:
    """Return pictures of `size` (h, w) that show `pixels` from column x and row y on."""
    (h, w), (high, wide) = size, pixels.shape[-2:]
    to = pixels.new_full((*pixels.shape[:-2], h, w), fill)
    to[..., max(y, 0) : max(y + high, 0), max(x, 0) : max(x + wide, 0)] = pixels[
        ..., max(-y, 0) : max(h - y, 0), max(-x, 0) : max(w - x, 0)
    ]
    return to
