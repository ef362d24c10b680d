"""The cross-entropy of scores, for tasks whose labels are categories: pictures, clips and maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from convlens.learn.recipe import Recipe
from convlens.learn.tasks.task import Counts, Forward

__all__ = ["CrossEntropy", "cross_entropy"]


@dataclass(frozen=True, eq=False)
class CrossEntropy:
    """The cross-entropy between scores and categories, in nats.

    `scores_of`: takes the scores (n, categories, *space) from what the network gives, each with its
    share in the loss. `classes`: how many there are. `smooth`: label smoothing. `per_class`: the
    weight of each category. `ignored`: the number of a category that counts nothing.

    Source: label smoothing as in Szegedy et al., *Rethinking the Inception Architecture*
    (arXiv 1512.00567, section 7).
    """

    scores_of: Callable[[Any], Sequence[tuple[Tensor, float]]]
    classes: int
    smooth: float
    per_class: Tensor | None
    ignored: int = -100

    def weights(self, targets: Tensor) -> Mapping[str, float]:
        """Return the number of labels, each times the weight of its category."""
        targets = targets.long()
        kept = targets != self.ignored
        if self.per_class is None:
            return {"cross_entropy": float(kept.sum())}
        return {"cross_entropy": float(self.per_class[targets[kept]].sum(dtype=torch.float64))}

    def losses(self, network: Forward, inputs: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        """Return the summed cross-entropy."""
        total = None
        for scores, share in self.scores_of(network(inputs)):
            self._check(scores)
            loss = share * F.cross_entropy(
                scores.float(),
                targets.long(),
                weight=None if self.per_class is None else self.per_class.to(scores.device),
                ignore_index=self.ignored,
                reduction="sum",
                label_smoothing=self.smooth,
            )
            total = loss if total is None else total + loss
        if total is None:
            raise ValueError("`network` must give scores, and gave none; return a tensor of them")
        return {"cross_entropy": total}

    def _check(self, scores: Tensor) -> None:
        if scores.shape[1] < self.classes:
            raise ValueError(
                f"`network` must give scores (n, categories) for the {self.classes} categories of "
                f"the data, 0 to {self.classes - 1}, and gives {tuple(scores.shape)}; change its "
                "last layer"
            )


def cross_entropy(
    scores_of: Callable[[Any], Sequence[tuple[Tensor, float]]],
    recipe: Recipe,
    counts: Counts,
    ignored: int = -100,
) -> CrossEntropy:
    """Return the objective of a recipe; with `balance` each category has the same whole weight.

    >>> counts = Counts(4, 2, np.array([3, 1]))
    >>> cross_entropy(lambda y: [(y, 1.0)], Recipe(balance=True), counts).per_class
    tensor([0.6667, 2.0000])
    """
    per_class = None
    if recipe.balance:
        if counts.per_class is None:
            raise ValueError(
                "`balance` (=True) needs the number of samples of each category, and this data "
                "does not say it before it is read; leave it out"
            )
        each = np.maximum(counts.per_class, 1)
        per_class = torch.from_numpy(counts.samples / (len(each) * each)).float()
    return CrossEntropy(scores_of, counts.classes, recipe.smooth, per_class, ignored)
