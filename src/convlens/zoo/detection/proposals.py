"""Propose boxes in which something may be, from every cell of a pyramid.

Ren et al., *Faster R-CNN* (arXiv 1506.01497), section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.zoo.detection.boxes import (
    batched_nms,
    clip_boxes_to_image,
    decode_boxes,
    encode_boxes,
    remove_small_boxes,
)
from convlens.zoo.detection.matching import BETWEEN, NOTHING, Sampling, draw, match
from convlens.zoo.detection.resizing import Size, Target

__all__ = ["PROPOSING", "Proposing", "RegionProposalNetwork", "anchors"]

RATIOS = (0.5, 1.0, 2.0)
"""Height by width of the anchors of each size."""

WEIGHTS = (1.0, 1.0, 1.0, 1.0)

SAMPLING = Sampling(0.7, 0.3, 256, 0.5, best_too=True)


@dataclass(frozen=True)
class Proposing:
    """What proposal networks differ in, by torchvision's names.

    `sizes`: the sides of the anchors of each level, in pixels. `convolutions`: the number before
    the two answers. `pre_nms_top_n`, in (training, evaluation): the best of each level that are
    taken; `post_nms_top_n`: the best that are left after suppression. `score_thresh`: the least
    probability.
    """

    sizes: tuple[tuple[int, ...], ...] = ((32,), (64,), (128,), (256,), (512,))
    convolutions: int = 1
    pre_nms_top_n: tuple[int, int] = (2000, 1000)
    post_nms_top_n: tuple[int, int] = (2000, 1000)
    nms_thresh: float = 0.7
    score_thresh: float = 0.0
    sampling: Sampling = SAMPLING


PROPOSING = Proposing()
"""The usual one, with one size for each level, as in the paper on feature pyramids."""


class ProposalHead(nn.Module):
    """Two answers for each anchor of each cell: whether something is there, and where exactly."""

    def __init__(self, channels: int, anchors_a_cell: int, convolutions: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(inplace=True))
                for _ in range(convolutions)
            )
        )
        self.cls_logits = nn.Conv2d(channels, anchors_a_cell, 1)
        self.bbox_pred = nn.Conv2d(channels, anchors_a_cell * 4, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (n, h * w * a) and codes (n, h * w * a, 4) of one level (n, c, h, w)."""
        x = self.conv(level)  # (n, c, h, w)
        scores = self.cls_logits(x).permute(0, 2, 3, 1)  # -> (n, a, h, w) -> (n, h, w, a)
        codes = self.bbox_pred(x).permute(0, 2, 3, 1)  # -> (n, 4 a, h, w) -> (n, h, w, 4 a)
        return scores.flatten(1), codes.reshape(len(x), -1, 4)


