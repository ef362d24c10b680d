"""The networks of the zoo: how each is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from convlens.zoo.detection import DETECTORS, detector
from convlens.zoo.mobilenet import MOBILENETS, mobilenet
from convlens.zoo.mobilenet_v2 import MobileNetV2
from convlens.zoo.resnet import RESNETS, resnet
from convlens.zoo.segmentation import SEGMENTERS, segmenter
from convlens.zoo.small import digits, filters
from convlens.zoo.vgg import VGGS, vgg
from convlens.zoo.video import VIDEOS, video

__all__ = ["NETWORKS", "Family"]


@dataclass(frozen=True)
class Family:
    """How networks of one make are built: by name and, where it is free, the number of classes.

    `classes`: how many the released weights know; 0 where the network itself decides. `heads`: how
    the names of the weights begin whose shapes follow the number of classes.
    """

    build: Callable[[str, int], nn.Module]
    classes: int = 0
    heads: tuple[str, ...] = ()


NETWORKS: dict[str, Family] = {
    "digits": Family(lambda name, classes: digits()),
    "filters": Family(lambda name, classes: filters()),
    **dict.fromkeys(VGGS, Family(vgg, 1000, ("classifier.6.",))),
    **dict.fromkeys(RESNETS, Family(resnet, 1000, ("fc.",))),
    "mobilenet_v2": Family(lambda name, classes: MobileNetV2(classes), 1000, ("classifier.1.",)),
    **dict.fromkeys(MOBILENETS, Family(mobilenet, 1000, ("classifier.3.",))),
    **dict.fromkeys(
        SEGMENTERS,
        Family(
            segmenter,
            21,
            (
                *("classifier.4.", "aux_classifier.4."),
                *("classifier.low_classifier.", "classifier.high_classifier."),
            ),
        ),
    ),
    **dict.fromkeys(VIDEOS, Family(video, 400, ("fc.",))),
    **dict.fromkeys(
        DETECTORS,
        Family(
            detector, 91, ("roi_heads.box_predictor.", "roi_heads.mask_predictor.mask_fcn_logits.")
        ),
    ),
    "keypointrcnn_resnet50_fpn": Family(detector, 2, ("roi_heads.box_predictor.",)),
}
"""How each network of the zoo is built."""
