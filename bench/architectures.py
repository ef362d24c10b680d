"""Networks of the zoo of torchvision as plain torch modules of random weights, to measure with."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from networks import ResNet50Shaped


def _scaled(channels: int) -> int:
    """A quarter of the channels, rounded to eights, as squeeze and excite wants them."""
    return max(8, (channels // 4 + 4) // 8 * 8)


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, _scaled(channels), 1)
        self.fc2 = nn.Conv2d(_scaled(channels), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.fc2(torch.relu(self.fc1(self.pool(x))))
        return x * nn.functional.hardsigmoid(scale)


def _block(c: int, k: int, size: int, stride: int, groups: int, act: nn.Module) -> list[nn.Module]:
    conv = nn.Conv2d(c, k, size, stride, size // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(k, eps=1e-3), act]


class InvertedResidual(nn.Module):
    def __init__(self, c: int, size: int, wide: int, k: int, se: bool, hard: bool, s: int) -> None:
        super().__init__()
        act = nn.Hardswish if hard else nn.ReLU
        layers = _block(c, wide, 1, 1, 1, act()) if wide != c else []
        layers += _block(wide, wide, size, s, wide, act())
        layers += [SqueezeExcite(wide)] if se else []
        layers += _block(wide, k, 1, 1, 1, nn.Identity())
        self.layers, self.skip = nn.Sequential(*layers), s == 1 and c == k

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.skip else y


def mobilenet_v3_large() -> nn.Module:
    """Howard et al., *Searching for MobileNetV3*, arXiv 1905.02244, table 1."""
    rows = """3 16 16 0 0 1  3 64 24 0 0 2  3 72 24 0 0 1  5 72 40 1 0 2  5 120 40 1 0 1
    5 120 40 1 0 1  3 240 80 0 1 2  3 200 80 0 1 1  3 184 80 0 1 1  3 184 80 0 1 1
    3 480 112 1 1 1  3 672 112 1 1 1  5 672 160 1 1 2  5 960 160 1 1 1  5 960 160 1 1 1"""
    numbers = [int(word) for word in rows.split()]
    layers, c = _block(3, 16, 3, 2, 1, nn.Hardswish()), 16
    for i in range(0, len(numbers), 6):
        size, wide, k, se, hard, stride = numbers[i : i + 6]
        layers.append(InvertedResidual(c, size, wide, k, bool(se), bool(hard), stride))
        c = k
    layers += _block(c, 960, 1, 1, 1, nn.Hardswish())
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(960, 1280), nn.Hardswish()]
    return nn.Sequential(*layers, nn.Linear(1280, 1000))


def vgg16() -> nn.Module:
    """Simonyan & Zisserman, arXiv 1409.1556, table 1, column D."""
    layers: list[nn.Module] = []
    c = 3
    for k, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += [nn.Conv2d(c, k, 3, padding=1), nn.ReLU(inplace=True)]
            c = k
        layers.append(nn.MaxPool2d(2, 2))
    layers += [nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(512 * 49, 4096), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000))


class BasicBlock3d(nn.Module):
    def __init__(self, c: int, k: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(c, k, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(k)
        self.conv2 = nn.Conv3d(k, k, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm3d(k)
        self.relu = nn.ReLU(inplace=True)
        self.skip: nn.Module = nn.Identity()
        if stride > 1:
            self.skip = nn.Sequential(nn.Conv3d(c, k, 1, stride, bias=False), nn.BatchNorm3d(k))

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += self.skip(x)
        out: Tensor = self.relu(y)
        return out


def r3d_18() -> nn.Module:
    """Tran et al., *A closer look at spatiotemporal convolutions*, arXiv 1711.11248."""
    stem = nn.Conv3d(3, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False)
    layers: list[nn.Module] = [stem, nn.BatchNorm3d(64), nn.ReLU(inplace=True)]
    c = 64
    for k, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [BasicBlock3d(c, k, stride), BasicBlock3d(k, k, 1)]
        c = k
    return nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(512, 400))


def _unit(c: int, k: int, size: tuple[int, ...], stride: tuple[int, ...] = (1,) * 3) -> nn.Module:
    padding = tuple(n // 2 for n in size)
    conv = nn.Conv3d(c, k, size, stride, padding, bias=False)  # type: ignore[arg-type]
    return nn.Sequential(conv, nn.BatchNorm3d(k, eps=1e-3), nn.ReLU(inplace=True))


def _separable(c: int, k: int, n: int, stride: int = 1) -> nn.Module:
    """A convolution in space, then one in time."""
    over = _unit(c, k, (1, n, n), (1, stride, stride))
    return nn.Sequential(over, _unit(k, k, (n, 1, 1), (stride, 1, 1)))


class Inception3d(nn.Module):
    def __init__(self, c: int, one: int, *more: int) -> None:
        super().__init__()
        a, b, d, e, pooled = more
        point = (1, 1, 1)
        self.one = _unit(c, one, point)
        self.two = nn.Sequential(_unit(c, a, point), _separable(a, b, 3))
        self.three = nn.Sequential(_unit(c, d, point), _separable(d, e, 3))
        self.four = nn.Sequential(nn.MaxPool3d(3, 1, 1), _unit(c, pooled, point))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.one(x), self.two(x), self.three(x), self.four(x)), 1)


def s3d() -> nn.Module:
    """Xie et al., *Rethinking spatiotemporal feature learning*, arXiv 1712.04851, in shape."""
    flat = [nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)) for _ in range(2)]
    return nn.Sequential(
        _separable(3, 64, 7, 2),
        flat[0],
        _unit(64, 64, (1, 1, 1)),
        _separable(64, 192, 3),
        flat[1],
        Inception3d(192, 64, 96, 128, 16, 32, 32),
        Inception3d(256, 128, 128, 192, 32, 96, 64),
        nn.MaxPool3d(3, 2, 1),
        Inception3d(480, 192, 96, 208, 16, 48, 64),
        Inception3d(512, 160, 112, 224, 24, 64, 64),
        Inception3d(512, 128, 128, 256, 24, 64, 64),
        Inception3d(512, 112, 144, 288, 32, 64, 64),
        Inception3d(528, 256, 160, 320, 32, 128, 128),
        nn.MaxPool3d(2, 2),
        Inception3d(832, 256, 160, 320, 32, 128, 128),
        Inception3d(832, 384, 192, 384, 48, 128, 128),
        nn.AvgPool3d((2, 7, 7), 1),
        nn.Conv3d(1024, 400, 1),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
    )


ARCHITECTURES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "resnet50": (ResNet50Shaped, (1, 3, 224, 224)),
    "mobilenet_v3_large": (mobilenet_v3_large, (1, 3, 224, 224)),
    "vgg16": (vgg16, (1, 3, 224, 224)),
    "r3d_18": (r3d_18, (1, 3, 16, 112, 112)),
    "s3d": (s3d, (1, 3, 16, 224, 224)),
}
