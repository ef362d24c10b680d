"""Classification: which category a picture shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.learn.data.samples import Labelled
from convlens.learn.measuring.accuracy import ClassAccuracy
from convlens.learn.preparing import Preparation
from convlens.learn.recipe import Recipe
from convlens.learn.sources.pictures.picture import Picture
from convlens.learn.tasks.scores import CrossEntropy, cross_entropy
from convlens.learn.tasks.task import Batch, Counts, Task

__all__ = ["CLASSIFICATION"]


def fit(sample: Labelled, preparation: Preparation | None, training: bool) -> Labelled:
    """Return a picture at the size of the input, scaled and cut as for a prediction."""
    if preparation is None or sample.picture.dtype != torch.uint8:
        return sample
    pixels = np.ascontiguousarray(sample.picture.movedim(0, -1).numpy())
    shown = preparation.shown(Picture(pixels.repeat(3, axis=2) if pixels.shape[2] == 1 else pixels))
    picture = torch.from_numpy(shown).movedim(-1, 0)
    return replace(sample, picture=picture[:1] if preparation.channels == 1 else picture)


def collate(samples: Sequence[Labelled]) -> Batch:
    """Return pictures of one size as one tensor, channels last."""
    pictures = torch.stack([sample.picture for sample in samples])
    if pictures.ndim == 4:
        pictures = pictures.contiguous(memory_format=torch.channels_last)
    labels = torch.tensor([sample.label for sample in samples])
    return Batch(pictures, labels, tuple(sample.key for sample in samples))


def objective(recipe: Recipe, counts: Counts) -> CrossEntropy:
    """Return the cross-entropy of the scores."""
    return cross_entropy(scores_of, recipe, counts)


def scores_of(output: Any) -> list[tuple[Tensor, float]]:
    """Return the scores that a classifier gives."""
    if not isinstance(output, Tensor) or output.ndim != 2:
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(
            f"`network` must give scores (n, categories) for classification, and gives {shape}; "
            "change its last layer"
        )
    return [(output, 1.0)]


def recipe(counts: Counts, effort: float) -> Recipe:
    """Return AdamW with smoothed labels; a small data set is passed more often."""
    epochs = 100 if counts.samples < 500 else 30
    return Recipe(
        epochs=max(1, round(epochs * effort)),
        batch=min(64, max(1, counts.samples // 4)),
        smooth=0.05,
    )


CLASSIFICATION = Task(
    name="classification",
    sample=Labelled,
    wants="",
    best="accuracy",
    outputs=lambda classes: classes,
    fit=fit,
    collate=collate,
    objective=objective,
    measure=lambda classes, points: ClassAccuracy(classes),
    recipe=recipe,
    augmentations=(),
)
