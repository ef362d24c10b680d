"""Explain non-maximum suppression: which boxes were kept, and which each of them dropped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.arguments import Arguments, KnownByName
from convlens.lens.terms import Account, Cost, Floats, Ints, Terms, floats, unit_roundoff

SIGNATURES = {
    "nms": "boxes, scores, iou_threshold",
    "batched_nms": "boxes, scores, idxs, iou_threshold",
}

_NAMED = 3
"""The most dropped boxes that a note names; it says how many more there are."""

_KEPT = 64
"""The decisions kept with a recording at a time."""


@dataclass(frozen=True, eq=False)
class Suppression:
    """What the definition gives: the boxes `kept` in order, and what decided about each box.

    `by` is the better kept box that overlaps it most, of those up to the one that dropped it (-1:
    none in its group overlaps it), `overlap` how much, and `rank` its place among all scores.
    """

    kept: Ints
    by: Ints
    overlap: Floats
    rank: Ints


class Suppressing(KnownByName):
    """value = the index of a box that no better kept box overlaps by more than the threshold."""

    name = "selecting"
    exact = False
    signatures = SIGNATURES

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return a term for each score; the kept box has weight 1, `weight_source` leads to boxes.

        The decision is made once for all boxes of a step.
        """
        recording, step = given.recording, given.step
        found = recording.kept("suppressions", step.index, _KEPT, lambda: _decide(given))
        scores = floats(given.tensor("scores"))
        kept = int(found.kept[index[0]]) if index[0] < found.kept.size else -1
        positions = np.arange(scores.size)
        terms = Terms.build(
            given.id("scores"),
            positions,
            scores,
            (positions == kept).astype(np.float64),
            weight_source=given.id("boxes"),
            weight_position=4 * positions,
        )
        note = _note(found, kept, float(given["iou_threshold"]))
        return Account("chosen", terms, float(kept), exact=True, formula=step.op, note=note)

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return everything: each box and score before it counts."""
        values = given.recording.values
        return {
            id: masks.everything(mask, values[id].shape) for id in dict.fromkeys(given.step.inputs)
        }

    def cost(self, given: Arguments) -> Cost:
        """Count one overlap of each kept box with each box."""
        return Cost(operations=given.output().shape[0] * given.value("boxes").shape[0])


def _note(found: Suppression, kept: int, threshold: float) -> str:
    """Return why a box was kept, and which boxes it dropped."""
    if kept < 0:
        return "by the definition fewer boxes are kept"
    dropped = np.flatnonzero((found.by == kept) & ~np.isin(np.arange(found.by.size), found.kept))
    dropped = dropped[np.argsort(-found.overlap[dropped], kind="stable")]
    names = ", ".join(f"{j} (overlap {found.overlap[j]:.2f})" for j in dropped[:_NAMED])
    if dropped.size > _NAMED:
        names += f" and {dropped.size - _NAMED} more"
    losers = f"it dropped {names}" if dropped.size else "it dropped none"
    if found.by[kept] < 0:
        above = "no better kept box overlaps it"
    else:
        above = (
            f"of the better kept boxes {found.by[kept]} overlaps it most "
            f"({found.overlap[kept]:.2f}, the limit is {threshold:g})"
        )
    rank = f"score rank {found.rank[kept] + 1} of {found.rank.size}"
    return f"chosen: box {kept} is kept, {rank}; {above}; {losers}"


def _decide(given: Arguments) -> Suppression:
    """Go through the boxes, best first: each that is not dropped is kept, and drops its overlaps.

    Equal scores, and overlaps within rounding of the threshold, are decided as they were recorded.
    """
    boxes, scores = floats(given.tensor("boxes")), floats(given.tensor("scores"))
    n, threshold = scores.size, float(given["iou_threshold"])
    recorded = given.output().tensor.cpu().numpy()
    place = np.full(n, n)  # among the recorded ones; `n` is none
    place[recorded] = np.arange(recorded.size)
    best_first = np.lexsort((place, np.where(np.isnan(scores), -np.inf, -scores)))
    groups = floats(given.tensor("idxs")) if given.has("idxs") else np.zeros(n)
    slack = _slack(boxes, groups, unit_roundoff(given.value("boxes").dtype))
    rank, by, most = np.empty(n, np.int64), np.full(n, -1), np.zeros(n)
    rank[best_first] = np.arange(n)
    kept, left = [], best_first
    while left.size:
        best, left = left[0], left[1:]
        kept.append(int(best))
        shared = np.where(groups[left] == groups[best], overlaps(boxes[best], boxes[left]), 0.0)
        more = left[shared > most[left]]
        most[more], by[more] = shared[shared > most[left]], best
        dropped = shared > threshold
        unsure = np.abs(shared - threshold) <= slack[left] + slack[best]
        dropped[unsure] = place[left[unsure]] == n
        most[left[dropped]], by[left[dropped]] = shared[dropped], best
        left = left[~dropped]
    return Suppression(np.array(kept, np.int64), by, most, rank)


def overlaps(box: Floats, boxes: Floats) -> Floats:
    """Return the intersection over union of one box (4,) with each of others (n, 4)."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    common = np.prod(np.maximum(sides, 0), 1)
    area = np.prod(box[2:] - box[:2])
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = common / (area + np.prod(boxes[:, 2:] - boxes[:, :2], 1) - common)
    return found


def _slack(boxes: Floats, groups: Floats, u: float) -> npt.NDArray[np.float64]:
    """Return how far rounding may move an overlap with each box.

    torch moves the boxes of groups apart, so that corners round as numbers of that size.
    """
    moved = np.abs(boxes).max(initial=0.0) * (1 + np.abs(groups))
    with np.errstate(divide="ignore", invalid="ignore"):
        finest = (boxes[:, 2:] - boxes[:, :2]).min(1)
        return np.where(finest > 0, 8 * u * (1 + (groups != 0) * moved / finest), 0.0)
