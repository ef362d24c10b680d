"""What a network says of one picture: its form told from the output, in the picture's pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from convlens.files import printed
from convlens.learn.run_lengths import run_lengths

__all__ = ["Limits", "Prediction", "View", "predictions_of"]

Numbers = NDArray[np.float32]

BACKGROUNDS = ("__background__", "no person", "N/A")
"""Names of outputs that stand for nothing to be seen."""


NOT_FINITE = "the network's scores are no finite numbers; its weights may hold none, take others"


@dataclass(frozen=True)
class Limits:
    """What of an answer is kept: the `top` categories; boxes scored `threshold` or more."""

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
    """How a network saw a picture of `size` (h, w): its input of `shape` (h, w) lay over `box`.

    `box`: left, top, right, bottom in the picture's pixels; the whole of it where None.
    """

    size: tuple[int, int]
    shape: tuple[int, int]
    box: tuple[float, float, float, float] | None = None

    def points(self, x: Tensor) -> Tensor:
        """Return x and y (..., 2) in pixels of the input as they lie in the picture."""
        left, top, right, bottom = self._box()
        scale = x.new_tensor([(right - left) / self.shape[1], (bottom - top) / self.shape[0]])
        return x * scale + x.new_tensor([left, top])

    def maps(self, x: Tensor, around: float) -> Tensor:
        """Return maps (k, h', w') over the input as they lie over the picture: (k, *size).

        Bilinear; `around`: what stands where the network did not look.
        """
        left, top, right, bottom = (round(side) for side in self._box())
        high, wide = max(bottom - top, 1), max(right - left, 1)
        x = F.interpolate(x[None], (high, wide), mode="bilinear")[0]
        below, beside = self.size[0] - top - high, self.size[1] - left - wide
        return F.pad(x, (left, beside, top, below), value=around)

    def is_picture(self) -> bool:
        """Return whether pixels of the input are pixels of the picture."""
        return self.shape == self.size and self._box() == (0, 0, self.size[1], self.size[0])

    def _box(self) -> tuple[float, float, float, float]:
        return self.box or (0, 0, self.size[1], self.size[0])


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says of one picture, frame or stretch of a clip; it prints as text.

    `name`: of the source; `width`, `height`: of the picture as it is seen, in pixels, which boxes,
    masks, keypoints and the map are in too. `labels`: numbers of categories (k,), the best first,
    `scores` (k,) of 0 to 1 with them; `categories`: the names of all, () where there are none.

    Of detectors, None from others: `boxes` (k, 4), left, top, right, bottom; `masks` (k, h, w)
    bool; `keypoints` (k, points, 3), x, y and 1 where it is seen; `keypoint_scores` (k, points),
    without limits. Of segmenters: `map` (h, w) uint8, the category of each pixel; there `labels`
    are those in it, the largest first, and `scores` their mean probability where they won.

    Of a clip: `frame`, the number of the first frame meant, `time` in seconds. `error`: why there
    is no answer, in a sentence. `seconds`: what the network took, its part of a batch.

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
    masks: NDArray[np.bool_] | None = None
    keypoints: Numbers | None = None
    keypoint_scores: Numbers | None = None
    map: NDArray[np.uint8] | None = None
    categories: tuple[str, ...] = ()
    frame: int | None = None
    time: float | None = None
    error: str | None = None
    seconds: float = 0.0

    def category(self, label: int) -> str:
        """Return the name of a category, its number where it has none."""
        return self.categories[label] if label < len(self.categories) else str(label)

    def shares(self) -> dict[int, float]:
        """Return what part of the picture each category of the map covers, the largest first."""
        if self.map is None:
            return {}
        counts = np.bincount(self.map.reshape(-1))
        order = [int(label) for label in np.argsort(-counts, kind="stable") if counts[label]]
        return {label: float(counts[label] / self.map.size) for label in order}

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON needs, in the words of COCO's results.

        "predictions" has a dictionary a label: category_id, category, score; bbox [x, y, w, h];
        segmentation {"size", "counts"} in compressed run lengths; keypoints [x, y, v, ...]. Of a
        map, all categories but the background. An unread picture has "error" alone.
        """
        told: dict[str, Any] = {"image": self.name}
        if self.error is not None:
            return {**told, "error": self.error}
        told |= {"width": self.width, "height": self.height}
        if self.frame is not None:
            told |= {"frame": self.frame, "time": round(self.time or 0.0, 4)}
        rows = [
            self._row(position, label)
            for position, label in enumerate(self.labels.tolist())
            if self.map is None or self.category(label) not in BACKGROUNDS
        ]
        return {**told, "predictions": rows}

    def _row(self, position: int, label: int) -> dict[str, Any]:
        row: dict[str, Any] = {"category_id": label, "category": self.category(label)}
        row["score"] = round(float(self.scores[position]), 6)
        if self.boxes is not None:
            left, top, right, bottom = (float(side) for side in self.boxes[position])
            sides = (left, top, right - left, bottom - top)
            row["bbox"] = [round(side, 3) for side in sides]
        if self.masks is not None:
            row["segmentation"] = run_lengths(self.masks[position])
        if self.keypoints is not None:
            row["keypoints"] = [round(float(x), 3) for x in self.keypoints[position].reshape(-1)]
        if self.map is not None:
            row["segmentation"] = run_lengths(self.map == label)
        return row

    def __str__(self) -> str:
        """Return the name and size, and a line a label: score, name and where."""
        at = "" if self.time is None else f" at {self.time:.2f} s"
        name = printed(self.name)
        if self.error is not None:
            return f"{name}{at}: {printed(self.error)}"
        lines = [f"{name}{at} ({self.width} x {self.height})"]
        shares = self.shares()
        for position, label in enumerate(self.labels.tolist()):
            line = f"  {100 * self.scores[position]:5.1f} %  {printed(self.category(label))}"
            if self.boxes is not None:
                left, top, right, bottom = (round(float(x)) for x in self.boxes[position])
                line += f", x {left} to {right}, y {top} to {bottom}"
            if self.map is not None:
                line += f", {100 * shares.get(label, 0.0):.1f} % of the picture"
            lines.append(line)
        if len(lines) == 1:
            lines.append("  nothing found")
        return "\n".join(lines)


