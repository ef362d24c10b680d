"""Paint pictures of figures on textured ground, with the boxes, masks and points of all figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlens.learn.data.shapes.dice import Dice
from convlens.learn.data.shapes.figures import FIGURES, POINTS, PlacedFigure, points_of

__all__ = ["Scene", "colour", "ground", "noisy", "scene"]

_TRIES = 10
"""How often a place is sought for a figure before the picture does without it."""

_LEAST_PIXELS, _LEAST_SHARE = 20, 0.67
"""A figure keeps this number of pixels, and this share of them, when later ones cover it."""

_ARROW = FIGURES.index("arrow")


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture uint8 (3, h, w) and its m figures in the order in which they were painted.

    `labels`: their numbers in `FIGURES`, (m,). `masks`: the pixels of each that no later figure
    covers, bool (m, h, w). `points`: float32 (m, 4, 3), x, y and visibility of an arrow's points.
    A point outside the picture, or of another figure, is 0, 0, 0.
    """

    picture: NDArray[np.uint8]
    labels: NDArray[np.int64]
    masks: NDArray[np.bool_]
    points: NDArray[np.float32]

    def boxes(self) -> NDArray[np.float32]:
        """Return the edges of each mask, (m, 4): left, top, right and bottom."""
        columns = np.asarray(self.masks.any(1))  # (m, w)
        rows = np.asarray(self.masks.any(2))  # (m, h)
        h, w = self.masks.shape[1:]
        first = columns.argmax(1), rows.argmax(1)
        last = w - columns[:, ::-1].argmax(1), h - rows[:, ::-1].argmax(1)
        return np.stack([*first, *last], 1).astype(np.float32)

    def map(self) -> NDArray[np.uint8]:
        """Return the category of each pixel (h, w): 0 is the ground, k + 1 the figure k."""
        numbers = (self.labels + 1).astype(np.uint8)
        found: NDArray[np.uint8] = (self.masks * numbers[:, None, None]).max(0)
        return found  # masks do not overlap


def scene(dice: Dice, size: int, hard: float, *, most: int = 4, kind: int | None = None) -> Scene:
    """Paint 1 to `most` figures on a picture of `size` pixels; `kind`: which they are, or any."""
    pixels, base = ground(dice, size)
    count = 1 + dice.whole(most)
    figures: list[PlacedFigure] = []
    wholes: list[NDArray[np.bool_]] = []
    masks: list[NDArray[np.bool_]] = []
    for _ in range(count):
        number = dice.whole(len(FIGURES)) if kind is None else kind
        placed = _placed(dice, number, size, hard, wholes, masks)
        if placed is None:
            continue
        figure, (rows, columns), share, mask = placed
        fill = noisy(dice, colour(dice, base, 200 - 120 * hard), share.shape, 8 + 12 * hard)
        pixels[rows, columns] += (fill - pixels[rows, columns]) * share[..., None]
        masks = [earlier & ~mask for earlier in masks] + [mask]
        wholes.append(mask)
        figures.append(figure)
    pixels += dice.noise(size, size, 3) * np.float32(4 + 10 * hard)
    picture = np.clip(pixels, 0, 255).astype(np.uint8).transpose(2, 0, 1)
    labels = np.array([figure.kind for figure in figures], np.int64)
    return Scene(np.ascontiguousarray(picture), labels, np.array(masks), _points(figures, wholes))


def _placed(
    dice: Dice,
    kind: int,
    size: int,
    hard: float,
    wholes: list[NDArray[np.bool_]],
    masks: list[NDArray[np.bool_]],
) -> tuple[PlacedFigure, tuple[slice, slice], NDArray[np.float32], NDArray[np.bool_]] | None:
    """Return a figure where it leaves enough of all earlier ones, its window, share and mask."""
    for _ in range(_TRIES):
        radius = dice.uniform(size * (0.16 - 0.06 * hard), size * 0.26)
        centre = dice.vector(radius * 0.8, size - radius * 0.8, 2)
        turn = dice.uniform(-1, 1) * np.pi * (1 + 11 * hard) / 12
        figure = PlacedFigure(kind, centre, radius, turn)
        window, share = figure.cover(size)
        mask = np.zeros((size, size), bool)
        mask[window] = share > 0.5
        left = [
            (np.count_nonzero(m & ~mask), np.count_nonzero(w))
            for m, w in zip(masks, wholes, strict=True)
        ]
        enough = all(n >= max(_LEAST_PIXELS, _LEAST_SHARE * whole) for n, whole in left)
        if enough and np.count_nonzero(mask) >= _LEAST_PIXELS:
            return figure, window, share, mask
    return None


def _points(figures: list[PlacedFigure], wholes: list[NDArray[np.bool_]]) -> NDArray[np.float32]:
    """Return the points of all figures; those under a later figure are hidden, 1 instead of 2."""
    found = np.zeros((len(figures), len(POINTS), 3), np.float32)
    for number, figure in enumerate(figures):
        if figure.kind != _ARROW:
            continue
        size = len(wholes[0])
        for k, place in enumerate(points_of(figure)):
            x, y = np.floor(place).astype(int)
            if min(x, y) >= 0 and max(x, y) < size:
                hidden = any(later[y, x] for later in wholes[number + 1 :])
                found[number, k] = *place, 1 if hidden else 2
    return found


def ground(dice: Dice, size: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return a ground (size, size, 3) of patches and waves about a colour, and that colour."""
    base = dice.vector(40, 215, 3)
    pixels = np.empty((size, size, 3), np.float32)
    pixels[:] = base
    for cells, strength in ((3, 30), (8, 22), (24, 14)):
        between = _between(size, cells)
        patches = dice.noise(cells + 1, (cells + 1) * 3) * np.float32(strength)
        rows = (between @ patches).reshape(size, cells + 1, 3)
        pixels += np.matmul(between, rows)
    angle, period, start = dice.uniform(0, np.pi), dice.uniform(4, 20), dice.uniform(0, 2 * np.pi)
    along = np.arange(size) * (2 * np.pi / period)
    phase = (along * np.cos(angle) + (along * np.sin(angle))[:, None] + start).astype(np.float32)
    wave = np.sin(phase) * np.float32(dice.uniform(0, 22))
    pixels += wave[..., None] * dice.vector(0.3, 1, 3).astype(np.float32)
    return pixels, base


def _between(size: int, cells: int) -> NDArray[np.float32]:
    """Return the weights (size, cells + 1) that interpolate between corners of cells."""
    place = np.linspace(0, cells, size)
    distance = np.abs(place[:, None] - np.arange(cells + 1))
    weights: NDArray[np.float32] = np.maximum(1 - distance, 0).astype(np.float32)
    return weights


def colour(dice: Dice, base: NDArray[np.float64], contrast: float) -> NDArray[np.float64]:
    """Return red, green and blue that differ from `base` by more than `contrast` in sum."""
    for _ in range(50):
        drawn = dice.vector(0, 255, 3)
        if np.abs(drawn - base).sum() > contrast:
            return drawn
    return np.where(base < 128, 255.0, 0.0)


def noisy(
    dice: Dice, base: NDArray[np.float64], shape: tuple[int, ...], deviation: float
) -> NDArray[np.float32]:
    """Return pixels (*shape, 3) of one colour, each a little lighter or darker."""
    lightness = dice.noise(*shape, 1) * np.float32(deviation)
    pixels: NDArray[np.float32] = base.astype(np.float32) + lightness
    return pixels
