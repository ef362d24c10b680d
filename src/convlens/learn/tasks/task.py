"""Define what a task is: everything that training, measuring and drawing must know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from convlens.learn.augmenting.augmentation import Augmentation
from convlens.learn.data.samples import Sample, Samples
from convlens.learn.data.shapes.shapes import ShapesKind
from convlens.learn.measuring.measure import Measure
from convlens.learn.preparing import Preparation
from convlens.learn.recipe import Recipe

__all__ = ["Batch", "Counts", "Forward", "Objective", "Task"]

Forward = Callable[..., Any]
"""A network in training, or its compiled form."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples ready for a network.

    `inputs`: pictures uint8 or float32 (n, c, h, w) or clips (n, c, t, h, w), channels last; a list
    of pictures (c, h, w) for networks that take any sizes. uint8 becomes float on the device, by
    the preparation's mean and deviation. `targets`: what the task's loss and measure compare with.
    `keys`: the samples' own.
    """

    inputs: Tensor | list[Tensor]
    targets: Any
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Counts:
    """How much data there is: `samples` to train on, `per_class` of each class if known."""

    samples: int
    classes: int
    per_class: NDArray[np.int64] | None = None

    @staticmethod
    def of(samples: Samples) -> Counts:
        """Return how much there is in a collection."""
        labels, classes = samples.labels(), len(samples.classes)
        each = None if labels is None else np.bincount(labels, minlength=classes)
        return Counts(len(samples), classes, each)


class Objective(Protocol):
    """The losses of a task; the optimizer goes down the sum of each divided by its whole weight.

    Weights are known before the network runs. So a mean is exact over accumulated parts of a batch
    and over ranks.
    """

    def weights(self, targets: Any) -> Mapping[str, float]:
        """Return the weight of each loss in a batch, by name."""

    def losses(self, network: Forward, inputs: Any, targets: Any) -> Mapping[str, Tensor]:
        """Return each loss by name, a scalar: the sum over the batch of its weighted terms."""


@dataclass(frozen=True)
class Task:
    """One kind of question that a network learns to answer.

    - `name`: as the zoo's networks give it. `sample`: the type of sample it learns from; `wants`:
      what such a sample must have besides ("masks", "points"), or "".
    - `outputs`: of how many outputs for a number of categories; a detector adds the background.
    - `fit(sample, preparation, training)`: the sample at the size of the network's input.
    - `collate(samples)`: fitted samples as one `Batch`.
    - `objective(recipe, counts)`: what the optimizer goes down.
    - `answer(network, inputs)`: what the measure takes, in evaluation mode.
    - `answered(sample, output)`: a fitted sample with the network's labels instead of the true
      ones, to be drawn, by the answer to it alone; None where a label is a word.
    - `measure(classes, points)`: a new, empty measure.
    - `recipe(counts)`: defaults for so much data. `augmentations`: those of training, in order.
    """

    name: str
    sample: type[Sample]
    wants: str
    shapes: ShapesKind
    outputs: Callable[[int], int]
    fit: Callable[[Any, Preparation | None, bool], Any]
    collate: Callable[[Sequence[Any]], Batch]
    objective: Callable[[Recipe, Counts], Objective]
    answer: Callable[[nn.Module, Any], Any]
    measure: Callable[[tuple[str, ...], tuple[str, ...]], Measure]
    recipe: Callable[[Counts], Recipe]
    augmentations: tuple[Augmentation, ...]
    answered: Callable[[Any, Any], Any] | None = None
