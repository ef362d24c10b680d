"""Find the pixels of each box that belong to what a detector found in it.

He et al., *Mask R-CNN* (arXiv 1703.06870), section 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.zoo.detection.anatomy import HEADS, Part, layers_of
from convlens.zoo.detection.heads import Detection, Features, SampledProposals
from convlens.zoo.detection.regions import MultiScaleRoIAlign, roi_align
from convlens.zoo.detection.resizing import Size, Target
from convlens.zoo.layers import conv_norm, draw_weights

__all__ = ["MASKS", "MaskHead", "paste_masks", "pasted_parts"]

POOL, LAYERS, PREDICTOR = layers_of("mask")

MASKS = Part(
    *("masks", "map"),
    layer=f"{HEADS}.{PREDICTOR}.mask_fcn_logits",
    station="mask",
    coco="segmentation",
)


@dataclass(frozen=True)
class MaskHead:
    """The head with a mask of 28 x 28 for each class in each box.

    `norm`: whether its `convolutions` are followed by batch normalization.
    """

    part: ClassVar[Part | None] = MASKS

    classes: int
    norm: bool = False
    convolutions: int = 4

    def build(self, channels: int) -> dict[str, nn.Module]:
        """Return the pooling, the head and the predictor."""
        layers = [convolution(channels, self.norm) for _ in range(self.convolutions)]
        predictor = nn.Sequential()
        predictor.add_module("conv5_mask", nn.ConvTranspose2d(channels, channels, 2, 2))
        predictor.add_module("relu", nn.ReLU(inplace=True))
        predictor.add_module("mask_fcn_logits", nn.Conv2d(channels, self.classes, 1))
        for name, weight in predictor.named_parameters():
            if name.endswith("weight"):
                nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
        return {
            POOL: MultiScaleRoIAlign(14, 2),
            LAYERS: nn.Sequential(*layers),
            PREDICTOR: predictor,
        }

    def check(self, target: Target, size: Size) -> None:
        """Raise ValueError for masks that are missing, or that are not one for each box."""
        masks, wanted = target.get("masks"), (len(target["boxes"]), *size)
        if masks is None or tuple(masks.shape) != wanted:
            given = None if masks is None else tuple(masks.shape)
            raise ValueError(
                f"`masks` (={given}) of a target must be (m, h, w), here {wanted}: one for each "
                "box, of the picture's size; give 1 where a pixel belongs to it and 0 elsewhere"
            )

    def resize(self, target: Target, before: Size, after: Size) -> Target:
        """Return the target with each mask of the resized picture's size, 0 or 1 a pixel."""
        masks = target["masks"][:, None].float()  # (m, h, w) -> (m, 1, h, w)
        return {**target, "masks": F.interpolate(masks, after)[:, 0].byte()}  # -> (m, *after)

    def losses(
        self, features: Features, samples: SampledProposals, targets: Sequence[Target]
    ) -> Detection:
        """Return the cross-entropy of each pixel of the true class's mask."""
        positive = samples.positive()
        logits = self._answers(features, positive.boxes)  # (p, classes, 28, 28)
        if len(logits) == 0:
            return {"loss_mask": logits.sum() * 0}
        wanted = []
        for boxes, matched, target in zip(positive.boxes, positive.matched, targets, strict=True):
            masks = target["masks"][:, None].to(boxes)  # (m, h, w) -> (m, 1, h, w)
            regions = torch.cat((matched[:, None].to(boxes), boxes), 1)  # (p, 5)
            wanted.append(roi_align(masks, regions, logits.shape[3])[:, 0])  # -> (p, 28, 28)
        labels = torch.cat(positive.labels)  # (p,)
        given = logits[torch.arange(len(labels), device=labels.device), labels]  # -> (p, 28, 28)
        return {"loss_mask": F.binary_cross_entropy_with_logits(given, torch.cat(wanted))}

    def detect(self, features: Features, found: list[Detection]) -> list[Detection]:
        """Return what was found with masks (k, 1, 28, 28), the probability of each pixel."""
        logits = self._answers(features, [each["boxes"] for each in found])  # (k, classes, 28, 28)
        pictures = logits.sigmoid().split([len(each["boxes"]) for each in found])
        complete = []
        for each, masks in zip(found, pictures, strict=True):
            labels = each["labels"]
            own = masks[torch.arange(len(labels), device=labels.device), labels]  # -> (k, 28, 28)
            complete.append({**each, "masks": own[:, None]})  # -> (k, 1, 28, 28)
        return complete

    def restore(self, found: Detection, size: Size, original: Size) -> Detection:
        """Return the masks laid over the original: (k, 1, 28, 28) to (k, 1, h, w)."""
        if "masks" not in found:  # they are wanted as they are
            return found
        return {**found, "masks": paste_masks(found["masks"], found["boxes"], original)}

    def _answers(self, features: Features, boxes: Sequence[Tensor]) -> Tensor:
        x = features.seen_by("mask", boxes)  # -> (k, c, 14, 14)
        logits: Tensor = features.modules[PREDICTOR](x)  # -> (k, classes, 28, 28)
        return logits


