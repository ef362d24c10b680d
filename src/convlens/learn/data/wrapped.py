"""Take a data set of torch, whose items are pairs of a picture and a label, as samples."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from convlens.learn.data.packed import digest_of
from convlens.learn.data.samples import Labelled, Samples
from convlens.learn.data.splits import Subset
from convlens.learn.sources.pictures.decoding import picture_of

__all__ = ["TorchSamples", "draws_globally", "read_seeded"]


class TorchSamples:
    """The pairs of a data set of torch, or of any object with a length and places.

    Its pictures are PIL images, tensors (c, h, w), uint8 or floats from 0 to 1, or arrays (h, w)
    and (h, w, c) of uint8. `classes`: the names of the classes, by default those of its attribute
    `classes`. The classes of all samples are known if it has `targets`.

    A data set's own transforms draw from the generators of `random`, numpy and torch. These are
    seeded before each item is read, and have their own states again afterwards.

    Raises ValueError for a data set without length or classes, and for labels that are no class.

    >>> pairs = [(torch.zeros(3, 8, 8, dtype=torch.uint8), 1)] * 4
    >>> samples = TorchSamples(pairs, ("cat", "dog"))
    >>> len(samples), samples.read(2).label
    (4, 1)
    """

    sample = Labelled
    points: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()

    def __init__(self, pairs: Any, classes: tuple[str, ...] = ()) -> None:
        if not hasattr(pairs, "__len__") or not hasattr(pairs, "__getitem__") or not len(pairs):
            raise ValueError(
                f"`data` (of type {type(pairs).__name__}) must have a length of at least 1 and "
                "give items by their place; wrap a stream in a list"
            )
        self.pairs = pairs
        self.classes = tuple(map(str, classes or getattr(pairs, "classes", ())))
        if not self.classes:
            raise ValueError(
                f"`data` (of type {type(pairs).__name__}) must have `classes`; name them, as in "
                'TorchSamples(data, ("cat", "dog"))'
            )
        labels = self.labels()
        if labels is not None and not 0 <= labels.min() <= labels.max() < len(self.classes):
            raise ValueError(
                f"`targets` (from {labels.min()} to {labels.max()}) must be from 0 to "
                f"{len(self.classes) - 1}, one for each class; name all classes"
            )

    def __len__(self) -> int:
        return len(self.pairs)

    def labels(self) -> NDArray[np.int64] | None:
        """Return the category of each sample, if the data set has `targets`."""
        targets = getattr(self.pairs, "targets", None)
        if targets is None or len(targets) != len(self.pairs):
            return None
        labels = np.asarray(targets)
        return labels.astype(np.int64) if labels.ndim == 1 and labels.dtype.kind in "iu" else None

    @cached_property
    def fingerprint(self) -> str:
        """Return the digest of the type, length, classes and labels; pictures are not read."""
        labels = self.labels()
        known = "unknown" if labels is None else labels
        return digest_of(type(self.pairs).__name__, len(self), self.classes, known)

    def read(self, index: int, seed: int | None = None) -> Labelled:
        """Return a sample; its key is its number. `seed`: of its transforms, by default its number.

        Raises ValueError for an item that is no picture with the number of a class.
        """
        with _seeded(index if seed is None else seed):
            item = self.pairs[index]
        called = f"`data` (item {index})"
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise ValueError(
                f"{called} must be a picture and a label, and is {type(item).__name__}; return "
                "both from __getitem__"
            )
        picture, label = item
        number = (
            label.item() if isinstance(label, Tensor | np.generic) and label.ndim == 0 else label
        )
        if isinstance(number, bool) or not isinstance(number, int):
            raise ValueError(
                f"{called} must have a whole number as label, and has {type(label).__name__}; "
                "return the number of its class"
            )
        if not 0 <= number < len(self.classes):
            raise ValueError(
                f"{called} must have a label from 0 to {len(self.classes) - 1}, and has {number}; "
                "correct it, or name the class"
            )
        return Labelled(str(index), _pixels_of(picture, called), number)


def read_seeded(samples: Samples, index: int, seed: int) -> Any:
    """Return a sample; if a data set of torch has it, its transforms draw from this seed.

    >>> pairs = [(torch.zeros(1, 2, 2), 0)]
    >>> read_seeded(TorchSamples(pairs, ("a",)), 0, seed=7).label
    0
    """
    if isinstance(samples, Subset):
        return read_seeded(samples.whole, int(samples.numbers[index]), seed)
    if isinstance(samples, TorchSamples):
        return samples.read(index, seed)
    return samples.read(index)


def draws_globally(samples: Samples) -> bool:
    """Return whether reading a sample sets the global generators for a while.

    >>> draws_globally(TorchSamples([(torch.zeros(1, 2, 2), 0)], ("a",)))
    True
    """
    whole = samples.whole if isinstance(samples, Subset) else samples
    return isinstance(whole, TorchSamples)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the generators that a transform may draw from, and put their states back."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.default_generator.manual_seed(seed)  # a sample is read on the CPU
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


def _pixels_of(picture: object, called: str) -> Tensor:
    """Return the pixels of a picture, uint8 (c, h, w)."""
    if isinstance(picture, Image.Image):
        pixels = torch.from_numpy(picture_of(picture, "", called).pixels.copy())
        return pixels.permute(2, 0, 1)
    if isinstance(picture, np.ndarray):
        array = picture[:, :, None] if picture.ndim == 2 else picture
        picture = torch.from_numpy(np.ascontiguousarray(array)) if array.ndim == 3 else array
        picture = picture.permute(2, 0, 1) if isinstance(picture, Tensor) else picture
    if not isinstance(picture, Tensor) or picture.ndim != 3 or picture.shape[0] not in (1, 3):
        shape = f" {tuple(picture.shape)}" if hasattr(picture, "shape") else ""
        raise ValueError(
            f"{called} must be a PIL image, a tensor (c, h, w) or an array (h, w, c) with 1 or 3 "
            f"channels, and is {type(picture).__name__}{shape}; convert it"
        )
    if picture.is_floating_point():
        # Also refuses NaN, of which no comparison holds.
        if not bool((picture >= 0).all() and (picture <= 1).all()):
            raise ValueError(
                f"{called} must have floats from 0 to 1, and has others; leave out what normalises "
                "it, as the network's preparation does that"
            )
        return (picture * 255).round().to(torch.uint8)
    if picture.dtype != torch.uint8:
        raise ValueError(f"{called} must be uint8 or floats, and is {picture.dtype}; convert it")
    return picture
