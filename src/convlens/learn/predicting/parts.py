"""List what the heads of detectors add to a box, each in one of two forms: a map, or points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlens.zoo.detection.anatomy import Part
from convlens.zoo.detection.keypoints import KEYPOINTS
from convlens.zoo.detection.masks import MASKS

__all__ = ["MAPS", "PARTS", "POINTS", "Points"]

PARTS: dict[str, Part] = {"masks": MASKS, "keypoints": KEYPOINTS}
"""Every part that is kept, drawn and shown, by its name in a detection."""

MAPS = tuple(part for part in PARTS.values() if part.form == "map")
POINTS = tuple(part for part in PARTS.values() if part.form == "points")


@dataclass(frozen=True, eq=False)
class Points:
    """The points of every box: `places` (k, points, 3), x, y and 1 if seen; `scores` (k, points).

    `scores` is None if the network gives none.
    """

    places: NDArray[np.float32]
    scores: NDArray[np.float32] | None = None
