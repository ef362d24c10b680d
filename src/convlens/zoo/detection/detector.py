"""Build detectors, which find the boxes of what a picture shows, and masks or keypoints in them.

Ren et al., *Faster R-CNN* (arXiv 1506.01497); He et al., *Mask R-CNN* (arXiv 1703.06870); over a
feature pyramid (Lin et al., arXiv 1612.03144). "v2" as in Li et al., *Benchmarking Detection
Transfer Learning with Vision Transformers* (arXiv 2111.11429), with a ResNet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor

from convlens.zoo.detection.heads import SAMPLING, BoxHead, Detection, Head, RoIHeads
from convlens.zoo.detection.keypoints import KeypointHead
from convlens.zoo.detection.masks import MaskHead
from convlens.zoo.detection.matching import Sampling
from convlens.zoo.detection.proposals import PROPOSING, Proposing, RegionProposalNetwork
from convlens.zoo.detection.pyramid import (
    Backbone,
    mobilenet_backbone,
    resnet_backbone,
    small_backbone,
)
from convlens.zoo.detection.resizing import Resizing, Size, Target
from convlens.zoo.weights.drawn import TrackedModule

__all__ = ["DETECTORS", "Detector", "DetectorVariant", "detector"]


@dataclass(frozen=True)
class DetectorVariant:
    """What detectors differ in.

    `heads`: makes the list of them for a number of classes, of which class 0 is the background.
    `min_size`: pixels of a picture's shorter side, one of these in training and the last otherwise.
    `max_size`: the most that the longer side may have. `sampling`: how proposals are drawn from
    each picture to train the heads.
    """

    backbone: Callable[[], Backbone]
    heads: Callable[[int], Sequence[Head]]
    proposing: Proposing = PROPOSING
    classes: int = 91
    min_size: tuple[int, ...] = (800,)
    max_size: int = 1333
    sampling: Sampling = SAMPLING


def boxes(classes: int) -> list[Head]:
    """Return the head of a Faster R-CNN."""
    return [BoxHead(classes)]


def boxes_v2(classes: int) -> list[Head]:
    """Return the head of a Faster R-CNN v2."""
    return [BoxHead(classes, convolutions=True)]


def boxes_and_masks(classes: int) -> list[Head]:
    """Return the heads of a Mask R-CNN."""
    return [BoxHead(classes), MaskHead(classes)]


def boxes_and_masks_v2(classes: int) -> list[Head]:
    """Return the heads of a Mask R-CNN v2."""
    return [BoxHead(classes, convolutions=True), MaskHead(classes, norm=True)]


def boxes_and_keypoints(classes: int) -> list[Head]:
    """Return the heads of a Keypoint R-CNN."""
    return [BoxHead(classes), KeypointHead()]


def few_boxes(classes: int) -> list[Head]:
    """Return the head of a small detector."""
    return [BoxHead(classes, hidden=96)]


def few_boxes_and_masks(classes: int) -> list[Head]:
    """Return the heads of a small detector that finds masks."""
    return [*few_boxes(classes), MaskHead(classes, convolutions=1)]


def few_boxes_and_keypoints(classes: int) -> list[Head]:
    """Return the heads of a small detector that finds the four points of an arrow."""
    return [*few_boxes(classes), KeypointHead(points=4, convolutions=3, width=48)]


# The COCO_V1 weights over a frozen ResNet-50 were trained with an eps of 0.
FROZEN = partial(resnet_backbone, 0.0)
TRAINED = partial(resnet_backbone, None)
MOBILE = partial(mobilenet_backbone, 1e-5)

ALL_SIZES = ((32, 64, 128, 256, 512),) * 3

FEW = Proposing(
    ((14, 20), (28, 40), (56, 80), (110, 112)),
    pre_nms_top_n=(300, 150),
    post_nms_top_n=(150, 50),
)
"""The proposals of a small detector: anchors of 14 to 112 pixels, for pictures of 96."""


def small(heads: Callable[[int], Sequence[Head]]) -> DetectorVariant:
    """Return a detector of less than a million parameters, for pictures of 96 pixels."""
    return DetectorVariant(
        partial(small_backbone, 48),
        heads,
        FEW,
        classes=9,
        min_size=(96,),
        max_size=96,
        sampling=Sampling(0.5, 0.5, 64, 0.25),
    )


DETECTORS = {
    "fasterrcnn_resnet50_fpn": DetectorVariant(FROZEN, boxes),
    "fasterrcnn_resnet50_fpn_v2": DetectorVariant(TRAINED, boxes_v2, Proposing(convolutions=2)),
    "fasterrcnn_mobilenet_v3_large_fpn": DetectorVariant(
        MOBILE, boxes, Proposing(ALL_SIZES, score_thresh=0.05)
    ),
    "fasterrcnn_mobilenet_v3_large_320_fpn": DetectorVariant(
        *(MOBILE, boxes),
        Proposing(
            ALL_SIZES, pre_nms_top_n=(2000, 150), post_nms_top_n=(2000, 150), score_thresh=0.05
        ),
        min_size=(320,),
        max_size=640,
    ),
    "maskrcnn_resnet50_fpn": DetectorVariant(FROZEN, boxes_and_masks),
    "maskrcnn_resnet50_fpn_v2": DetectorVariant(
        TRAINED, boxes_and_masks_v2, Proposing(convolutions=2)
    ),
    "keypointrcnn_resnet50_fpn": DetectorVariant(
        FROZEN, boxes_and_keypoints, classes=2, min_size=(640, 672, 704, 736, 768, 800)
    ),
    "shapes_boxes": small(few_boxes),
    "shapes_masks": small(few_boxes_and_masks),
    "shapes_keypoints": small(few_boxes_and_keypoints),
}


class Detector(TrackedModule):
    """A pyramid of maps, proposals on it, and a list of heads that look at them."""

    def __init__(self, variant: DetectorVariant, classes: int, points: int | None = None) -> None:
        super().__init__()
        self.transform = Resizing(variant.min_size, variant.max_size)
        self.backbone = variant.backbone()
        channels = self.backbone.channels
        self.rpn = RegionProposalNetwork(variant.proposing, channels)
        heads = [_with_points(head, points) for head in variant.heads(classes)]
        self.roi_heads = RoIHeads(heads, channels, variant.sampling)

    @property
    def points(self) -> int:
        """Return how many points it finds of a figure; 0 if it looks for none."""
        heads = self.roi_heads.heads
        return next((head.points for head in heads if isinstance(head, KeypointHead)), 0)

    def forward(
        self,
        images: Tensor | Sequence[Tensor],
        targets: Sequence[Target] | None = None,
        *,
        whole_masks: bool = True,
    ) -> list[Detection] | dict[str, Tensor]:
        """Return what each picture shows; in training the losses by name.

        `images`: pictures (3, h, w) of values 0 to 1, of any sizes, or a batch (n, 3, h, w). For
        each, a dictionary has boxes (k, 4) in pixels, labels (k,) and scores (k,), the best first.
        The network's heads may add masks (k, 1, h, w) of 0 to 1, or keypoints (k, 17, 3) and
        keypoints_scores (k, 17); other detectors have another number of points.

        `targets`, for training: for each picture a dictionary of boxes (m, 4), labels (m,), int64,
        and what the heads learn. That is masks (m, h, w), or keypoints (m, 17, 3) of x, y and
        visibility.

        `whole_masks`: masks of whole pictures are large, 4 bytes for each pixel and detection. If
        False, box_masks (k, 1, 28, 28) replace them, each to be laid over its box; `pasted_parts`
        does that one by one for the masks that are needed.

        Raises ValueError for pictures and targets of other shapes, TypeError for other types.
        """
        images = list(images)
        check_images(images)
        if self.training:
            self._check(targets, images)
        originals = [(image.shape[1], image.shape[2]) for image in images]
        batch, sizes = self.transform(images)
        wanted = self._resized(targets, originals, sizes) if self.training else None
        levels = self.backbone(batch)  # (n, 3, h, w) -> (n, c, h / 4, w / 4), ...
        proposals, losses = self.rpn(batch, levels, sizes, wanted)  # -> (k, 4) of each picture
        answers = self.roi_heads(
            levels, proposals, sizes, originals, wanted, whole_masks=whole_masks
        )
        if isinstance(answers, dict):
            return {**answers, **losses}
        found: list[Detection] = answers
        return found

    def _resized(
        self, targets: Sequence[Target] | None, before: Sequence[Size], after: Sequence[Size]
    ) -> list[Target]:
        each = zip(targets or (), before, after, strict=True)
        return [self.roi_heads.resized(*one) for one in each]

    def _check(self, targets: Sequence[Target] | None, images: Sequence[Tensor]) -> None:
        if targets is None or len(targets) != len(images):
            given = None if targets is None else len(targets)
            raise ValueError(
                f"`targets` (={given}) must hold one dict for each of the {len(images)} pictures "
                "in training; give them, or call network.eval() to detect"
            )
        for image, target in zip(images, targets, strict=True):
            for head in self.roi_heads.heads:
                head.check(target, (image.shape[1], image.shape[2]))


def check_images(images: Sequence[object]) -> None:
    """Raise if `images` are not pictures (3, h, w) of floats."""
    if not images:
        raise ValueError("`images` (=[]) must hold at least one picture; give one (3, h, w)")
    for image in images:
        if not isinstance(image, Tensor) or not image.is_floating_point():
            kind = image.dtype if isinstance(image, Tensor) else type(image).__name__
            raise TypeError(
                f"`images` (={kind}) must be tensors of floating point numbers; "
                "convert with .float() / 255"
            )
        if image.ndim != 3 or image.shape[0] != 3 or 0 in image.shape:
            raise ValueError(
                f"`images` (={tuple(image.shape)}) must be pictures (3, h, w) in a list, or a "
                "batch (n, 3, h, w); put the red, green and blue first"
            )


def _with_points(head: Head, points: int | None) -> Head:
    """Return a head that finds another number of points, if it finds any."""
    if points is None or not isinstance(head, KeypointHead):
        return head
    return replace(head, points=points)


def detector(name: str, classes: int | None = None, points: int | None = None) -> Detector:
    """Build the detector called `name`, untrained.

    `classes`: with the background, which is class 0; COCO's 91 when None, 2 for keypoints.
    `points`: how many a keypoint detector finds of a figure, COCO's 17 when None. The
    first layers of the body are not trained, as when torchvision trains released weights further.
    They are the stem and the first stage of a ResNet, or the first seven layers of a MobileNet.

    Raises ValueError for fewer than two classes.

    >>> import torch
    >>> network = detector("fasterrcnn_mobilenet_v3_large_320_fpn", classes=3).eval()
    >>> sorted(network(torch.zeros(1, 3, 64, 64))[0])
    ['boxes', 'labels', 'scores']
    """
    variant = DETECTORS[name]
    classes = variant.classes if classes is None else classes
    if classes < 2:
        raise ValueError(
            f"`classes` (={classes}) must be at least 2, the background counted; "
            "add one to the number of your own"
        )
    return Detector(variant, classes, points)
