"""Match boxes with the true boxes of a picture, and draw those to train on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from convlens.zoo.detection.boxes import box_iou

__all__ = ["BETWEEN", "NOTHING", "Sampling", "draw", "match"]

NOTHING, BETWEEN = -1, -2
"""Marks of boxes without a true box: background, or an overlap between the two thresholds."""


@dataclass(frozen=True)
class Sampling:
    """How boxes are matched and drawn in training, by torchvision's names.

    A box is matched if its intersection over union is at least `fg_iou_thresh`, and is background
    below `bg_iou_thresh`. `best_too`: whether the boxes that overlap a true box most are always
    matched. `batch_size_per_image` boxes of a picture are drawn, at most `positive_fraction` of
    them matched (Ren et al., *Faster R-CNN*, arXiv 1506.01497, section 3.1).
    """

    fg_iou_thresh: float
    bg_iou_thresh: float
    batch_size_per_image: int
    positive_fraction: float
    best_too: bool = False


def match(true: Tensor, boxes: Tensor, sampling: Sampling) -> Tensor:
    """Return the index (n,) of the true box (m, 4) that each of boxes (n, 4) matches, or a mark.

    >>> true = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    >>> boxes = torch.tensor([[0.0, 0.0, 4.0, 3.0], [0.0, 0.0, 4.0, 2.0], [5.0, 5.0, 6.0, 6.0]])
    >>> match(true, boxes, Sampling(0.7, 0.3, 256, 0.5))
    tensor([ 0, -2, -1])
    """
    if len(true) == 0:
        return torch.full((len(boxes),), NOTHING, device=boxes.device)
    overlaps = box_iou(true, boxes)  # (m, n)
    most, nearest = overlaps.max(0)
    matched = nearest.clone()
    matched[most < sampling.fg_iou_thresh] = BETWEEN
    matched[most < sampling.bg_iou_thresh] = NOTHING
    if sampling.best_too:
        best = (overlaps == overlaps.max(1, keepdim=True).values).any(0)
        matched[best] = nearest[best]
    return matched


def draw(labels: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Return the indices, in order, that are drawn from positive and negative labels (n,).

    Positive labels are 1 or more, negative ones are 0; others are never drawn.
    """
    positive, negative = torch.where(labels >= 1)[0], torch.where(labels == 0)[0]
    most = int(sampling.batch_size_per_image * sampling.positive_fraction)
    wanted = min(len(positive), most)
    rest = min(len(negative), sampling.batch_size_per_image - wanted)
    # Permuting all of them, in this order, gives torchvision's sample for the same seed.
    positive = positive[torch.randperm(len(positive), device=labels.device)[:wanted]]
    negative = negative[torch.randperm(len(negative), device=labels.device)[:rest]]
    return positive.sort().values, negative.sort().values
