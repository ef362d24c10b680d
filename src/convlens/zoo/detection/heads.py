"""Define what a detector's heads are, run the list of them, and find boxes by the first.

Girshick, *Fast R-CNN* (arXiv 1504.08083).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.zoo.detection.anatomy import Part, layers_of
from convlens.zoo.detection.boxes import (
    batched_nms,
    clip_boxes_to_image,
    decode_boxes,
    encode_boxes,
    remove_small_boxes,
)
from convlens.zoo.detection.matching import BETWEEN, NOTHING, Sampling, draw, match
from convlens.zoo.detection.regions import MultiScaleRoIAlign
from convlens.zoo.detection.resizing import Size, Target, resize_boxes
from convlens.zoo.layers import conv_norm, draw_weights

__all__ = ["SAMPLING", "BoxHead", "Detection", "Features", "Head", "RoIHeads", "SampledProposals"]

SAMPLING = Sampling(0.5, 0.5, 512, 0.25)
"""How proposals are drawn from each picture by default."""

Detection = dict[str, Tensor]
"""What a picture shows, by torchvision's names: boxes, labels, scores, and what heads add."""


@dataclass(frozen=True)
class Features:
    """What every head sees of a batch: the pyramid's levels without the last, the pictures' sizes.

    `modules`: the layers of all heads, under their names in a state dict.
    """

    modules: nn.ModuleDict
    levels: Sequence[Tensor]
    sizes: Sequence[Size]

    def seen_by(self, head: str, boxes: Sequence[Tensor]) -> Tensor:
        """Return what the layers of `head` make of the regions under the boxes of each picture."""
        pool, layers, _ = layers_of(head)
        x = self.modules[pool](self.levels, boxes, self.sizes)
        out: Tensor = self.modules[layers](x)
        return out


@dataclass(frozen=True)
class SampledProposals:
    """Proposals to train on: each picture's boxes (k, 4), matched true boxes (k,), classes (k,)."""

    boxes: list[Tensor]
    matched: list[Tensor]
    labels: list[Tensor]

    def positive(self) -> SampledProposals:
        """Return those that are matched to a true box."""
        where = [torch.where(labels > 0)[0] for labels in self.labels]
        return SampledProposals(
            *(
                [each[i] for each, i in zip(kind, where, strict=True)]
                for kind in (self.boxes, self.matched, self.labels)
            )
        )


class Head(Protocol):
    """One question about every proposal, or every box found, and how its answer is learned.

    `part`: what the head adds to a box; None for the head that finds the boxes.
    """

    part: ClassVar[Part | None]

    def build(self, channels: int) -> dict[str, nn.Module]:
        """Return the head's layers, on maps of `channels`, by their names in a state dict."""

    def check(self, target: Target, size: Size) -> None:
        """Raise ValueError if the target of a picture of `size` lacks what the head learns."""

    def resize(self, target: Target, before: Size, after: Size) -> Target:
        """Return the target of a picture of size `before` once that has size `after`."""

    def losses(
        self, features: Features, samples: SampledProposals, targets: Sequence[Target]
    ) -> Detection:
        """Return the head's losses by name."""

    def detect(self, features: Features, found: list[Detection]) -> list[Detection]:
        """Return what was `found` in each picture together with the head's answers."""

    def restore(self, found: Detection, size: Size, original: Size) -> Detection:
        """Return the answers for a picture of `size` in pixels of the original picture."""


