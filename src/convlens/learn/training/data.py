"""Data to learn from, split into what is trained on and what is held out to measure by."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from convlens.zoo.weights import DATA

__all__ = ["Data", "Examples", "digits_data", "digits_split", "varied"]


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs (n, c, *space) with the number of the right category of each, labels (n,) int64."""

    inputs: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.labels.dtype != torch.int64 or self.labels.ndim != 1:
            raise ValueError(
                f"`labels` (={tuple(self.labels.shape)}, {self.labels.dtype}) must be one int64 "
                "number an input, shape (n,); convert with .long().flatten()"
            )
        if len(self.inputs) != len(self.labels) or len(self.labels) == 0:
            raise ValueError(
                f"`labels` (={len(self.labels)}) must be as many as the {len(self.inputs)} inputs "
                "and at least 1; give one category an input"
            )
        if int(self.labels.min()) < 0:
            raise ValueError(
                f"`labels` (from {int(self.labels.min())}) must count categories from 0; "
                "number them 0, 1, 2"
            )

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Data:
    """Examples to train on, and examples held out, never trained on, to measure the accuracy."""

    train: Examples
    held_out: Examples


def digits_data() -> Data:
    """Return the 1,797 handwritten digits shipped with the package, a fixed fifth held out.

    Inputs (n, 1, 8, 8) float32 in sixteenths from 0 (paper) to 1 (ink), labels 0 to 9: 1,438 to
    train on and 359 held out. The data are the test set of E. Alpaydin & C. Kaynak, *Optical
    Recognition of Handwritten Digits* (UCI Machine Learning Repository, 1998, CC BY 4.0), as
    distributed by scikit-learn's `load_digits`.

    >>> data = digits_data()
    >>> len(data.train), len(data.held_out), tuple(data.train.inputs.shape[1:])
    (1438, 359, (1, 8, 8))
    """
    with np.load(DATA / "digits.npz", allow_pickle=False) as file:
        pictures, labels = file["pictures"], file["labels"]
    inputs = torch.from_numpy(pictures.astype(np.float32) / 16)[:, None]
    targets = torch.from_numpy(labels.astype(np.int64))
    train, held_out = (torch.from_numpy(part) for part in digits_split(labels))
    return Data(
        train=Examples(inputs[train], targets[train]),
        held_out=Examples(inputs[held_out], targets[held_out]),
    )


def digits_split(labels: NDArray[np.integer]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the sorted positions to train on and those held out: a fifth of each category.

    The fifth is drawn by numpy's `RandomState(0)`, whose numbers are frozen for good (NEP 19), so
    it is the same on every machine and with every version.

    >>> train, held_out = digits_split(np.array([0] * 5 + [1] * 10))
    >>> len(train), len(held_out)
    (12, 3)
    """
    random = np.random.RandomState(0)
    parts = []
    for category in np.unique(labels):
        members = np.flatnonzero(labels == category)
        parts.append(random.permutation(members)[: round(len(members) / 5)])
    held_out = np.sort(np.concatenate(parts))
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out


def varied(examples: Examples, copies: int, seed: int = 0) -> Examples:
    """Return the examples followed by `copies` of each, a little turned, sheared, scaled, shifted.

    Inputs (n, c, h, w). Every copy draws its own: at most 10 degrees, a shear of 0.15, 10 % wider
    and 5 % higher or less, and by 1/16 of the width and 1/32 of the height; bilinear, 0 outside.
    The same seed draws the same copies.

    >>> ten = Examples(torch.rand(10, 1, 8, 8), torch.arange(10))
    >>> len(varied(ten, copies=2))
    30
    """
    random = torch.Generator().manual_seed(seed)
    inputs = [examples.inputs]
    for _ in range(copies):
        grid = F.affine_grid(
            _small_maps(len(examples), random), list(examples.inputs.shape), align_corners=False
        )
        inputs.append(F.grid_sample(examples.inputs, grid, align_corners=False))
    return Examples(torch.cat(inputs), examples.labels.repeat(copies + 1))


def _small_maps(n: int, random: torch.Generator) -> Tensor:
    """Affine maps (n, 2, 3) near the identity, in coordinates from -1 to 1."""

    def draw(most: float) -> Tensor:
        return (torch.rand(n, generator=random) * 2 - 1) * most

    angle, shear = draw(math.radians(10)), draw(0.15)
    wide, high = 1 + draw(0.1), 1 + draw(0.05)
    # A picture is 2 wide in these coordinates: 1/8 is a sixteenth of it.
    across, down = draw(1 / 8), draw(1 / 16)
    first = torch.stack([angle.cos() * wide, shear - angle.sin(), across], dim=1)
    second = torch.stack([angle.sin(), angle.cos() * high, down], dim=1)
    return torch.stack([first, second], dim=1)
