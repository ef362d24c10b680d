"""Lay the maps of what was found over the picture, one at a time, and keep them as run lengths."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from convlens.learn.data.run_lengths import Counts, RunLengths, counts, part_counts
from convlens.learn.predicting.predictions import View
from convlens.zoo.detection.masks import paste_masks, pasted_parts

__all__ = ["finite_masks", "has_masks", "masks_of"]


def has_masks(found: Mapping[str, Tensor], name: str) -> bool:
    """Return whether a detector's answer holds the maps called `name`, whole or over their boxes.

    >>> has_masks({"box_masks": torch.ones(1, 1, 2, 2)}, "masks")
    True
    """
    return name in found or f"box_{name}" in found


def masks_of(found: Mapping[str, Tensor], name: str, numbers: Tensor, view: View) -> RunLengths:
    """Return the masks of the detections `numbers` (k,), in this order, in the picture's pixels.

    `found`: a detector's answer for one picture, as `Detector.forward` returns it. `name` is the
    key of the chances that a pixel belongs to a detection, (n, 1, h, w); "box_`name`" is that of
    chances over its box, (n, 1, m, m). A pixel belongs to a mask if its chance is 0.5 or more. Only
    one mask at a time is held as pixels.
    """
    counted = (_counts(found, name, number, view) for number in numbers.tolist())
    return RunLengths(view.size, tuple(counted))


def finite_masks(found: Mapping[str, Tensor], name: str, numbers: Tensor) -> Tensor:
    """Return which of the detections `numbers` (k,) have finite masks called `name`, bool."""
    masks = found[f"box_{name}" if f"box_{name}" in found else name]
    finite = [bool(masks[number].isfinite().all()) for number in numbers.tolist()]
    return torch.tensor(finite, dtype=torch.bool)


def _counts(found: Mapping[str, Tensor], name: str, number: int, view: View) -> Counts:
    one = slice(number, number + 1)
    if f"box_{name}" in found:
        masks, boxes = found[f"box_{name}"][one], found["boxes"][one]
        if view.is_picture():
            part, place = next(pasted_parts(masks, boxes, view.size))
            return part_counts((part >= 0.5).cpu().numpy(), place, view.size)
        masks = paste_masks(masks, boxes, view.shape)
    else:
        masks = found[name][one]
    mask = masks.reshape(1, *masks.shape[-2:])
    if not view.is_picture():
        mask = view.maps(mask.float().cpu(), around=0)
    return counts((mask[0] >= 0.5).cpu().numpy())
