"""Measure maps of categories: how much of each category's area answer and truth share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlens.learn.data.samples import NOT_LABELLED
from convlens.learn.measuring.measure import Judgement, State
from convlens.learn.measuring.states import (
    CountedMeasure,
    check_classes,
    check_finite,
    check_rows,
    mean,
)

__all__ = ["MapOverlap"]

NAMED = 4
"""How many categories a judgement names, the largest first."""


class MapOverlap(CountedMeasure):
    """Mean intersection over union of the maps of all pictures, from one confusion matrix.

    `classes`: the names of the categories. Outputs are scores (n, classes, h, w), or a dictionary
    with such as "out"; targets are maps uint8 (n, h, w), where 255 is ignored.

    - mIoU: the mean over categories of the pixels that answer and truth share, divided by those of
      either. Categories in neither are left out.
    - pixel accuracy: the share of labelled pixels whose answer is right.

    Source: Everingham et al., *The PASCAL Visual Object Classes Challenge: A Retrospective* (IJCV
    2015), section 4.3.

    Raises ValueError for fewer than 2 classes.

    >>> measure = MapOverlap(("ground", "cat"))
    >>> outputs = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])  # ground, cat
    >>> measure.add(outputs, torch.tensor([[[0, 0]]], dtype=torch.uint8), ("a",))
    [Judgement(key='a', right=False, badness=0.75, said='mean IoU 0.25: ground 50 %, cat 50 %', ...
    >>> measure.values()
    {'mIoU': 0.25, 'pixel accuracy': 0.5}
    """

    def __init__(self, classes: tuple[str, ...]) -> None:
        check_classes(classes, 2)
        if len(classes) > NOT_LABELLED:
            raise ValueError(
                f"`classes` (={len(classes)}) must be at most {NOT_LABELLED}, as a map holds one "
                "byte a pixel; join some"
            )
        self.classes = classes
        c = len(classes)
        self._state: State = {"confusion": np.zeros((c, c), np.int64)}

    def add(self, outputs: Any, targets: Any, keys: tuple[str, ...]) -> list[Judgement]:
        """Count scores (n, classes, h, w) against maps uint8 (n, h, w).

        The badness of an answer is 1 - the mean IoU of its picture, and it is right at 0.5 or less.
        Raises ValueError for outputs or targets that do not fit the classes or each other, and for
        scores that are not finite.
        """
        scores, truth = self._checked(outputs, targets, keys)
        answers = scores.argmax(1).cpu().numpy()
        judgements = []
        for key, answer, true in zip(keys, answers, truth, strict=True):
            confusion = self._confusion(answer, true)
            self._state["confusion"] += confusion
            judgements.append(self._judged(key, confusion))
        return judgements

    def values(self) -> dict[str, float]:
        """Return mIoU and pixel accuracy."""
        confusion = self._state["confusion"]
        accuracy = mean(confusion.trace(), confusion.sum())
        return {"mIoU": _mean_iou(confusion), "pixel accuracy": accuracy}

    def by_class(self) -> dict[str, float]:
        """Return the IoU of each category."""
        ious = _ious(self._state["confusion"])
        return {name: float(iou) for name, iou in zip(self.classes, ious, strict=True)}

    def notes(self) -> tuple[str, ...]:
        """Return how many pixels were counted, and which categories had none."""
        total = int(self._state["confusion"].sum())
        said = [f"{total:,} labelled pixels."]
        if empty := [name for name, iou in self.by_class().items() if iou != iou]:
            said.append(f"Neither truth nor answers of {', '.join(empty)}: left out of mIoU.")
        return tuple(said)

    def _checked(
        self, outputs: Any, targets: Any, keys: tuple[str, ...]
    ) -> tuple[Tensor, NDArray[np.uint8]]:
        scores = outputs.get("out") if isinstance(outputs, dict) else outputs
        truth = torch.as_tensor(targets).cpu().numpy()
        c = len(self.classes)
        wanted = (len(truth), c, *truth.shape[1:])
        if not isinstance(scores, Tensor) or tuple(scores.shape) != wanted or len(wanted) != 4:
            given = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise ValueError(
                f"`outputs` (={given}) must be scores {wanted}, (n, classes, h, w) of the maps' "
                "size; give the network an output for each class, and resize it to its input"
            )
        check_rows(len(scores), len(truth), keys)
        wrong = truth[(truth >= c) & (truth != NOT_LABELLED)]
        if wrong.size:
            raise ValueError(
                f"`targets` (={int(wrong.max())}) must be below {c}, the number of classes, or "
                f"{NOT_LABELLED} where a pixel has no label; name all categories of the maps"
            )
        check_finite(scores, keys)
        return scores.detach(), truth

    def _confusion(self, answer: NDArray[np.int64], true: NDArray[np.uint8]) -> NDArray[np.int64]:
        c = len(self.classes)
        # 255 becomes a row of its own, which is cut off.
        rows = np.minimum(true, c).astype(np.int32)
        pairs = np.bincount((rows * c + answer).reshape(-1), minlength=c * (c + 1))
        return pairs.reshape(c + 1, c)[:c]

    def _judged(self, key: str, confusion: NDArray[np.int64]) -> Judgement:
        iou = _mean_iou(confusion)
        if iou != iou:
            return Judgement(key, True, 0.0, "nothing to compare", "no labelled pixel")
        said = f"mean IoU {iou:.2f}: {self._shares(confusion.sum(0))}"
        return Judgement(key, iou >= 0.5, 1 - iou, said, self._shares(confusion.sum(1)))

    def _shares(self, counts: NDArray[np.int64]) -> str:
        """Return the largest categories with their shares of the picture, in words."""
        largest = [k for k in np.argsort(-counts, kind="stable") if counts[k]]
        total = counts.sum()
        said = [f"{self.classes[k]} {100 * counts[k] / total:.0f} %" for k in largest[:NAMED]]
        more = len(largest) - NAMED
        return ", ".join(said) + (f" and {more} more" if more > 0 else "")


def _ious(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the IoU of each category, not a number for those in neither truth nor answers."""
    shared = confusion.diagonal().astype(np.float64)
    either = confusion.sum(0) + confusion.sum(1) - shared
    ious: NDArray[np.float64] = np.full(len(shared), np.nan)
    np.divide(shared, either, out=ious, where=either > 0)
    return ious


def _mean_iou(confusion: NDArray[np.int64]) -> float:
    ious = _ious(confusion)
    known = ious[~np.isnan(ious)]
    return mean(known.sum(), len(known))
