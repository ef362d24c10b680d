"""Detectors with drawn weights that find something, quick on small pictures."""

import dataclasses
from typing import Any

import torch
from torch import nn

from convlens.learn.opening import Opened
from convlens.learn.preparing import Preparation
from convlens.zoo import NETWORKS
from tests.cases.zoo_weights import drawn, with_weights

CATEGORIES = ("__background__", "cat", "dog", "bird", "cow")


def finding(
    name: str = "fasterrcnn_mobilenet_v3_large_fpn",
    classes: int = 5,
    *,
    shifts: float = 0.02,
    scores: float = 0.1,
    size: int = 128,
) -> nn.Module:
    """A detector in evaluation mode; pictures are scaled to a shorter side of `size` pixels.

    `shifts`: how far boxes lie from their anchors; large ones are cut off at the border. `scores`:
    how far apart; large ones are certainties.
    """
    with torch.device("meta"):
        network = NETWORKS[name].build(name, classes)
    table = drawn(network)
    for key, tensor in table.items():
        if key.endswith("bbox_pred.weight"):
            tensor *= shifts
        if key.endswith("cls_score.weight"):
            tensor *= scores
    network = with_weights(network, table).eval()
    network.transform.min_size = (size,)  # type: ignore[union-attr]
    return network


def few_masks(least: float = 0.05) -> Opened:
    """A Mask R-CNN on small pictures that makes few proposals and finds five things.

    `least`: the score from which it reports; with 0.99 it finds nothing.
    """
    network: Any = finding("maskrcnn_resnet50_fpn", shifts=0.002, scores=0.004, size=96)
    settings = network.rpn.settings
    network.rpn.settings = dataclasses.replace(settings, post_nms_top_n=(12, 12))
    boxes, *others = network.roi_heads.heads
    network.roi_heads.heads = [
        dataclasses.replace(boxes, detections_per_img=5, score_thresh=least),
        *others,
    ]
    return Opened("masks", network, Preparation(size=None, crop=False), CATEGORIES, None)
