"""Samples with figures whose places show in the pixels, to test what moves them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from convlens.learn.data.samples import Boxed


def photograph(h: int = 40, w: int = 56, channels: int = 3, seed: int = 0) -> Tensor:
    """A picture of smooth waves and some noise, of all values, uint8 (c, h, w)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:h, :w]
    waves = [
        np.sin(x * random.uniform(0.1, 0.4) + y * random.uniform(-0.4, 0.4) + random.uniform(0, 6))
        for _ in range(channels)
    ]
    values = 128 + 110 * np.stack(waves) + random.normal(0, 8, (channels, h, w))
    return torch.from_numpy(values.clip(0, 255).astype(np.uint8))


def ellipse(h: int, w: int, middle: tuple[float, float], radii: tuple[float, float]) -> Tensor:
    """The pixels whose middles lie in an ellipse, bool (h, w)."""
    y, x = np.mgrid[:h, :w] + 0.5
    inside = ((x - middle[0]) / radii[0]) ** 2 + ((y - middle[1]) / radii[1]) ** 2 <= 1
    return torch.from_numpy(inside)


def box_in(pixels: Tensor) -> Tensor:
    """Left, top, right, bottom of the True pixels (h, w), by a search; -1 without any."""
    rows, columns = np.nonzero(pixels.numpy())
    if not len(rows):
        return torch.full((4,), -1.0)
    sides = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    return torch.tensor([float(side) for side in sides])


def figures(
    masks: Tensor,
    *,
    picture: Tensor | None = None,
    points: Tensor | None = None,
    pairs: tuple[tuple[int, int], ...] | None = None,
    has_masks: bool = True,
) -> Boxed:
    """A sample with a figure for each of `masks` (m, h, w); by default, figures are white."""
    if picture is None:
        picture = (masks.any(0).to(torch.uint8) * 255)[None]
    m = len(masks)
    return Boxed(
        "figures",
        picture,
        torch.stack([box_in(mask) for mask in masks]),
        torch.arange(1, m + 1),
        torch.arange(m) % 2 == 1,
        masks.sum((1, 2)).float(),
        masks if has_masks else None,
        points,
        pairs,
    )
