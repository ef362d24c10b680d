"""Find the detections that average precision depends on, and how much their masks overlap."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlens.zoo.detection.masks import pasted_parts

__all__ = ["ENOUGH", "best_of_each_class", "mask_overlaps"]

ENOUGH = 0.5
"""The least intersection over union at which anything counts as found."""

Pairs = tuple[list[int], list[int], list[float]]
"""The place of a detection, the place of a true figure, and their overlap, of each pair."""


def best_of_each_class(
    labels: NDArray[np.int64], scores: NDArray[np.float64], most: int
) -> NDArray[np.int64]:
    """Return the places of the `most` highest scores of each class of a picture, in their order.

    Of equal scores the first is the higher, as COCO counts.

    >>> best_of_each_class(np.array([1, 2, 1, 1]), np.array([0.1, 0.2, 0.9, 0.1]), 2).tolist()
    [0, 1, 2]
    """
    if len(labels) <= most:
        return np.arange(len(labels))
    order = np.argsort(-scores, kind="stable")
    order = order[np.argsort(labels[order], kind="stable")]
    _, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(starts, sizes)
    return np.sort(order[rank < most])


def mask_overlaps(
    masks: Tensor, boxes: Tensor | None, true: Tensor, crowd: NDArray[np.bool_], same: Tensor
) -> Pairs:
    """Return the pairs of found and true masks whose intersection over union is 0.5 or more.

    `masks` (k, 1, ., .): the chance of each pixel, which belongs to a mask from 0.5 on. `boxes`
    (k, 4): those that the masks are stretched over; None for masks of the whole picture. `true`:
    bool (m, h, w). `crowd` (m,): over a crowd, the overlap is the share of the found mask in it.
    `same`: bool (k, m), the pairs to look at. Masks that cannot reach 0.5 are not laid over the
    picture, which saves most of the time.
    """
    pixels = true.cpu().numpy()
    areas = np.array([np.count_nonzero(mask) for mask in pixels], np.int64)
    near = same.cpu().numpy()
    if boxes is not None and near.any():
        near = near & _reach(_regions(boxes, masks.shape[-1]), pixels, areas, crowd)
    places = np.flatnonzero(near.any(1))
    pairs: Pairs = ([], [], [])
    parts = _parts(masks, boxes, places, (pixels.shape[1], pixels.shape[2]))
    for i, (chances, (top, left)) in zip(places.tolist(), parts, strict=True):
        part = (chances >= 0.5).cpu().numpy()
        own, (h, w) = np.count_nonzero(part), part.shape
        for j in np.flatnonzero(near[i]).tolist():
            shared = np.count_nonzero(part & pixels[j, top : top + h, left : left + w])
            either = own if crowd[j] else own + areas[j] - shared
            if shared and shared >= ENOUGH * either:
                pairs[0].append(i)
                pairs[1].append(j)
                pairs[2].append(shared / either)
    return pairs


def _parts(
    masks: Tensor, boxes: Tensor | None, places: NDArray[np.intp], size: tuple[int, int]
) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    """Yield the chances of some masks, and the row and column that each begins at."""
    chosen = torch.from_numpy(places)
    if boxes is None:
        yield from ((masks[i, 0], (0, 0)) for i in places.tolist())
    else:
        yield from pasted_parts(masks[chosen], boxes[chosen], size)


def _reach(
    regions: NDArray[np.float64],
    true: NDArray[np.bool_],
    areas: NDArray[np.int64],
    crowd: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Return which masks inside regions (k, 4) can overlap true masks (m, h, w) enough, (k, m).

    They must share at least half of the true mask, and anything at all with a crowd.
    """
    # Eight pixels at once take an eighth of the time.
    wide = true.shape[2] % 8 == 0 and true.flags.c_contiguous
    words = true.view(np.uint64) if wide else true
    rows, columns = (np.bitwise_or.reduce(words, axis=axis) for axis in (2, 1))
    columns = columns.view(bool)
    bounds = np.zeros((len(true), 4))
    for i in np.flatnonzero(areas):
        y, x = np.flatnonzero(rows[i]), np.flatnonzero(columns[i])
        bounds[i] = x[0], y[0], x[-1] + 1, y[-1] + 1
    corner = np.minimum(regions[:, None, 2:], bounds[:, 2:])
    sides = corner - np.maximum(regions[:, None, :2], bounds[:, :2])
    shared = np.maximum(sides, 0).prod(-1)
    reached: NDArray[np.bool_] = (shared >= np.where(crowd, 1, ENOUGH * areas)) & (areas > 0)
    return reached


def _regions(boxes: Tensor, side: int) -> NDArray[np.float64]:
    """Return boxes (k, 4) that hold what `pasted_parts` makes of masks of `side` pixels."""
    corners = boxes.cpu().double().numpy()
    ring = (corners[:, 2:] - corners[:, :2]) / side + 2
    return np.concatenate((corners[:, :2] - ring, corners[:, 2:] + ring), 1)
