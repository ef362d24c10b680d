"""Fill outlines exactly as COCO's own tools do, and decode COCO's run lengths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convlens.learn.data.run_lengths import Counts

__all__ = ["fifths", "fill_counts", "fill_outline", "read_letters"]

SCALE = 5
"""The outline is followed on a grid of this many steps a pixel."""

MOST_STEPS = 2**26
"""The most steps that an outline may have."""

FARTHEST = 2.0**24
"""Pixels from the picture's corner that a point of an outline may be."""


def fifths(points: Sequence[float]) -> NDArray[np.int32]:
    """Return the points x, y, x, y ... of an outline on the grid of fifths of a pixel.

    Raises ValueError if they are not at least 3 pairs of finite numbers, near the picture.

    >>> fifths([0, 0, 1.5, 0, 1.5, 2])
    array([ 0,  0,  8,  0,  8, 10], dtype=int32)
    """
    numbers = np.array(points, np.float64)
    if numbers.ndim != 1 or len(numbers) % 2 or len(numbers) < 6:
        raise ValueError(f"an outline of {len(points)} numbers has no area")
    if not (np.abs(numbers) < FARTHEST).all():
        raise ValueError("an outline has points that are not numbers, or far away")
    return (SCALE * numbers + 0.5).astype(np.int32)  # C's cast: towards zero


def fill_outline(mask: NDArray[np.bool_], outline: NDArray[np.int32]) -> None:
    """Set the pixels of a mask (h, w) that lie inside an outline, as `fifths` gives it.

    Raises ValueError if the outline is too long.

    Source: pycocotools, `rleFrPoly` in `common/maskApi.c`, whose result it equals.

    >>> mask = np.zeros((3, 3), bool)
    >>> fill_outline(mask, fifths([0, 0, 2, 0, 2, 3, 0, 3]))
    >>> mask.sum(0)
    array([3, 3, 0])
    """
    h, w = mask.shape
    u, v = _steps(outline)
    # The outline crosses from column to column where u changes; half of these are pixel centres.
    moved = np.flatnonzero(u[1:] != u[:-1]) + 1
    column = (np.minimum(u[moved], u[moved - 1]) + 0.5) / SCALE - 0.5
    centre = (np.floor(column) == column) & (column >= 0) & (column <= w - 1)
    moved, column = moved[centre], column[centre].astype(np.int64)
    if not len(moved):
        return
    row = (np.minimum(v[moved], v[moved - 1]) + 0.5) / SCALE - 0.5
    row = np.ceil(np.clip(row, 0, h)).astype(np.int64)
    first, last = int(column.min()), int(column.max())
    # Down the columns, each crossing turns the mask on or off.
    places = (column - first) * h + row
    turns = np.bincount(places, minlength=(last - first + 1) * h + 1)[:-1]
    inside = (np.cumsum(turns) & 1).astype(bool).reshape(-1, h).T
    mask[:, first : last + 1] |= inside


def _steps(outline: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the points of the grid along an outline, as x and y."""
    x, y = (np.append(outline[k::2], outline[k]).astype(np.int64) for k in (0, 1))
    dx, dy = np.abs(np.diff(x)), np.abs(np.diff(y))
    count = np.maximum(dx, dy) + 1
    if count.sum() > MOST_STEPS:
        raise ValueError("an outline is longer than that of any picture")
    flat = dx >= dy
    # A line is drawn from its lower end, so that it is the same in both directions.
    flip = np.where(flat, x[:-1] > x[1:], y[:-1] > y[1:])
    xs, xe = np.where(flip, x[1:], x[:-1]), np.where(flip, x[:-1], x[1:])
    ys, ye = np.where(flip, y[1:], y[:-1]), np.where(flip, y[:-1], y[1:])
    slope = np.where(flat, ye - ys, xe - xs) / np.maximum(np.where(flat, dx, dy), 1)
    side = np.repeat(np.arange(len(count)), count)
    step = np.arange(len(side)) - np.repeat(np.cumsum(count) - count, count)
    step = np.where(flip[side], count[side] - 1 - step, step)
    start = np.where(flat, ys, xs)[side]
    across = (start + slope[side] * step + 0.5).astype(np.int64)
    along = np.where(flat, xs, ys)[side] + step
    flat = flat[side]
    return np.where(flat, along, across), np.where(flat, across, along)


def fill_counts(mask: NDArray[np.bool_], counts: Counts | NDArray[np.int32]) -> None:
    """Set the pixels of a mask (h, w) that run lengths set.

    >>> mask = np.zeros((2, 2), bool)
    >>> fill_counts(mask, np.array([1, 3]))
    >>> mask.tolist()
    [[False, True], [True, True]]
    """
    h, w = mask.shape
    values = np.arange(len(counts)) % 2 == 1
    mask |= np.repeat(values, counts).reshape(w, h).T


def read_letters(letters: str) -> Counts:
    """Return the run lengths in COCO's compressed text; see `run_lengths`, which writes it.

    Raises ValueError for letters that do not come from it.

    >>> read_letters("13")
    array([1, 3])
    """
    groups = np.frombuffer(letters.encode("utf-8"), np.uint8).astype(np.int64) - 48
    if len(groups) == 0 or groups.min() < 0 or groups.max() > 63 or groups[-1] & 32:
        raise ValueError("the run lengths are not COCO's compressed text")
    ends = np.flatnonzero(groups & 32 == 0)
    starts = np.append(0, ends[:-1] + 1)
    if (ends - starts).max() > 6:
        raise ValueError("the run lengths are too long")
    place = np.arange(len(groups)) - np.repeat(starts, ends - starts + 1)
    values = np.add.reduceat((groups & 31) << (5 * place), starts)
    values -= np.where(groups[ends] & 16, 1 << (5 * (ends - starts + 1)), 0)  # two's complement
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values
