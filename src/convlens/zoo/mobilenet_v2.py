"""Define MobileNetV2: narrow maps between blocks that are wide inside.

Sandler et al., *MobileNetV2: Inverted Residuals and Linear Bottlenecks* (arXiv 1801.04381),
table 2.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from convlens.zoo.layers import conv_norm, draw_weights
from convlens.zoo.weights.drawn import TrackedModule

__all__ = ["InvertedResidual", "MobileNetV2"]

# Expansion, channels out, blocks, stride of the first block; table 2 of the paper.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """A 1x1 expansion, a convolution of each channel, and a 1x1 projection without an activation.

    (n, c, h, w) to (n, k, h / stride, w / stride); a skip where both shapes are one.
    """

    def __init__(self, c: int, k: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = c * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(conv_norm(c, wide, 1, activation=nn.ReLU6))
        layers.append(conv_norm(wide, wide, 3, stride=stride, groups=wide, activation=nn.ReLU6))
        layers += [nn.Conv2d(wide, k, 1, bias=False), nn.BatchNorm2d(k)]
        self.conv = nn.Sequential(*layers)
        self.skips = stride == 1 and c == k

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's map, plus x where the block skips."""
        y: Tensor = self.conv(x)
        return x + y if self.skips else y


class MobileNetV2(TrackedModule):
    """Features, the mean over the map, and a linear layer: (n, 3, h, w) to (n, classes).

    >>> import torch
    >>> MobileNetV2(classes=7).eval()(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 7])
    """

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        c, last = 32, 1280
        layers: list[nn.Module] = [conv_norm(3, c, 3, stride=2, activation=nn.ReLU6)]
        for expansion, k, blocks, stride in STAGES:
            for i in range(blocks):
                layers.append(InvertedResidual(c, k, stride if i == 0 else 1, expansion))
                c = k
        layers.append(conv_norm(c, last, 1, activation=nn.ReLU6))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))
        draw_weights(self, linear=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (n, classes) of pictures (n, 3, h, w), normalized as ImageNet's."""
        x = self.features(x)  # (n, 3, h, w) -> (n, 1280, h / 32, w / 32)
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)  # -> (n, 1280)
        scores: Tensor = self.classifier(x)  # -> (n, classes)
        return scores
