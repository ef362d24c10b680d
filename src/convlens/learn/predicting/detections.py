"""Put a detector's answer for one picture into the fields of a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from convlens.learn.data.run_lengths import RunLengths
from convlens.learn.predicting.masks import finite_masks, has_masks, masks_of
from convlens.learn.predicting.parts import MAPS, POINTS, Points
from convlens.learn.predicting.predictions import Limits, View, fields_of
from convlens.learn.predicting.reliability import not_finite
from convlens.zoo.detection.anatomy import Part

__all__ = ["detected", "is_detection", "may_be_chances"]

_SMALL = (
    *("boxes", "labels", "scores"),
    *(name for part in POINTS for name in (part.name, part.scores) if name),
)
"""The tensors of a detection that are not maps."""


def is_detection(one: Any) -> bool:
    """Return whether an output for one picture is a detector's: boxes, labels and scores."""
    return isinstance(one, dict) and {"boxes", "labels", "scores"} <= one.keys()


def detected(found: Mapping[str, Tensor], view: View, limits: Limits) -> dict[str, Any]:
    """Return what a detector found in one picture, the best first, as fields of `Prediction`.

    Detections with numbers that are not finite are left out, with a warning; if there are no
    others, there is an "error" instead.
    """
    # NaN is not below the threshold, so that the warning counts it.
    kept = torch.where(~(found["scores"] < limits.threshold))[0]
    parts = {name: found[name][kept].detach().cpu() for name in _SMALL if name in found}
    finite = _finite(parts)
    maps = [part.name for part in MAPS if has_masks(found, part.name)]
    for name in maps:
        finite &= finite_masks(found, name, kept)
    dropped, count = int((~finite).sum()), len(finite)
    if dropped == count and count:
        return {"error": not_finite(dropped, count, "detections")}
    warnings: tuple[str, ...] = ()
    if dropped:
        parts = {name: tensor[finite] for name, tensor in parts.items()}
        warnings = (f"{not_finite(dropped, count, 'detections')}; these are left out",)
    order = parts["scores"].argsort(descending=True, stable=True)
    if not view.is_picture():
        parts = _in_the_picture(parts, view)
    scores = parts["scores"][order].float()
    fields: dict[str, Any] = {
        "labels": parts["labels"][order].long().numpy(),
        "scores": scores.numpy(),
        "boxes": parts["boxes"][order].float().numpy(),
        "probabilities": may_be_chances(found["scores"]),
        "warnings": warnings,
    }
    numbers = kept.cpu()[finite][order]
    added: dict[str, RunLengths | Points] = {
        name: masks_of(found, name, numbers, view) for name in maps
    }
    added |= {part.name: _points(part, parts, order) for part in POINTS if part.name in parts}
    return fields | fields_of(added)


def _points(part: Part, parts: Mapping[str, Tensor], order: Tensor) -> Points:
    scores = parts.get(part.scores or "")
    return Points(
        parts[part.name][order].float().numpy(),
        None if scores is None else scores[order].float().numpy(),
    )


def may_be_chances(scores: Tensor) -> bool:
    """Return whether all scores of detections, even low ones, lie between 0 and 1.

    >>> may_be_chances(torch.tensor([0.9, 0.1])), may_be_chances(torch.tensor([0.9, -3.0]))
    (True, False)
    """
    scores = scores[scores.isfinite()]
    return bool(((scores >= 0) & (scores <= 1)).all())


def _finite(parts: dict[str, Tensor]) -> Tensor:
    """Return which detections have finite numbers only, (k,) bool."""
    finite = torch.ones(len(parts["scores"]), dtype=torch.bool)
    for tensor in parts.values():
        if tensor.is_floating_point() and tensor.numel():
            finite &= tensor.isfinite().reshape(len(finite), -1).all(1)
    return finite


def _in_the_picture(parts: dict[str, Tensor], view: View) -> dict[str, Tensor]:
    boxes = view.points(parts["boxes"].reshape(-1, 2, 2)).reshape(-1, 4)
    h, w = view.size
    parts = {**parts, "boxes": boxes.clamp(min=0).minimum(boxes.new_tensor([w, h, w, h]))}
    for name in {part.name for part in POINTS} & parts.keys():
        points = parts[name]
        parts[name] = torch.cat((view.points(points[..., :2]), points[..., 2:]), -1)
    return parts
