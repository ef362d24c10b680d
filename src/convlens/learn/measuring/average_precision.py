"""Measure detectors by the average precision of their boxes, masks and points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlens.learn.data.samples import Boxed
from convlens.learn.measuring.coco import AREAS, MOST_BOXES, MOST_POINTS, Evaluation
from convlens.learn.measuring.figures import FigureArrays, in_order
from convlens.learn.measuring.measure import Judgement, State
from convlens.learn.measuring.needed import best_of_each_class, mask_overlaps
from convlens.learn.measuring.pairing import judge_boxes
from convlens.learn.measuring.points import sigmas_of
from convlens.learn.measuring.states import check_classes, check_rows

__all__ = ["AveragePrecision"]

Found = Mapping[str, Tensor]


class AveragePrecision:
    """Average precision by COCO's rules: of boxes, and perhaps of masks and points.

    `classes`: their names, without the background; label k is `classes[k - 1]`. `points`: the
    names of a figure's points, () if they are not measured. `masks`: whether masks are.
    `sigmas`: how exactly people place each point, as a part of a figure's size; by default COCO's
    if the names are COCO's, and 0.05 otherwise.

    - AP: the precision at 101 recalls, averaged over them, the classes, and IoU from 0.50 to 0.95
      in steps of 0.05. AP50 and AP75: at one IoU. AP small, medium, large: of figures up to 32^2
      square pixels, up to 96^2, and larger, by the area that the data gives.
    - mask AP, mask AP50: by the IoU of masks; point AP, point AP50: by the similarity of points.

    Classes without truth are left out. Of equal scores the one in the picture with the first key
    counts as the higher, then the one that comes first. Found boxes in a crowd are not wrong. The
    numbers equal pycocotools' to six digits.

    Source: Lin et al., *Microsoft COCO* (arXiv 1405.0312); cocodataset.org, evaluation.

    Raises ValueError for no class, or sigmas that do not fit the points.
    """

    def __init__(
        self,
        classes: tuple[str, ...],
        points: tuple[str, ...] = (),
        *,
        masks: bool = False,
        sigmas: Sequence[float] | None = None,
    ) -> None:
        check_classes(classes, 1)
        self.classes, self.points, self.masks = classes, points, masks
        self.sigmas = sigmas_of(points) if sigmas is None else tuple(map(float, sigmas))
        if len(self.sigmas) != len(points) or not all(sigma > 0 for sigma in self.sigmas):
            raise ValueError(
                f"`sigmas` (={self.sigmas}) must be a positive number for each of the "
                f"{len(points)} points; give as many, or None"
            )
        self._arrays = FigureArrays(masks=masks, points=len(points))

    def add(self, outputs: Any, targets: Any, keys: tuple[str, ...]) -> list[Judgement]:
        """Count what was found in pictures, by torchvision's names, against `Boxed` samples.

        Each output has boxes (k, 4), labels and scores (k,); for masks, masks (k, 1, h, w) of whole
        pictures or box_masks (k, 1, m, m) over their boxes; for points, keypoints (k, points, 3).
        Raises ValueError if an output or a target lacks what is measured, does not fit the classes,
        or is not finite.
        """
        check_rows(len(outputs), len(targets), keys)
        triples = zip(outputs, targets, keys, strict=True)
        return [self._add(found, true, key) for found, true, key in triples]

    def state(self) -> State:
        """Return what was found and true in all pictures; see `FigureArrays`."""
        return self._arrays.state()

    def merge(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Add the pictures of another state; raise ValueError if it has other arrays."""
        self._arrays.merge(state)

    def values(self) -> dict[str, float]:
        """Return the average precisions by name: of masks or points first, if they are measured."""
        evaluation = Evaluation(in_order(self.state()))
        boxes, values = evaluation.boxes(), dict[str, float]()
        if self.masks:
            masks = evaluation.masks()
            values |= {"mask AP": masks.mean(), "mask AP50": masks.mean(0.5)}
        if self.points:
            points = evaluation.points(self.sigmas)
            values |= {"point AP": points.mean(), "point AP50": points.mean(0.5)}
        values |= {"AP": boxes.mean(), "AP50": boxes.mean(0.5), "AP75": boxes.mean(0.75)}
        return values | {f"AP {area}": boxes.mean(area=area) for area in AREAS if area != "all"}

    def by_class(self) -> dict[str, float]:
        """Return the AP of the boxes of each class."""
        by_label = Evaluation(in_order(self.state())).boxes().by_label()
        names = enumerate(self.classes, 1)
        return {name: by_label.get(label, float("nan")) for label, name in names}

    def notes(self) -> tuple[str, ...]:
        """Return the rules that are easily forgotten, and the sigmas of the points."""
        said = [
            f"At most {MOST_BOXES} boxes of a class count in a picture, those with the highest "
            "scores.",
            "Boxes in crowds are ignored; classes without truth are left out.",
        ]
        if self.points:
            pairs = zip(self.points, self.sigmas, strict=True)
            listed = ", ".join(f"{name} {sigma:g}" for name, sigma in pairs)
            said.append(f"At most {MOST_POINTS} figures of a class count for points.")
            said.append(f"The deviation of each point, as a part of a figure's size: {listed}.")
        return tuple(said)

    def _add(self, found: Found, true: Boxed, key: str) -> Judgement:
        labels, scores, boxes = self._checked(found, true, key)
        kept = best_of_each_class(labels, scores, MOST_BOXES)
        true_labels = true.labels.cpu().numpy().astype(np.int64)
        true_boxes = true.boxes.cpu().numpy().astype(np.float64)
        crowd = true.crowd.cpu().numpy().astype(bool)
        self._arrays.add_picture(key, len(kept), len(true_labels))
        self._arrays.add(labels=labels[kept], scores=scores[kept], boxes=boxes[kept])
        self._arrays.add(
            true_labels=true_labels, true_boxes=true_boxes, true_crowd=crowd,
            true_areas=true.area.cpu().numpy(),
        )  # fmt: skip
        chosen = {name: tensor[torch.from_numpy(kept)] for name, tensor in found.items()}
        if self.masks:
            same = torch.from_numpy(labels[kept][:, None] == true_labels)
            self._add_masks(chosen, true, crowd, same)
        if self.points:
            self._add_points(chosen, true, labels[kept], scores[kept], true_labels)
        return judge_boxes(
            key, self.classes, (labels, scores, boxes), (true_labels, true_boxes, crowd)
        )

    def _add_masks(self, found: Found, true: Boxed, crowd: NDArray[np.bool_], same: Tensor) -> None:
        boxes = found["boxes"] if "box_masks" in found else None
        masks = found["masks" if boxes is None else "box_masks"]
        i, j, shares = mask_overlaps(masks, boxes, _given(true.masks), crowd, same)
        self._arrays.add(
            overlap_found=i, overlap_true=j, overlaps=shares, overlap_counts=len(shares)
        )

    def _add_points(
        self,
        found: Found,
        true: Boxed,
        labels: NDArray[np.int64],
        scores: NDArray[np.float64],
        true_labels: NDArray[np.int64],
    ) -> None:
        compared = np.zeros(len(labels), bool)
        compared[best_of_each_class(labels, scores, MOST_POINTS)] = True
        compared &= np.isin(labels, true_labels)
        points = found["keypoints"].cpu().numpy()[compared]
        self._arrays.add(has_points=compared, points=points, true_points=_given(true.points).cpu())

    def _checked(
        self, found: Found, true: Boxed, key: str
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Return labels, scores and boxes of what was found."""
        self._check_given(found, true, key)
        self._check_sizes(found, true, key)
        labels = found["labels"].cpu().numpy().astype(np.int64)
        for side, numbers in (("outputs", labels), ("targets", true.labels.cpu().numpy())):
            if len(numbers) and not 1 <= numbers.min() <= numbers.max() <= len(self.classes):
                raise ValueError(
                    f"`{side}` of {key!r} (=labels {numbers.min()} to {numbers.max()}) must be 1 "
                    f"to {len(self.classes)}, as 0 is the background; number them as `classes` does"
                )
        for name in ("boxes", "scores", *(["keypoints"] if self.points else [])):
            if not found[name].isfinite().all():
                raise ValueError(
                    f"`outputs` of {key!r} (=its {name}) must be finite, and are not; the "
                    "network's weights may have diverged, use earlier ones"
                )
        scores = found["scores"].cpu().double().numpy()
        return labels, scores, found["boxes"].cpu().double().numpy().reshape(-1, 4)

    def _check_given(self, found: Found, true: Boxed, key: str) -> None:
        """Raise ValueError if an answer or a target lacks what is measured."""
        wanted = {"boxes", "labels", "scores"} | ({"keypoints"} if self.points else set())
        missing = sorted(wanted - found.keys())
        if self.masks and not found.keys() & {"masks", "box_masks"}:
            missing.append("masks")
        if missing:
            raise ValueError(
                f"`outputs` of {key!r} (={', '.join(found) or 'nothing'}) must have "
                f"{' and '.join(missing)}; measure only what the network gives"
            )
        parts = {"masks": self.masks and true.masks is None}
        parts["points"] = bool(self.points) and true.points is None
        for name, is_missing in parts.items():
            if is_missing:
                raise ValueError(
                    f"`targets` of {key!r} must have {name}; give the data {name}, or do not "
                    "measure them"
                )

    def _check_sizes(self, found: Found, true: Boxed, key: str) -> None:
        """Raise ValueError if points or masks of an answer cannot be those of the target."""
        pairs = []
        if self.points:
            pairs = [("keypoints", found["keypoints"], (len(self.points), 3))]
            pairs.append(("points", _given(true.points), (len(self.points), 3)))
        if self.masks and "box_masks" not in found:
            pairs.append(("masks", found["masks"], (1, *_given(true.masks).shape[1:])))
        for name, tensor, wanted in pairs:
            if tuple(tensor.shape[1:]) != wanted:
                raise ValueError(
                    f"`{name}` of {key!r} (={tuple(tensor.shape)}) must be (n, "
                    f"{', '.join(map(str, wanted))}), as the data's are; measure the data that the "
                    "network is for"
                )


def _given(tensor: Tensor | None) -> Tensor:
    """Return a tensor that was checked to be there."""
    assert tensor is not None
    return tensor