class RoIHeads(nn.ModuleDict):
    """The list of a detector's heads, and the layers of them all.

    `channels`: those of the pyramid's maps. `sampling`: how proposals are drawn in training.
    """

    def __init__(self, heads: Sequence[Head], channels: int, sampling: Sampling = SAMPLING) -> None:
        super().__init__(
            {name: layer for head in heads for name, layer in head.build(channels).items()}
        )
        self.heads = tuple(heads)
        self.sampling = sampling

    def forward(
        self,
        levels: Sequence[Tensor],
        proposals: Sequence[Tensor],
        sizes: Sequence[Size],
        originals: Sequence[Size],
        targets: Sequence[Target] | None = None,
        *,
        whole_masks: bool = True,
    ) -> list[Detection] | dict[str, Tensor]:
        """Return what each picture shows, in pixels of the originals; with targets, the losses.

        `levels`: the maps of the pyramid. `proposals` (k, 4), `sizes` in the batch and `originals`,
        the sizes before: one for each picture. `whole_masks`: as in the detector's `forward`.
        """
        if targets is not None:
            return self._losses(levels, proposals, sizes, targets)
        found = self._found(levels, proposals, sizes)
        if not whole_masks:  # no head pastes them under another name
            maps = {head.part.name for head in self.heads if head.part and head.part.form == "map"}
            found = [
                {f"box_{name}" if name in maps else name: part for name, part in each.items()}
                for each in found
            ]
        pictures = zip(found, sizes, originals, strict=True)
        return [self._restored(*each) for each in pictures]

    def resized(self, target: Target, before: Size, after: Size) -> Target:
        """Return the target of a picture of size `before` once that has size `after`."""
        for head in self.heads:
            target = head.resize(target, before, after)
        return target

    def _losses(
        self,
        levels: Sequence[Tensor],
        proposals: Sequence[Tensor],
        sizes: Sequence[Size],
        targets: Sequence[Target],
    ) -> dict[str, Tensor]:
        """Return the losses of all heads over a sample of the proposals."""
        features = Features(self, levels[:-1], sizes)
        samples = self._sample(proposals, targets)
        found: dict[str, Tensor] = {}
        for head in self.heads:
            found.update(head.losses(features, samples, targets))
        return found

    def _found(
        self, levels: Sequence[Tensor], proposals: Sequence[Tensor], sizes: Sequence[Size]
    ) -> list[Detection]:
        """Return what each picture shows; each head adds to what those before it found."""
        features = Features(self, levels[:-1], sizes)
        found = [{"boxes": boxes} for boxes in proposals]
        for head in self.heads:
            found = head.detect(features, found)
        return found

    def _restored(self, found: Detection, size: Size, original: Size) -> Detection:
        for head in self.heads:
            found = head.restore(found, size, original)
        return found

    def _sample(self, proposals: Sequence[Tensor], targets: Sequence[Target]) -> SampledProposals:
        samples = SampledProposals([], [], [])
        for boxes, target in zip(proposals, targets, strict=True):
            true = target["boxes"].to(boxes)
            boxes = torch.cat((boxes, true))  # with the true ones, so that there is always a match
            matched = match(true, boxes, self.sampling)
            nearest = matched.clamp(min=0)
            labels = target["labels"][nearest] if len(true) else torch.zeros_like(nearest)
            labels[matched == NOTHING] = 0
            labels[matched == BETWEEN] = NOTHING
            drawn = torch.cat(draw(labels, self.sampling)).sort().values
            samples.boxes.append(boxes[drawn])
            samples.matched.append(nearest[drawn])
            samples.labels.append(labels[drawn])
        return samples


