"""Name how exactly people place each point of a body, which is what errors are divided by."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["COCO_SIGMAS", "USUAL_SIGMA", "sigmas_of"]

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
