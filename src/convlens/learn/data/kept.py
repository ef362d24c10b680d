"""Keep samples in memory once they were read, for data that is slow to make and small."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlens.learn.data.samples import Samples

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
        self.sample, self.classes = whole.sample, whole.classes
        self.points, self.ids = whole.points, whole.ids
        self.fingerprint = whole.fingerprint
        self._kept: list[Any] = [None] * len(whole)

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
