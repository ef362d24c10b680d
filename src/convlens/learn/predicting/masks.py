"""Masks of what was found, laid over the picture one at a time and kept as run lengths."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from convlens.learn.predicting.predictions import View
from convlens.learn.predicting.run_lengths import Counts, RunLengths, counts, part_counts
from convlens.zoo.detection.masks import paste_masks, pasted_parts

__all__ = ["finite_masks", "has_masks", "masks_of"]

_NAMES = ("box_masks", "masks")


def has_masks(found: Mapping[str, Tensor]) -> bool:
    """Return whether a detector's answer for a picture holds masks, whole or over their boxes."""
    return any(name in found for name in _NAMES)


def masks_of(found: Mapping[str, Tensor], numbers: Tensor, view: View) -> RunLengths:
    """Return the masks of the detections `numbers` (k,), in this order, in the picture's pixels.

    `found`: a detector's answer for one picture, with masks (n, 1, h, w) of the chance that a pixel
    belongs to it, or box_masks (n, 1, m, m), as `Detector.forward` gives them. A pixel belongs to
    a mask from a chance of 0.5 on. No more than one mask is unrolled at a time.
    """
    return RunLengths(view.size, tuple(_counts(found, number, view) for number in numbers.tolist()))


def finite_masks(found: Mapping[str, Tensor], numbers: Tensor) -> Tensor:
    """Return which of the detections `numbers` (k,) have masks of numbers that are finite, bool."""
    masks = next(found[name] for name in _NAMES if name in found)
    finite = [bool(masks[number].isfinite().all()) for number in numbers.tolist()]
    return torch.tensor(finite, dtype=torch.bool)


def _counts(found: Mapping[str, Tensor], number: int, view: View) -> Counts:
    one = slice(number, number + 1)
    if "box_masks" in found:
        masks, boxes = found["box_masks"][one], found["boxes"][one]
        if view.is_picture():
            part, place = next(pasted_parts(masks, boxes, view.size))
            return part_counts((part >= 0.5).cpu().numpy(), place, view.size)
        masks = paste_masks(masks, boxes, view.shape)
    else:
        masks = found["masks"][one]
    mask = masks.reshape(1, *masks.shape[-2:])
    if not view.is_picture():
        mask = view.maps(mask.float().cpu(), around=0)
    return counts((mask[0] >= 0.5).cpu().numpy())
