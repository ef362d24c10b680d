"""Define what an augmentation is: a change of a sample by random numbers that are handed to it."""

from __future__ import annotations

from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from convlens.learn.data.samples import Sample

__all__ = ["Augmentation"]

S = TypeVar("S", bound=Sample)


class Augmentation(Protocol):
    """A random change of samples, by numbers drawn from the sample's place alone.

    `name`: on sheets and in recipes. `says`: what it does, in a sentence. `draws`: how many numbers
    it reads. The same numbers give the same change, in whatever process.
    """

    name: str
    says: str
    draws: int

    def apply(self, sample: S, numbers: NDArray[np.float64], strength: float) -> S:
        """Return the changed sample, whose picture, boxes, masks and points agree.

        `numbers`: (draws,), each from 0 up to 1. `strength`: 0 changes nothing, 1 is usual.
        """

    def many(
        self, pictures: Tensor, numbers: NDArray[np.float64], strength: float
    ) -> Tensor | None:
        """Return changed pictures (n, c, h, w), each by its row of `numbers` (n, draws).

        It does what `apply` does to the picture of a `Labelled`, at once. None if it cannot.
        """
