"""What a network says of one picture, in the picture's pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from convlens.files import printed
from convlens.learn.data.run_lengths import RunLengths, run_lengths
from convlens.learn.predicting.parts import PARTS, Points

__all__ = ["Limits", "Prediction", "View", "fields_of", "score_text"]

Numbers = NDArray[np.float32]

BACKGROUNDS = ("__background__", "no person", "N/A")
"""Names of outputs that mean nothing is there."""


@dataclass(frozen=True)
class Limits:
    """What is kept of an answer: the `top` categories, boxes that score `threshold` or more."""

    threshold: float = 0.5
    top: int = 5

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(
                f"`threshold` (={self.threshold}) must lie between 0 and 1; use 0.5 or leave it out"
            )
        if self.top < 1:
            raise ValueError(f"`top` (={self.top}) must be at least 1; use 5 or leave it out")


@dataclass(frozen=True)
class View:
    """How a network saw a picture of `size` (h, w): its input of `shape` (h, w) was `box`.

    `box`: left, top, right, bottom in the picture's pixels; None for the whole picture.
    """

    size: tuple[int, int]
    shape: tuple[int, int]
    box: tuple[float, float, float, float] | None = None

    def points(self, x: Tensor) -> Tensor:
        """Return points (..., 2), x and y in pixels of the input, in pixels of the picture."""
        left, top, right, bottom = self._box()
        scale = x.new_tensor([(right - left) / self.shape[1], (bottom - top) / self.shape[0]])
        return x * scale + x.new_tensor([left, top])

    def maps(self, x: Tensor, around: float) -> Tensor:
        """Return maps (k, h', w') of the input as maps (k, *size) of the picture.

        They are interpolated bilinearly. Pixels that the network did not see become `around`.
        """
        left, top, right, bottom = (round(side) for side in self._box())
        high, wide = max(bottom - top, 1), max(right - left, 1)
        x = F.interpolate(x[None], (high, wide), mode="bilinear")[0]
        below, beside = self.size[0] - top - high, self.size[1] - left - wide
        return F.pad(x, (left, beside, top, below), value=around)

    def is_picture(self) -> bool:
        """Return whether the input's pixels are those of the picture."""
        return self.shape == self.size and self._box() == (0, 0, self.size[1], self.size[0])

    def _box(self) -> tuple[float, float, float, float]:
        return self.box or (0, 0, self.size[1], self.size[0])


