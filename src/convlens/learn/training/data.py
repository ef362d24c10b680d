"""Examples to train on, and examples held out to measure the accuracy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Data", "Examples", "varied"]


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs (n, c, *space), and the number of the right category of each, labels (n,) int64."""

    inputs: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.labels.dtype != torch.int64 or self.labels.ndim != 1:
            raise ValueError(
                f"`labels` (={tuple(self.labels.shape)}, {self.labels.dtype}) must be one int64 "
                "number for each input, shape (n,); convert with .long().flatten()"
            )
        if len(self.inputs) != len(self.labels) or len(self.labels) == 0:
            raise ValueError(
                f"`labels` (={len(self.labels)}) must be as many as the {len(self.inputs)} inputs "
                "and at least 1; give each input one category"
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
    """Examples to train on, and examples held out from training to measure the accuracy."""

    train: Examples
    held_out: Examples


def varied(examples: Examples, copies: int, seed: int = 0) -> Examples:
    """Return the examples, then `copies` of each, slightly rotated, sheared, scaled and shifted.

    Inputs are (n, c, h, w). Each copy draws its own numbers: a rotation of up to 10 degrees and a
    shear of up to 0.15; a scale of up to 10 % in width and 5 % in height; a shift of up to 1/16 of
    the width and 1/32 of the height. Pixels are interpolated bilinearly, with 0 outside. The same
    seed draws the same copies.

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
    """Return affine maps (n, 2, 3) near the identity, in coordinates from -1 to 1."""

    def draw(most: float) -> Tensor:
        return (torch.rand(n, generator=random) * 2 - 1) * most

    angle, shear = draw(math.radians(10)), draw(0.15)
    wide, high = 1 + draw(0.1), 1 + draw(0.05)
    # In these coordinates a picture has width 2, so that 1/8 is a sixteenth of it.
    across, down = draw(1 / 8), draw(1 / 16)
    first = torch.stack([angle.cos() * wide, shear - angle.sin(), across], dim=1)
    second = torch.stack([angle.sin(), angle.cos() * high, down], dim=1)
    return torch.stack([first, second], dim=1)
