"""Detection: the boxes of what a picture shows, and masks or points in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from convlens.learn.augmenting.colouring import Colour
from convlens.learn.augmenting.cutting import ZoomOut
from convlens.learn.augmenting.flipping import Mirror
from convlens.learn.data.samples import Boxed
from convlens.learn.data.shapes.shapes import ShapesKind
from convlens.learn.measuring.average_precision import AveragePrecision
from convlens.learn.measuring.pairing import SHOWN
from convlens.learn.preparing import Preparation
from convlens.learn.recipe import Recipe
from convlens.learn.tasks.fitting import coloured
from convlens.learn.tasks.task import Batch, Counts, Forward, Task
from convlens.zoo.detection import Detector
from convlens.zoo.detection.masks import paste_masks

__all__ = ["DETECTION", "KEYPOINTS", "MASKS"]

SHARES = {"loss_keypoint": 0.1}
"""The shares of losses that would drown the others: that of points is 8 at first."""


def fit(sample: Boxed, preparation: Preparation | None, training: bool) -> Boxed:
    """Return a picture in colours; a detector scales it itself."""
    return replace(sample, picture=coloured(sample.picture))


def collate(samples: Sequence[Boxed]) -> Batch:
    """Return pictures of any sizes as a list."""
    keys = tuple(sample.key for sample in samples)
    return Batch([sample.picture for sample in samples], list(samples), keys)


@dataclass(frozen=True)
class DetectorLosses:
    """The losses that a detector gives in training, each a mean over the pictures of a batch."""

    parts: tuple[str, ...]

    def weights(self, targets: Sequence[Boxed]) -> Mapping[str, float]:
        """Return the number of pictures, for each loss."""
        heads = {"masks": "mask", "points": "keypoint"}
        names = ("classifier", "box_reg", *(heads[part] for part in self.parts))
        found = [f"loss_{name}" for name in names] + ["loss_objectness", "loss_rpn_box_reg"]
        return dict.fromkeys(found, float(len(targets)))

    def losses(
        self, network: Forward, inputs: list[Tensor], targets: Sequence[Boxed]
    ) -> Mapping[str, Tensor]:
        """Return each loss, times the number of pictures."""
        given = [self._target(one, inputs[0].device) for one in targets]
        found = network(inputs, given)
        if not isinstance(found, Mapping):
            raise ValueError(
                "`network` must give a dictionary of losses in training, as torchvision's "
                f"detectors do, and gives {type(found).__name__}; take a detector"
            )
        return {k: v * (len(targets) * SHARES.get(k, 1.0)) for k, v in found.items()}

    def _target(self, sample: Boxed, device: torch.device) -> dict[str, Tensor]:
        """Return what torchvision's detectors take; crowds teach nothing."""
        kept = ~sample.crowd
        found = {"boxes": sample.boxes[kept], "labels": sample.labels[kept]}
        if "masks" in self.parts and sample.masks is not None:
            found["masks"] = sample.masks[kept]
        if "points" in self.parts and sample.points is not None:
            found["keypoints"] = sample.points[kept]
        return {name: value.to(device) for name, value in found.items()}


def answer(network: nn.Module, inputs: list[Tensor]) -> Any:
    """Return what the network finds; masks as small as it computes them."""
    if isinstance(network, Detector):
        return network(inputs, whole_masks=False)
    return network(inputs)


def answered(sample: Boxed, output: Sequence[Mapping[str, Tensor]]) -> Boxed:
    """Return the sample with the figures that were found with a score of more than a half."""
    found = {name: tensor.cpu() for name, tensor in output[0].items()}
    found = {name: tensor[found["scores"] > SHOWN] for name, tensor in found.items()}
    boxes, masks, points = found["boxes"].float(), found.get("masks"), found.get("keypoints")
    if points is not None:
        points = torch.cat((points[..., :2], torch.full_like(points[..., :1], 2)), -1)  # as seen
    if "box_masks" in found:
        h, w = sample.picture.shape[-2:]
        masks = paste_masks(found["box_masks"], boxes, (h, w))
    return replace(
        sample,
        boxes=boxes,
        labels=found["labels"],
        crowd=torch.zeros(len(boxes), dtype=torch.bool),
        area=(boxes[:, 2:] - boxes[:, :2]).prod(1),
        masks=None if masks is None else masks[:, 0] >= 0.5,
        points=points,
    )


def recipe(counts: Counts) -> Recipe:
    """Return AdamW with batches of 8."""
    return Recipe(
        epochs=12,
        batch=min(8, max(1, counts.samples // 2)),
        rate=2e-3 if counts.samples > 1000 else 5e-4,
    )


def detection(name: str, shapes: ShapesKind, *parts: str) -> Task:
    """Return the task of finding boxes, with masks or points in them."""
    return Task(
        name=name,
        sample=Boxed,
        wants=parts[0] if parts else "",
        shapes=shapes,
        outputs=lambda classes: classes + 1,
        fit=fit,
        collate=collate,
        objective=lambda recipe, counts: DetectorLosses(parts),
        answer=answer,
        measure=lambda classes, points: AveragePrecision(
            classes, points if "points" in parts else (), masks="masks" in parts
        ),
        recipe=recipe,
        augmentations=(Mirror(), ZoomOut(), Colour()),
        answered=answered,
    )


DETECTION = detection("detection", "boxes")
MASKS = detection("instance segmentation", "masks", "masks")
KEYPOINTS = detection("keypoints", "points", "points")
