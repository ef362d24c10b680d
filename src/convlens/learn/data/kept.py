"""Keep samples in memory once they were read, for data that is slow to make and small."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlens.learn.data.samples import Sample, Samples

__all__ = ["KeptSamples"]


class KeptSamples:
    """The samples of another collection, each read once.

    >>> import torch
    >>> from convlens.learn.data.arrays import ArraySamples
    >>> samples = KeptSamples(ArraySamples(torch.zeros(2, 1, 4, 4), torch.arange(2)))
    >>> samples.read(1) is samples.read(1)
    True
    """

    def __init__(self, whole: Samples) -> None:
        self.whole = whole
        self._kept: list[Any] = [None] * len(whole)

    @property
    def sample(self) -> type[Sample]:
        """Return the type of all samples."""
        return self.whole.sample

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the categories."""
        return self.whole.classes

    @property
    def points(self) -> tuple[str, ...]:
        """Return the names of the points of a figure."""
        return self.whole.points

    @property
    def ids(self) -> tuple[int, ...]:
        """Return the numbers of the categories in the data's files."""
        return self.whole.ids

    @property
    def fingerprint(self) -> str:
        """Return the digest of the collection."""
        return self.whole.fingerprint

    def __len__(self) -> int:
        return len(self.whole)

    def read(self, index: int) -> Any:
        """Return a sample, the same object each time."""
        if self._kept[index] is None:
            self._kept[index] = self.whole.read(index)
        return self._kept[index]

    def labels(self) -> NDArray[np.int64] | None:
        """Return the category of each sample, if known."""
        return self.whole.labels()
