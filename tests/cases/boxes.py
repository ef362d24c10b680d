"""Boxes of many kinds: scattered, crowded, on a lattice."""

from __future__ import annotations

import torch
from torch import Tensor


def scattered(n: int, seed: int = 0, kind: torch.dtype = torch.float32) -> Tensor:
    """Boxes of 8 to 400 pixels anywhere in a picture of 800 x 1088."""
    generator = torch.Generator().manual_seed(seed)
    sides = 8 * 50 ** torch.rand(n, 2, generator=generator)
    corner = torch.rand(n, 2, generator=generator) * (torch.tensor([1088, 800]) - sides)
    return torch.cat((corner, corner + sides), 1).to(kind)


def crowded(n: int) -> Tensor:
    """Many boxes about each of twenty."""
    generator = torch.Generator().manual_seed(1)
    centres = scattered(20, seed=2)[torch.randint(20, (n,), generator=generator)]
    sides = (centres[:, 2:] - centres[:, :2]).repeat(1, 2)
    return centres + torch.randn(n, 4, generator=generator) * sides * 0.08


def lattice(n: int) -> Tensor:
    """Boxes of 10 x 10 every 8 pixels: whole numbers, whose overlaps are the same many times."""
    at = torch.arange(n)
    corner = torch.stack((at % 40, at // 40), 1) * 8.0
    return torch.cat((corner, corner + 10), 1)