class RegionProposalNetwork(nn.Module):
    """A few hundred boxes worth a look for each picture, and two losses in training.

    `channels`: those of the pyramid's maps.
    """

    def __init__(self, settings: Proposing, channels: int) -> None:
        super().__init__()
        self.settings = settings
        anchors_a_cell = len(settings.sizes[0]) * len(RATIOS)
        self.head = ProposalHead(channels, anchors_a_cell, settings.convolutions)

    def forward(
        self,
        batch: Tensor,
        levels: Sequence[Tensor],
        sizes: Sequence[Size],
        targets: Sequence[Target] | None = None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Return the proposals (k, 4) of each picture in pixels, and in training the losses.

        `batch`: (n, 3, h, w). `levels`: the maps of its pyramid. `sizes`: those of the pictures in
        the batch.
        """
        answers = [self.head(level) for level in levels]
        counts = [scores.shape[1] for scores, _ in answers]
        scores = torch.cat([scores for scores, _ in answers], 1)  # -> (n, anchors)
        codes = torch.cat([codes for _, codes in answers], 1)  # -> (n, anchors, 4)
        height, width = batch.shape[2:]
        grid = anchors(self.settings.sizes, (height, width), levels)  # (anchors, 4)
        # The heads take proposals as given: no gradient flows through their places.
        everywhere = grid.repeat(len(codes), 1)  # -> (n * anchors, 4)
        boxes = decode_boxes(codes.detach().flatten(0, 1), everywhere, WEIGHTS)
        boxes = boxes.view(len(codes), -1, 4)  # (n * anchors, 1, 4) -> (n, anchors, 4)
        proposals = self._best(boxes, scores.detach(), counts, sizes)
        if not self.training or targets is None:
            return proposals, {}
        return proposals, self._losses(scores, codes, grid, targets)

    def _best(
        self, boxes: Tensor, scores: Tensor, counts: list[int], sizes: Sequence[Size]
    ) -> list[Tensor]:
        settings, mode = self.settings, 0 if self.training else 1
        chosen, level, start = [], [], 0
        for i, (count, of_level) in enumerate(zip(counts, scores.split(counts, 1), strict=True)):
            top = min(settings.pre_nms_top_n[mode], count)
            chosen.append(of_level.topk(top, dim=1).indices + start)  # (n, top)
            level.append(torch.full((top,), i, device=scores.device))
            start += count
        picks, levels = torch.cat(chosen, 1), torch.cat(level)  # (n, tops), (tops,)
        found = []
        for picture, size in enumerate(sizes):
            pick = picks[picture]
            probability = scores[picture, pick].sigmoid()  # (tops,)
            inside = clip_boxes_to_image(boxes[picture, pick], size)  # (tops, 4)
            keep = remove_small_boxes(inside, 1e-3)
            keep = keep[probability[keep] >= settings.score_thresh]
            inside, probability = inside[keep], probability[keep]
            kept = batched_nms(inside, probability, levels[keep], settings.nms_thresh)
            found.append(inside[kept[: settings.post_nms_top_n[mode]]])  # (k, 4)
        return found

    def _losses(
        self, scores: Tensor, codes: Tensor, grid: Tensor, targets: Sequence[Target]
    ) -> dict[str, Tensor]:
        """Return two means over the anchors drawn: cross-entropy, and smooth L1 of the codes."""
        answers, labels, errors = [], [], []
        for i, target in enumerate(targets):
            true = target["boxes"].to(grid)
            matched = match(true, grid, self.settings.sampling)
            label = (matched >= 0).to(scores.dtype)
            label[matched == BETWEEN] = NOTHING
            positive, negative = draw(label, self.settings.sampling)
            both = torch.cat((positive, negative))
            answers.append(scores[i, both])
            labels.append(label[both])
            wanted = encode_boxes(true[matched[positive]], grid[positive], WEIGHTS)
            errors.append(F.smooth_l1_loss(codes[i, positive], wanted, beta=1 / 9, reduction="sum"))
        truth = torch.cat(labels)
        return {
            "loss_objectness": F.binary_cross_entropy_with_logits(torch.cat(answers), truth),
            "loss_rpn_box_reg": torch.stack(errors).sum() / len(truth),
        }


def anchors(sizes: Sequence[Sequence[int]], picture: Size, levels: Sequence[Tensor]) -> Tensor:
    """Return the anchors (h * w * a of all levels, 4) around every cell's corner, in pixels.

    `picture`: height and width of the batch. Each size gives a square, a box twice as wide as it is
    high, and one twice as high as it is wide. They have one area and are rounded to whole pixels.
    The order is row by row, cell by cell, ratio by ratio, size by size.

    >>> anchors([[32]], (32, 64), [torch.zeros(1, 1, 1, 2)])[1::3]
    tensor([[-16., -16.,  16.,  16.],
            [ 16., -16.,  48.,  16.]])
    """
    height, width = picture
    ratios = torch.tensor(RATIOS)
    found = []
    for of_level, level in zip(sizes, levels, strict=True):
        side = torch.tensor(of_level, dtype=torch.float32)
        tall = (ratios.sqrt()[:, None] * side).flatten()  # (a,)
        wide = ((1 / ratios.sqrt())[:, None] * side).flatten()  # (a,)
        about = (torch.stack((-wide, -tall, wide, tall), 1) / 2).round()  # (a, 4)
        about = about.to(level.device, torch.promote_types(level.dtype, torch.float32))
        h, w = level.shape[2:]
        y = torch.arange(h, device=level.device) * (height // h)
        x = torch.arange(w, device=level.device) * (width // w)
        y, x = torch.meshgrid(y, x, indexing="ij")  # (h, w), (h, w)
        corners = torch.stack((x, y, x, y), 2).reshape(-1, 1, 4)  # -> (h * w, 1, 4)
        found.append((corners + about).flatten(0, 1))  # -> (h * w * a, 4)
    return torch.cat(found)
