"""Semantic segmentation: the category of each pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from convlens.learn.augmenting.colouring import Colour
from convlens.learn.augmenting.cutting import Crop
from convlens.learn.augmenting.flipping import Mirror
from convlens.learn.data.samples import NOT_LABELLED, Mapped
from convlens.learn.measuring.measure import Judgement
from convlens.learn.measuring.overlap import MapOverlap
from convlens.learn.preparing import Preparation
from convlens.learn.recipe import Recipe
from convlens.learn.tasks.fitting import fitted, fitted_map
from convlens.learn.tasks.scores import CrossEntropy, cross_entropy
from convlens.learn.tasks.task import Batch, Counts, Task

__all__ = ["SEGMENTATION"]

AUXILIARY = 0.5
"""The share of an auxiliary head's loss, as in torchvision's reference training."""


def fit(sample: Mapped, preparation: Preparation | None, training: bool) -> Mapped:
    """Return a picture and its map at the size of the input.

    A network that takes any sizes learns from squares, so that pictures make a batch.
    """
    if training and preparation is not None and preparation.crop is False:
        preparation = replace(preparation, crop=preparation.size is not None, stretch=False)
    picture = fitted(sample.picture, preparation)
    return replace(sample, picture=picture, map=fitted_map(sample.map, preparation))


def collate(samples: Sequence[Mapped]) -> Batch:
    """Return pictures and maps as tensors, or as lists if their sizes differ."""
    pictures, maps = [one.picture for one in samples], [one.map for one in samples]
    keys = tuple(one.key for one in samples)
    if len({one.shape for one in pictures}) > 1:
        return Batch(pictures, maps, keys)
    stacked = torch.stack(pictures).contiguous(memory_format=torch.channels_last)
    return Batch(stacked, torch.stack(maps), keys)


def objective(recipe: Recipe, counts: Counts) -> CrossEntropy:
    """Return the cross-entropy of the scores of every labelled pixel."""
    return cross_entropy(scores_of, recipe, counts, ignored=NOT_LABELLED)


def scores_of(output: Any) -> list[tuple[Tensor, float]]:
    """Return the maps of scores that a network gives; auxiliary ones count for less."""
    found = output if isinstance(output, Mapping) else {"out": output}
    maps = [(found[name], 1.0 if name == "out" else AUXILIARY) for name in found]
    if "out" not in found or any(not isinstance(m, Tensor) or m.ndim != 4 for m, _ in maps):
        raise ValueError(
            "`network` must give maps of scores (n, categories, h, w) for semantic segmentation, "
            'alone or as "out" of a dictionary; change its last layer'
        )
    return maps


def answer(network: nn.Module, inputs: Tensor | list[Tensor]) -> Any:
    """Return the network's maps of scores; of pictures of other sizes, one at a time."""
    if isinstance(inputs, list):
        return [network(one[None]) for one in inputs]
    return network(inputs)


def answered(sample: Mapped, output: Any) -> Mapped:
    """Return the sample with the category that scores highest at each pixel."""
    (scores, _), *_ = scores_of(output[0] if isinstance(output, list) else output)
    return replace(sample, map=scores[0].argmax(0).cpu().to(torch.uint8))


class MapsOverlap(MapOverlap):
    """The overlap of maps, which may have a size each."""

    def add(self, outputs: Any, targets: Any, keys: tuple[str, ...]) -> list[Judgement]:
        """Count the answers to a batch, or to a list of pictures."""
        if not isinstance(outputs, list):
            return super().add(outputs, targets, keys)
        each = zip(outputs, targets, keys, strict=True)
        return [judged for one, map, key in each for judged in super().add(one, map[None], (key,))]


def recipe(counts: Counts) -> Recipe:
    """Return AdamW with batches of 32."""
    return Recipe(
        epochs=40,
        batch=min(32, max(2, counts.samples // 4)),
        rate=3e-3 if counts.samples > 1000 else 1e-3,
    )


SEGMENTATION = Task(
    name="semantic segmentation",
    sample=Mapped,
    wants="",
    shapes="maps",
    outputs=lambda classes: classes,
    fit=fit,
    collate=collate,
    objective=objective,
    answer=answer,
    measure=lambda classes, points: MapsOverlap(classes),
    recipe=recipe,
    augmentations=(Crop(area=0.5), Mirror(), Colour()),
    answered=answered,
)
