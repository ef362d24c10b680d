"""Define networks that find a class for every pixel: FCN, DeepLabV3 and LR-ASPP.

Long, Shelhamer & Darrell, *Fully Convolutional Networks* (arXiv 1411.4038). Chen et al.,
*Rethinking Atrous Convolution* (arXiv 1706.05587), section 3.3. Howard et al., *Searching for
MobileNetV3* (arXiv 1905.02244), section 6.4 and figure 10.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.zoo.layers import conv_norm
from convlens.zoo.mobilenet import MOBILENETS, mobilenet_features
from convlens.zoo.resnet import RESNETS, ResNet
from convlens.zoo.weights.drawn import TrackedModule

__all__ = ["LRASPP", "SEGMENTERS", "Segmenter", "SegmenterVariant", "segmenter"]


@dataclass(frozen=True)
class SegmenterVariant:
    """What the variants differ in: the backbone, and the head on its maps."""

    backbone: str
    head: Literal["fcn", "deeplab", "lraspp"]


SEGMENTERS = {
    "fcn_resnet50": SegmenterVariant("resnet50", "fcn"),
    "fcn_resnet101": SegmenterVariant("resnet101", "fcn"),
    "deeplabv3_resnet50": SegmenterVariant("resnet50", "deeplab"),
    "deeplabv3_resnet101": SegmenterVariant("resnet101", "deeplab"),
    "deeplabv3_mobilenet_v3_large": SegmenterVariant("mobilenet_v3_large", "deeplab"),
    "lraspp_mobilenet_v3_large": SegmenterVariant("mobilenet_v3_large", "lraspp"),
}

RATES = (12, 24, 36)
"""The dilations of DeepLab's three dilated windows, on maps an eighth of the picture.

They are twice those of arXiv 1706.05587, section 3.3, whose maps are a sixteenth.
"""


class Maps(nn.Module):
    """Layers that run one after another and give two maps: that of `near`, and that of the last.

    The maps have the two numbers of `channels`. Both are an eighth of the picture's size, or the
    last is a sixteenth.
    """

    def __init__(
        self, layers: Iterable[tuple[str, nn.Module]], near: str, channels: tuple[int, int]
    ) -> None:
        super().__init__()
        for name, layer in layers:
            self.add_module(name, layer)
        self.near, self.channels = near, channels

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the two maps of pictures (n, 3, h, w)."""
        near = x
        for name, layer in self.named_children():
            x = layer(x)
            if name == self.near:
                near = x
        return near, x


def maps(backbone: str) -> Maps:
    """Return a classifier's layers, under their names, up to its last map; the last are dilated."""
    if backbone in RESNETS:
        network = ResNet(RESNETS[backbone], dilated=True)
        layers = [pair for pair in network.named_children() if pair[0] not in ("avgpool", "fc")]
        return Maps(layers, "layer3", (1024, 2048))
    features = mobilenet_features(MOBILENETS[backbone], dilated=True)
    return Maps(features.named_children(), "4", (40, 960))