def predictions_of(output: Any, views: Sequence[View], limits: Limits) -> list[dict[str, Any]]:
    """Return what an output says of each picture of a batch, as fields of `Prediction`.

    `views`: how the network saw each. Scores (n, classes) are a classification; a
    dictionary with "out", or a tensor, (n, classes, h, w) a segmentation; a list of dictionaries
    with "boxes", "labels" and "scores" detections.

    Raises TypeError for an output that is none of these.

    >>> view = View(size=(4, 4), shape=(4, 4))
    >>> predictions_of(torch.tensor([[0.0, 9.0]]), [view], Limits(top=1))[0]["labels"]
    array([1])
    """
    if isinstance(output, dict) and isinstance(output.get("out"), Tensor):
        output = output["out"]
    if isinstance(output, Tensor) and output.ndim == 2 and len(output) == len(views):
        return _classified(output.float(), limits)
    if isinstance(output, Tensor) and output.ndim == 4 and 2 <= output.shape[1] <= 256:
        pairs = zip(output.float(), views, strict=True)
        return [_segmented(scores, view) for scores, view in pairs]
    is_list = isinstance(output, (list, tuple)) and len(output) == len(views)
    if is_list and all(isinstance(one, dict) and "boxes" in one for one in output):
        return [_detected(one, view, limits) for one, view in zip(output, views, strict=True)]
    raise TypeError(
        f"`network` answered with {_described(output)} for {len(views)} pictures, and must with "
        "scores (n, classes), a dictionary with out (n, classes, h, w) or a list of dictionaries "
        "with boxes, labels and scores; see its numbers with `convlens record`"
    )


def _classified(scores: Tensor, limits: Limits) -> list[dict[str, Any]]:
    # Probabilities are left as they are; row by row, for a batch must not decide for a picture.
    settled = (scores >= 0).all(1) & ((scores.sum(1) - 1).abs() < 1e-3)
    chances = torch.where(settled[:, None], scores, scores.softmax(1))
    best = chances.topk(min(limits.top, chances.shape[1]))
    rows = zip(best.indices.cpu().numpy(), best.values.cpu().numpy(), strict=True)
    return [
        {"labels": labels, "scores": values} if np.isfinite(values).all() else {"error": NOT_FINITE}
        for labels, values in rows
    ]


def _segmented(scores: Tensor, view: View) -> dict[str, Any]:
    """The best category of each pixel of the picture, between the network's own by its scores.

    Only categories that win somewhere on the network's own grid are asked. Where it did not look,
    the first stands, which is the background.
    """
    chances, winners = scores.softmax(0).max(0)
    present = winners.unique()
    best = torch.full(view.size, -torch.inf)
    map_ = torch.zeros(view.size, dtype=torch.uint8)
    for label in present.tolist():
        one = view.maps(scores[label].cpu()[None], around=-torch.inf)[0]
        map_[one > best] = label
        best = torch.maximum(one, best)
    counts = torch.bincount(map_.reshape(-1).long(), minlength=len(scores))
    order = counts.argsort(descending=True, stable=True)
    labels = order[counts[order] > 0]
    means = [
        float(chances[winners == label].mean()) if label in present else 0.0
        for label in labels.to(winners.device)
    ]
    return {"labels": labels.numpy(), "scores": np.array(means, np.float32), "map": map_.numpy()}


def _detected(found: dict[str, Tensor], view: View, limits: Limits) -> dict[str, Any]:
    kept = found["scores"] >= limits.threshold
    parts = {name: tensor[kept].detach().cpu() for name, tensor in found.items()}
    order = parts["scores"].argsort(descending=True, stable=True)
    if not view.is_picture():
        parts = _in_the_picture(parts, view)
    fields: dict[str, Any] = {
        "labels": parts["labels"][order].long().numpy(),
        "scores": parts["scores"][order].float().numpy(),
        "boxes": parts["boxes"][order].float().numpy(),
    }
    if "masks" in parts:  # (k, 1, h, w), the chance that a pixel belongs to it
        masks = parts["masks"][order].reshape(len(order), *parts["masks"].shape[-2:])
        fields["masks"] = (masks >= 0.5).numpy()
    if "keypoints" in parts:
        fields["keypoints"] = parts["keypoints"][order].float().numpy()
    if "keypoints_scores" in parts:
        fields["keypoint_scores"] = parts["keypoints_scores"][order].float().numpy()
    return fields


def _in_the_picture(parts: dict[str, Tensor], view: View) -> dict[str, Tensor]:
    boxes = view.points(parts["boxes"].reshape(-1, 2, 2)).reshape(-1, 4)
    h, w = view.size
    parts = {**parts, "boxes": boxes.clamp(min=0).minimum(boxes.new_tensor([w, h, w, h]))}
    if "masks" in parts:
        masks = parts["masks"].float()
        parts["masks"] = view.maps(masks.reshape(len(boxes), *masks.shape[-2:]), around=0)
    if "keypoints" in parts:
        points = parts["keypoints"]
        parts["keypoints"] = torch.cat((view.points(points[..., :2]), points[..., 2:]), -1)
    return parts


def _described(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)}"
    if isinstance(output, dict):
        return f"a dictionary of {', '.join(map(str, output)) or 'nothing'}"
    return f"a {type(output).__name__}"
