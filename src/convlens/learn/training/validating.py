"""Measure a network on samples: what `val` does, and every epoch of a training."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from convlens.learn.measuring.measure import Judgement, Measure
from convlens.learn.modes import mode
from convlens.learn.tasks.task import Batch
from convlens.learn.training.loading import SampleReader, to_network

__all__ = ["Answers", "answer_to", "measure", "measure_all"]


@dataclass(frozen=True, eq=False)
class Answers:
    """How good a network's answers to some samples are, and what they are."""

    measure: Measure
    judgements: list[Judgement]

    @property
    def values(self) -> dict[str, float]:
        """Return the measures by name, the one that decides first."""
        return self.measure.values()


def answer_to(network: nn.Module, reading: SampleReader, batch: Batch) -> Any:
    """Return what a network answers to a batch, as the task's measure takes it.

    It runs in evaluation mode, in the type of its weights, as `predict` runs it; then each of its
    modules gets its own mode back.
    """
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    inputs = to_network(batch, reading.preparation, device)
    with mode(network, training=False), torch.no_grad():
        return reading.task.answer(network, inputs)


def measure(network: nn.Module, reading: SampleReader) -> Iterator[tuple[int, Answers]]:
    """Yield how many samples are measured after each batch, and what was found so far.

    The network runs as `answer_to` runs it.
    """
    task, samples = reading.task, reading.samples
    held = task.measure(samples.classes, samples.points)
    found = Answers(held, [])
    done = 0
    for batch in reading.held_out(reading.recipe.batch):
        outputs = answer_to(network, reading, batch)
        found.judgements.extend(held.add(outputs, batch.targets, batch.keys))
        done += len(batch.keys)
        yield done, found


def measure_all(network: nn.Module, reading: SampleReader) -> Answers:
    """Return what `measure` finds at its end."""
    return deque(measure(network, reading), maxlen=1).pop()[1]
