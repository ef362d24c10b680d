"""Video classification: which category a clip shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from convlens.learn.augmenting.colouring import Colour
from convlens.learn.augmenting.cutting import Crop
from convlens.learn.augmenting.flipping import Mirror
from convlens.learn.data.samples import ClipSample
from convlens.learn.measuring.accuracy import ClassAccuracy
from convlens.learn.preparing import Preparation
from convlens.learn.recipe import Recipe
from convlens.learn.tasks.classification import objective
from convlens.learn.tasks.fitting import fitted
from convlens.learn.tasks.task import Batch, Counts, Task

__all__ = ["CLIPS"]


def fit(sample: ClipSample, preparation: Preparation | None, training: bool) -> ClipSample:
    """Return a clip whose frames have the size of the input."""
    frames = torch.stack([fitted(frame, preparation) for frame in sample.frames])
    return replace(sample, frames=frames)


def collate(samples: Sequence[ClipSample]) -> Batch:
    """Return clips of one size as one tensor (n, c, t, h, w), channels last."""
    lengths = sorted({len(sample.frames) for sample in samples})
    if len(lengths) > 1:
        raise ValueError(
            f"`data` must have clips of one number of frames, and has {lengths}; read them with "
            "the same number"
        )
    clips = torch.stack([sample.frames.transpose(0, 1) for sample in samples])
    labels = torch.tensor([sample.label for sample in samples])
    clips = clips.contiguous(memory_format=torch.channels_last_3d)
    return Batch(clips, labels, tuple(sample.key for sample in samples))


def recipe(counts: Counts) -> Recipe:
    """Return AdamW with batches of 32."""
    return Recipe(
        epochs=30,
        batch=min(32, max(2, counts.samples // 4)),
        rate=2e-3 if counts.samples > 1000 else 1e-3,
    )


CLIPS = Task(
    name="video classification",
    sample=ClipSample,
    wants="",
    shapes="clips",
    outputs=lambda classes: classes,
    fit=fit,
    collate=collate,
    objective=objective,
    answer=lambda network, inputs: network(inputs),
    measure=lambda classes, points: ClassAccuracy(classes),
    recipe=recipe,
    augmentations=(Crop(area=0.5), Mirror(), Colour()),
)