class _Masks:
    """A field of predictions that takes and returns masks, and keeps them as run lengths.

    A hundred masks of 2 megapixels take 200 MB, as run lengths some kilobytes.
    """

    def __get__(self, prediction: Any, owner: type) -> NDArray[np.bool_] | None:
        runs = None if prediction is None else prediction.mask_runs
        return None if runs is None else runs.array()

    def __set__(self, prediction: Any, masks: NDArray[np.bool_] | RunLengths | None) -> None:
        runs = RunLengths.of(masks) if isinstance(masks, np.ndarray) else masks
        prediction.__dict__["_mask_runs"] = runs


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says of one picture, frame or stretch of a clip; it prints as text.

    - `name` of the source; `width` and `height` of the picture as it is seen, in pixels. Boxes,
      masks, keypoints and the map are in these pixels, too.
    - `labels`: numbers of categories (k,), the best first. `scores` (k,): `probabilities` from 0 to
      1, or what the network gives instead. `categories`: the names of all, () without names.
    - From detectors, None from others: `boxes` (k, 4), left, top, right, bottom; `masks` (k, h, w)
      bool, made from `mask_runs` at each access; `keypoints` (k, points, 3), x, y and 1 if it is
      visible; `keypoint_scores` (k, points), unlimited; `extra`: what further heads added to the
      boxes, by the names in `PARTS`.
    - From segmenters: `map` (h, w) uint8, the category of each pixel. `labels` are then the
      categories in it, the largest first, and `scores` their mean probability where they won.
    - Of a clip: `frame`, the number of the first frame seen, and its `time` in seconds. Of a file
      with several pages: `page`, its number, from 0.
    - `error`: a sentence about why there is no answer. `warnings`: sentences about how far to trust
      it, for example that weights are random. `seconds`: the network's time, shared by a batch.

    >>> prediction = Prediction(
    ...     "cat.jpg", 4, 2, np.array([1]), np.array([0.75]), categories=("dog", "cat")
    ... )
    >>> print(prediction)
    cat.jpg (4 x 2)
       75.0 %  cat
    >>> prediction.to_dict()["predictions"]
    [{'category_id': 1, 'category': 'cat', 'score': 0.75}]
    """

    name: str
    width: int = 0
    height: int = 0
    labels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    scores: Numbers = field(default_factory=lambda: np.zeros(0, np.float32))
    boxes: Numbers | None = None
    masks: _Masks = _Masks()
    keypoints: Numbers | None = None
    keypoint_scores: Numbers | None = None
    map: NDArray[np.uint8] | None = None
    probabilities: bool = True
    categories: tuple[str, ...] = ()
    frame: int | None = None
    time: float | None = None
    error: str | None = None
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    page: int | None = None
    extra: Mapping[str, RunLengths | Points] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, RunLengths | Points]:
        """What the heads of a detector added to its boxes, by name, masks as run lengths."""
        own: dict[str, RunLengths | Points] = {}
        if self.mask_runs is not None:
            own["masks"] = self.mask_runs
        if self.keypoints is not None:
            own["keypoints"] = Points(self.keypoints, self.keypoint_scores)
        return own | dict(self.extra)

    def changed(self, **fields: Any) -> Prediction:
        """Return a prediction with other `fields`; its masks are handed on as run lengths."""
        return replace(self, **{"masks": self.mask_runs, **fields})

    def without_boxes(self, error: str) -> Prediction:
        """Return a prediction that has an `error` in place of its boxes and what is in them."""
        empty: dict[str, Any] = dict.fromkeys(("boxes", "masks", "keypoints", "keypoint_scores"))
        return replace(self, **empty, extra={}, error=error)

    @property
    def mask_runs(self) -> RunLengths | None:
        """The masks as the lengths of their runs; its method `mask` returns one as pixels."""
        runs: RunLengths | None = self.__dict__.get("_mask_runs")
        return runs

    def category(self, label: int) -> str:
        """Return the name of a category, or its number if it has none."""
        return self.categories[label] if 0 <= label < len(self.categories) else str(label)

    def shares(self) -> dict[int, float]:
        """Return each category's share of the picture in the map, the largest first."""
        if self.map is None:
            return {}
        counts = np.bincount(self.map.reshape(-1))
        order = [int(label) for label in np.argsort(-counts, kind="stable") if counts[label]]
        return {label: float(counts[label] / self.map.size) for label in order}

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON needs, in the words of COCO's results.

        "predictions" has a dictionary for each label: category_id, category, score; bbox
        [x, y, w, h]; segmentation {"size", "counts"} in compressed run lengths; keypoints
        [x, y, v, ...]. For a map, it has all categories except the background. "probabilities" is
        false if the scores are none. A picture without an answer has "error" instead, with its
        frame or page; one whose drawing failed has both.
        """
        row: dict[str, Any] = {"image": self.name}
        if self.page is not None:
            row["page"] = self.page
        if self.frame is not None:
            row |= {"frame": self.frame, "time": round(self.time or 0.0, 4)}
        if self.warnings:
            row["warnings"] = list(self.warnings)
        if self.error is not None:
            row["error"] = self.error
            if not len(self.labels):
                return row
        row |= {"width": self.width, "height": self.height}
        if not self.probabilities:
            row["probabilities"] = False
        rows = [
            self._row(position, label)
            for position, label in enumerate(self.labels.tolist())
            if self.map is None or self.category(label) not in BACKGROUNDS
        ]
        return {**row, "predictions": rows}

    def _row(self, position: int, label: int) -> dict[str, Any]:
        row: dict[str, Any] = {"category_id": label, "category": self.category(label)}
        row["score"] = round(float(self.scores[position]), 6)
        if self.boxes is not None:
            left, top, right, bottom = (float(side) for side in self.boxes[position])
            sides = (left, top, right - left, bottom - top)
            row["bbox"] = [round(side, 3) for side in sides]
        for name, part in self.parts.items():
            if isinstance(part, RunLengths):
                row[PARTS[name].coco] = part.coco(position)
            else:
                places = part.places[position].reshape(-1)
                row[PARTS[name].coco] = [round(float(x), 3) for x in places]
        if self.map is not None:
            row["segmentation"] = run_lengths(self.map == label)
        return row

    def __str__(self) -> str:
        """Return the name and size, and a line for each label: score, name and place."""
        at = "" if self.time is None else f" at {self.time:.2f} s"
        if self.page is not None:
            at = f", page {self.page}"
        name = printed(self.name)
        if self.error is not None:
            lines = [f"{name}{at}: {printed(self.error)}"]
            return "\n".join([*lines, *(f"  ! {printed(said)}" for said in self.warnings)])
        lines = [f"{name}{at} ({self.width} x {self.height})"]
        lines += self._label_lines() or ["  nothing found"]
        lines += (f"  ! {printed(said)}" for said in self.warnings)
        return "\n".join(lines)

    def _label_lines(self) -> list[str]:
        lines, shares = [], self.shares()
        for position, label in enumerate(self.labels.tolist()):
            score = score_text(float(self.scores[position]), self.probabilities)
            line = f"  {score:>7}  {printed(self.category(label))}"
            if self.boxes is not None:
                left, top, right, bottom = (round(float(x)) for x in self.boxes[position])
                line += f", x {left} to {right}, y {top} to {bottom}"
            if self.map is not None:
                line += f", {100 * shares.get(label, 0.0):.1f} % of the picture"
            lines.append(line)
        return lines


def fields_of(parts: Mapping[str, RunLengths | Points]) -> dict[str, Any]:
    """Return the fields of a prediction that hold these parts; what `Prediction.parts` undoes."""
    fields: dict[str, Any] = {}
    extra = dict(parts)
    if "masks" in extra:
        fields["masks"] = extra.pop("masks")
    points = extra.pop("keypoints", None)
    if isinstance(points, Points):
        fields |= {"keypoints": points.places, "keypoint_scores": points.scores}
    return fields | ({"extra": extra} if extra else {})


def score_text(score: float, is_probability: bool) -> str:
    """Return a score as text: a probability in per cent, any other number as it is.

    >>> score_text(0.7166, True), score_text(-2.0, False)
    ('71.7 %', 'score -2')
    """
    return f"{100 * score:.1f} %" if is_probability else f"score {score:.4g}"
