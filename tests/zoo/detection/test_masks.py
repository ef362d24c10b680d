"""Masks are pasted as torchvision pastes them."""

from __future__ import annotations

import torch

from convlens.zoo.detection.boxes import (
    clip_boxes_to_image,
)
from convlens.zoo.detection.masks import paste_masks
from tests.cases.boxes import scattered
from tests.oracles.torchvision_networks import torchvision


def test_masks_are_pasted_as_torchvision_pastes_them() -> None:
    torchvision()
    from torchvision.models.detection.roi_heads import paste_masks_in_image

    generator = torch.Generator().manual_seed(8)
    masks = torch.rand(30, 1, 28, 28, generator=generator)
    boxes = clip_boxes_to_image(scattered(30) / 4, (150, 200))
    found = paste_masks(masks, boxes, (150, 200))
    assert torch.equal(found, paste_masks_in_image(masks, boxes, (150, 200)))
    assert not torch.equal(found, paste_masks_in_image(masks, boxes + 1, (150, 200)))
    assert paste_masks(masks[:0], boxes[:0], (15, 20)).shape == (0, 1, 15, 20)
    tiny = torch.tensor([[0.0, 0, 1, 1]])
    assert torch.equal(
        paste_masks(masks[:1], tiny, (1, 1)), paste_masks_in_image(masks[:1], tiny, (1, 1))
    )
