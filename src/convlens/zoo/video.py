"""Define networks that classify clips: residual networks whose windows also slide along time.

Tran et al., *A Closer Look at Spatiotemporal Convolutions for Action Recognition*
(arXiv 1711.11248), table 1: R3D, MC3 and R(2+1)D of 18 layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from convlens.zoo.layers import draw_weights
from convlens.zoo.weights.drawn import TrackedModule

__all__ = ["VIDEOS", "VideoResNet", "VideoVariant", "video"]

ConvolutionKind = Literal["3d", "2d", "2+1d"]
"""3x3x3; 1x3x3, which sees each frame alone; or 1x3x3, an activation, and 3x1x1."""


@dataclass(frozen=True)
class VideoVariant:
    """What the variants differ in: the convolutions of the stem and of the four stages."""

    stem: ConvolutionKind
    stages: tuple[ConvolutionKind, ConvolutionKind, ConvolutionKind, ConvolutionKind]


VIDEOS = {
    "r3d_18": VideoVariant("3d", ("3d", "3d", "3d", "3d")),
    "mc3_18": VideoVariant("3d", ("3d", "2d", "2d", "2d")),
    "r2plus1d_18": VideoVariant("2+1d", ("2+1d", "2+1d", "2+1d", "2+1d")),
}


def convolution(kind: ConvolutionKind, c: int, k: int, middle: int, stride: int) -> nn.Module:
    """Return a convolution, or the two that replace it, with `middle` channels between them.

    (n, c, t, h, w) to (n, k, t / stride, h / stride, w / stride); "2d" keeps all t frames.
    """
    if kind == "3d":
        return nn.Conv3d(c, k, 3, stride, 1, bias=False)
    flat, shift = (1, stride, stride), (0, 1, 1)
    if kind == "2d":
        return nn.Conv3d(c, k, (1, 3, 3), flat, shift, bias=False)
    return nn.Sequential(
        nn.Conv3d(c, middle, (1, 3, 3), flat, shift, bias=False),
        nn.BatchNorm3d(middle),
        nn.ReLU(inplace=True),
        nn.Conv3d(middle, k, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False),
    )


class VideoBlock(nn.Module):
    """Two convolutions and a skip.

    (n, c, t, h, w) to (n, k, t / stride, h / stride, w / stride); "2d" keeps all t frames.
    """

    def __init__(self, kind: ConvolutionKind, c: int, k: int, stride: int) -> None:
        super().__init__()
        # With these the two have as many parameters as one convolution of 3x3x3 (section 3.5).
        middle = 27 * c * k // (9 * c + 3 * k)
        self.conv1 = nn.Sequential(
            convolution(kind, c, k, middle, stride), nn.BatchNorm3d(k), nn.ReLU(inplace=True)
        )
        self.conv2 = nn.Sequential(convolution(kind, k, k, middle, 1), nn.BatchNorm3d(k))
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or c != k:
            strides = (1, stride, stride) if kind == "2d" else (stride, stride, stride)
            self.downsample = nn.Sequential(
                nn.Conv3d(c, k, 1, strides, bias=False), nn.BatchNorm3d(k)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(F(x) + x), or the skip projected where the shape changes."""
        y = self.conv1(x)  # (n, c, t, h, w) -> (n, k, t / stride, h / stride, w / stride)
        y = self.conv2(y)
        y += x if self.downsample is None else self.downsample(x)
        out: Tensor = self.relu(y)
        return out


class VideoResNet(TrackedModule):
    """A stem, four stages of two blocks, the mean over frames and map, and a linear layer.

    Clips (n, 3, t, h, w) to scores (n, classes). The released ones were trained on 16 frames of
    112 x 112.
    """

    def __init__(self, variant: VideoVariant, classes: int = 400) -> None:
        super().__init__()
        first, second, third, fourth = variant.stages
        self.stem = nn.Sequential(*_stem(variant.stem))
        self.layer1 = nn.Sequential(VideoBlock(first, 64, 64, 1), VideoBlock(first, 64, 64, 1))
        self.layer2 = nn.Sequential(VideoBlock(second, 64, 128, 2), VideoBlock(second, 128, 128, 1))
        self.layer3 = nn.Sequential(VideoBlock(third, 128, 256, 2), VideoBlock(third, 256, 256, 1))
        self.layer4 = nn.Sequential(
            VideoBlock(fourth, 256, 512, 2), VideoBlock(fourth, 512, 512, 1)
        )
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(512, classes)
        draw_weights(self, linear=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (n, classes) of clips (n, 3, t, h, w), normalized as Kinetics'."""
        x = self.stem(x)  # (n, 3, t, h, w) -> (n, 64, t, h / 2, w / 2)
        x = self.layer1(x)  # -> (n, 64, t, h / 2, w / 2)
        x = self.layer2(x)  # -> (n, 128, t / 2, h / 4, w / 4); mc3 keeps all t frames
        x = self.layer3(x)  # -> (n, 256, t / 4, h / 8, w / 8)
        x = self.layer4(x)  # -> (n, 512, t / 8, h / 16, w / 16)
        x = self.avgpool(x).flatten(1)  # -> (n, 512)
        scores: Tensor = self.fc(x)  # -> (n, classes)
        return scores


def _stem(kind: ConvolutionKind) -> list[nn.Module]:
    strides, pads = (1, 2, 2), (0, 3, 3)
    if kind == "3d":
        return [
            nn.Conv3d(3, 64, (3, 7, 7), strides, (1, 3, 3), bias=False),
            nn.BatchNorm3d(64),
            nn.ReLU(inplace=True),
        ]
    return [
        nn.Conv3d(3, 45, (1, 7, 7), strides, pads, bias=False),
        nn.BatchNorm3d(45),
        nn.ReLU(inplace=True),
        nn.Conv3d(45, 64, (3, 1, 1), 1, (1, 0, 0), bias=False),
        nn.BatchNorm3d(64),
        nn.ReLU(inplace=True),
    ]


def video(name: str, classes: int = 400) -> VideoResNet:
    """Build the video network called `name`, untrained: (n, 3, t, h, w) to (n, classes).

    >>> import torch
    >>> video("mc3_18", classes=7)(torch.zeros(1, 3, 4, 32, 32)).shape
    torch.Size([1, 7])
    """
    return VideoResNet(VIDEOS[name], classes)
