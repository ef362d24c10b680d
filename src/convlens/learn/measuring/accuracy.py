"""Measure classification: accuracy, the classes taken for each other, and honest probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlens.learn.measuring.measure import Judgement, State
from convlens.learn.measuring.states import (
    CountedMeasure,
    check_classes,
    check_finite,
    check_rows,
    mean,
)

__all__ = ["BINS", "ClassAccuracy", "chances"]

BINS = 15
"""The intervals of equal width that confidences are sorted into, as in Guo et al., section 2."""

TOP = 5
UNIT = 2.0**-32
"""What sums of real numbers are counted in: whole numbers add up to the same in any order."""

LEAST = float(np.finfo(np.float64).eps)
"""The chance that stands for smaller ones, of which the log loss has no bound."""


class ClassAccuracy(CountedMeasure):
    """How often the class with the highest score is the right one.

    `classes`: the names of the categories. Outputs are scores (n, classes), and targets int64 (n,).
    Rows of 0 to 1 that add up to 1 are probabilities already; others become such by a softmax.

    - accuracy; top-5 accuracy if there are more than 5 classes. Of equal scores, the first class
      counts as the higher.
    - accuracy by class: the mean over the classes with samples of the accuracy on each.
    - calibration error: the mean difference, weighted by samples, of confidence and accuracy in 15
      intervals of confidence (Guo et al., *On Calibration of Modern Neural Networks*, arXiv
      1706.04599, equation 3).
    - log loss: the mean of -log p, where p is the probability of the true class, at least 2^-52.

    Raises ValueError for fewer than 2 classes.

    >>> measure = ClassAccuracy(("cat", "dog"))
    >>> measure.add(torch.tensor([[3.0, 0.0], [2.0, 1.0]]), torch.tensor([0, 1]), ("a", "b"))[1]
    Judgement(key='b', right=False, badness=1.31..., said='cat 73 %', truth='dog')
    >>> measure.values()["accuracy"]
    0.5
    """

    def __init__(self, classes: tuple[str, ...]) -> None:
        check_classes(classes, 2)
        self.classes = classes
        c = len(classes)
        self._state: State = {
            "confusion": np.zeros((c, c), np.int64),  # truth, answer
            "top": np.zeros((), np.int64),
            "log_loss": np.zeros((), np.int64),
            "bin_counts": np.zeros(BINS, np.int64),
            "bin_right": np.zeros(BINS, np.int64),
            "bin_confidence": np.zeros(BINS, np.int64),
        }

    def add(self, outputs: Any, targets: Any, keys: tuple[str, ...]) -> list[Judgement]:
        """Count scores (n, classes) against the numbers of the true classes, int64 (n,).

        The badness of an answer is its log loss. Raises ValueError for outputs or targets that do
        not fit the classes, and for scores that are not finite.
        """
        outputs, truth = self._checked(outputs, targets, keys)
        p, scores = chances(outputs).numpy(), outputs.double().numpy()
        ranks, answers = _ranks(scores, truth), np.argmax(scores, 1)
        confidence = p[np.arange(len(p)), answers]
        losses = -np.log(np.maximum(p[np.arange(len(p)), truth], LEAST))
        self._count(ranks, truth, answers, confidence, losses)
        rows = zip(keys, truth, answers, confidence, losses, strict=True)
        return [
            Judgement(
                key, bool(true == said), float(loss), f"{self.classes[said]} {100 * sure:.0f} %",
                self.classes[true],
            )
            for key, true, said, sure, loss in rows
        ]  # fmt: skip

    def values(self) -> dict[str, float]:
        """Return the measures by name, accuracy first."""
        confusion = self._state["confusion"]
        total = confusion.sum()
        values = {"accuracy": mean(confusion.trace(), total)}
        if len(self.classes) > TOP:
            values[f"top-{TOP} accuracy"] = mean(int(self._state["top"]), total)
        shares = [share for share in self.by_class().values() if share == share]
        values["accuracy by class"] = mean(sum(shares), len(shares))
        gaps = np.abs(self._state["bin_right"] - self._state["bin_confidence"] * UNIT)
        values["calibration error"] = mean(gaps.sum(), total)
        values["log loss"] = mean(float(self._state["log_loss"]) * UNIT, total)
        return values

    def by_class(self) -> dict[str, float]:
        """Return the accuracy on the samples of each class."""
        confusion = self._state["confusion"]
        rows = zip(self.classes, confusion.diagonal(), confusion.sum(1), strict=True)
        return {name: mean(right, count) for name, right, count in rows}

    def notes(self) -> tuple[str, ...]:
        """Return a sentence on the classes without samples, if there are any."""
        counts = self._state["confusion"].sum(1)
        empty = [name for name, n in zip(self.classes, counts, strict=True) if not n]
        if not empty:
            return ()
        return (f"No sample of {', '.join(empty)}: left out of accuracy by class.",)

    def _checked(
        self, outputs: Any, targets: Any, keys: tuple[str, ...]
    ) -> tuple[Tensor, NDArray[np.int64]]:
        c = len(self.classes)
        if not isinstance(outputs, Tensor) or outputs.ndim != 2 or outputs.shape[1] != c:
            given = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise ValueError(
                f"`outputs` (={given}) must be scores (n, {c}), one for each class; give the "
                "network as many outputs as the data has classes"
            )
        truth = torch.as_tensor(targets).cpu().numpy().astype(np.int64)
        check_rows(len(outputs), len(truth), keys)
        if len(truth) and not 0 <= truth.min() <= truth.max() < c:
            raise ValueError(
                f"`targets` (={truth.min()} to {truth.max()}) must be from 0 to {c - 1}, numbers "
                f"of the {c} classes; number the data's categories as `classes` does"
            )
        check_finite(outputs, keys)
        return outputs.detach().cpu(), truth

    def _count(
        self,
        ranks: NDArray[np.int64],
        truth: NDArray[np.int64],
        answers: NDArray[np.int64],
        confidence: NDArray[np.float64],
        losses: NDArray[np.float64],
    ) -> None:
        c, state = len(self.classes), self._state
        state["confusion"] += np.bincount(truth * c + answers, minlength=c * c).reshape(c, c)
        state["top"] += (ranks < TOP).sum()
        state["log_loss"] += np.rint(losses / UNIT).astype(np.int64).sum()
        bins = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1).astype(np.int64)
        np.add.at(state["bin_counts"], bins, 1)
        np.add.at(state["bin_right"], bins, truth == answers)
        np.add.at(state["bin_confidence"], bins, np.rint(confidence / UNIT).astype(np.int64))


def chances(scores: Tensor) -> Tensor:
    """Return probabilities, float64, for scores (n, classes); rows that are such stay.

    >>> chances(torch.tensor([[2.0, 2.0], [0.25, 0.75]])).tolist()
    [[0.5, 0.5], [0.25, 0.75]]
    """
    # Half types keep 8 or 11 digits of each number.
    near = max(1e-3, 2 * torch.finfo(scores.dtype).eps)
    scores = scores.double()
    inside = ((scores >= 0) & (scores <= 1)).all(1)
    given = inside & ((scores.sum(1) - 1).abs() < near)
    return torch.where(given[:, None], scores, scores.softmax(1))


def _ranks(scores: NDArray[np.float64], truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many classes come before the true one: higher scores, and equal ones before it."""
    own = scores[np.arange(len(scores)), truth][:, None]
    before = np.arange(scores.shape[1]) < truth[:, None]
    ranks: NDArray[np.int64] = ((scores > own) | ((scores == own) & before)).sum(1)
    return ranks
