"""Compute average precision by COCO's rules, with faster-coco-eval.

Lin et al., *Microsoft COCO: Common Objects in Context* (arXiv 1405.0312); cocodataset.org,
detection evaluation.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlens.learn.measuring.measure import State
from convlens.learn.measuring.points import similarities

__all__ = ["AREAS", "MOST_BOXES", "MOST_POINTS", "Evaluation", "Precisions"]

MOST_BOXES, MOST_POINTS = 100, 20
"""How many detections of a class count in a picture: of boxes and masks, and of points."""

AREAS = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2)}
AREAS["large"] = (96.0**2, 1e10)
"""The least and most area of figures, in square pixels."""

AT_ONCE = 2**16
"""The pairs of figures whose points are compared at once, to bound memory."""

Rows = list[dict[str, Any]]
Overlap = Callable[[int, int], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Precisions:
    """Precision by IoU threshold (0.50 to 0.95), recall (0 to 1), class and area; -1 for no truth.

    `values`: (10, 101, classes, areas), areas perhaps the first only; `classes` (classes,): labels.
    """

    values: NDArray[np.float64]
    classes: NDArray[np.int64]

    def mean(self, threshold: float | None = None, area: str = "all") -> float:
        """Return the mean over thresholds, or at one, and over recalls and classes with truth."""
        chosen = self.values[..., list(AREAS).index(area)]
        if threshold is not None:
            chosen = chosen[round((threshold - 0.5) / 0.05)]
        known = chosen[chosen > -1]
        return float(known.mean()) if known.size else float("nan")

    def by_label(self) -> dict[int, float]:
        """Return the average precision of each label, over all thresholds."""
        return {
            int(label): Precisions(self.values[:, :, [k]], self.classes[[k]]).mean()
            for k, label in enumerate(self.classes)
        }


class Evaluation:
    """Detections and truth of pictures, ready to be compared.

    `state`: as `FigureArrays.state` gives it, with the pictures in the order that breaks ties.
    """

    def __init__(self, state: State) -> None:
        # Late, as it loads OpenCV where that is installed, and other measures do without.
        from faster_coco_eval import COCO

        self._state = state
        self._classes = np.unique(state["true_labels"][~state["true_crowd"]])
        self._true_pictures = np.repeat(np.arange(len(state["truths"])), state["truths"])
        self._found_pictures = np.repeat(np.arange(len(state["found"])), state["found"])
        dataset = {
            "images": [{"id": i + 1} for i in range(len(state["found"]))],
            "categories": [{"id": label} for label in self._classes.tolist()],
        }
        self._last: tuple[str, Any] | None = None
        self._sides = []
        with _uncollected():
            for rows in (self._true_rows(), self._found_rows()):
                side = COCO()
                side.dataset = {**dataset, "annotations": rows}
                side.createIndex()
                self._sides.append(side)

    def boxes(self) -> Precisions:
        """Return the precisions by the IoU of boxes, in all ranges of area."""
        return self._precisions("bbox", MOST_BOXES, AREAS)

    def masks(self) -> Precisions:
        """Return the precisions by the IoU of masks, of figures of any area."""
        return self._precisions("bbox", MOST_BOXES, {"all": AREAS["all"]}, self._mask_overlap())

    def points(self, sigmas: tuple[float, ...]) -> Precisions:
        """Return the precisions by the similarity of points, of figures of any area."""
        overlap = self._point_overlap(sigmas)
        return self._precisions("keypoints", MOST_POINTS, {"all": AREAS["all"]}, overlap)

    def _precisions(
        self,
        kind: str,
        most: int,
        areas: dict[str, tuple[float, float]],
        overlap: Overlap | None = None,
    ) -> Precisions:
        if not len(self._classes):
            return Precisions(np.full((10, 101, 0, len(areas)), -1.0), self._classes)
        evaluation = self._evaluation(kind)
        if overlap is not None:
            evaluation.computeIoU = evaluation.computeOks = overlap
        # One count and few areas: the others cost time and are not asked for.
        evaluation.params.maxDets = [most]
        evaluation.params.areaRng = [list(area) for area in areas.values()]
        evaluation.params.areaRngLbl = list(areas)
        evaluation.params.catIds = self._classes.tolist()
        with _uncollected():
            evaluation.evaluate()
        evaluation.accumulate()
        return Precisions(np.asarray(evaluation.eval["precision"])[..., 0], self._classes)

    def _evaluation(self, kind: str) -> Any:
        """Return the library's evaluation of a kind; one right after another need not sort rows.

        Of points it marks rows to be ignored, which those of another kind then sorts again.
        """
        from faster_coco_eval import COCOeval_faster

        if self._last is None or self._last[0] != kind:
            self._last = kind, COCOeval_faster(*self._sides, kind)
        else:
            vars(self._last[1]).pop("computeIoU", None)  # ours, of another time
            self._last[1]._prepare = lambda: None
        return self._last[1]

    def _true_rows(self) -> Rows:
        state = self._state
        chosen = np.flatnonzero(np.isin(state["true_labels"], self._classes))
        columns: dict[str, Any] = {
            "image_id": (self._true_pictures[chosen] + 1).tolist(),
            "category_id": state["true_labels"][chosen].tolist(),
            "area": state["true_areas"][chosen].tolist(),
            "iscrowd": state["true_crowd"][chosen].astype(int).tolist(),
            "bbox": _sized(state["true_boxes"][chosen]),
        }
        if "points" in state:
            columns["num_keypoints"] = (state["true_points"][chosen, :, 2] > 0).sum(1).tolist()
        return _rows(columns)

    def _found_rows(self) -> Rows:
        state = self._state
        chosen = np.flatnonzero(np.isin(state["labels"], self._classes))
        boxes, pictures = state["boxes"][chosen], self._found_pictures[chosen]
        rows = _rows({
            "image_id": (pictures + 1).tolist(),
            "category_id": state["labels"][chosen].tolist(),
            "score": state["scores"][chosen].tolist(),
            "area": (boxes[:, 2:] - boxes[:, :2]).prod(1).tolist(),
        })  # fmt: skip
        # Most have no truth to be compared with: their places are not looked at.
        compared = np.flatnonzero(self._has_truth(pictures, state["labels"][chosen]))
        for i, box in zip(compared.tolist(), _sized(boxes[compared]), strict=True):
            rows[i]["bbox"] = box
        return rows

    def _has_truth(
        self, pictures: NDArray[np.int64], labels: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return which detections have a true figure of their class in their picture."""
        return np.isin(self._keys(pictures, labels), self._true_keys())

    def _keys(self, pictures: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return a number for each picture and class."""
        most = 1 + max(int(self._state[n].max(initial=0)) for n in ("labels", "true_labels"))
        return pictures * most + labels

    def _true_keys(self) -> NDArray[np.int64]:
        return self._keys(self._true_pictures, self._state["true_labels"])

    def _point_overlap(self, sigmas: tuple[float, ...]) -> Overlap:
        """Return a function that gives how similar the points of a picture and class are."""
        state = self._state
        given = np.flatnonzero(state["has_points"])
        keys = self._keys(self._found_pictures[given], state["labels"][given])
        by_score = np.lexsort((-state["scores"][given], keys))
        keys, true_keys = keys[by_score], self._true_keys()
        by_key = np.argsort(true_keys, kind="stable")
        first = np.searchsorted(true_keys[by_key], keys)
        counts = np.searchsorted(true_keys[by_key], keys, "right") - first
        ends = np.cumsum(counts)
        found = np.repeat(by_score, counts)
        true = by_key[np.arange(counts.sum()) - np.repeat(ends - counts - first, counts)]
        parts = [
            similarities(
                state["points"][found[at]],
                state["true_points"][true[at]],
                state["true_boxes"][true[at]],
                state["true_areas"][true[at]],
                sigmas,
            )
            for at in (slice(k, k + AT_ONCE) for k in range(0, len(found), AT_ONCE))
        ]
        shares = np.concatenate(parts) if parts else np.zeros(0)

        def overlap(image: int, label: int) -> NDArray[np.float64]:
            key = self._keys(np.array(image - 1), np.array(label))
            low, high = np.searchsorted(keys, key), np.searchsorted(keys, key, "right")
            start = ends[low] - counts[low]
            return shares[start : ends[high - 1]].reshape(high - low, counts[low])

        return overlap

    def _mask_overlap(self) -> Overlap:
        """Return a function that gives the overlaps of the masks of a picture and class."""
        state = self._state
        pairs = [state[name] for name in ("overlap_found", "overlap_true", "overlaps")]
        ends = {
            name: np.concatenate([[0], np.cumsum(state[name])]).tolist()
            for name in ("found", "truths", "overlap_counts")
        }

        def overlap(image: int, label: int) -> NDArray[np.float64]:
            own = {name: slice(*edges[image - 1 : image + 1]) for name, edges in ends.items()}
            found = np.flatnonzero(state["labels"][own["found"]] == label)
            scores = state["scores"][own["found"]][found]
            found = found[np.argsort(-scores, kind="stable")][:MOST_BOXES]
            true = np.flatnonzero(state["true_labels"][own["truths"]] == label)
            i, j, shares = (pair[own["overlap_counts"]] for pair in pairs)
            every = np.zeros(
                (own["found"].stop - own["found"].start, own["truths"].stop - own["truths"].start)
            )
            every[i, j] = shares
            return every[np.ix_(found, true)]

        return overlap


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the search for circles of references from walking half a million rows at each turn."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _rows(columns: dict[str, Any]) -> Rows:
    """Return columns as rows with an id from 1, as 0 stands for no match."""
    names = ("id", *columns)
    numbers = range(1, len(columns["image_id"]) + 1)
    return [
        dict(zip(names, row, strict=True)) for row in zip(numbers, *columns.values(), strict=True)
    ]


def _sized(boxes: NDArray[np.float64]) -> list[list[float]]:
    """Return boxes with their sizes instead of their far corners."""
    sized = np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), 1)
    rows: list[list[float]] = sized.tolist()
    return rows
