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

from convlens.learn.run_lengths import run_lengths

__all__ = ["Limits", "Prediction", "predictions_of"]

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
        if self.error is not None:
            return f"{self.name}{at}: {self.error}"
        lines = [f"{self.name}{at} ({self.width} x {self.height})"]
        shares = self.shares()
        for position, label in enumerate(self.labels.tolist()):
            line = f"  {100 * self.scores[position]:5.1f} %  {self.category(label)}"
            if self.boxes is not None:
                left, top, right, bottom = (round(float(x)) for x in self.boxes[position])
                line += f", x {left} to {right}, y {top} to {bottom}"
            if self.map is not None:
                line += f", {100 * shares.get(label, 0.0):.1f} % of the picture"
            lines.append(line)
        if len(lines) == 1:
            lines.append("  nothing found")
        return "\n".join(lines)


def predictions_of(
    output: Any, sizes: Sequence[tuple[int, int]], limits: Limits
) -> list[dict[str, Any]]:
    """Return what an output says of each picture of a batch, as fields of `Prediction`.

    `sizes`: (h, w) of the pictures as they are seen. Scores (n, classes) are a classification; a
    dictionary with "out", or a tensor, (n, classes, h, w) a segmentation; a list of dictionaries
    with "boxes", "labels" and "scores" detections.

    Raises TypeError for an output that is none of these.

    >>> predictions_of(torch.tensor([[0.0, 9.0]]), [(4, 4)], Limits(top=1))[0]["labels"]
    array([1])
    """
    if isinstance(output, dict) and isinstance(output.get("out"), Tensor):
        output = output["out"]
    if isinstance(output, Tensor) and output.ndim == 2 and len(output) == len(sizes):
        return _classified(output.float(), limits)
    if isinstance(output, Tensor) and output.ndim == 4 and 2 <= output.shape[1] <= 256:
        pairs = zip(output.float(), sizes, strict=True)
        return [_segmented(scores, size) for scores, size in pairs]
    is_list = isinstance(output, (list, tuple)) and len(output) == len(sizes)
    if is_list and all(isinstance(one, dict) and "boxes" in one for one in output):
        return [_detected(one, limits) for one in output]
    raise TypeError(
        f"`network` answered with {_described(output)} for {len(sizes)} pictures, and must with "
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


def _segmented(scores: Tensor, size: tuple[int, int]) -> dict[str, Any]:
    """The best category of each pixel of the picture, between the network's own by its scores.

    Only categories that win somewhere on the network's own grid are asked.
    """
    chances, winners = scores.softmax(0).max(0)
    present = winners.unique()
    best = torch.full(size, -torch.inf)
    map_ = torch.zeros(size, dtype=torch.uint8)
    for label in present.tolist():
        one = scores[label].cpu()[None, None]
        one = F.interpolate(one, size, mode="bilinear")[0, 0]
        map_[one > best] = label
        best = torch.maximum(one, best)
    counts = torch.bincount(map_.reshape(-1).long(), minlength=len(scores))
    order = counts.argsort(descending=True, stable=True)
    labels = order[counts[order] > 0]
    means = [float(chances[winners == label].mean()) for label in labels.to(winners.device)]
    return {"labels": labels.numpy(), "scores": np.array(means, np.float32), "map": map_.numpy()}


def _detected(found: dict[str, Tensor], limits: Limits) -> dict[str, Any]:
    kept = found["scores"] >= limits.threshold
    parts = {name: tensor[kept].detach().cpu() for name, tensor in found.items()}
    order = parts["scores"].argsort(descending=True, stable=True)
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


def _described(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)}"
    if isinstance(output, dict):
        return f"a dictionary of {', '.join(map(str, output)) or 'nothing'}"
    return f"a {type(output).__name__}"