class FCNHead(nn.Sequential):
    """A 3x3 convolution to a quarter of the channels and a 1x1 to the classes."""

    def __init__(self, c: int, classes: int) -> None:
        super().__init__(
            *conv_norm(c, c // 4, 3),  # (n, c, h, w) -> (n, c / 4, h, w)
            nn.Dropout(0.1),
            nn.Conv2d(c // 4, classes, 1),  # -> (n, classes, h, w)
        )


class DeepLabHead(nn.Sequential):
    """Five branches of different reach, a 3x3 convolution, and a 1x1 to the classes."""

    def __init__(self, c: int, classes: int) -> None:
        super().__init__(
            SpatialPyramid(c),  # (n, c, h, w) -> (n, 256, h, w)
            *conv_norm(256, 256, 3),
            nn.Conv2d(256, classes, 1),  # -> (n, classes, h, w)
        )


class SpatialPyramid(nn.Module):
    """Atrous spatial pyramid pooling: (n, c, h, w) to (n, 256, h, w)."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([conv_norm(c, 256, 1)])
        for rate in RATES:
            self.convs.append(conv_norm(c, 256, 3, dilation=rate))
        self.convs.append(WholeMap(c))
        self.project = nn.Sequential(*conv_norm(5 * 256, 256, 1), nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        """Return the five branches' maps, joined and projected."""
        branches = [branch(x) for branch in self.convs]  # 5 of (n, 256, h, w)
        out: Tensor = self.project(torch.cat(branches, dim=1))  # (n, 1280, h, w) -> (n, 256, h, w)
        return out


class WholeMap(nn.Sequential):
    """The mean of the whole map, repeated at every place: (n, c, h, w) to (n, 256, h, w)."""

    def __init__(self, c: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), *conv_norm(c, 256, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean of the map, convolved and repeated."""
        mean = x
        for layer in self:
            mean = layer(mean)  # (n, c, h, w) -> (n, c, 1, 1) -> (n, 256, 1, 1)
        return _enlarged(mean, x.shape[-2:])  # -> (n, 256, h, w)


class LRASPPHead(nn.Module):
    """Two branches: far maps, scaled by the mean of the whole map, and near maps for fine outlines.

    Their sum is the scores (n, classes, h / 8, w / 8).
    """

    def __init__(self, near: int, far: int, classes: int) -> None:
        super().__init__()
        self.cbr = conv_norm(far, 128, 1)
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(far, 128, 1, bias=False), nn.Sigmoid()
        )
        self.low_classifier = nn.Conv2d(near, classes, 1)
        self.high_classifier = nn.Conv2d(128, classes, 1)

    def forward(self, near: Tensor, far: Tensor) -> Tensor:
        """Return the scores of every class on the grid of the near map."""
        x = self.cbr(far)  # (n, 960, h / 16, w / 16) -> (n, 128, h / 16, w / 16)
        x = x * self.scale(far)  # a factor (n, 128, 1, 1)
        x = _enlarged(x, near.shape[-2:])  # -> (n, 128, h / 8, w / 8)
        scores: Tensor = self.low_classifier(near) + self.high_classifier(x)
        return scores  # (n, classes, h / 8, w / 8)


class Segmenter(TrackedModule):
    """A backbone and a head: pictures (n, 3, h, w) to {"out", "aux"}, each (n, classes, h, w).

    "aux" is computed from the stage before the last; training adds 0.5 of its loss.
    """

    def __init__(self, variant: SegmenterVariant, classes: int = 21) -> None:
        super().__init__()
        self.backbone = maps(variant.backbone)
        near, far = self.backbone.channels
        self.classifier = (DeepLabHead if variant.head == "deeplab" else FCNHead)(far, classes)
        self.aux_classifier = FCNHead(near, classes)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return the scores of every class at every pixel, before any softmax."""
        size = x.shape[-2:]
        near, far = self.backbone(x)  # (n, 3, h, w) -> maps an eighth or a sixteenth as large
        return {
            "out": _enlarged(self.classifier(far), size),  # -> (n, classes, h, w)
            "aux": _enlarged(self.aux_classifier(near), size),  # -> (n, classes, h, w)
        }


class LRASPP(TrackedModule):
    """A backbone and the head of two branches: (n, 3, h, w) to {"out"} of (n, classes, h, w)."""

    def __init__(self, variant: SegmenterVariant, classes: int = 21) -> None:
        super().__init__()
        self.backbone = maps(variant.backbone)
        self.classifier = LRASPPHead(*self.backbone.channels, classes)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return the scores of every class at every pixel, before any softmax."""
        size = x.shape[-2:]
        near, far = self.backbone(x)  # (n, 3, h, w) -> (n, 40, h / 8, ...), (n, 960, h / 16, ...)
        return {"out": _enlarged(self.classifier(near, far), size)}  # -> (n, classes, h, w)


def segmenter(name: str, classes: int = 21) -> Segmenter | LRASPP:
    """Build the segmentation network called `name`, untrained.

    >>> import torch
    >>> network = segmenter("lraspp_mobilenet_v3_large", classes=7).eval()
    >>> network(torch.zeros(1, 3, 64, 80))["out"].shape
    torch.Size([1, 7, 64, 80])
    """
    variant = SEGMENTERS[name]
    return (LRASPP if variant.head == "lraspp" else Segmenter)(variant, classes)


def _enlarged(x: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", align_corners=False)
