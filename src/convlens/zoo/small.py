"""Define two networks small enough to read whole: one for digits, one of classical kernels."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from convlens.zoo.inputs import Inputs
from convlens.zoo.shipped import DATA
from convlens.zoo.weights.drawn import TrackedModule

__all__ = ["EYE", "KERNELS", "LUMA", "Digits", "Filters", "digits", "filters"]

LUMA = (0.299, 0.587, 0.114)
"""The share of red, green and blue in grey (ITU-R BT.601, section 2.5.1)."""

KERNELS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "blur": ((1 / 16, 2 / 16, 1 / 16), (2 / 16, 4 / 16, 2 / 16), (1 / 16, 2 / 16, 1 / 16)),
    "sharpen": ((0, -1, 0), (-1, 5, -1), (0, -1, 0)),
    "sobel_x": ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)),
    "sobel_y": ((-1, -2, -1), (0, 0, 0), (1, 2, 1)),
    "laplacian": ((0, 1, 0), (1, -4, 1), (0, 1, 0)),
    "emboss": ((-2, -1, 0), (-1, 1, 1), (0, 1, 2)),
}
"""The classical 3x3 kernels of `filters`, by name; not flipped, as a convolution layer reads them.

Blur is the binomial kernel. The two Sobel kernels respond to brightness that rises to the right and
downwards. See Gonzalez & Woods, *Digital Image Processing*, 4th edition, chapters 3 and 10.
"""

EYE = (slice(21, 37), slice(33, 53))
"""The rows and columns of the left eye of `cat.jpg` on the pooled maps."""


class Digits(TrackedModule):
    """Ten probabilities for a handwritten digit, by two convolutions and one linear layer.

    `forward` ends in a softmax; `logits` is the same without it, for training. 12,586 parameters.
    With the shipped weights it names 357 of 359 held-out digits right (99.4 %). Their writers also
    wrote training digits; it does less well on digits of other writers, scaled by hand to 8x8.
    """

    categories = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
    inputs = Inputs(1, 8, 8, mean=None, std=None, ink=True, example="digit-3.png")

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 24, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(24, 48, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(192, 10)
        self.softmax = nn.Softmax(dim=1)

    def logits(self, x: Tensor) -> Tensor:
        """Return the ten scores (n, 10) before the softmax, of pictures (n, 1, 8, 8)."""
        x = self.relu1(self.conv1(x))  # (n, 1, 8, 8) -> (n, 24, 8, 8)
        x = self.pool1(x)  # -> (n, 24, 4, 4)
        x = self.relu2(self.conv2(x))  # -> (n, 48, 4, 4)
        x = self.pool2(x)  # -> (n, 48, 2, 2)
        x = self.flatten(x)  # -> (n, 192)
        scores: Tensor = self.linear(x)  # -> (n, 10)
        return scores

    def forward(self, x: Tensor) -> Tensor:
        """Return the ten probabilities (n, 10) of pictures (n, 1, 8, 8), bright ink of 0 to 1."""
        probabilities: Tensor = self.softmax(self.logits(x))
        return probabilities


class Filters(nn.Module):
    """Classical kernels on a photograph, and a template over their maps that finds an eye.

    Nothing in it is learned. The kernels are `KERNELS`. The template is the part of the maps around
    the left eye of the shipped `cat.jpg`, and its response there is 1.
    """

    inputs = Inputs(resize=300, crop=None, mean=None, std=None)

    def __init__(self) -> None:
        super().__init__()
        self.grey = nn.Conv2d(3, 1, 1, bias=False)
        self.kernels = Kernels()
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(4)
        self.template = nn.Conv2d(6, 1, (16, 20), bias=False)
        with torch.no_grad():
            self.grey.weight.copy_(torch.tensor(LUMA).reshape(1, 3, 1, 1))
            if not self.template.weight.is_meta:  # where names and shapes alone are wanted
                self.template.weight.copy_(_template(self.maps(_photograph())[:, :, *EYE]))
        self.requires_grad_(False)

    def maps(self, x: Tensor) -> Tensor:
        """Return the six pooled maps of pictures (n, 3, h, w)."""
        x = self.grey(x)  # (n, 3, h, w) -> (n, 1, h, w)
        x = self.kernels(x)  # -> (n, 6, h - 2, w - 2)
        x = self.relu(x)
        maps: Tensor = self.pool(x)  # -> (n, 6, (h - 2) // 4, (w - 2) // 4)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Return the template's response at each place of pictures (n, 3, h, w) of values 0 to 1.

        It is 1 at the eye that the template was cut from, and about 0 on an even ground. A picture
        needs at least 66 rows and 82 columns, so that the template fits on its maps.
        """
        maps = self.maps(x)  # (n, 3, h, w) -> (n, 6, (h - 2) // 4, (w - 2) // 4)
        answers: Tensor = self.template(maps)  # -> (n, 1, (h - 2) // 4 - 15, (w - 2) // 4 - 19)
        return answers


class Kernels(nn.Module):
    """The six 3x3 kernels of `KERNELS`, each a module with its own name."""

    def __init__(self) -> None:
        super().__init__()
        for name, rows in KERNELS.items():
            convolution = nn.Conv2d(1, 1, 3, bias=False)
            with torch.no_grad():
                convolution.weight.copy_(torch.tensor(rows))
            self.add_module(name, convolution)

    def forward(self, x: Tensor) -> Tensor:
        """Return the six maps (n, 6, h - 2, w - 2) of grey pictures (n, 1, h, w)."""
        return torch.cat([kernel(x) for kernel in self.children()], dim=1)


def digits() -> Digits:
    """Build the digit network, untrained: pictures (n, 1, 8, 8) to probabilities (n, 10).

    >>> digits()(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """
    return Digits()


def filters() -> Filters:
    """Build the network of classical kernels: photographs (n, 3, h, w) to one map of responses.

    >>> filters()(torch.zeros(1, 3, 300, 451)).shape
    torch.Size([1, 1, 59, 93])
    """
    return Filters()


def _photograph() -> Tensor:
    with Image.open(DATA / "cat.jpg") as picture:
        pixels = np.array(picture, dtype=np.float32)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255  # (1, 3, 300, 451)


def _template(patch: Tensor) -> Tensor:
    # Its mean is 0 in each map, so that the response to an even ground is 0. It is divided by its
    # own energy, so that the response to itself is 1.
    centred = patch - patch.mean((2, 3), keepdim=True)
    return centred / centred.square().sum()