def convolution(c: int, norm: bool) -> nn.Sequential:
    """Return a 3x3 convolution, normalized or with a bias, and its ReLU."""
    if norm:
        layers = conv_norm(c, c, 3)
    else:
        layers = nn.Sequential(nn.Conv2d(c, c, 3, padding=1), nn.ReLU(inplace=True))
    draw_weights(layers)
    return layers


def paste_masks(masks: Tensor, boxes: Tensor, size: Size) -> Tensor:
    """Return masks (k, 1, m, m), each stretched over its box (k, 4), in a picture of zeros.

    They are (k, 1, h, w), where `size` is (h, w) in pixels; bilinear, and fading out over a ring
    around the box, as Detectron pastes them.

    >>> paste_masks(torch.ones(1, 1, 2, 2), torch.tensor([[1.0, 1.0, 3.0, 3.0]]), (4, 4))
    tensor([[[[0.0000, 0.0000, 0.0000, 0.0000],
              [0.0000, 0.4900, 0.7000, 0.4900],
              [0.0000, 0.7000, 1.0000, 0.7000],
              [0.0000, 0.4900, 0.7000, 0.4900]]]])
    """
    h, w = size
    pictures = [masks.new_zeros(0, 1, h, w)]
    for mask, (x1, y1, x2, y2) in _stretched(masks, boxes):
        # Negative padding cuts off what is beyond the picture.
        pictures.append(F.pad(mask, (x1, w - 1 - x2, y1, h - 1 - y2)))  # -> (1, 1, h, w)
    return torch.cat(pictures)


def pasted_parts(
    masks: Tensor, boxes: Tensor, size: Size
) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    """Yield what `paste_masks` makes of each mask, without the zeros around it.

    Each is (h', w'), with the row and column of its first pixel; outside of it everything is 0.

    >>> part, place = next(
    ...     pasted_parts(torch.ones(1, 1, 2, 2), torch.tensor([[1.0, 1.0, 3.0, 3.0]]), (4, 4))
    ... )
    >>> part.shape, place
    (torch.Size([4, 4]), (0, 0))
    """
    h, w = size
    for mask, (x1, y1, x2, y2) in _stretched(masks, boxes):
        left, top = min(max(x1, 0), w), min(max(y1, 0), h)
        right, bottom = max(min(x2 + 1, w), left), max(min(y2 + 1, h), top)
        yield mask[0, 0, top - y1 : bottom - y1, left - x1 : right - x1], (top, left)


def _stretched(masks: Tensor, boxes: Tensor) -> Iterator[tuple[Tensor, list[int]]]:
    """Yield each mask (1, 1, h', w') as large as its box with a ring around it, and its corners."""
    m = masks.shape[-1]
    ringed = F.pad(masks, (1, 1, 1, 1))  # -> (k, 1, m + 2, m + 2)
    half = (boxes[:, 2:] - boxes[:, :2]) * 0.5 * ((m + 2) / m)  # (k, 2)
    centre = (boxes[:, 2:] + boxes[:, :2]) * 0.5  # (k, 2)
    corners = torch.cat((centre - half, centre + half), 1).long()  # (k, 4)
    for i, (x1, y1, x2, y2) in enumerate(corners.tolist()):
        # In whole pixels, with both corners included.
        mask = F.interpolate(ringed[i : i + 1], (y2 - y1 + 1, x2 - x1 + 1), mode="bilinear")
        yield mask, [x1, y1, x2, y2]
