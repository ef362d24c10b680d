"""Find the data that a training is asked for: a path, or the name of data made or shipped here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from convlens.files import expanded
from convlens.learn.data.finding import find_data
from convlens.learn.data.kept import KeptSamples
from convlens.learn.data.samples import Samples
from convlens.learn.data.shapes.shapes import shapes_data
from convlens.learn.data.splits import Data, split
from convlens.learn.data.wrapped import TorchSamples
from convlens.learn.tasks.task import Task
from convlens.learn.training.digits import digits_data

__all__ = ["NAMED", "data_for"]


FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts its files."""


def _shapes(task: Task | None) -> Data:
    """Return made-up figures for a task; each is painted once, which takes 3 ms."""
    found = shapes_data("classes" if task is None else task.shapes)
    return Data(KeptSamples(found.train), KeptSamples(found.held_out), "shapes")


def _fashion() -> Data:
    """Return Fashion-MNIST where Debian's package puts it; raise ValueError if it is not there."""
    if not FASHION.is_dir():
        raise ValueError(
            f"`data` (='fashion-mnist') must be in {FASHION}, where Debian's package "
            "dataset-fashion-mnist puts it; install that, or give the folder of its four .gz files"
        )
    found = find_data(FASHION)
    return Data(found.train, found.held_out, "fashion-mnist")


NAMED: dict[str, Callable[[Task | None], Data]] = {
    "digits": lambda task: digits_data(),
    "shapes": _shapes,
    "fashion-mnist": lambda task: _fashion(),
}
"""Data that needs no file, by name."""


def data_for(data: Any, task: Task | None, seed: int = 0) -> Data:
    """Return data as it is, or find what a path or a name stands for; see `find_data`.

    A collection of samples, such as `ArraySamples`, or a data set of torch (see `TorchSamples`) is
    split by the seed; transforms of the data set then also change what is held out. A tuple of two
    has one to train on and one that is held out.

    Raises ValueError or TypeError for anything else.

    >>> len(data_for("digits", None).train)
    1438
    """
    if isinstance(data, Data):
        return data
    if isinstance(data, tuple) and len(data) == 2:
        return _both(_samples(data[0]), _samples(data[1]))
    if isinstance(data, Dataset) or hasattr(data, "fingerprint"):
        return split(_samples(data), seed=seed)
    if not isinstance(data, str | Path):
        raise TypeError(
            f"`data` (={type(data).__name__}) must be a path, a convlens.Data, a collection of "
            "samples, a data set of torch, or a tuple of two; wrap other items in "
            "convlens.learn.data.wrapped.TorchSamples"
        )
    if isinstance(data, str) and data in NAMED and not expanded(data).exists():
        return NAMED[data](task)
    found = find_data(data, seed=seed, kind=None if task is None else task.name)
    return Data(found.train, found.held_out, str(data))


def _samples(data: Any) -> Samples:
    """Return a collection of samples as it is, and a data set of torch as one."""
    samples: Samples = data if hasattr(data, "fingerprint") else TorchSamples(data)
    return samples


def _both(train: Samples, held_out: Samples) -> Data:
    """Return samples to train on and samples held out; their categories must be the same."""
    ours, theirs = tuple(train.classes), tuple(held_out.classes)
    if ours != theirs:
        raise ValueError(
            f"`data` must have the same categories twice, and has {', '.join(ours[:5])} to train "
            f"on and {', '.join(theirs[:5])} held out; give both the same `classes`"
        )
    return Data(train, held_out)
