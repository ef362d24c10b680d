"""Compute maps of several scales from a batch: the body of a detector and its pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from convlens.zoo.layers import FrozenNorm2d, Norm, conv_norm, draw_weights
from convlens.zoo.mobilenet import MOBILENETS, mobilenet_features
from convlens.zoo.resnet import RESNETS, ResNet, halving

__all__ = ["CHANNELS", "Backbone", "mobilenet_backbone", "resnet_backbone", "small_backbone"]

CHANNELS = 256
"""The usual number of channels of every map of a pyramid."""


class ResNetBody(nn.Module):
    """The stem and the four stages of a ResNet: (n, 3, h, w) to maps of 1/4, 1/8, 1/16 and 1/32."""

    channels = (256, 512, 1024, 2048)

    def __init__(self, norm: Norm) -> None:
        super().__init__()
        whole = ResNet(RESNETS["resnet50"], norm=norm)
        self.conv1, self.bn1, self.relu = whole.conv1, whole.bn1, whole.relu
        self.maxpool = whole.maxpool
        self.layer1, self.layer2 = whole.layer1, whole.layer2
        self.layer3, self.layer4 = whole.layer3, whole.layer4
        for frozen in (self.conv1, self.bn1, self.layer1):
            frozen.requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the maps after each stage, the finest first."""
        x = self.relu(self.bn1(self.conv1(x)))  # (n, 3, h, w) -> (n, 64, h / 2, w / 2)
        x = self.maxpool(x)  # -> (n, 64, h / 4, w / 4)
        c2 = self.layer1(x)  # -> (n, 256, h / 4, w / 4)
        c3 = self.layer2(c2)  # -> (n, 512, h / 8, w / 8)
        c4 = self.layer3(c3)  # -> (n, 1024, h / 16, w / 16)
        c5 = self.layer4(c4)  # -> (n, 2048, h / 32, w / 32)
        return [c2, c3, c4, c5]


class MobileNetBody(nn.ModuleList):
    """The layers of a large MobileNetV3: (n, 3, h, w) to two maps of 1/32."""

    channels = (160, 960)
    returned = (13, 16)
    """The layers whose maps are returned: the first of the last stage, and the very last."""

    def __init__(self, norm: Norm) -> None:
        layers = mobilenet_features(MOBILENETS["mobilenet_v3_large"], norm)
        super().__init__(layers)
        layers[:7].requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the two maps (n, 160, h / 32, w / 32) and (n, 960, h / 32, w / 32)."""
        maps = []
        for i, layer in enumerate(self):
            x = layer(x)
            if i in self.returned:
                maps.append(x)
        return maps


class SmallBody(nn.Module):
    """Four strided convolutions and three blocks: (n, 3, h, w) to maps of 1/4, 1/8 and 1/16."""

    channels = (48, 64, 96)

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_norm(3, 24, 3, stride=2)
        self.layer1 = halving(24, 48)
        self.layer2 = halving(48, 64)
        self.layer3 = halving(64, 96)
        draw_weights(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the maps after each stage, the finest first."""
        x = self.stem(x)  # (n, 3, h, w) -> (n, 24, h / 2, w / 2)
        c2 = self.layer1(x)  # -> (n, 48, h / 4, w / 4)
        c3 = self.layer2(c2)  # -> (n, 64, h / 8, w / 8)
        c4 = self.layer3(c3)  # -> (n, 96, h / 16, w / 16)
        return [c2, c3, c4]


class FeaturePyramid(nn.Module):
    """Maps of several scales and `width` channels, to each of which the coarser ones are added.

    Lin et al., *Feature Pyramid Networks for Object Detection* (arXiv 1612.03144), section 3. A
    last level has every second cell of the coarsest, for the largest anchors (section 4.1).
    """

    def __init__(self, channels: Sequence[int], norm: Norm | None, width: int = CHANNELS) -> None:
        super().__init__()
        self.inner_blocks = nn.ModuleList(plain(c, width, 1, norm) for c in channels)
        self.layer_blocks = nn.ModuleList(plain(width, width, 3, norm) for _ in channels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return (n, width, h, w) for each of maps (n, c, h, w), the finest first, and one more."""
        above: Tensor | None = None
        levels: list[Tensor] = []
        for i in reversed(range(len(maps))):
            inner = self.inner_blocks[i](maps[i])  # (n, c, h, w) -> (n, width, h, w)
            if above is not None:
                inner = inner + F.interpolate(above, size=inner.shape[2:])  # -> the same
            levels.insert(0, self.layer_blocks[i](inner))
            above = inner
        levels.append(F.max_pool2d(levels[-1], 1, 2))  # -> (n, width, h / 2, w / 2)
        return levels


def plain(c: int, k: int, size: int, norm: Norm | None) -> nn.Sequential:
    """Return a convolution "0" that keeps the size and, if there is one, its normalization "1"."""
    convolution = nn.Conv2d(c, k, size, padding=size // 2, bias=norm is None)
    return nn.Sequential(convolution) if norm is None else nn.Sequential(convolution, norm(k))


class Backbone(nn.Module):
    """A body and the pyramid over it: pictures (n, 3, h, w) to maps, the finest first.

    `channels`: how many every map has.
    """

    def __init__(
        self,
        body: ResNetBody | MobileNetBody | SmallBody,
        norm: Norm | None = None,
        channels: int = CHANNELS,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.body = body
        self.fpn = FeaturePyramid(body.channels, norm, channels)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the levels of the pyramid; the last serves only proposals."""
        levels: list[Tensor] = self.fpn(self.body(x))
        return levels


def resnet_backbone(eps: float | None) -> Backbone:
    """Return ResNet-50 and its pyramid; levels of 1/4, 1/8, 1/16, 1/32 and 1/64.

    `eps`: that of the frozen normalizations; None for batch normalization, in the pyramid too. The
    stem and the first stage are not trained.

    >>> import torch
    >>> [level.shape[2] for level in resnet_backbone(0.0)(torch.zeros(1, 3, 64, 64))]
    [16, 8, 4, 2, 1]
    """
    if eps is None:
        return Backbone(ResNetBody(nn.BatchNorm2d), nn.BatchNorm2d)
    return Backbone(ResNetBody(partial(FrozenNorm2d, eps=eps)))


def mobilenet_backbone(eps: float) -> Backbone:
    """Return MobileNetV3-Large and its pyramid; levels of 1/32, 1/32 and 1/64.

    `eps`: that of the frozen normalizations. The first seven layers are not trained.

    >>> import torch
    >>> [level.shape[2] for level in mobilenet_backbone(1e-5)(torch.zeros(1, 3, 64, 64))]
    [2, 2, 1]
    """
    return Backbone(MobileNetBody(partial(FrozenNorm2d, eps=eps)))


def small_backbone(channels: int) -> Backbone:
    """Return the small body and a pyramid of `channels`; levels of 1/4, 1/8, 1/16 and 1/32.

    >>> import torch
    >>> [tuple(level.shape[1:]) for level in small_backbone(48)(torch.zeros(1, 3, 64, 64))]
    [(48, 16, 16), (48, 8, 8), (48, 4, 4), (48, 2, 2)]
    """
    return Backbone(SmallBody(), channels=channels)
