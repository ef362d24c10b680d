"""Define VGG: stacks of 3x3 convolutions and pooling, then three linear layers.

Simonyan & Zisserman, *Very Deep Convolutional Networks for Large-Scale Image Recognition*
(arXiv 1409.1556), table 1; with batch normalization (arXiv 1502.03167) as torchvision adds it.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from convlens.zoo.layers import draw_weights
from convlens.zoo.weights.drawn import TrackedModule

__all__ = ["VGG", "VGGS", "VGGVariant", "vgg"]


@dataclass(frozen=True)
class VGGVariant:
    """What the variants differ in: the convolutions in each of the five stages, and their norm."""

    depths: tuple[int, int, int, int, int]
    norm: bool = False


VGGS = {
    "vgg11": VGGVariant((1, 1, 2, 2, 2)),
    "vgg11_bn": VGGVariant((1, 1, 2, 2, 2), norm=True),
    "vgg13": VGGVariant((2, 2, 2, 2, 2)),
    "vgg13_bn": VGGVariant((2, 2, 2, 2, 2), norm=True),
    "vgg16": VGGVariant((2, 2, 3, 3, 3)),
    "vgg16_bn": VGGVariant((2, 2, 3, 3, 3), norm=True),
    "vgg19": VGGVariant((2, 2, 4, 4, 4)),
    "vgg19_bn": VGGVariant((2, 2, 4, 4, 4), norm=True),
}

WIDTHS = (64, 128, 256, 512, 512)
"""The channels of the five stages."""


class VGG(TrackedModule):
    """Five stages of convolutions, each of which ends by halving the map, and three linear layers.

    Pictures (n, 3, h, w), at least 32 x 32, to scores (n, classes). The linear layers read 7 x 7
    places; maps of pictures other than 224 x 224 are averaged, or repeated, to that size.
    """

    def __init__(self, variant: VGGVariant, classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(*_features(variant))
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(4096, classes),
        )
        draw_weights(self, linear=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (n, classes) of pictures (n, 3, h, w), normalized as ImageNet's."""
        x = self.features(x)  # (n, 3, h, w) -> (n, 512, h / 32, w / 32)
        x = self.avgpool(x)  # -> (n, 512, 7, 7)
        x = x.flatten(1)  # -> (n, 25088)
        scores: Tensor = self.classifier(x)  # -> (n, 4096) -> (n, 4096) -> (n, classes)
        return scores


def _features(variant: VGGVariant) -> list[nn.Module]:
    layers: list[nn.Module] = []
    c = 3
    for depth, k in zip(variant.depths, WIDTHS, strict=True):
        for _ in range(depth):
            layers.append(nn.Conv2d(c, k, 3, padding=1))
            if variant.norm:
                layers.append(nn.BatchNorm2d(k))
            layers.append(nn.ReLU(inplace=True))
            c = k
        layers.append(nn.MaxPool2d(2))
    return layers


def vgg(name: str, classes: int = 1000) -> VGG:
    """Build the VGG called `name`, untrained: (n, 3, h, w) to (n, classes).

    >>> import torch
    >>> with torch.device("meta"):  # 500 MB of weights, none of them made
    ...     vgg("vgg11", classes=7)(torch.zeros(1, 3, 224, 224)).shape
    torch.Size([1, 7])
    """
    return VGG(VGGS[name], classes)
