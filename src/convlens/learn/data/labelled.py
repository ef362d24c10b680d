"""Samples that are files of one category each: pictures, or clips in `clips`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlens.learn.data.files import read_pixels, sizes_of
from convlens.learn.data.packed import Texts, digest_of
from convlens.learn.data.samples import Labelled

__all__ = ["FileSamples", "PictureSamples", "counted"]


class FileSamples:
    """Files below a folder, `names` relative to it, and the number of the category of each.

    `warnings`: sentences about what the data lacks.
    """

    points: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()

    def __init__(
        self,
        root: Path,
        names: Texts,
        labels: NDArray[np.int64],
        classes: tuple[str, ...],
        warnings: Sequence[str] = (),
    ) -> None:
        self.root, self.names, self.classes = root, names, classes
        self.warnings = tuple(warnings)
        self._labels = labels

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> Path:
        """Return the file of a sample."""
        return self.root / self.names[index]

    def labels(self) -> NDArray[np.int64]:
        """Return the category of each sample."""
        return self._labels

    @cached_property
    def fingerprint(self) -> str:
        """Return the digest of names, categories and sizes of files; their content is not read."""
        sizes = sizes_of(self.path(index) for index in range(len(self)))
        return digest_of(self.names, self._labels, self.classes, sizes)


class PictureSamples(FileSamples):
    """Pictures of one category each.

    >>> from convlens.zoo.weights import DATA
    >>> samples = PictureSamples(DATA, Texts(["cat.jpg"]), np.array([0]), ("cat",))
    >>> samples.read(0).key, tuple(samples.read(0).picture.shape)
    ('cat.jpg', (3, 300, 451))
    """

    sample = Labelled

    def read(self, index: int) -> Labelled:
        """Return a sample; its key is its path below the folder."""
        key = self.names[index]
        return Labelled(key, read_pixels(self.root / key, key), int(self._labels[index]))


def counted(labels: NDArray[np.int64], classes: Sequence[str]) -> NDArray[np.int64]:
    """Return how many samples each category has.

    >>> counted(np.array([0, 2, 2]), ("a", "b", "c"))
    array([1, 0, 2])
    """
    return np.bincount(labels, minlength=len(classes)).astype(np.int64)
