"""Networks that the tests of the lab open by their file, as a user's own."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from convlens.lab import Lab
from convlens.lab.answers.marking import Lit
from convlens.learn.opening import open_network
from convlens.learn.reading_inputs import read_inputs
from convlens.lens import Recording, record
from convlens.zoo.weights import DATA

SOURCE = '''
import torch
import torch.nn.functional as F
from torch import nn


class Residual(nn.Module):
    """A shared module, an in-place step, a skip, and 40 channels to rank."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 40, 3, padding=1)
        self.shared = nn.Conv2d(40, 40, 3, padding=1, groups=2)
        self.relu = nn.ReLU(inplace=True)
        self.block = nn.Sequential(nn.Conv2d(40, 4, 1), nn.MaxPool2d(2), nn.Flatten())

    def forward(self, x):
        x = self.relu(self.stem(x))
        x = self.relu(x + self.shared(x))
        x = self.shared(x)
        return self.block(x)


class Raises(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 2, 3)
        self.head = nn.Linear(7, 3)

    def forward(self, x):
        return self.head(F.relu(self.conv(x)).flatten(1))


class Strange(nn.Module):
    """Numbers that are not finite, integers, truths, and an empty value."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 2, 1)

    def forward(self, x):
        x = self.conv(x)
        x = torch.log(x - x.mean())
        y = torch.where(x > 0, x / 0, x)
        return y, (y > 0), y.nan_to_num().argmax(1), y[:, :0]


class Wide(nn.Module):
    """2,048 maps of 7x7 at its end, and a head."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 64, 7, stride=8, padding=3)
        self.pool = nn.AvgPool2d(4)
        self.wide = nn.Conv2d(64, 2048, 1)

    def forward(self, x):
        return self.wide(F.relu(self.pool(self.stem(x))))


class Large(nn.Module):
    """More numbers in a sheet than it brings exactly."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.wide = nn.Conv2d(3, 300, 1)

    def forward(self, x):
        return self.wide(x)


class Signal(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv1d(2, 6, 9, padding=4)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(F.relu(self.conv(x)).mean(-1))


class Clip(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv3d(3, 4, 3, padding=1)

    def forward(self, x):
        return self.conv(x)


class Finds(nn.Module):
    """A detector of its own kind: three boxes, their keypoints, one box that is nowhere."""

    categories = ("nothing", "cat")

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 1, 3)

    def forward(self, x):
        zero = 0 * self.conv(x).mean()
        boxes = torch.tensor([[2.0, 3, 12, 9], [0, 0, 4, 4], [5, 5, float("nan"), 9]]) + zero
        points = torch.rand(3, 17, 3).round(decimals=2) * 10 + zero
        sure = torch.full((3, 17), 9.0) + zero
        sure[0, 3] = 0.5
        return [{
            "boxes": boxes,
            "labels": torch.tensor([1, 7, 1]),
            "scores": torch.tensor([0.4, 0.9, 0.6]) + zero,
            "keypoints": points,
            "keypoints_scores": sure,
        }]


class Segments(nn.Module):
    categories = ("__background__", "cat", "dog", "never")

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        with torch.no_grad():
            self.conv.bias[3] = -100

    def forward(self, x):
        y = self.conv(x)
        return {"aux": y[:, :1], "out": y}
'''


@cache
def noise() -> bytes:
    """A picture of random bytes as PNG."""
    pixels = np.random.default_rng(3).integers(0, 256, (24, 24, 3), np.uint8)
    return _png(Image.fromarray(pixels))


@cache
def photo() -> bytes:
    """A small photograph as PNG, wider than high."""
    with Image.open(DATA / "cat.jpg") as image:
        return _png(image.resize((151, 100)))


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def npy(array: torch.Tensor) -> bytes:
    """An array as the bytes of an `.npy` file."""
    file = io.BytesIO()
    np.save(file, array.numpy())
    return file.getvalue()


def lab_of(spec: str, source: bytes | Path, size: int | None = None, name: str = "") -> Lab:
    """A lab on one network and one picture."""
    lab = Lab(open_network(spec, size=size))
    lab.look(source, name)
    return lab


def recorded(spec: str, source: bytes | Path, size: int | None = None) -> Recording:
    """The same network on the same picture, recorded by the test itself."""
    opened = open_network(spec, size=size)
    return record(opened.network, read_inputs(opened, source)[0])


def marked(found: Lit) -> npt.NDArray[np.bool_]:
    """The mask whose marked positions these are."""
    mask = np.zeros(found["space"], bool)
    cut = tuple(slice(low, high) for low, high in found["box"])
    size = mask[cut].shape
    mask[cut] = np.unpackbits(found["bits"])[: int(np.prod(size))].reshape(size)
    return mask
