"""Classification: which category a picture shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from convlens.learn.augmenting.colouring import Colour
from convlens.learn.augmenting.cutting import Crop
from convlens.learn.augmenting.flipping import Mirror
from convlens.learn.data.samples import Labelled
from convlens.learn.measuring.accuracy import ClassAccuracy
from convlens.learn.preparing import Preparation
from convlens.learn.recipe import Recipe
from convlens.learn.tasks.fitting import fitted
from convlens.learn.tasks.scores import CrossEntropy, cross_entropy
from convlens.learn.tasks.task import Batch, Counts, Task

__all__ = ["CLASSIFICATION"]


def fit(sample: Labelled, preparation: Preparation | None, training: bool) -> Labelled:
    """Return a picture at the size of the input, scaled and cut as for a prediction."""
    return replace(sample, picture=fitted(sample.picture, preparation))


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


def recipe(counts: Counts) -> Recipe:
    """Return AdamW with smoothed labels; a small data set is passed more often."""
    epochs = 100 if counts.samples < 500 else 30
    return Recipe(
        epochs=epochs,
        batch=min(64, max(2, counts.samples // 4)),
        smooth=0.05,
    )


CLASSIFICATION = Task(
    name="classification",
    sample=Labelled,
    wants="",
    shapes="classes",
    outputs=lambda classes: classes,
    fit=fit,
    collate=collate,
    objective=objective,
    answer=lambda network, inputs: network(inputs),
    measure=lambda classes, points: ClassAccuracy(classes),
    recipe=recipe,
    augmentations=(Crop(area=0.5), Mirror(), Colour()),
)
