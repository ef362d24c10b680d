"""Say which samples each step of a training sees, from its number alone.

The whole position of a training is one integer, the step. A resumed run, another rank and another
number of workers therefore agree on every sample without having met.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlens.learn.augmenting.numbers import permutation

__all__ = ["BatchPlace", "Places"]

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class BatchPlace:
    """The samples of one part of a step: their numbers in the data, and the pass over it.

    `epoch` is None for samples that are measured, which no augmentation may change.
    """

    step: int
    epoch: int | None
    indices: Indices


@dataclass(frozen=True)
class Places:
    """The places of `steps` steps over `samples` samples, `batch` of them in each step.

    Each epoch passes over the samples in its own order. What a last, smaller batch would have is
    left out, other samples in each epoch. A step is computed in `parts`; of `ranks` processes,
    `rank` computes every `ranks`-th sample of it.

    >>> places = Places(seed=0, samples=10, batch=4, steps=4)
    >>> [(place.step, place.epoch, len(place.indices)) for place in places.begun_at(1)]
    [(1, 0, 4), (2, 1, 4), (3, 1, 4)]
    >>> after, before = next(places.begun_at(3)), list(places.begun_at(0))[3]
    >>> after.indices.tolist() == before.indices.tolist()
    True
    """

    seed: int
    samples: int
    batch: int
    steps: int
    parts: int = 1
    rank: int = 0
    ranks: int = 1

    def per_epoch(self) -> int:
        """Return the number of steps in an epoch."""
        return self.samples // self.batch

    def begun_at(self, step: int) -> Iterator[BatchPlace]:
        """Yield the parts of every step from `step` on."""
        order, seen = np.zeros(0, np.intp), -1
        for number in range(step, self.steps):
            epoch, at = divmod(number, self.per_epoch())
            if epoch != seen:
                order, seen = permutation(self.seed, epoch, self.samples), epoch
            mine = order[at * self.batch : (at + 1) * self.batch][self.rank :: self.ranks]
            for part in range(self.parts):
                yield BatchPlace(number, epoch, mine[part :: self.parts])
