"""Rotate, shear, stretch and shift pictures by any amount, in one interpolation."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from convlens.learn.augmenting.checks import check_range
from convlens.learn.augmenting.moving import Geometric, Move
from convlens.learn.augmenting.warping import Matrices, about_the_middle, warped

__all__ = ["Affine", "Rotate", "Shear"]

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class _Warping(Geometric):
    """A move by an affine map about the middle, with `fill` where the picture does not reach.

    Pixels are interpolated bilinearly; masks and maps take the nearest.
    """

    fill: float = 0

    @abstractmethod
    def linear(self, numbers: Numbers, strength: float) -> Matrices:
        """Return the maps (n, 2, 2) for numbers (n, draws)."""

    def shift(self, size: tuple[int, int], numbers: Numbers, strength: float) -> Matrices:
        """Return how far the middle moves, (n, 2), in pixels."""
        return np.zeros((len(numbers), 2))

    def matrices(self, size: tuple[int, int], numbers: Numbers, strength: float) -> Matrices:
        """Return the maps (n, 2, 3) of pictures of `size` (h, w)."""
        linear = self.linear(numbers, strength)
        return about_the_middle(linear, size, self.shift(size, numbers, strength))

    def move(self, size: tuple[int, int], numbers: Numbers, strength: float) -> Move | None:
        """Return the move of one picture."""
        matrices = self.matrices(size, numbers[None], strength)

        def pixels(x: Tensor) -> Tensor:
            return warped(x.reshape(1, -1, *size), matrices, self.fill).reshape(x.shape)

        return Move(matrices[0], size, pixels)

    def many(self, pictures: Tensor, numbers: Numbers, strength: float) -> Tensor:
        """Return moved pictures (n, c, h, w)."""
        if strength == 0 or not len(pictures):
            return pictures
        h, w = pictures.shape[-2:]
        return warped(pictures, self.matrices((h, w), numbers, strength), self.fill)


@dataclass(frozen=True, kw_only=True)
class Rotate(_Warping):
    """Turn about the middle by up to `degrees` either way."""

    degrees: float = 15

    name = "rotate"
    says = "turn about the middle"
    draws = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("degrees", self.degrees, 0, 180)

    def linear(self, numbers: Numbers, strength: float) -> Matrices:
        """Return the rotations."""
        return _rotation(_either_way(numbers[:, 0], self.degrees * strength))


@dataclass(frozen=True, kw_only=True)
class Shear(_Warping):
    """Move rows sideways by up to `across` of their height, and columns down by up to `down`."""

    across: float = 0.15
    down: float = 0.0

    name = "shear"
    says = "slant to a side"
    draws = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("across", "down"):
            check_range(name, getattr(self, name), 0, 0.9)

    def linear(self, numbers: Numbers, strength: float) -> Matrices:
        """Return the shears."""
        across = _either_way(numbers[:, 0], self.across * strength)
        return _table(1.0, across, _either_way(numbers[:, 1], self.down * strength), 1.0)


@dataclass(frozen=True, kw_only=True)
class Affine(_Warping):
    """Stretch, shear, rotate and shift at once, as handwriting varies.

    `degrees`, `shear`: at most, either way. `wide`, `high`: by how much width and height change at
    most, as shares. `across`, `down`: the longest shift, as shares of width and height.

    >>> import torch
    >>> Affine().many(torch.rand(2, 1, 8, 8), np.full((2, 6), 0.5), 1.0).shape
    torch.Size([2, 1, 8, 8])
    """

    degrees: float = 10
    shear: float = 0.15
    wide: float = 0.1
    high: float = 0.05
    across: float = 1 / 16
    down: float = 1 / 32

    name = "affine"
    says = "stretch, slant, turn and shift"
    draws = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("degrees", self.degrees, 0, 180)
        for name in ("shear", "wide", "high"):
            check_range(name, getattr(self, name), 0, 0.9)
        for name in ("across", "down"):
            check_range(name, getattr(self, name), 0, 1)

    def linear(self, numbers: Numbers, strength: float) -> Matrices:
        """Return rotation @ shear @ scale."""
        most = strength * np.array([self.degrees, self.shear, self.wide, self.high])
        angle, shear, wide, high = _either_way(numbers[:, :4], most).T
        return (
            _rotation(angle) @ _table(1.0, shear, 0.0, 1.0) @ _table(1 + wide, 0.0, 0.0, 1 + high)
        )

    def shift(self, size: tuple[int, int], numbers: Numbers, strength: float) -> Matrices:
        """Return the shifts."""
        most = strength * np.array([self.across * size[1], self.down * size[0]])
        return _either_way(numbers[:, 4:], most)


def _either_way(numbers: Numbers, most: float | Numbers) -> Numbers:
    """Return numbers from -most to most for numbers from 0 to 1."""
    return (2 * numbers - 1) * most


def _rotation(degrees: Numbers) -> Matrices:
    """Return rotations (n, 2, 2); positive ones are clockwise, as y points down."""
    radians = np.radians(degrees)
    return _table(np.cos(radians), -np.sin(radians), np.sin(radians), np.cos(radians))


def _table(
    a: float | Numbers, b: float | Numbers, c: float | Numbers, d: float | Numbers
) -> Matrices:
    """Return matrices (n, 2, 2) of their four numbers, row by row."""
    return np.stack(np.broadcast_arrays(a, b, c, d), -1).reshape(-1, 2, 2)
