"""How similar found points are to the true ones, by how exactly people place each point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["COCO_SIGMAS", "USUAL_SIGMA", "sigmas_of", "similarities"]

COCO_SIGMAS = {
    "nose": 0.026,
    **dict.fromkeys(("left_eye", "right_eye"), 0.025),
    **dict.fromkeys(("left_ear", "right_ear"), 0.035),
    **dict.fromkeys(("left_shoulder", "right_shoulder"), 0.079),
    **dict.fromkeys(("left_elbow", "right_elbow"), 0.072),
    **dict.fromkeys(("left_wrist", "right_wrist"), 0.062),
    **dict.fromkeys(("left_hip", "right_hip"), 0.107),
    **dict.fromkeys(("left_knee", "right_knee"), 0.087),
    **dict.fromkeys(("left_ankle", "right_ankle"), 0.089),
}
"""The standard deviations of COCO's points (cocodataset.org, keypoint evaluation, 1.3)."""

USUAL_SIGMA = 0.05
"""The deviation of points that nothing is known of."""


def sigmas_of(points: Sequence[str]) -> tuple[float, ...]:
    """Return COCO's deviations if the names of the points are COCO's, in any order; else 0.05 each.

    >>> sigmas_of(["tip", "end"])
    (0.05, 0.05)
    """
    names = [name.strip().lower().replace(" ", "_").replace("-", "_") for name in points]
    if len(names) == len(COCO_SIGMAS) == len({*names} & {*COCO_SIGMAS}):
        return tuple(COCO_SIGMAS[name] for name in names)
    return (USUAL_SIGMA,) * len(names)


def similarities(
    found: NDArray[np.float64],
    true: NDArray[np.float64],
    boxes: NDArray[np.float64],
    areas: NDArray[np.float64],
    sigmas: Sequence[float],
) -> NDArray[np.float64]:
    """Return the similarity, 0 to 1, of the points of each pair of figures, (n,).

    `found` (n, k, 3) and `true` (n, k, 3): x, y and visibility. `boxes` (n, 4) and `areas` (n,) of
    the true figures. Points that are not labelled count nothing. For a figure without labelled
    points, those found count as right within twice its box.

    Source: cocodataset.org, keypoint evaluation, 1.2, as pycocotools computes it.

    >>> point = np.array([[[5.0, 5.0, 2.0]]])
    >>> similarities(point, point, np.array([[0.0, 0, 9, 9]]), np.array([81.0]), (0.05,))
    array([1.])
    """
    seen = true[:, :, 2] > 0
    off = found[:, :, :2] - true[:, :, :2]
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    side = high - low
    outside = np.maximum(low - side - found[:, :, :2], 0)
    outside += np.maximum(found[:, :, :2] - high - side, 0)
    any_seen = seen.sum(1) > 0
    off = np.where(any_seen[:, None, None], off, outside)
    variances = (2 * np.asarray(sigmas)) ** 2
    error = (off**2).sum(2) / variances / (areas[:, None] + np.spacing(1)) / 2
    counted = seen | ~any_seen[:, None]
    shares: NDArray[np.float64] = (np.exp(-error) * counted).sum(1) / counted.sum(1)
    return shares
