"""State in plain numbers how a picture or clip becomes the input of a network."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Inputs", "Sides"]

Sides = int | tuple[int, int] | None
"""Pixels of one side, or of both (h, w)."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""The mean of red, green and blue over ImageNet, of values 0 to 1."""

IMAGENET_STD = (0.229, 0.224, 0.225)
"""The standard deviation of red, green and blue over ImageNet, of values 0 to 1."""


@dataclass(frozen=True)
class Inputs:
    """How a picture becomes an input; sizes are in pixels.

    `channels`: 3 for red, green and blue, 1 for grey. `resize` scales the shorter side to an int,
    or both sides to (h, w). `crop` then cuts the square of an int, or (h, w), from the middle.
    Where either is None, that step is left out. `antialias`: whether scaling down takes means.
    Values of 0 to 1 become (value - `mean`) / `std`, a channel at a time, where these are given.

    `frames`: how many frames of a clip are one input, at `rate` a second; None for pictures.
    `ink`: whether the picture is a handwritten digit, see `convlens.learn.ink`. `example`: the
    file, among those shipped with the package, to begin with.
    """

    channels: int = 3
    resize: Sides = 256
    crop: Sides = 224
    mean: tuple[float, ...] | None = IMAGENET_MEAN
    std: tuple[float, ...] | None = IMAGENET_STD
    antialias: bool = True
    frames: int | None = None
    rate: float | None = None
    ink: bool = False
    example: str = "cat.jpg"
