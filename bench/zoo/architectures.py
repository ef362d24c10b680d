"""Build networks of random weights to measure: four of the zoo, and S3D for its pooled branches."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from convlens.zoo import model


def _unit(c: int, k: int, size: tuple[int, ...], stride: tuple[int, ...] = (1,) * 3) -> nn.Module:
    padding = tuple(n // 2 for n in size)
    conv = nn.Conv3d(c, k, size, stride, padding, bias=False)  # type: ignore[arg-type]
    return nn.Sequential(conv, nn.BatchNorm3d(k, eps=1e-3), nn.ReLU(inplace=True))


def _separable(c: int, k: int, n: int, stride: int = 1) -> nn.Module:
    """Return a convolution in space, followed by one in time."""
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
    """Return a network of the shape of S3D (Xie et al., arXiv 1712.04851)."""
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
    "resnet50": (partial(model, "resnet50", None), (1, 3, 224, 224)),
    "mobilenet_v3_large": (partial(model, "mobilenet_v3_large", None), (1, 3, 224, 224)),
    "vgg16": (partial(model, "vgg16", None), (1, 3, 224, 224)),
    "r3d_18": (partial(model, "r3d_18", None), (1, 3, 16, 112, 112)),
    "s3d": (s3d, (1, 3, 16, 224, 224)),
}
"""Networks, each with the shape of its input."""
