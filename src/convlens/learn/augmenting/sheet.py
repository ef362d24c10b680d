"""Collect what augmentations do to one sample, in rows for a sheet that people look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from convlens.learn.augmenting.augmentation import Augmentation
from convlens.learn.augmenting.moving import boxes_of
from convlens.learn.augmenting.numbers import draws, stream
from convlens.learn.data.samples import Boxed, Sample

__all__ = ["SheetRow", "grid", "made_up_sample", "sheet_rows"]

_TRIES = 100
"""How many places are tried for a draw that changes something."""


@dataclass(frozen=True, eq=False)
class SheetRow:
    """What one augmentation makes of a sample: its `name`, what it `says`, and the `samples`."""

    name: str
    says: str
    samples: tuple[Any, ...]


def sheet_rows(
    sample: Sample,
    augmentations: Sequence[Augmentation],
    strengths: Sequence[float] = (0.5, 0.5, 1.0, 1.0, 1.0, 1.0),
    seed: int = 0,
) -> tuple[SheetRow, ...]:
    """Return a row for each augmentation, with a changed sample for each of `strengths`.

    Draws that change nothing, as one half of those of a mirror, are passed over. The row of an
    augmentation that never changes the sample is shorter.

    >>> from convlens.learn.augmenting.flipping import Mirror
    >>> [row] = sheet_rows(made_up_sample(), (Mirror(),), (1.0, 1.0))
    >>> row.name, len(row.samples)
    ('mirror', 2)
    """
    return tuple(
        SheetRow(one.name, one.says, tuple(_changed(sample, one, strengths, seed)))
        for one in augmentations
    )


def _changed(
    sample: Sample, augmentation: Augmentation, strengths: Sequence[float], seed: int
) -> list[Sample]:
    own, place, found = stream(seed, augmentation.name), 0, []
    for strength in strengths:
        for index in range(place, place + _TRIES):
            numbers = draws(own, 0, index, augmentation.draws)
            changed = augmentation.apply(sample, numbers, strength)
            if changed is not sample:
                found.append(changed)
                place = index + 1
                break
    return found


def grid(
    tiles: Sequence[Sequence[NDArray[np.uint8]]], gap: int = 4, ground: int = 21
) -> NDArray[np.uint8]:
    """Return pictures (h, w, 3) in one, (H, W, 3): a row of cells for each row of `tiles`.

    A column is as wide as its widest picture and a row as high as its highest; others stand in
    the middle of their cells. Between them are `gap` pixels of the grey `ground`.

    >>> grid([[np.zeros((2, 3, 3), np.uint8)] * 2, [np.zeros((4, 1, 3), np.uint8)]], gap=1).shape
    (9, 9, 3)
    """
    columns = max((len(row) for row in tiles), default=0)
    widths = [max(row[k].shape[1] for row in tiles if k < len(row)) for k in range(columns)]
    heights = [max((tile.shape[0] for tile in row), default=0) for row in tiles]
    size = (sum(heights) + gap * (len(heights) + 1), sum(widths) + gap * (columns + 1), 3)
    sheet, top = np.full(size, ground, np.uint8), gap
    for row, height in zip(tiles, heights, strict=True):
        left = gap
        for tile, width in zip(row, widths, strict=False):
            h, w = tile.shape[:2]
            y, x = top + (height - h) // 2, left + (width - w) // 2
            sheet[y : y + h, x : x + w] = tile
            left += width + gap
        top += height + gap
    return sheet


_ARROW = ((0, -1), (0.75, -0.1), (0.25, -0.1), (0.25, 1), (-0.25, 1), (-0.25, -0.1), (-0.75, -0.1))
_POINTS = ((0, -1), (-0.75, -0.1), (0.75, -0.1), (0, 1))  # tip, left, right, tail


def made_up_sample(size: int = 96) -> Boxed:
    """Return a made-up picture of two arrows and a disc, with boxes, masks and points.

    The points are an arrow's tip, left, right and tail; left and right change places in a mirror.

    >>> made_up_sample().boxes.shape, made_up_sample().pairs
    (torch.Size([3, 4]), ((1, 2),))
    """
    places = ((0.33, 0.4, 0.26, 25), (0.76, 0.7, 0.2, -110), (0.74, 0.24, 0.15, None))
    colours = ((235, 186, 60), (80, 190, 225), (226, 92, 84))
    y, x = np.mgrid[:size, :size] / size
    checks = (x * 6 % 2 < 1) == (y * 6 % 2 < 1)
    ground = np.stack([60 + 90 * x, 70 + 60 * y, 110 - 40 * x], -1) + 12 * checks[..., None]
    picture = Image.fromarray(ground.astype(np.uint8))
    masks: list[NDArray[np.bool_]] = []
    points = []
    for (across, down, radius, degrees), colour in zip(places, colours, strict=True):
        outline, marks = _figure(degrees)
        middle = np.array([across, down]) * size
        corners = [(float(x), float(y)) for x, y in outline * radius * size + middle]
        ImageDraw.Draw(picture).polygon(corners, colour)
        mask = Image.new("1", (size, size))
        ImageDraw.Draw(mask).polygon(corners, 1)
        masks = [kept & ~np.array(mask) for kept in masks] + [np.array(mask)]
        seen = np.full((4, 1), 0 if degrees is None else 2)
        points.append(np.concatenate([(marks * radius * size + middle) * (seen > 0), seen], 1))
    shown = torch.from_numpy(np.stack(masks))
    return Boxed(
        "made up",
        torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous(),
        boxes_of(shown),
        torch.tensor([1, 1, 2]),
        torch.zeros(3, dtype=torch.bool),
        shown.sum((1, 2)).float(),
        shown,
        torch.from_numpy(np.stack(points)).float(),
        ((1, 2),),
    )


def _figure(degrees: float | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the outline (n, 2) and the points (4, 2) of a turned arrow, or of a disc for None."""
    if degrees is None:
        angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        return np.stack([np.cos(angles), np.sin(angles)], 1), np.zeros((4, 2))
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[cos, sin], [-sin, cos]])
    return np.array(_ARROW) @ turn, np.array(_POINTS) @ turn
