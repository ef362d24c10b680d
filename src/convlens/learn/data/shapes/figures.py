"""Know the outlines of the eight figures, and how much of each pixel a figure covers.

Each figure is its own mirror image, so that mirroring keeps the category.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlens.zoo.categories import FIGURES, POINTS

__all__ = ["FIGURES", "PAIRS", "POINTS", "PlacedFigure", "points_of"]


PAIRS = ((1, 2),)
"""The points that change places in a mirror."""

_POLYGONS: dict[str, tuple[tuple[float, float], ...]] = {
    "square": ((-0.75, -0.75), (0.75, -0.75), (0.75, 0.75), (-0.75, 0.75)),
    "triangle": ((0, -1), (0.87, 0.6), (-0.87, 0.6)),
    "star": tuple(
        (radius * np.sin(k * np.pi / 5), -radius * np.cos(k * np.pi / 5))
        for k, radius in enumerate((1, 0.42) * 5)
    ),
    "cross": (
        *((-0.3, -1), (0.3, -1), (0.3, -0.3), (1, -0.3), (1, 0.3), (0.3, 0.3)),
        *((0.3, 1), (-0.3, 1), (-0.3, 0.3), (-1, 0.3), (-1, -0.3), (-0.3, -0.3)),
    ),
    "arrow": (
        *((0, -1), (0.75, -0.1), (0.25, -0.1), (0.25, 1)),
        *((-0.25, 1), (-0.25, -0.1), (-0.75, -0.1)),
    ),
}
"""Corners x, y of those figures that have corners, in a circle of radius 1; y goes down."""

_PLACES = np.array([(0, -1), (-0.75, -0.1), (0.75, -0.1), (0, 1)])
"""Where the arrow's points are in that circle."""

_RADIUS, _HOLE = 0.85, 0.3
"""The squares of the radius of a disc, and of the hole in a ring."""


@dataclass(frozen=True, eq=False)
class PlacedFigure:
    """A figure at a place: its number in `FIGURES`, centre (x, y), radius, and turn in radians."""

    kind: int
    centre: NDArray[np.float64]
    radius: float
    turn: float

    def cover(self, size: int) -> tuple[tuple[slice, slice], NDArray[np.float32]]:
        """Return rows and columns around it in a picture of `size`, and its share of each pixel.

        A share is the mean of 2 x 2 samples.
        """
        low = np.clip(np.floor(self.centre - self.radius), 0, size).astype(int).tolist()
        high = np.clip(np.ceil(self.centre + self.radius), 0, size).astype(int).tolist()
        x, y = (
            ((np.arange(2 * a, 2 * b) + 0.5) / 2 - middle).astype(np.float32)
            for a, b, middle in zip(low, high, self.centre, strict=True)
        )
        cos, sin = np.cos(self.turn) / self.radius, np.sin(self.turn) / self.radius
        u = np.float32(cos) * x + np.float32(sin) * y[:, None]
        v = np.float32(cos) * y[:, None] - np.float32(sin) * x
        inside = _inside(FIGURES[self.kind], u, v)
        rows, columns = high[1] - low[1], high[0] - low[0]
        share = inside.reshape(rows, 2, columns, 2).sum((1, 3), dtype=np.uint8)
        window = slice(low[1], high[1]), slice(low[0], high[0])
        return window, share * np.float32(0.25)


def points_of(figure: PlacedFigure) -> NDArray[np.float64]:
    """Return the places (4, 2) of an arrow's points, x and y in pixels.

    >>> points_of(PlacedFigure(7, np.array([8.0, 8.0]), 4.0, 0.0))[0].tolist()
    [8.0, 4.0]
    """
    cos, sin = np.cos(figure.turn), np.sin(figure.turn)
    turned: NDArray[np.float64] = _PLACES @ np.array([[cos, sin], [-sin, cos]])
    return turned * figure.radius + figure.centre


def _inside(name: str, u: NDArray[np.float32], v: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return whether places (u, v) of a circle of radius 1 are inside a figure."""
    if name not in _POLYGONS:
        distance = u * u + v * v
        inside: NDArray[np.bool_] = distance < _RADIUS
        if name == "ring":
            inside &= distance > _HOLE
        if name == "half":
            inside &= v > 0
        return inside
    corners = _POLYGONS[name]
    inside = np.zeros(u.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if ay != by:  # a ray to the right crosses the edge
            slope = (bx - ax) / (by - ay)
            across = (v > min(ay, by)) & (v <= max(ay, by))
            inside ^= across & (u < np.float32(slope) * (v - np.float32(ay)) + np.float32(ax))
    return inside
