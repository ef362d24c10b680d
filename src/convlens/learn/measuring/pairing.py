"""Pair the boxes found in a picture with the true ones, and say which are missed or extra."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convlens.learn.measuring.measure import Judgement
from convlens.learn.measuring.needed import ENOUGH

__all__ = ["SHOWN", "judge_boxes", "overlaps"]

SHOWN = 0.5
"""The score from which a detection counts as said."""


def overlaps(
    found: NDArray[np.float64], true: NDArray[np.float64], crowd: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the intersection over union of boxes (k, 4) and (m, 4) as (k, m).

    Over a crowd's box it is the share of the found box that lies in it.

    >>> box = np.array([[0.0, 0.0, 2.0, 1.0]])
    >>> overlaps(box, np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([False]))
    array([[0.5]])
    """
    corner = np.minimum(found[:, None, 2:], true[:, 2:])
    sides = corner - np.maximum(found[:, None, :2], true[:, :2])
    shared = np.maximum(sides, 0).prod(-1)
    own = (found[:, 2:] - found[:, :2]).prod(-1)[:, None]
    either = own + np.where(crowd, 0, (true[:, 2:] - true[:, :2]).prod(-1) - shared)
    shares: NDArray[np.float64] = np.zeros_like(shared)
    np.divide(shared, either, out=shares, where=either > 0)
    return shares


def judge_boxes(
    key: str,
    classes: Sequence[str],
    found: tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]],
    true: tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]],
) -> Judgement:
    """Return the judgement on a picture: right if every figure is found and nothing is extra.

    `found`: labels, scores and boxes; those that score above 0.5 count. `true`: labels, boxes and
    which are crowds. The highest score is paired first, with the true box of its class that it
    overlaps most, at an IoU of 0.5 or more. Crowds are not missed, and boxes in them not extra. The
    badness is the number of missed and extra boxes.
    """
    labels, scores, boxes = found
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > SHOWN]
    labels, boxes = labels[order], boxes[order]
    true_labels, true_boxes, crowd = true
    shares = overlaps(boxes, true_boxes, crowd)
    shares[labels[:, None] != true_labels] = 0
    near = (shares >= ENOUGH).any(1)
    open_, extra = ~crowd, int((~near).sum())
    for row in shares[near]:
        candidates = np.where(open_, row, 0)
        if candidates.max(initial=0) >= ENOUGH:
            open_[candidates.argmax()] = False
        elif row[crowd].max(initial=0) < ENOUGH:
            extra += 1
    bad = int(open_.sum()) + extra
    said, truth = _listed(labels, classes), _listed(true_labels[~crowd], classes)
    return Judgement(key, bad == 0, float(bad), said, truth)


def _listed(labels: NDArray[np.int64], classes: Sequence[str]) -> str:
    """Return how many figures there are of each class, the most first.

    >>> _listed(np.array([1, 2, 2]), ("dog", "cat"))
    '2 × cat, 1 × dog'
    """
    counted = Counter(labels.tolist())
    rows = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{n} × {classes[label - 1]}" for label, n in rows) or "nothing"
