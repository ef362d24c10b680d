"""Compare boxes, keep the best of many, and translate them to and from a network's codes.

A box is (x1, y1, x2, y2) in pixels, x1 <= x2 and y1 <= y2. Names are those of `torchvision.ops`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

__all__ = [
    "batched_nms",
    "box_area",
    "box_iou",
    "clip_boxes_to_image",
    "decode_boxes",
    "encode_boxes",
    "nms",
    "remove_small_boxes",
]

Array = NDArray[Any]

LARGEST_STRETCH = math.log(1000 / 16)
"""The log of the most by which a decoded side is longer than its anchor's: 62.5 times."""

_ONE_CALL = 1000
"""Up to this number of boxes `batched_nms` moves groups apart; beyond, it takes one at a time."""


def box_area(boxes: Tensor) -> Tensor:
    """Return the areas (n,) of boxes (n, 4), in square pixels.

    >>> box_area(torch.tensor([[0.0, 0.0, 3.0, 2.0]]))
    tensor([6.])
    """
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Return intersection over union (n, m) of each of boxes (n, 4) with each of (m, 4).

    >>> box_iou(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[1.0, 0.0, 3.0, 2.0]]))
    tensor([[0.3333]])
    """
    from_ = torch.maximum(boxes1[:, None, :2], boxes2[:, :2])  # (n, m, 2)
    to = torch.minimum(boxes1[:, None, 2:], boxes2[:, 2:])  # (n, m, 2)
    sides = (to - from_).clamp(min=0)  # (n, m, 2)
    common = sides[..., 0] * sides[..., 1]  # (n, m)
    return common / (box_area(boxes1)[:, None] + box_area(boxes2) - common)


def clip_boxes_to_image(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Return boxes (..., 4) moved inside a picture of `size` (height, width).

    >>> clip_boxes_to_image(torch.tensor([[-1.0, 2.0, 9.0, 9.0]]), (4, 6))
    tensor([[0., 2., 6., 4.]])
    """
    height, width = size
    return boxes.clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))


def remove_small_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """Return the indices of boxes (n, 4) with both sides of at least `min_size` pixels.

    >>> remove_small_boxes(torch.tensor([[0.0, 0.0, 1.0, 9.0], [0.0, 0.0, 2.0, 2.0]]), 2)
    tensor([1])
    """
    sides = boxes[:, 2:] - boxes[:, :2]  # (n, 2)
    return torch.where((sides >= min_size).all(1))[0]


def encode_boxes(boxes: Tensor, anchors: Tensor, weights: Sequence[float]) -> Tensor:
    """Return the codes (n, 4) of boxes (n, 4) relative to anchors (n, 4): dx, dy, dw, dh.

    dx and dy move the centre, in units of the anchor's sides; dw and dh are logs of how the sides
    are stretched. Each is multiplied by `weights` (Girshick et al., arXiv 1311.2524, appendix C).

    >>> box, anchor = torch.tensor([[0.0, 0.0, 4.0, 4.0]]), torch.tensor([[0.0, 0.0, 2.0, 4.0]])
    >>> encode_boxes(box, anchor, (1, 1, 1, 1))
    tensor([[0.5000, 0.0000, 0.6931, 0.0000]])
    """
    scale = boxes.new_tensor(weights)
    centre, sides = _centre_and_sides(boxes)
    anchor_centre, anchor_sides = _centre_and_sides(anchors)
    moved = scale[:2] * (centre - anchor_centre) / anchor_sides
    stretched = scale[2:] * torch.log(sides / anchor_sides)
    return torch.cat((moved, stretched), 1)


