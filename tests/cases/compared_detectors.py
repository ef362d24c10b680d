"""Detectors with weights, pictures and targets by which they are compared with torchvision's."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor

from convlens.zoo.detection import Detector, detector
from convlens.zoo.detection.heads import BoxHead
from tests.cases.zoo_weights import drawn
from tests.running.holding import LastOnly

# Resized to 33 x 65 and 97 x 33, sides just past a multiple of 32: the padding is so wide that no
# sample of a region lies outside its map, where torchvision's definition of `roi_align` in Python,
# which stands in for its library here, has the border's value instead of 0.
SIZES = ((33, 65), (194, 66))
SHORTEST, PROPOSALS, FOUND = 33, 12, 3


@LastOnly
def weights(name: str) -> dict[str, Tensor]:
    """Varied weights by which a detector finds several things, none of them too surely."""
    with torch.device("meta"):
        network = detector(name)
    table = drawn(network, seed=3)
    # Signals grow along a body; the pyramid starts at about 1 again, and the answers are spread.
    body = 60 if "mobilenet" in name else 200
    factors = {"inner_blocks": 1 / body, "rpn.head.bbox_pred": 0.1, "cls_score": 2.0}
    for key in table:
        for part, factor in factors.items():
            if part in key and table[key].ndim > 1:
                table[key] = table[key] * factor
    return table


def ours(name: str) -> Detector:
    with torch.device("meta"):
        network = detector(name)
    network.load_state_dict(weights(name), assign=True)  # hundreds of megabytes, held once
    network.transform.min_size = (SHORTEST,)
    network.rpn.settings = replace(
        network.rpn.settings,
        pre_nms_top_n=(2 * PROPOSALS, 2 * PROPOSALS),
        post_nms_top_n=(PROPOSALS, PROPOSALS),
    )
    first, *others = network.roi_heads.heads
    assert isinstance(first, BoxHead)
    network.roi_heads.heads = (replace(first, detections_per_img=FOUND), *others)
    return network


def images(kind: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(3, *size, generator=generator).to(kind) for size in SIZES]


def targets(classes: int, kind: torch.dtype = torch.float32) -> list[dict[str, Tensor]]:
    """One thing in the first picture, two in the second, with masks and keypoints."""
    generator = torch.Generator().manual_seed(2)
    found = []
    for m, (h, w) in zip((1, 2), SIZES, strict=True):
        corner = torch.rand(m, 2, generator=generator) * torch.tensor([w, h]) * 0.4
        boxes = torch.cat((corner, corner + torch.tensor([w, h]) * 0.5), 1)
        inside = torch.rand(m, 17, 2, generator=generator) * (boxes[:, None, 2:] - corner[:, None])
        seen = torch.randint(3, (m, 17, 1), generator=generator)
        found.append(
            {
                "boxes": boxes.to(kind),
                "labels": torch.randint(1, classes, (m,), generator=generator),
                "masks": torch.randint(2, (m, h, w), generator=generator, dtype=torch.uint8),
                "keypoints": torch.cat((inside + corner[:, None], seen), 2),
            }
        )
    return found


SMALL = "fasterrcnn_mobilenet_v3_large_320_fpn"


def training(network: Detector) -> Detector:
    return copy.deepcopy(network).train()
