"""Give the made-up figures as samples of each kind of task, endless and the same for each seed."""

from __future__ import annotations

import hashlib
import operator
from dataclasses import astuple, dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from convlens.learn.data.samples import Boxed, ClipSample, Labelled, Mapped, Sample
from convlens.learn.data.shapes.dice import Dice
from convlens.learn.data.shapes.figures import FIGURES, PAIRS, POINTS
from convlens.learn.data.shapes.motions import MIRRORED, MOTIONS, clip
from convlens.learn.data.shapes.scenes import scene
from convlens.learn.data.splits import Data
from convlens.zoo.categories import BACKGROUND

__all__ = ["Shapes", "ShapesKind", "shapes_data"]

ShapesKind = Literal["classes", "boxes", "masks", "points", "maps", "clips"]
"""What is known of each sample."""

_SAMPLES: dict[str, type[Sample]] = {
    **{"classes": Labelled, "boxes": Boxed, "masks": Boxed, "points": Boxed},
    **{"maps": Mapped, "clips": ClipSample},
}

_EDITION = 1
"""Counts up when the same arguments give other pictures."""

_LEAST_SIZE = 48


@dataclass(frozen=True)
class Shapes:
    """`count` pictures or clips of figures; sample i of a seed is always the same.

    - `kind`: "classes", one figure a picture; "boxes", "masks" and "points", 1 to `most` figures
      with their boxes and, of the last two, masks or the arrow's four points; "maps", the category
      of each pixel; "clips", one figure that moves or turns.
    - `size`: pixels of a side, None for 96, or 48 of a clip. `frames` of a clip.
    - `hard`, 0 to 1: figures are turned by up to 15 to 180 degrees, have less contrast, are smaller
      and noisier.

    Categories of "classes" and "clips" take turns, so that each is as frequent. On another kind of
    CPU, whose sums round differently, a few pixels may differ by 1.

    Raises ValueError or TypeError for an argument out of its range.

    >>> samples = Shapes("boxes", seed=0, count=100)
    >>> len(samples), samples.classes[:3], tuple(samples.read(5).picture.shape)
    (100, ('disc', 'ring', 'square'), (3, 96, 96))
    """

    kind: ShapesKind
    seed: int
    count: int
    size: int | None = None
    hard: float = 0.25
    most: int = 4
    frames: int = 8

    def __post_init__(self) -> None:
        if self.kind not in _SAMPLES:
            raise ValueError(f"`kind` (={self.kind!r}) must be one of {', '.join(_SAMPLES)}")
        least = {"count": 1, "size": _LEAST_SIZE, "most": 1, "frames": 2}
        for name, smallest in least.items():
            given = getattr(self, name)
            if given is not None and operator.index(given) < smallest:
                raise ValueError(f"`{name}` (={given}) must be at least {smallest}; use more")
        if not 0 <= operator.index(self.seed) < 2**63:
            raise ValueError(f"`seed` (={self.seed}) must be 0 to 2**63 - 1; use such a number")
        if not 0 <= self.hard <= 1:
            raise ValueError(f"`hard` (={self.hard}) must be 0 to 1; 0.25 is usual")

    @property
    def sample(self) -> type[Sample]:
        """Return the type of all samples."""
        return _SAMPLES[self.kind]

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the figures or motions; a map's number 0 is the ground."""
        if self.kind == "clips":
            return MOTIONS
        return (BACKGROUND, *FIGURES) if self.kind == "maps" else FIGURES

    @property
    def points(self) -> tuple[str, ...]:
        """Return the names of the arrow's points, () if they are not asked for."""
        return POINTS if self.kind == "points" else ()

    @property
    def ids(self) -> tuple[int, ...]:
        """Return (): categories have no other numbers."""
        return ()

    @property
    def fingerprint(self) -> str:
        """Return the digest of the arguments, which settle every pixel."""
        settled = replace(self, size=self._side, hard=float(self.hard))
        return hashlib.sha256(repr(("shapes", _EDITION, *astuple(settled))).encode()).hexdigest()

    @property
    def _side(self) -> int:
        return self.size or (48 if self.kind == "clips" else 96)

    def __len__(self) -> int:
        return self.count

    def labels(self) -> NDArray[np.int64] | None:
        """Return the category of each picture or clip; None where a picture has several figures."""
        if self.kind not in ("classes", "clips"):
            return None
        return np.arange(self.count, dtype=np.int64) % len(self.classes)

    def read(self, index: int) -> Any:
        """Return a sample, painted now; it depends on `index` and the seed alone.

        Raises IndexError for an index outside 0 to `count` - 1.
        """
        if not 0 <= operator.index(index) < self.count:
            raise IndexError(f"`index` (={index}) must be 0 to {self.count - 1}; use one of these")
        dice, key = Dice(self.seed, index), str(index)
        label = index % len(self.classes)
        if self.kind == "clips":
            frames = clip(dice, label, self._side, self.hard, self.frames)
            return ClipSample(key, torch.from_numpy(frames), label, MIRRORED)
        if self.kind == "classes":
            found = scene(dice, self._side, self.hard, most=1, kind=label)
            return Labelled(key, torch.from_numpy(found.picture), label)
        found = scene(dice, self._side, self.hard, most=self.most)
        picture = torch.from_numpy(found.picture)
        if self.kind == "maps":
            return Mapped(key, picture, torch.from_numpy(found.map()))
        return Boxed(
            *(key, picture, torch.from_numpy(found.boxes()), torch.from_numpy(found.labels + 1)),
            crowd=torch.zeros(len(found.labels), dtype=torch.bool),
            area=torch.from_numpy(found.masks.sum((1, 2), dtype=np.float32)),
            masks=torch.from_numpy(found.masks) if self.kind == "masks" else None,
            points=torch.from_numpy(found.points) if self.kind == "points" else None,
            pairs=PAIRS if self.kind == "points" else None,
        )


def shapes_data(
    kind: ShapesKind,
    count: int = 8000,
    held_out: int = 1000,
    *,
    seed: int = 0,
    size: int | None = None,
    hard: float = 0.25,
) -> Data:
    """Return `count` samples to train on, and `held_out` others, which have another seed.

    Raises ValueError or TypeError as `Shapes` does.

    >>> data = shapes_data("maps", 20, 10)
    >>> len(data.train), len(data.held_out), data.train.classes[0]
    (20, 10, '__background__')
    """
    seeds = 2 * operator.index(seed), 2 * operator.index(seed) + 1
    train, other = (
        Shapes(kind, own, number, size, hard)
        for own, number in zip(seeds, (count, held_out), strict=True)
    )
    return Data(train, other)