@dataclass(frozen=True)
class BoxHead:
    """The head that finds what is in each proposal, and where exactly: classes, scores and boxes.

    `classes`: with the background, 0. `convolutions`: whether four of them, with batch
    normalization, come before the linear layer. `hidden`: how many numbers a linear layer gives.
    Thresholds and counts have torchvision's names.
    """

    part: ClassVar[Part | None] = None

    classes: int
    convolutions: bool = False
    score_thresh: float = 0.05
    nms_thresh: float = 0.5
    detections_per_img: int = 100
    weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    hidden: int = 1024

    def build(self, channels: int) -> dict[str, nn.Module]:
        """Return the pooling, the head and the predictor."""
        pool, layers, predictor = layers_of("box")
        kind = ConvolutionalHead if self.convolutions else LinearHead
        return {
            pool: MultiScaleRoIAlign(7, 2),
            layers: kind(channels, self.hidden),
            predictor: BoxPredictor(self.classes, self.hidden),
        }

    def check(self, target: Target, size: Size) -> None:
        """Raise for boxes or labels that are missing, out of range, or of another shape or type."""
        boxes, labels = target.get("boxes"), target.get("labels")
        if boxes is None or boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(
                f"`boxes` (={_shape(boxes)}) of a target must be (m, 4): x1, y1, x2, y2 in pixels; "
                "give (0, 4) where a picture shows nothing"
            )
        if not boxes.is_floating_point():
            raise TypeError(f"`boxes` (={boxes.dtype}) of a target must be floats; use .float()")
        wide = boxes.double()  # float16 has no room for areas
        endless = ~((wide[:, 2:] - wide[:, :2]).prod(1).float().isfinite() & wide.isfinite().all(1))
        if endless.any():
            raise ValueError(
                f"`boxes` (={boxes[endless][0].tolist()}) of a target must have finite sides and "
                "area; correct them, or leave them out"
            )
        flat = ~(boxes[:, 2:] > boxes[:, :2]).all(1)
        if flat.any():
            raise ValueError(
                f"`boxes` (={boxes[flat][0].tolist()}) of a target must have x1 < x2 and y1 < y2; "
                "leave out those without an area"
            )
        if labels is None or labels.shape != boxes.shape[:1] or labels.dtype != torch.int64:
            given = _shape(labels) if labels is None else f"{_shape(labels)}, {labels.dtype}"
            raise ValueError(
                f"`labels` (={given}) of a target must be int64, one for each of the {len(boxes)} "
                "boxes; use torch.tensor([...])"
            )
        wrong = (labels < 1) | (labels >= self.classes)
        if wrong.any():
            raise ValueError(
                f"`labels` (={labels[wrong][0].item()}) of a target must be 1 to "
                f"{self.classes - 1}, 0 is the background; build the detector with more `classes`"
            )

    def resize(self, target: Target, before: Size, after: Size) -> Target:
        """Return the target with its boxes in pixels of the resized picture."""
        return {**target, "boxes": resize_boxes(target["boxes"], before, after)}

    def losses(
        self, features: Features, samples: SampledProposals, targets: Sequence[Target]
    ) -> Detection:
        """Return the cross-entropy of the classes, and smooth L1 of the codes of the true one."""
        scores, codes = self._answers(features, samples.boxes)
        labels = torch.cat(samples.labels)  # (k,)
        positive = samples.positive()
        true = [t["boxes"][i] for t, i in zip(targets, positive.matched, strict=True)]
        boxes = torch.cat(positive.boxes)
        wanted = encode_boxes(torch.cat(true).to(boxes), boxes, self.weights)  # (p, 4)
        where = torch.where(labels > 0)[0]  # (p,)
        given = codes.view(len(codes), -1, 4)[where, labels[where]]  # (k, 4 classes) -> (p, 4)
        error = F.smooth_l1_loss(given, wanted, beta=1 / 9, reduction="sum")
        return {
            "loss_classifier": F.cross_entropy(scores, labels),
            "loss_box_reg": error / len(labels),
        }

    def detect(self, features: Features, found: list[Detection]) -> list[Detection]:
        """Return boxes, labels and scores in place of the proposals."""
        proposals = [each["boxes"] for each in found]
        scores, codes = self._answers(features, proposals)
        boxes = decode_boxes(codes, torch.cat(proposals), self.weights)  # -> (k, classes, 4)
        counts = [len(each) for each in proposals]
        pictures = zip(
            boxes.split(counts), scores.softmax(1).split(counts), features.sizes, strict=True
        )
        return [self._best(*each) for each in pictures]

    def _best(self, boxes: Tensor, scores: Tensor, size: Size) -> Detection:
        # A box of every class but the background is a detection of its own.
        scores = scores[:, 1:].flatten()  # (k, classes) -> (k * (classes - 1),)
        boxes = clip_boxes_to_image(boxes[:, 1:].flatten(0, 1), size)  # -> (k * (classes - 1), 4)
        keep = torch.where(scores > self.score_thresh)[0]
        keep = keep[remove_small_boxes(boxes[keep], 1e-2)]
        boxes, scores = boxes[keep], scores[keep]
        labels = keep % (self.classes - 1) + 1
        best = batched_nms(boxes, scores, labels, self.nms_thresh)[: self.detections_per_img]
        return {"boxes": boxes[best], "labels": labels[best], "scores": scores[best]}

    def restore(self, found: Detection, size: Size, original: Size) -> Detection:
        """Return the boxes in pixels of the original."""
        return {**found, "boxes": resize_boxes(found["boxes"], size, original)}

    def _answers(self, features: Features, boxes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        x = features.seen_by("box", boxes)  # -> (k, c, 7, 7) -> (k, hidden)
        *_, predictor = layers_of("box")
        answers: tuple[Tensor, Tensor] = features.modules[predictor](x)
        return answers  # (k, classes), (k, 4 * classes)


class LinearHead(nn.Module):
    """Two linear layers: (k, c, 7, 7) to (k, hidden)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc6 = nn.Linear(channels * 7 * 7, hidden)
        self.fc7 = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (k, hidden) of each region."""
        x = x.flatten(1)  # (k, c, 7, 7) -> (k, 49 c)
        x = F.relu(self.fc6(x))  # -> (k, hidden)
        return F.relu(self.fc7(x))


class ConvolutionalHead(nn.Sequential):
    """Four 3x3 convolutions and a linear layer: (k, c, 7, 7) to (k, hidden).

    Li et al., *Benchmarking Detection Transfer Learning* (arXiv 2111.11429), appendix.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__(
            *(conv_norm(channels, channels, 3) for _ in range(4)),
            nn.Flatten(),
            nn.Linear(channels * 7 * 7, hidden),
            nn.ReLU(inplace=True),
        )
        draw_weights(self)


class BoxPredictor(nn.Module):
    """Scores of all classes and a box for each: (k, hidden) to (k, classes), (k, 4 * classes)."""

    def __init__(self, classes: int, hidden: int = 1024) -> None:
        super().__init__()
        self.cls_score = nn.Linear(hidden, classes)
        self.bbox_pred = nn.Linear(hidden, classes * 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores before the softmax, and codes of boxes."""
        return self.cls_score(x), self.bbox_pred(x)


def _shape(tensor: Tensor | None) -> tuple[int, ...] | None:
    return None if tensor is None else tuple(tensor.shape)
