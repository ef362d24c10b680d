"""Samples that lie in memory as two arrays, and are cut a batch at a time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlens.learn.data.samples import Labelled

__all__ = ["ArraySamples"]


@dataclass(frozen=True, eq=False)
class ArraySamples:
    """Inputs (n, c, *space), uint8 or float, and the number of the category of each, int64 (n,).

    uint8 inputs are pictures, and become a network's input as every picture does; floats go in as
    they are. `classes`: names of the categories, by default their numbers.

    Raises TypeError or ValueError if the two do not belong together.

    >>> samples = ArraySamples(torch.zeros(3, 1, 8, 8), torch.tensor([0, 2, 1]))
    >>> len(samples), samples.classes
    (3, ('0', '1', '2'))
    """

    inputs: Tensor
    targets: Tensor
    classes: tuple[str, ...] = ()

    sample = Labelled
    points = ()
    ids = ()

    def __post_init__(self) -> None:
        labels = self.targets
        if labels.dtype != torch.int64 or labels.ndim != 1:
            raise ValueError(
                f"`targets` (={tuple(labels.shape)}, {labels.dtype}) must be one int64 number for "
                "each input, shape (n,); convert with .long().flatten()"
            )
        if len(self.inputs) != len(labels) or len(labels) == 0:
            raise ValueError(
                f"`targets` (={len(labels)}) must be as many as the {len(self.inputs)} inputs and "
                "at least 1; give each input one category"
            )
        if int(labels.min()) < 0:
            raise ValueError(
                f"`targets` (from {int(labels.min())}) must count categories from 0; "
                "number them 0, 1, 2"
            )
        most = int(labels.max())
        if self.classes and most >= len(self.classes):
            raise ValueError(
                f"`targets` (up to {most}) must be below the number of `classes` "
                f"(={len(self.classes)}); name every category"
            )
        if not self.classes:
            object.__setattr__(self, "classes", tuple(str(k) for k in range(most + 1)))

    def __len__(self) -> int:
        return len(self.targets)

    def read(self, index: int) -> Labelled:
        """Return a sample; its key is its number."""
        return Labelled(str(index), self.inputs[index], int(self.targets[index]))

    def labels(self) -> NDArray[np.int64]:
        """Return the category of each sample."""
        numbers: NDArray[np.int64] = self.targets.numpy()
        return numbers

    @property
    def fingerprint(self) -> str:
        """Return a digest of all inputs and categories."""
        digest = hashlib.sha256()
        for part in (self.inputs, self.targets):
            digest.update(f"{part.dtype} {tuple(part.shape)}".encode())
            digest.update(part.contiguous().numpy().tobytes())
        digest.update("\n".join(self.classes).encode())
        return digest.hexdigest()