def decode_boxes(codes: Tensor, anchors: Tensor, weights: Sequence[float]) -> Tensor:
    """Return the boxes (n, k, 4) of codes (n, 4 k) relative to anchors (n, 4).

    This is the inverse of `encode_boxes`; a side becomes at most 62.5 times the anchor's.

    >>> decode_boxes(torch.zeros(1, 4), torch.tensor([[0.0, 0.0, 2.0, 4.0]]), (1, 1, 1, 1))
    tensor([[[0., 0., 2., 4.]]])
    """
    codes = codes.to(torch.promote_types(codes.dtype, anchors.dtype))
    scale = codes.new_tensor(weights)
    each = codes.reshape(len(anchors), codes.shape[1] // 4, 4)  # (n, 4 k) -> (n, k, 4)
    centre, sides = _centre_and_sides(anchors.to(codes.dtype))  # (n, 2), (n, 2)
    moved = each[..., :2] / scale[:2]  # (n, k, 2)
    stretched = (each[..., 2:] / scale[2:]).clamp(max=LARGEST_STRETCH)  # (n, k, 2)
    centre = moved * sides[:, None] + centre[:, None]  # (n, k, 2)
    half = 0.5 * (torch.exp(stretched) * sides[:, None])  # (n, k, 2)
    return torch.cat((centre - half, centre + half), 2)  # -> (n, k, 4)


def _centre_and_sides(boxes: Tensor) -> tuple[Tensor, Tensor]:
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes[:, :2] + 0.5 * sides, sides


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Return the indices of the boxes (n, 4) kept by non-maximum suppression, best first.

    The box of the highest of scores (n,) is kept, and all that overlap it by more than
    `iou_threshold` (intersection over union) are dropped. The same is repeated with the rest. Of
    equal scores the first wins. Everything is computed on the CPU, in the type of the boxes.

    Raises ValueError for a threshold outside 0 to 1.

    >>> boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.0], [5.0, 0.0, 9.0, 4.0]])
    >>> nms(boxes, torch.tensor([0.8, 0.9, 0.7]), 0.5)
    tensor([1, 2])
    """
    if has_torch_function((boxes, scores)):
        kept: Tensor = handle_torch_function(nms, (boxes, scores), boxes, scores, iou_threshold)
        return kept
    if not 0 <= iou_threshold <= 1:
        raise ValueError(f"`iou_threshold` (={iou_threshold}) must be 0 to 1; 0.5 is usual")
    order = scores.detach().sort(descending=True, stable=True).indices
    kind = torch.float64 if boxes.dtype == torch.float64 else torch.float32
    ranked = boxes.detach()[order].to("cpu", kind).numpy()
    return order[torch.from_numpy(_survivors(ranked, iou_threshold)).to(order.device)]


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """Return the indices that `nms` keeps of boxes (n, 4) if each group is suppressed by itself.

    `idxs` (n,): the group of each, 0 or more, such as its class or its level. The best comes first.

    >>> boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.0], [0.0, 0.0, 4.0, 4.0]])
    >>> batched_nms(boxes, torch.tensor([0.8, 0.9, 0.7]), torch.tensor([1, 1, 2]), 0.5)
    tensor([1, 2])
    """
    if len(boxes) <= _ONE_CALL:
        # Each group gets its own place, as torchvision does, with the same rounding.
        apart = idxs.to(boxes) * (boxes.max() + 1) if len(boxes) else idxs.to(boxes)
        return nms(boxes + apart[:, None], scores, iou_threshold)
    groups = [torch.where(idxs == group)[0] for group in torch.unique(idxs)]
    kept = torch.cat([group[nms(boxes[group], scores[group], iou_threshold)] for group in groups])
    kept = kept.sort().values
    return kept[scores[kept].sort(descending=True, stable=True).indices]


def _survivors(ranked: Array, threshold: float) -> Array:
    """Return the indices kept of boxes (n, 4), which are ranked from the best on.

    It goes in batches: the best that are not suppressed yet are compared with the boxes near them.
    """
    index = _Index(ranked, threshold)
    alive = np.ones(len(ranked), np.uint8)
    flags = alive.data  # the same bytes, quicker to read one at a time
    start, batch = 0, 128
    while start < len(ranked):
        heads = start + np.flatnonzero(alive[start : start + batch])
        while len(heads):
            done, suppressing, suppressed = index.overlapping(heads)
            for head, tail in zip(suppressing.tolist(), suppressed.tolist(), strict=True):
                if flags[head]:
                    flags[tail] = 0
            heads = heads[done:]
        start += batch
        batch *= 2
        index.keep(alive)
    return np.flatnonzero(alive)


class _Index:
    """Boxes in strips from top to bottom, and in each from left to right, to find overlapping ones.

    If intersection over union is more than t, so is the smaller area over the larger, and so is the
    overlap along each axis. Then one side is at most 1 / t as long as the other, and the centres
    are nearer than the side times (1 - t) / 2t. They are always nearer than half the sum of both
    sides.
    """

    MOST_PAIRS = 2**20
    """Pairs that are compared at once, which bounds the memory."""

    def __init__(self, ranked: Array, threshold: float) -> None:
        self.threshold = ranked.dtype.type(threshold)
        self.least = max(threshold * (1 - 1e-5), 1e-9)  # by more than rounding can change
        with np.errstate(all="ignore"):
            self.area = (ranked[:, 2] - ranked[:, 0]) * (ranked[:, 3] - ranked[:, 1])
        # A box without a finite area, or with none, suppresses nothing and is not suppressed.
        self.area = np.where(np.isfinite(self.area), self.area, 0)
        ranked = np.where(self.area[:, None] > 0, ranked, 0)
        self.x1, self.y1, self.x2, self.y2 = (np.ascontiguousarray(column) for column in ranked.T)
        wide = ranked.astype(np.float64)
        sides = (wide[:, 2:] - wide[:, :2]).clip(0)
        touching = (sides + sides.max(0, initial=0)) / 2
        reach = np.minimum(sides * ((1 - self.least) / (2 * self.least)), touching)
        centre = (wide[:, 2:] + wide[:, :2]) / 2
        x, y = (centre - centre.min(0, initial=np.inf)).T
        width, height = x.max(initial=0), y.max(initial=0)
        x_reach, y_reach = (reach + 1e-9 * max(width, height)).T
        strip = max(y_reach.sum() / max(len(y), 1), height / 1000, np.finfo(float).tiny)
        self.pitch = 2 * width + 1
        key = np.floor(y / strip) * self.pitch + x
        self.order = np.argsort(key, kind="stable")
        self.key = key[self.order]
        self.top = np.floor((y - y_reach).clip(0) / strip).astype(np.int64)
        self.bottom = np.floor((y + y_reach).clip(max=height) / strip).astype(np.int64)
        self.left = (x - x_reach).clip(0)
        self.right = (x + x_reach).clip(max=width)

    def keep(self, alive: Array) -> None:
        """Forget the boxes that are not `alive`."""
        left = alive[self.order] != 0
        self.order, self.key = self.order[left], self.key[left]

    def overlapping(self, heads: Array) -> tuple[int, Array, Array]:
        """Return how many of `heads` were compared, and the pairs in which one suppresses a box."""
        strips = self.bottom[heads] - self.top[heads] + 1
        head = np.repeat(np.arange(len(heads)), strips)
        box, ahead = heads[head], _runs(self.top[heads], strips) * self.pitch
        first = np.searchsorted(self.key, ahead + self.left[box])
        near = np.searchsorted(self.key, ahead + self.right[box], side="right") - first
        fitting = np.searchsorted(np.cumsum(near), self.MOST_PAIRS, side="right")
        done = len(heads) if fitting == len(head) else max(int(head[fitting]), 1)
        some = slice(0, int(np.searchsorted(head, done)))
        a = np.repeat(box[some], near[some])
        b = self.order[_runs(first[some], near[some])]
        large, small = np.repeat(self.area[box[some]], near[some]), self.area[b]
        similar = (small >= large * self.least) & (large >= small * self.least) & (b > a)
        a, b = a[similar], b[similar]
        # The sums of `box_iou` in the same order and type, so that the decisions are the same.
        common = _shared(self.x1, self.x2, a, b)
        common *= _shared(self.y1, self.y2, a, b)
        with np.errstate(all="ignore"):
            much = common / (self.area[a] + self.area[b] - common) > self.threshold
        return done, a[much], b[much]


def _shared(low: Array, high: Array, a: Array, b: Array) -> Array:
    """Return the lengths that boxes a and b share along one axis, 0 for those that do not meet."""
    lengths: Array = np.minimum(high[a], high[b]) - np.maximum(low[a], low[b])
    return np.maximum(lengths, 0)


def _runs(starts: Array, counts: Array) -> Array:
    """Return counts[i] whole numbers from starts[i] on, for each i: [5, 9], [2, 1] gives 5 6 9."""
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(counts.sum())
