"""Define MobileNetV3, small and large.

Howard et al., *Searching for MobileNetV3* (arXiv 1905.02244), tables 1 and 2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor, nn

from convlens.zoo.layers import Norm, conv_norm, draw_weights
from convlens.zoo.weights.drawn import TrackedModule

__all__ = [
    "MOBILENETS",
    "SMALL",
    "MobileNetV3",
    "MobileNetVariant",
    "mobilenet",
    "mobilenet_features",
]


@dataclass(frozen=True)
class BlockRow:
    """A row of the paper's tables: a block's window, its channels inside and out, and more."""

    size: int
    expanded: int
    out: int
    squeeze: bool
    hard: bool
    stride: int


def _rows(text: str) -> tuple[BlockRow, ...]:
    table = []
    for line in text.split("\n"):
        size, expanded, out, squeeze, activation, stride = line.split()
        hard = activation == "HS"
        table.append(
            BlockRow(int(size), int(expanded), int(out), squeeze == "SE", hard, int(stride))
        )
    return tuple(table)


# size, expanded, out, squeeze-and-excite, activation, stride; table 1 of the paper.
LARGE = _rows("""3  16  16  -  RE 1
3  64  24  -  RE 2
3  72  24  -  RE 1
5  72  40  SE RE 2
5 120  40  SE RE 1
5 120  40  SE RE 1
3 240  80  -  HS 2
3 200  80  -  HS 1
3 184  80  -  HS 1
3 184  80  -  HS 1
3 480 112  SE HS 1
3 672 112  SE HS 1
5 672 160  SE HS 2
5 960 160  SE HS 1
5 960 160  SE HS 1""")

# The same; table 2 of the paper.
SMALL = _rows("""3  16  16  SE RE 2
3  72  24  -  RE 2
3  88  24  -  RE 1
5  96  40  SE HS 2
5 240  40  SE HS 1
5 240  40  SE HS 1
5 120  48  SE HS 1
5 144  48  SE HS 1
5 288  96  SE HS 2
5 576  96  SE HS 1
5 576  96  SE HS 1""")


@dataclass(frozen=True)
class MobileNetVariant:
    """What the variants differ in: the table, the last hidden layer, and the width."""

    rows: tuple[BlockRow, ...]
    hidden: int
    width: float = 1.0


MOBILENETS = {
    "mobilenet_v3_large": MobileNetVariant(LARGE, 1280),
    "mobilenet_v3_large_075": MobileNetVariant(LARGE, 1280, 0.75),
    "mobilenet_v3_small": MobileNetVariant(SMALL, 1024),
    "mobilenet_v3_small_075": MobileNetVariant(SMALL, 1024, 0.75),
}


class SqueezeExcite(nn.Module):
    """Each channel times a factor that depends on the means of all channels; keeps (n, c, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = by_eights(channels // 4)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, narrow, 1)
        self.fc2 = nn.Conv2d(narrow, channels, 1)
        self.activation = nn.ReLU()
        self.scale_activation = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Return x with each channel scaled by a factor of 0 to 1."""
        scale = self.avgpool(x)  # (n, c, h, w) -> (n, c, 1, 1)
        scale = self.activation(self.fc1(scale))  # -> (n, narrow, 1, 1)
        scale = self.scale_activation(self.fc2(scale))  # -> (n, c, 1, 1)
        out: Tensor = scale * x
        return out


class MobileNetV3Block(nn.Module):
    """A 1x1 expansion, a convolution of each channel, squeeze-and-excite, and a 1x1 projection.

    (n, c, h, w) to (n, row.out, h / stride, w / stride); a skip where both shapes are one.
    """

    def __init__(self, c: int, row: BlockRow, norm: Norm, dilation: int) -> None:
        super().__init__()
        stride = row.stride if dilation == 1 else 1
        wide, activation = row.expanded, nn.Hardswish if row.hard else nn.ReLU
        active = partial(conv_norm, norm=norm, activation=activation)
        layers: list[nn.Module] = []
        if wide != c:
            layers.append(active(c, wide, 1))
        layers.append(active(wide, wide, row.size, stride=stride, groups=wide, dilation=dilation))
        if row.squeeze:
            layers.append(SqueezeExcite(wide))
        layers.append(conv_norm(wide, row.out, 1, norm=norm, activation=None))
        self.block = nn.Sequential(*layers)
        # A row with a stride gives a block without a skip, even one that is dilated instead.
        self.skips = row.stride == 1 and c == row.out

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's map, plus x where the block skips."""
        y: Tensor = self.block(x)
        if self.skips:
            y += x
        return y


class MobileNetV3(TrackedModule):
    """Features, the mean over the map, and two linear layers: (n, 3, h, w) to (n, classes)."""

    def __init__(self, variant: MobileNetVariant, classes: int = 1000) -> None:
        super().__init__()
        self.features = mobilenet_features(variant)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        hidden = by_eights(variant.hidden * variant.width)
        self.classifier = nn.Sequential(
            nn.Linear(6 * by_eights(variant.rows[-1].out * variant.width), hidden),
            nn.Hardswish(inplace=True),
            nn.Dropout(0.2, inplace=True),
            nn.Linear(hidden, classes),
        )
        draw_weights(self, linear=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (n, classes) of pictures (n, 3, h, w), normalized as ImageNet's."""
        x = self.features(x)  # (n, 3, h, w) -> (n, 6 * last, h / 32, w / 32)
        x = self.avgpool(x).flatten(1)  # -> (n, 6 * last)
        scores: Tensor = self.classifier(x)  # -> (n, hidden) -> (n, classes)
        return scores


def mobilenet_features(
    variant: MobileNetVariant, norm: Norm | None = None, *, dilated: bool = False
) -> nn.Sequential:
    """Return the stem, a block for each row, and a last 1x1 convolution, called "0", "1", ...

    `norm`: batch normalization of eps 0.001 and momentum 0.01 when None. `dilated`: the last stage
    keeps the size and dilates its windows by 2, for segmentation (section 6.4).
    """
    norm = norm or partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
    rows = [
        replace(
            row,
            expanded=by_eights(row.expanded * variant.width),
            out=by_eights(row.out * variant.width),
        )
        for row in variant.rows
    ]
    c = by_eights(16 * variant.width)
    layers: list[nn.Module] = [
        conv_norm(3, c, 3, stride=2, norm=norm, activation=nn.Hardswish)  # -> (n, c, h / 2, w / 2)
    ]
    last = max(i for i, row in enumerate(rows) if row.stride == 2)
    for i, row in enumerate(rows):
        layers.append(MobileNetV3Block(c, row, norm, 2 if dilated and i >= last else 1))
        c = row.out
    layers.append(conv_norm(c, 6 * c, 1, norm=norm, activation=nn.Hardswish))
    return nn.Sequential(*layers)


def by_eights(channels: float) -> int:
    """Return the nearest multiple of 8, but at least 8 and nine tenths of `channels`.

    >>> by_eights(12), by_eights(18), by_eights(67)
    (16, 24, 64)
    """
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def mobilenet(name: str, classes: int = 1000) -> MobileNetV3:
    """Build the MobileNetV3 called `name`, untrained: (n, 3, h, w) to (n, classes).

    >>> import torch
    >>> mobilenet("mobilenet_v3_small", classes=7).eval()(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 7])
    """
    return MobileNetV3(MOBILENETS[name], classes)
