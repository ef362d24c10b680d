"""Samples to train on and samples held out, and how one collection is split in two."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlens.learn.data.clips import ClipFiles
from convlens.learn.data.samples import Samples

__all__ = ["Data", "Subset", "at_rate", "split"]


@dataclass(frozen=True)
class Data:
    """Samples to train on, and samples held out from training to measure how good it is.

    `name`: what messages and reports call it, such as its path.
    """

    train: Samples
    held_out: Samples
    name: str = "data"


class Subset:
    """Some samples of a collection, by their numbers in it."""

    def __init__(self, whole: Samples, numbers: NDArray[np.intp]) -> None:
        self.whole = whole
        self.numbers = numbers
        self.sample, self.classes = whole.sample, whole.classes
        self.points, self.ids = whole.points, whole.ids

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def fingerprint(self) -> str:
        """Return the digest of the whole with the numbers of this part."""
        numbers = np.asarray(self.numbers, np.int64).tobytes()
        return hashlib.sha256(self.whole.fingerprint.encode() + numbers).hexdigest()

    def read(self, index: int) -> Any:
        """Return a sample of the part."""
        return self.whole.read(int(self.numbers[index]))

    def labels(self) -> NDArray[np.int64] | None:
        """Return the category of each sample, if known."""
        labels = self.whole.labels()
        return None if labels is None else labels[self.numbers]


def at_rate(data: Data, frames: tuple[int, float] | None) -> Data:
    """Return data whose clips have the frames of a network: how many, and how many a second.

    Clips that are no files, and samples that are no clips, stay as they are.
    """
    if frames is None:
        return data
    return replace(
        data, train=_at_rate(data.train, frames), held_out=_at_rate(data.held_out, frames)
    )


def _at_rate(samples: Samples, frames: tuple[int, float]) -> Samples:
    if isinstance(samples, Subset):
        return Subset(_at_rate(samples.whole, frames), samples.numbers)
    return samples.at(*frames) if isinstance(samples, ClipFiles) else samples


def split(whole: Samples, share: float = 0.2, seed: int = 0) -> Data:
    """Hold out a share of the samples, of each category if known, at least one of each two.

    The same seed always holds out the same ones.

    Raises ValueError for a collection of one sample, or of one in each category.

    >>> import torch
    >>> from convlens.learn.data.arrays import ArraySamples
    >>> data = split(ArraySamples(torch.zeros(10, 1, 2, 2), torch.arange(10) % 2))
    >>> len(data.train), len(data.held_out), sorted(data.held_out.labels().tolist())
    (8, 2, [0, 1])
    """
    if len(whole) < 2:
        raise ValueError(
            f"`data` (={len(whole)} sample) must have at least 2, one to train on and one to hold "
            "out; add more"
        )
    labels = whole.labels()
    kinds = np.zeros(len(whole), np.int64) if labels is None else labels
    random = np.random.RandomState(seed % 2**32)  # its numbers never change (NEP 19)
    held: list[NDArray[np.intp]] = []
    for kind in np.unique(kinds):
        members = np.flatnonzero(kinds == kind)
        count = min(max(1, round(len(members) * share)), len(members) - 1)
        held.append(random.permutation(members)[:count])
    held_out = np.sort(np.concatenate(held))
    if not len(held_out):
        raise ValueError(
            f"`data` (={len(whole)} samples) must have at least 2 of a category, one to train on "
            "and one to hold out, and has one of each; add more"
        )
    return Data(
        Subset(whole, np.setdiff1d(np.arange(len(whole)), held_out)), Subset(whole, held_out)
    )
