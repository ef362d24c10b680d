"""Find the keypoints of each person that a detector found.

He et al., *Mask R-CNN* (arXiv 1703.06870), section 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.zoo.detection.anatomy import HEADS, Limb, Part, layers_of
from convlens.zoo.detection.heads import Detection, Features, SampledProposals
from convlens.zoo.detection.regions import MultiScaleRoIAlign
from convlens.zoo.detection.resizing import Size, Target, resize_points
from convlens.zoo.layers import draw_weights

__all__ = ["KEYPOINTS", "KeypointHead", "cells_of_points", "points_of_maps"]

POOL, LAYERS, PREDICTOR = layers_of("keypoint")

LIMBS: tuple[Limb, ...] = (
    *((0, 1, "left"), (1, 3, "left"), (5, 7, "left"), (7, 9, "left")),
    *((11, 13, "left"), (13, 15, "left")),
    *((0, 2, "right"), (2, 4, "right"), (6, 8, "right"), (8, 10, "right")),
    *((12, 14, "right"), (14, 16, "right")),
    *((5, 6, "middle"), (11, 12, "middle"), (5, 11, "left"), (6, 12, "right")),
)
"""The limbs between the 17 keypoints of COCO (arXiv 1405.0312)."""

KEYPOINTS = Part(
    *("keypoints", "points"),
    layer=f"{HEADS}.{PREDICTOR}.kps_score_lowres",
    station="keypoints",
    coco="keypoints",
    scores="keypoints_scores",
    limbs=LIMBS,
)


@dataclass(frozen=True)
class KeypointHead:
    """The head with a map of 56 x 56 in each box for each of `points`; its peak is the point.

    It has `convolutions`, each of `width` channels.
    """

    part: ClassVar[Part | None] = KEYPOINTS

    points: int = 17
    convolutions: int = 8
    width: int = 512

    def build(self, channels: int) -> dict[str, nn.Module]:
        """Return the pooling, the head and the predictor."""
        layers: list[nn.Module] = []
        for c in (channels, *[self.width] * (self.convolutions - 1)):
            layers += [nn.Conv2d(c, self.width, 3, padding=1), nn.ReLU(inplace=True)]
        head = nn.Sequential(*layers)
        draw_weights(head)
        return {
            POOL: MultiScaleRoIAlign(14, 2),
            LAYERS: head,
            PREDICTOR: KeypointPredictor(self.width, self.points),
        }

    def check(self, target: Target, size: Size) -> None:
        """Raise ValueError for keypoints that are missing, or not all there for each box."""
        keypoints, wanted = target.get("keypoints"), (len(target["boxes"]), self.points, 3)
        if keypoints is None or tuple(keypoints.shape) != wanted:
            given = None if keypoints is None else tuple(keypoints.shape)
            raise ValueError(
                f"`keypoints` (={given}) of a target must be (m, {self.points}, 3), here {wanted}: "
                "x, y in pixels and a visibility; give a visibility of 0 where a point is not seen"
            )
        if not keypoints.isfinite().all():
            raise ValueError(
                "`keypoints` of a target must be finite, and one is infinite or not a number; give "
                "a visibility of 0, and 0 for x and y, where a point is not seen"
            )

    def resize(self, target: Target, before: Size, after: Size) -> Target:
        """Return the target with its keypoints in pixels of the resized picture."""
        return {**target, "keypoints": resize_points(target["keypoints"], before, after)}

    def losses(
        self, features: Features, samples: SampledProposals, targets: Sequence[Target]
    ) -> Detection:
        """Return the cross-entropy of the cell of each visible point among those of its map."""
        positive = samples.positive()
        logits = self._answers(features, positive.boxes)  # (p, points, 56, 56)
        wanted = []
        for boxes, matched, target in zip(positive.boxes, positive.matched, targets, strict=True):
            points = target["keypoints"][matched]  # (p, points, 3)
            wanted.append(cells_of_points(points, boxes, logits.shape[-1]))  # (p, points)
        cells = torch.cat(wanted).flatten()  # -> (p * points,)
        seen = torch.where(cells >= 0)[0]
        if len(seen) == 0:
            return {"loss_keypoint": logits.sum() * 0}
        maps = logits.flatten(2).flatten(0, 1)  # -> (p * points, 56 * 56)
        return {"loss_keypoint": F.cross_entropy(maps[seen], cells[seen])}

    def detect(self, features: Features, found: list[Detection]) -> list[Detection]:
        """Return what was found with keypoints (k, points, 3) and their scores (k, points)."""
        boxes = [each["boxes"] for each in found]
        maps = self._answers(features, boxes).split([len(each) for each in boxes])
        complete = []
        for each, own in zip(found, maps, strict=True):
            points, scores = points_of_maps(own, each["boxes"])
            complete.append({**each, "keypoints": points, "keypoints_scores": scores})
        return complete

    def restore(self, found: Detection, size: Size, original: Size) -> Detection:
        """Return the keypoints in pixels of the original."""
        return {**found, "keypoints": resize_points(found["keypoints"], size, original)}

    def _answers(self, features: Features, boxes: Sequence[Tensor]) -> Tensor:
        x = features.seen_by("keypoint", boxes)  # -> (k, width, 14, 14)
        logits: Tensor = features.modules[PREDICTOR](x)  # -> (k, points, 56, 56)
        return logits


class KeypointPredictor(nn.Module):
    """A map for each keypoint, four times as fine: (k, width, 14, 14) to (k, points, 56, 56)."""

    def __init__(self, width: int, points: int) -> None:
        super().__init__()
        self.kps_score_lowres = nn.ConvTranspose2d(width, points, 4, 2, 1)
        nn.init.kaiming_normal_(self.kps_score_lowres.weight, mode="fan_out", nonlinearity="relu")
        if self.kps_score_lowres.bias is not None:
            nn.init.zeros_(self.kps_score_lowres.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps, before any softmax."""
        x = self.kps_score_lowres(x)  # (k, width, 14, 14) -> (k, points, 28, 28)
        return F.interpolate(x, scale_factor=2.0, mode="bilinear")  # -> (k, points, 56, 56)


