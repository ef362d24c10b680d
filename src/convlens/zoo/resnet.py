"""Define residual networks: ResNet, ResNeXt and Wide ResNet.

He, Zhang, Ren & Sun, *Deep Residual Learning for Image Recognition* (arXiv 1512.03385), with the
stride of a bottleneck in its 3x3 convolution, as the released weights have it ("v1.5"). Xie et al.,
*Aggregated Residual Transformations* (arXiv 1611.05431). Zagoruyko & Komodakis, *Wide Residual
Networks* (arXiv 1605.07146).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from convlens.zoo.layers import Norm, conv_norm, draw_weights
from convlens.zoo.weights.drawn import TrackedModule

__all__ = ["RESNETS", "Basic", "Bottleneck", "ResNet", "ResNetVariant", "halving", "resnet"]


class Basic(nn.Module):
    """Two 3x3 convolutions and a skip: (n, c, h, w) to (n, k, h / stride, w / stride)."""

    expansion = 1

    def __init__(
        self, c: int, width: int, k: int, stride: int, dilation: int, groups: int, norm: Norm
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c, width, 3, stride, dilation, dilation, groups, bias=False)
        self.bn1 = norm(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, k, 3, 1, 1, bias=False)
        self.bn2 = norm(k)
        self.downsample = projection(c, k, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(F(x) + x), or the skip projected where the shape changes."""
        y = self.relu(self.bn1(self.conv1(x)))  # (n, c, h, w) -> (n, width, h / stride, w / stride)
        y = self.bn2(self.conv2(y))  # -> (n, k, h / stride, w / stride)
        y += x if self.downsample is None else self.downsample(x)
        out: Tensor = self.relu(y)
        return out


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a skip: (n, c, h, w) to (n, k, h / stride, w / stride)."""

    expansion = 4

    def __init__(
        self, c: int, width: int, k: int, stride: int, dilation: int, groups: int, norm: Norm
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c, width, 1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, groups, bias=False)
        self.bn2 = norm(width)
        self.conv3 = nn.Conv2d(width, k, 1, bias=False)
        self.bn3 = norm(k)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = projection(c, k, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(F(x) + x), or the skip projected where the shape changes."""
        y = self.relu(self.bn1(self.conv1(x)))  # (n, c, h, w) -> (n, width, h, w)
        y = self.relu(self.bn2(self.conv2(y)))  # -> (n, width, h / stride, w / stride)
        y = self.bn3(self.conv3(y))  # -> (n, k, h / stride, w / stride)
        y += x if self.downsample is None else self.downsample(x)
        out: Tensor = self.relu(y)
        return out


def projection(c: int, k: int, stride: int, norm: Norm) -> nn.Sequential | None:
    """Return a normalized, strided 1x1 convolution that makes a skip fit, or None if it fits."""
    if c == k and stride == 1:
        return None
    return nn.Sequential(nn.Conv2d(c, k, 1, stride, bias=False), norm(k))


def halving(c: int, k: int) -> nn.Sequential:
    """Return a strided 3x3 convolution and a block: (n, c, h, w) to (n, k, h / 2, w / 2)."""
    return nn.Sequential(
        conv_norm(c, k, 3, stride=2),
        Basic(k, k, k, stride=1, dilation=1, groups=1, norm=nn.BatchNorm2d),
    )


@dataclass(frozen=True)
class ResNetVariant:
    """What the variants differ in.

    `depths`: the numbers of blocks in the four stages. A block's 3x3 convolution has `groups`
    groups, each of `group_width` channels in the first stage and twice as many in each further one.
    """

    block: type[Basic | Bottleneck]
    depths: tuple[int, int, int, int]
    groups: int = 1
    group_width: int = 64


RESNETS = {
    "resnet18": ResNetVariant(Basic, (2, 2, 2, 2)),
    "resnet34": ResNetVariant(Basic, (3, 4, 6, 3)),
    "resnet50": ResNetVariant(Bottleneck, (3, 4, 6, 3)),
    "resnet101": ResNetVariant(Bottleneck, (3, 4, 23, 3)),
    "resnet152": ResNetVariant(Bottleneck, (3, 8, 36, 3)),
    "resnext50_32x4d": ResNetVariant(Bottleneck, (3, 4, 6, 3), groups=32, group_width=4),
    "resnext101_32x8d": ResNetVariant(Bottleneck, (3, 4, 23, 3), groups=32, group_width=8),
    "resnext101_64x4d": ResNetVariant(Bottleneck, (3, 4, 23, 3), groups=64, group_width=4),
    "wide_resnet50_2": ResNetVariant(Bottleneck, (3, 4, 6, 3), group_width=128),
    "wide_resnet101_2": ResNetVariant(Bottleneck, (3, 4, 23, 3), group_width=128),
}


class ResNet(TrackedModule):
    """A stem, four stages of residual blocks, the mean over the map and a linear layer.

    Pictures (n, 3, h, w) to scores (n, classes). `dilated`: the third and fourth stage keep the
    size and dilate their windows instead, for segmentation (arXiv 1706.05587, section 3.1).
    """

    def __init__(
        self,
        variant: ResNetVariant,
        classes: int = 1000,
        *,
        norm: Norm = nn.BatchNorm2d,
        dilated: bool = False,
    ) -> None:
        super().__init__()
        wide = 512 * variant.block.expansion
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = norm(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = stage(variant, 0, norm, stride=1)
        self.layer2 = stage(variant, 1, norm, stride=2)
        self.layer3 = stage(variant, 2, norm, stride=1 if dilated else 2, dilation=2 * dilated or 1)
        self.layer4 = stage(variant, 3, norm, stride=1 if dilated else 2, dilation=4 * dilated or 1)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(wide, classes)
        draw_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (n, classes) of pictures (n, 3, h, w), normalized as ImageNet's."""
        x = self.relu(self.bn1(self.conv1(x)))  # (n, 3, h, w) -> (n, 64, h / 2, w / 2)
        x = self.maxpool(x)  # -> (n, 64, h / 4, w / 4)
        x = self.layer1(x)  # -> (n, 64 * expansion, h / 4, w / 4)
        x = self.layer2(x)  # -> (n, 128 * expansion, h / 8, w / 8)
        x = self.layer3(x)  # -> (n, 256 * expansion, h / 16, w / 16)
        x = self.layer4(x)  # -> (n, 512 * expansion, h / 32, w / 32)
        x = self.avgpool(x).flatten(1)  # -> (n, 512 * expansion)
        scores: Tensor = self.fc(x)  # -> (n, classes)
        return scores


def stage(
    variant: ResNetVariant, number: int, norm: Norm, *, stride: int, dilation: int = 1
) -> nn.Sequential:
    """Return one of the four stages: the first block changes the shape, the others keep it."""
    block = variant.block
    narrow = 64 * 2**number
    width = narrow * variant.group_width // 64 * variant.groups
    k = narrow * block.expansion
    c = 64 if number == 0 else k // 2
    before = max(dilation // 2, 1)  # the first block has the dilation of the stage before
    first = block(c, width, k, stride, before, variant.groups, norm)
    others = variant.depths[number] - 1
    return nn.Sequential(
        first, *(block(k, width, k, 1, dilation, variant.groups, norm) for _ in range(others))
    )


def resnet(name: str, classes: int = 1000) -> ResNet:
    """Build the residual network called `name`, untrained: (n, 3, h, w) to (n, classes).

    >>> import torch
    >>> resnet("resnet18", classes=7)(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 7])
    """
    return ResNet(RESNETS[name], classes)
