"""Define a small network for pictures of clothes, 28 x 28 pixels of grey."""

from __future__ import annotations

from torch import Tensor, nn

from convlens.zoo.layers import conv_norm, draw_weights
from convlens.zoo.weights.drawn import TrackedModule

__all__ = ["FashionMNIST"]


class FashionMNIST(TrackedModule):
    """Four convolutions, the last with a skip: grey pictures (n, 1, h, w) to scores (n, classes).

    `widths`: their channels. The maximum over the map goes to a linear layer, whose scores are
    halved, so that training begins with small ones. 136,498 parameters with the usual widths.
    """

    def __init__(self, classes: int = 10, widths: tuple[int, int, int] = (24, 48, 96)) -> None:
        super().__init__()
        first, second, third = widths
        self.conv1 = conv_norm(1, first, 3, stride=2)
        self.conv2 = conv_norm(first, second, 3)
        self.pool = nn.MaxPool2d(2)
        self.conv3 = conv_norm(second, third, 3)
        self.conv4 = conv_norm(third, third, 3)
        self.fc = nn.Linear(third, classes)
        draw_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores (n, classes) of pictures (n, 1, h, w)."""
        x = self.conv1(x)  # (n, 1, h, w) -> (n, 24, h / 2, w / 2)
        x = self.conv2(x)  # -> (n, 48, h / 2, w / 2)
        x = self.pool(x)  # -> (n, 48, h / 4, w / 4)
        x = self.conv3(x)  # -> (n, 96, h / 4, w / 4)
        x = x + self.conv4(x)
        x = x.amax((2, 3))  # -> (n, 96)
        scores: Tensor = self.fc(x) * 0.5  # -> (n, classes)
        return scores