def cells_of_points(points: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Return the cells (p, k) of points (p, k, 3) in maps of `size` squared over boxes (p, 4).

    A cell is row * size + column, or -1 for a point that is not visible or outside its box.

    >>> cells_of_points(torch.tensor([[[3.0, 1.0, 1.0]]]), torch.tensor([[0.0, 0.0, 4.0, 4.0]]), 2)
    tensor([[1]])
    """
    place = points[..., :2]  # (p, k, 2)
    start, end = boxes[:, None, :2], boxes[:, None, 2:]  # (p, 1, 2)
    cell = ((place - start) * (size / (end - start))).floor().long()  # (p, k, 2)
    cell = torch.where(place == end, size - 1, cell)  # the right and lower edge belong to the box
    seen = ((cell >= 0) & (cell < size)).all(2) & (points[..., 2] > 0)  # (p, k)
    return torch.where(seen, cell[..., 1] * size + cell[..., 0], -1)


def points_of_maps(maps: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the peaks of maps (n, k, m, m) over boxes (n, 4): points (n, k, 3), scores (n, k).

    A map is first resized to its box in whole pixels, bicubic. A point is the middle of its highest
    pixel: x, y, and 1 for visible (Heckbert's c = d + 0.5).

    >>> maps = torch.zeros(1, 1, 2, 2)
    >>> maps[0, 0, 1, 0] = 1
    >>> points_of_maps(maps, torch.tensor([[0.0, 0.0, 2.0, 2.0]]))[0]
    tensor([[[0.5000, 1.5000, 1.0000]]])
    """
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)  # (n, 2)
    pixels = sides.ceil()  # (n, 2)
    points, scores = [maps.new_zeros(0, maps.shape[1], 3)], [maps.new_zeros(0, maps.shape[1])]
    for i, (wide, tall) in enumerate(pixels.long().tolist()):
        fine = F.interpolate(maps[i : i + 1], (tall, wide), mode="bicubic")[0]  # (k, tall, wide)
        highest, peak = fine.flatten(1).max(1)  # (k,), (k,)
        place = torch.stack((peak % wide, peak // wide), 1) + 0.5  # (k, 2), pixels of the fine map
        place = place * (sides[i] / pixels[i]) + boxes[i, :2]  # (k, 2), pixels of the picture
        points.append(F.pad(place, (0, 1), value=1.0)[None])  # -> (1, k, 3), visible
        scores.append(highest[None])
    return torch.cat(points), torch.cat(scores)
