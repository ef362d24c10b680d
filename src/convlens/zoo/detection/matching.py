"""Which of many boxes stand for which of a picture's true ones, and which are trained on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from convlens.zoo.detection.boxes import box_iou

__all__ = ["BETWEEN", "NOTHING", "Sampling", "draw", "match"]

NOTHING, BETWEEN = -1, -2
"""Matched to no true box: it is background, or overlaps one too much and too little to say."""


@dataclass(frozen=True)
class Sampling:
    """How boxes are matched and drawn in training; torchvision's names.

    A box is matched from `fg_iou_thresh` intersection over union on, background below
    `bg_iou_thresh`. `best_too`: for each true box, those that overlap it most are matched in any
    case. Of a picture, `batch_size_per_image` are drawn, at most `positive_fraction` of them
    matched (Ren et al., *Faster R-CNN*, arXiv 1506.01497, section 3.1).
    """

    fg_iou_thresh: float
    bg_iou_thresh: float
    batch_size_per_image: int
    positive_fraction: float
    best_too: bool = False


def match(true: Tensor, boxes: Tensor, sampling: Sampling) -> Tensor:
    """Return for each of boxes (n, 4) the index in `true` (m, 4) it stands for, or what it is.

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
    """Return the indices drawn, in order, of the positive and of the negative of labels (n,).

    Positive are labels of 1 or more, negative those of 0, others are never drawn.
    """
    positive, negative = torch.where(labels >= 1)[0], torch.where(labels == 0)[0]
    most = int(sampling.batch_size_per_image * sampling.positive_fraction)
    wanted = min(len(positive), most)
    rest = min(len(negative), sampling.batch_size_per_image - wanted)
    # Two draws in this order, of all and not of some: the same seed gives torchvision's sample.
    positive = positive[torch.randperm(len(positive), device=labels.device)[:wanted]]
    negative = negative[torch.randperm(len(negative), device=labels.device)[:rest]]
    return positive.sort().values, negative.sort().values
