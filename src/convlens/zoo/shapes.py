"""Define small networks for the made-up figures of `convlens.learn.data.shapes`.

They can be trained in minutes on one core. A figure covers a tenth of its picture, and a mean over
the map would drown it. So the classifiers take the maximum over space, but for the MobileNet, whose
last maps are 3 x 3.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from convlens.zoo.layers import conv_norm, draw_weights
from convlens.zoo.mobilenet import SMALL, MobileNetV3, MobileNetVariant
from convlens.zoo.resnet import halving
from convlens.zoo.weights.drawn import TrackedModule

__all__ = ["ShapesClips", "ShapesResNet", "ShapesUNet", "shapes_mobilenet"]


def shapes_mobilenet(classes: int = 8) -> MobileNetV3:
    """Return a MobileNetV3-Small of width 0.75 whose hidden layer has 144 numbers instead of 768.

    >>> sum(parameter.numel() for parameter in shapes_mobilenet().parameters())
    615888
    """
    return MobileNetV3(MobileNetVariant(SMALL, 192, 0.75), classes)


class ShapesResNet(TrackedModule):
    """Strided convolutions and residual blocks: pictures (n, 3, h, w) to scores (n, classes)."""

    def __init__(self, classes: int = 8, widths: tuple[int, int, int] = (24, 48, 96)) -> None:
        super().__init__()
        first, second, third = widths
        self.stem = conv_norm(3, first, 3, stride=2)
        self.layer1 = halving(first, second)
        self.layer2 = halving(second, third)
        self.fc = nn.Linear(third, classes)
        draw_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores (n, classes) of pictures (n, 3, h, w)."""
        x = self.stem(x)  # (n, 3, h, w) -> (n, 24, h / 2, w / 2)
        x = self.layer1(x)  # -> (n, 48, h / 4, w / 4)
        x = self.layer2(x)  # -> (n, 96, h / 8, w / 8)
        x = x.amax((2, 3))  # -> (n, 96)
        scores: Tensor = self.fc(x)  # -> (n, classes)
        return scores


class ShapesUNet(TrackedModule):
    """A U-Net that adds its skips: pictures (n, 3, h, w) to {"out"} of (n, classes, h, w).

    Ronneberger, Fischer & Brox, *U-Net* (arXiv 1505.04597), figure 1, with sums in place of
    concatenations. The last of `widths` is on the coarsest maps, 1/16 of the picture.
    """

    def __init__(
        self, classes: int = 9, widths: tuple[int, int, int, int] = (16, 32, 64, 128)
    ) -> None:
        super().__init__()
        pairs = list(pairwise(widths))
        self.stem = conv_norm(3, widths[0], 3, stride=2)
        self.down = nn.ModuleList(halving(c, k) for c, k in pairs)
        self.side = nn.ModuleList(nn.Conv2d(k, c, 1) for c, k in pairs)
        self.up = nn.ModuleList(conv_norm(c, c, 3) for c in widths[:-1])
        self.classifier = nn.Conv2d(widths[0], classes, 3, padding=1)
        draw_weights(self)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return the scores of every class at every pixel, before any softmax."""
        size = x.shape[-2:]
        maps = [self.stem(x)]  # (n, 3, h, w) -> (n, 16, h / 2, w / 2)
        for down in self.down:
            maps.append(down(maps[-1]))  # -> (n, 32, h / 4, ...), ... (n, 128, h / 16, ...)
        y = maps.pop()
        for side, up in zip(reversed(self.side), reversed(self.up), strict=True):
            near = maps.pop()
            y = up(near + F.interpolate(side(y), near.shape[-2:]))  # -> twice as large each time
        scores = self.classifier(y)  # -> (n, classes, h / 2, w / 2)
        return {"out": F.interpolate(scores, size, mode="bilinear", align_corners=False)}


class ShapesClips(TrackedModule):
    """Three convolutions of 3x3x3: clips (n, 3, t, h, w) to scores (n, classes).

    Each halves the space and keeps all frames. The last maps are reduced to their maximum over
    space, and then to its mean over time.
    """

    def __init__(self, classes: int = 6, widths: tuple[int, int, int] = (24, 48, 64)) -> None:
        super().__init__()
        channels = (3, *widths)
        self.body = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv3d(c, k, 3, (1, 2, 2), 1, bias=False),
                    nn.BatchNorm3d(k),
                    nn.ReLU(inplace=True),
                )
                for c, k in zip(channels, widths, strict=False)
            )
        )
        self.fc = nn.Linear(widths[-1], classes)
        draw_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores (n, classes) of clips (n, 3, t, h, w)."""
        x = self.body(x)  # (n, 3, t, h, w) -> (n, 64, t, h / 8, w / 8)
        x = x.amax((3, 4)).mean(2)  # -> (n, 64)
        scores: Tensor = self.fc(x)  # -> (n, classes)
        return scores
