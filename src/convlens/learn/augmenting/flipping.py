"""Mirror pictures and turn them by quarters, which keeps every pixel as it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlens.learn.augmenting.checks import check_range
from convlens.learn.augmenting.moving import Geometric, Move

__all__ = ["Flip", "Mirror", "QuarterTurn"]


@dataclass(frozen=True, kw_only=True)
class _Flipping(Geometric):
    """A flip along one side, with the probability `chance`."""

    chance: float = 0.5

    side = -1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("chance", self.chance, 0, 1)

    def move(
        self, size: tuple[int, int], numbers: NDArray[np.float64], strength: float
    ) -> Move | None:
        """Return the flip, or None by chance."""
        if numbers[0] >= self.chance * strength:
            return None
        matrix = np.eye(2, 3)
        row = 0 if self.side == -1 else 1
        matrix[row] = -matrix[row]
        matrix[row, 2] = size[self.side]
        return Move(matrix, size, lambda pixels: pixels.flip(self.side), is_whole=True)

    def many(self, pictures: Tensor, numbers: NDArray[np.float64], strength: float) -> Tensor:
        """Return pictures (n, c, h, w), some flipped."""
        chosen = torch.from_numpy(numbers[:, 0] < self.chance * strength)
        if not chosen.any():
            return pictures
        return torch.where(chosen[:, None, None, None], pictures.flip(self.side), pictures)


@dataclass(frozen=True, kw_only=True)
class Mirror(_Flipping):
    """Change left and right, with the probability `chance`.

    Points and the categories of clips change places by the data's `pairs`. Without `pairs` they
    forbid mirroring.

    >>> pictures = torch.arange(6, dtype=torch.uint8).reshape(2, 1, 1, 3)
    >>> Mirror().many(pictures, np.array([[0.2], [0.7]]), 1.0).flatten(1)
    tensor([[2, 1, 0],
            [3, 4, 5]], dtype=torch.uint8)
    """

    name = "mirror"
    says = "change left and right"
    draws = 1


@dataclass(frozen=True, kw_only=True)
class Flip(_Flipping):
    """Change top and bottom, with the probability `chance`; never of clips.

    A flip is a mirror and half a turn, so that points change places by `pairs` as well.
    """

    name = "flip"
    says = "change top and bottom"
    draws = 1
    side = -2


@dataclass(frozen=True, kw_only=True)
class QuarterTurn(Geometric):
    """Turn by 90, 180 or 270 degrees, with the probability `chance`; never clips.

    A quarter turn changes height and width, so that `many` needs square pictures.
    """

    chance: float = 0.75

    name = "quarter turn"
    says = "turn by 90, 180 or 270 degrees"
    draws = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("chance", self.chance, 0, 1)

    def move(
        self, size: tuple[int, int], numbers: NDArray[np.float64], strength: float
    ) -> Move | None:
        """Return the turn, or None by chance."""
        chance = self.chance * strength
        if numbers[0] >= chance:
            return None
        turns = 1 + min(2, int(numbers[0] / chance * 3))
        matrix = np.eye(2, 3)
        for _ in range(turns):  # counter-clockwise: (x, y) goes to (y, w - x)
            matrix = np.array([matrix[1], -matrix[0]])
            matrix[1, 2] += size[1]
            size = (size[1], size[0])
        return Move(matrix, size, lambda pixels: pixels.rot90(turns, (-2, -1)), is_whole=True)
