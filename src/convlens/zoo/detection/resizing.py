"""Bring pictures of any size into one batch, and a detector's answers back to their pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.zoo.inputs import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["Resizing", "Size", "Target", "resize_boxes", "resize_points"]

Target = dict[str, Tensor]
"""What a picture truly shows, by torchvision's names."""

Size = tuple[int, int]
"""Height and width, in pixels."""

STEP = 32
"""Heights and widths of a batch are multiples of this, so that the pyramid halves them evenly."""


class Resizing(nn.Module):
    """Normalize, resize and pad pictures into one batch.

    The shorter side becomes `min_size[-1]` pixels, or in training one of `min_size` that is drawn
    for each picture. It becomes less if the longer side would otherwise exceed `max_size`. Scaling
    is bilinear, without antialiasing.
    """

    def __init__(self, min_size: Sequence[int], max_size: int) -> None:
        super().__init__()
        self.min_size = tuple(min_size)
        self.max_size = max_size

    def forward(self, images: Sequence[Tensor]) -> tuple[Tensor, list[Size]]:
        """Return the batch (n, 3, H, W), and the size of each picture in it."""
        resized = []
        for image in images:
            mean, std = image.new_tensor(IMAGENET_MEAN), image.new_tensor(IMAGENET_STD)
            size = self._size(image.shape[1], image.shape[2])
            image = (image - mean[:, None, None]) / std[:, None, None]
            image = F.interpolate(image[None], size, mode="bilinear")  # (1, 3, h, w) -> (1, 3, *)
            resized.append(image[0])
        sizes = [(image.shape[1], image.shape[2]) for image in resized]
        return _batched(resized), sizes

    def _size(self, h: int, w: int) -> Size:
        short = self.min_size[-1]
        if self.training:
            # torchvision draws with torch's generator too, even if there is only one choice.
            short = self.min_size[int(torch.empty(1).uniform_(0, len(self.min_size)))]
        scale = min(short / min(h, w), self.max_size / max(h, w))
        return max(math.floor(h * scale), 1), max(math.floor(w * scale), 1)

    def extra_repr(self) -> str:
        """Return the sizes, for printing."""
        return f"min_size={self.min_size}, max_size={self.max_size}"


def _batched(images: Sequence[Tensor]) -> Tensor:
    h, w = (max(image.shape[axis] for image in images) for axis in (1, 2))
    h, w = math.ceil(h / STEP) * STEP, math.ceil(w / STEP) * STEP
    return torch.stack(
        [F.pad(image, (0, w - image.shape[2], 0, h - image.shape[1])) for image in images]
    )


def resize_boxes(boxes: Tensor, before: Size, after: Size) -> Tensor:
    """Return boxes (n, 4) of a picture of size `before` in pixels of the same one of size `after`.

    >>> resize_boxes(torch.tensor([[1.0, 1.0, 2.0, 2.0]]), (4, 4), (8, 4))
    tensor([[1., 2., 2., 4.]])
    """
    y, x = after[0] / before[0], after[1] / before[1]
    return boxes * boxes.new_tensor([x, y, x, y])


def resize_points(points: Tensor, before: Size, after: Size) -> Tensor:
    """Return points (n, k, 3) of x, y and visibility in those pixels; the visibility stays.

    >>> resize_points(torch.tensor([[[1.0, 1.0, 1.0]]]), (4, 4), (8, 4))
    tensor([[[1., 2., 1.]]])
    """
    y, x = after[0] / before[0], after[1] / before[1]
    return points * points.new_tensor([x, y, 1])
