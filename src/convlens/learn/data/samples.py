"""Define the samples a network learns from, one type a kind of label, and a collection of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["NOT_LABELLED", "Boxed", "ClipSample", "Labelled", "Mapped", "Sample", "Samples"]

NOT_LABELLED = 255
"""The number in a map of pixels that have no label."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """A picture of one category.

    `key` names the sample in messages and reports: its path below the data, or its number.
    `picture`: uint8 (c, h, w), c of 1 or 3. `label`: the number of its category, from 0.
    """

    key: str
    picture: Tensor
    label: int


@dataclass(frozen=True, eq=False)
class Boxed:
    """A picture with the boxes, and perhaps masks and points, of the m figures in it.

    `boxes`: float32 (m, 4), left, top, right and bottom in pixels; the picture's edges are 0, 0, w
    and h. `labels`: int64 (m,), from 1, as 0 is the background: label k is `classes[k - 1]`.
    `crowd`: bool (m,), boxes of a group, which teach nothing and are ignored in measures. `area`:
    float32 (m,), in square pixels, by which measures tell small from large. `masks`: bool
    (m, h, w). `points`: float32 (m, k, 3), x, y and visibility: 0 not labelled, 1 hidden, 2 seen.
    `pairs`: the points that change places in a mirror; None if the data does not say.
    """

    key: str
    picture: Tensor
    boxes: Tensor
    labels: Tensor
    crowd: Tensor
    area: Tensor
    masks: Tensor | None = None
    points: Tensor | None = None
    pairs: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True, eq=False)
class Mapped:
    """A picture and the category of each pixel, `map` uint8 (h, w); `NOT_LABELLED` has none."""

    key: str
    picture: Tensor
    map: Tensor


@dataclass(frozen=True, eq=False)
class ClipSample:
    """Frames uint8 (t, c, h, w) of one category.

    `pairs`: the categories that change places in a mirror, such as left and right; None if the data
    does not say.
    """

    key: str
    frames: Tensor
    label: int
    pairs: tuple[tuple[int, int], ...] | None = None


Sample = Labelled | Boxed | Mapped | ClipSample


class Samples(Protocol):
    """A collection of samples of one type; reading one changes nothing, so that workers can share.

    `fingerprint`: a digest of what is in it (names, labels, sizes), by which a resumed run knows
    the same data.
    """

    @property
    def sample(self) -> type[Sample]:
        """Return the type of all samples."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the categories."""

    @property
    def points(self) -> tuple[str, ...]:
        """Return the names of the points of a figure, () without."""

    @property
    def ids(self) -> tuple[int, ...]:
        """Return the numbers that the data's own files give the categories, () for 0, 1, 2."""

    @property
    def fingerprint(self) -> str:
        """Return the digest; see above."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def read(self, index: int) -> Any:
        """Return a sample; raise ValueError or OSError, with its name, if it cannot be read."""

    def labels(self) -> NDArray[np.int64] | None:
        """Return the category of each sample, if that is known without reading them."""
