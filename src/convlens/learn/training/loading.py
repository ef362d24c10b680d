"""Read the samples of each step, change them by their own random numbers, and make batches."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from convlens.learn.augmenting.applying import AUGMENTATIONS, augment_many, check_names
from convlens.learn.augmenting.augmentation import Augmentation
from convlens.learn.augmenting.numbers import mix
from convlens.learn.data.arrays import ArraySamples
from convlens.learn.data.samples import Samples
from convlens.learn.data.wrapped import draws_globally, read_seeded
from convlens.learn.preparing import Preparation
from convlens.learn.recipe import Recipe
from convlens.learn.sources.prefetching import prefetched
from convlens.learn.tasks.task import Batch, Task
from convlens.learn.training.places import BatchPlace, Places
from convlens.learn.training.varying import Variation
from convlens.learn.training.worker_processes import AHEAD, named_deaths, shared_memory_lacks

__all__ = ["SampleReader", "to_network"]

Placed = tuple[BatchPlace, Batch]


@dataclass(frozen=True, eq=False)
class SampleReader:
    """How samples become batches: `samples` of a `task`, prepared as the network needs them.

    It holds nothing that changes, so that worker processes can share it.
    """

    samples: Samples
    task: Task
    preparation: Preparation | None
    recipe: Recipe

    def training(self, places: Places, start: int) -> Iterator[Placed]:
        """Yield every part of the steps from `start` on, varied in each epoch."""
        return self._read(places.begun_at(start))

    def held_out(self, size: int) -> Iterator[Batch]:
        """Yield all samples in order, unchanged, at most `size` in a batch."""
        numbers = np.arange(len(self.samples))
        parts = (numbers[at : at + size] for at in range(0, len(numbers), size))
        return (batch for _, batch in self._read(BatchPlace(0, None, part) for part in parts))

    def _read(self, places: Iterator[BatchPlace]) -> Iterator[Placed]:
        if self.recipe.workers == 0 or self._in_memory is not None:
            return map(self._placed, places)
        if self._has_memory:
            return self._from_workers(places)
        if draws_globally(self.samples):  # a thread would share its generators with the training
            return map(self._placed, places)
        return prefetched(places, self._placed, ahead=AHEAD, workers=1)

    @cached_property
    def _has_memory(self) -> bool:
        """Return whether workers can hand over their batches; warn once if they cannot."""
        one, recipe = self.batch(np.arange(1), None), self.recipe
        lacks = shared_memory_lacks(one, recipe.batch, recipe.workers)
        if lacks is not None:
            warnings.warn(lacks, UserWarning, stacklevel=2)
        return lacks is None

    def _placed(self, place: BatchPlace) -> Placed:
        return place, self.batch(place.indices, place.epoch)

    def _from_workers(self, places: Iterator[BatchPlace]) -> Iterator[Placed]:
        """Yield what worker processes read; an error of theirs is raised here as it was there."""
        # Without a generator of its own, making the iterator would draw from torch's global one.
        loader = DataLoader(
            _Placed(self),
            batch_size=None,
            sampler=places,
            num_workers=self.recipe.workers,
            prefetch_factor=AHEAD,
            generator=torch.Generator(),
            multiprocessing_context="fork",
        )
        with named_deaths(self.recipe.workers):
            for found in loader:
                if isinstance(found, Exception):
                    raise found
                yield found

    def batch(self, indices: NDArray[np.intp], epoch: int | None) -> Batch:
        """Return the samples of these numbers as a batch, varied for an epoch, None for never."""
        whole = self._in_memory
        if whole is not None:
            return self._cut(whole, indices, epoch)
        return self.task.collate([self._one(int(index), epoch) for index in indices])

    @cached_property
    def augmentations(self) -> tuple[Augmentation, ...]:
        """Return those that the recipe names, else the task's own, which are for pictures."""
        names, whole = self.recipe.augmentations, self.samples
        if names is None:
            are_numbers = isinstance(whole, ArraySamples) and whole.inputs.dtype != torch.uint8
            return () if are_numbers else self.task.augmentations
        known = {one.name: one for one in (*AUGMENTATIONS, *self.task.augmentations)}
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                cure = f"did you mean {near[0]!r}?" if near else f"use some of {', '.join(known)}"
                raise ValueError(f"`augmentations` (={name!r}) must be known; {cure}")
        check_names(names)
        return tuple(known[name] for name in names)

    @cached_property
    def _variation(self) -> Variation:
        strength = self.recipe.augment
        return Variation.of(self.task, self.preparation, self.augmentations, strength)

    @cached_property
    def _in_memory(self) -> ArraySamples | None:
        """Return the samples if they are an array that needs no change of size."""
        whole = self.samples
        if not isinstance(whole, ArraySamples) or self.task.sample is not whole.sample:
            return None
        if not self._is_fitted(whole.read(0)):
            return None
        return whole

    def _is_fitted(self, sample: Any) -> bool:
        fitted = self.task.fit(sample, self.preparation, False)
        return bool(fitted.picture.shape == sample.picture.shape)

    def _cut(self, whole: ArraySamples, indices: NDArray[np.intp], epoch: int | None) -> Batch:
        numbers = torch.from_numpy(indices)
        inputs = whole.inputs[numbers]
        if epoch is not None:
            seed, strength = self.recipe.seed, self.recipe.augment
            inputs = augment_many(inputs, self.augmentations, seed, epoch, indices, strength)
        if inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return Batch(inputs, whole.targets[numbers], tuple(map(str, indices.tolist())))

    def _one(self, index: int, epoch: int | None) -> Any:
        seed = self.recipe.seed
        place = (0 if epoch is None else epoch + 1, index)
        sample = read_seeded(self.samples, index, mix(seed, *place))
        if epoch is None:
            return self.task.fit(sample, self.preparation, False)
        return self._variation.varied(sample, seed, epoch, index)


class _Placed(Dataset[Placed | Exception]):
    """The batches at places, for a `DataLoader` whose sampler yields places.

    An error is an item like others: torch would put its traceback into the message.
    """

    def __init__(self, reading: SampleReader) -> None:
        self.reading = reading

    def __getitem__(self, place: BatchPlace) -> Placed | Exception:
        try:
            return place, self.reading.batch(place.indices, place.epoch)
        except (ValueError, TypeError, OSError, ArithmeticError) as error:
            return error


def to_network(batch: Batch, preparation: Preparation | None, device: torch.device) -> Any:
    """Return the inputs of a batch on the device, uint8 ones as the network's floats.

    They travel as uint8, a quarter of the bytes.
    """
    if isinstance(batch.inputs, list):
        return [_floats(one.to(device)[None], preparation)[0] for one in batch.inputs]
    return _floats(batch.inputs.to(device, non_blocking=True), preparation)


def _floats(x: Tensor, preparation: Preparation | None) -> Tensor:
    if x.dtype != torch.uint8:
        return x
    return x.float() / 255 if preparation is None else preparation.normalize(x)
