"""A decoded picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_PIXELS", "Picture"]

MOST_PIXELS = 64_000_000
"""The most pixels that a picture may have. The header of a file says how many it has."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture: `pixels` uint8 (h, w, 3), red, green and blue, read-only; and its name.

    >>> Picture(np.zeros((2, 3, 3), np.uint8), name="black").height
    2
    """

    pixels: NDArray[np.uint8]
    name: str = "picture"

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise ValueError(
                f"`pixels` (={self.pixels.shape}, {self.pixels.dtype}) must be uint8 of shape "
                "(h, w, 3), values 0 to 255; scale others, and repeat a grey one three times"
            )
        if self.pixels.size == 0:
            raise ValueError(
                f"`pixels` (={self.pixels.shape}) must not be empty; give at least one pixel"
            )
        self.pixels.flags.writeable = False

    @property
    def height(self) -> int:
        """The number of rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """The number of columns."""
        return int(self.pixels.shape[1])
