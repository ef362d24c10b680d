"""Small networks that classify, segment, detect, or read clips."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from convlens.learn.opening import Opened
from convlens.learn.preparing import Preparation
from convlens.learn.sources.pictures.picture import Picture


def noise(h: int, w: int, seed: int = 0) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)
    return Picture(pixels, f"noise-{seed}")


class Scores(nn.Module):
    """Three scores for any picture; it fails on a picture of one grey."""

    preparation = Preparation(None, crop=False)
    categories = ("low", "middle", "high")

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.batches: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.batches.append(len(x))
        if (x.flatten(1).amax(1) == x.flatten(1).amin(1)).any():
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory\nand a second line")
        scores: Tensor = 4 * self.conv(x).mean((2, 3))
        return scores


class Maps(nn.Module):
    """A dictionary with scores for each pixel: of 0, red, green and blue."""

    preparation = Preparation((30, 40), crop=False, stretch=True)
    categories = ("__background__", "red", "green", "blue")

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        nothing = torch.full_like(x[:, :1], 0.3)
        return {"out": 9 * torch.cat([nothing, x], 1), "aux": x}


class Boxes(nn.Module):
    """The same two detections in every picture, a mask and 2 keypoints with each."""

    preparation = Preparation(None, crop=False)
    categories = ("__background__", "person", "cat")

    def forward(self, pictures: Tensor) -> list[dict[str, Tensor]]:
        found = []
        for picture in pictures:
            h, w = picture.shape[1:]
            masks = torch.zeros(3, 1, h, w)
            masks[0, 0, 2:5, 3:7] = 0.9
            masks[1, 0, :2] = 0.5
            found.append(
                {
                    "boxes": torch.tensor([[3.0, 2, 7, 5], [0, 0, w, 2.5], [1, 1, 2, 2]]),
                    "labels": torch.tensor([1, 2, 1]),
                    "scores": torch.tensor([0.6, 0.9, 0.2]),
                    "masks": masks,
                    "keypoints": torch.arange(18.0).reshape(3, 2, 3),
                    "keypoints_scores": torch.ones(3, 2),
                }
            )
        return found


class Clips(nn.Module):
    """A score for the grey of the first frame, and one for the last."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((1, 3, 4))[:, [0, -1]]


def clips_network(frames: int = 4, rate: float = 15) -> Opened:
    return Opened("clips", Clips(), Preparation(None, crop=False), None, None, (frames, rate))
