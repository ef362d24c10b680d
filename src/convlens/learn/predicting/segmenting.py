"""Turn maps of scores into the category of each pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.learn.predicting.outputs import UnknownFormError, described
from convlens.learn.predicting.predictions import View
from convlens.learn.predicting.reliability import not_finite, ruled_out

__all__ = ["check_maps", "map_doubt", "segmented"]

_CATEGORIES = range(2, 257)  # the category of a pixel is a byte


def check_maps(maps: Tensor) -> None:
    """Raise UnknownFormError unless maps are scores (n, classes, h, w) of 2 to 256 classes."""
    if maps.is_complex() or 0 in maps.shape or maps.shape[1] not in _CATEGORIES:
        cure = "give the background a map, too: a single one does not say which pixels it means"
        raise UnknownFormError(
            f"`network` answered with {described(maps)}, and must with maps of scores (n, "
            f"classes, h, w) of 2 to 256 classes" + (f"; {cure}" * (maps.shape[1] == 1))
        )


def segmented(scores: Tensor, view: View, by_sigmoid: bool) -> dict[str, Any]:
    """Return the best category of each pixel of the picture, as fields of `Prediction`.

    Between the pixels of the network, its scores are interpolated. Only categories that win
    somewhere on its own grid take part. Pixels that it did not see get the first category, which
    is the background.
    """
    values, are_chances = _map_chances(scores, by_sigmoid)
    chances, winners = values.max(0)
    doubt = map_doubt(scores, chances)
    if "error" in doubt:
        return doubt
    winners = torch.where(chances.isfinite(), winners, -1)
    present = winners.unique()
    map_ = _best(scores, present[present >= 0].tolist(), view)
    counts = torch.bincount(map_.reshape(-1).long(), minlength=len(scores))
    order = counts.argsort(descending=True, stable=True)
    labels = order[counts[order] > 0]
    means = [
        float(chances[winners == label].mean()) if label in present else 0.0
        for label in labels.to(winners.device)
    ]
    return {
        "labels": labels.numpy(),
        "scores": np.array(means, np.float32),
        "map": map_.numpy(),
        "probabilities": are_chances,
        **doubt,
    }


def _best(scores: Tensor, labels: list[int], view: View) -> Tensor:
    """Return which of some labels has the best score at each pixel of the picture, uint8."""
    best = torch.full(view.size, -torch.inf)
    map_ = torch.zeros(view.size, dtype=torch.uint8)
    for label in labels:
        one = view.maps(scores[label].cpu()[None], around=-torch.inf)[0]
        map_[one > best] = label
        best = torch.maximum(one, best.nan_to_num(-torch.inf))
    return map_


def map_doubt(scores: Tensor, chances: Tensor | None = None) -> dict[str, Any]:
    """Return the "error" or "warnings" about maps of scores (classes, h, w), if there are any.

    `chances`: the largest softmax at each place, (h, w), if it is known.

    >>> map_doubt(torch.full((2, 1, 1), torch.nan))["error"]
    'the network gave no finite numbers for 2 of 2 scores; its weights may have diverged; ...'
    """
    if chances is None:
        chances = scores.float().softmax(0).amax(0)
    count = int((~chances.isfinite()).sum())
    if count == chances.numel():
        return {"error": not_finite(scores.numel(), scores.numel(), "scores")}
    warnings = []
    if count:
        warnings.append(
            f"{not_finite(count, chances.numel(), 'places of its map')}; category 0 is shown there"
        )
    excluded = int(scores.isneginf().sum())
    if excluded:
        warnings.append(ruled_out(excluded, scores.numel()))
    return {"warnings": tuple(warnings)} if warnings else {}


def _map_chances(scores: Tensor, by_sigmoid: bool) -> tuple[Tensor, bool]:
    """Return what `chances_of` does for maps (classes, h, w), with one decision for all pixels."""
    if by_sigmoid:
        return scores, False
    if scores.min() >= 0 and scores.max() <= 1:
        over = scores.sum(0) - 1
        if (over.abs() < 4e-3).all():
            return scores, True
        if (over > -4e-3).all():
            return scores, False
    return scores.softmax(0), True
