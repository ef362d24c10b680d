"""Measure what a training learned: its best weights on data that it did not learn from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from convlens.learn.data.splits import at_rate
from convlens.learn.measuring.measure import Judgement
from convlens.learn.opening import Opened, open_network
from convlens.learn.run_folder import RunFacts, RunFolder
from convlens.learn.tasks import TASKS
from convlens.learn.training.loading import SampleReader
from convlens.learn.training.named_data import data_for
from convlens.learn.training.validating import Answers, answer_to, measure, measure_all
from convlens.tables import table

__all__ = ["Validation", "validate"]


@dataclass(eq=False)
class Validation:
    """A measurement of a run; iterating over it measures, and yields how many samples are done."""

    folder: RunFolder
    facts: RunFacts
    opened: Opened
    reading: SampleReader
    answers: Answers | None = None

    @property
    def total(self) -> int:
        """Return how many samples there are."""
        return len(self.reading.samples)

    def __iter__(self) -> Iterator[int]:
        for done, found in measure(self.opened.network, self.reading):
            self.answers = found
            yield done

    def found(self) -> Answers:
        """Return what was measured; measure all, unless that was done."""
        if self.answers is None or len(self.answers.judgements) < self.total:
            self.answers = measure_all(self.opened.network, self.reading)
        return self.answers

    def answered(self, index: int) -> tuple[Any, Any] | None:
        """Return a sample at the size of the input, with its labels and with the network's.

        Returns None where a label is a word. Raises what reading the sample raises.
        """
        task, reading = self.reading.task, self.reading
        if task.answered is None:
            return None
        sample = task.fit(reading.samples.read(index), reading.preparation, False)
        output = answer_to(self.opened.network, reading, task.collate([sample]))
        return sample, task.answered(sample, output)

    @property
    def values(self) -> dict[str, float]:
        """Return the measures by name, the one that decides first."""
        return self.found().values

    @property
    def judgements(self) -> list[Judgement]:
        """Return what was thought of each sample."""
        return self.found().judgements

    def __str__(self) -> str:
        wrong = sum(not one.right for one in self.judgements)
        rows = [(name, f"{value:.4f}") for name, value in self.values.items()]
        return f"{self.total:,} samples, {wrong:,} wrong\n{table(rows, right=(1,))}"


def validate(
    run: str | Path,
    data: Any = None,
    *,
    part: Literal["held_out", "train"] = "held_out",
    weights: str | Path | None = None,
    batch: int | None = None,
    device: str | None = None,
) -> Validation:
    """Return the measurement of a run on data, to iterate over.

    `run`: the folder of a training. `data`: by default, what it was trained on, of which `part` is
    measured. `weights`: "best", "last", or a file. `batch`: how many samples at once.

    Raises ValueError for a folder without a run, and for data with other categories.
    """
    folder = RunFolder.at(run)
    facts = folder.facts()
    opened = open_network(str(folder.path), weights=weights)
    task = TASKS[facts.task]
    found = data_for(facts.data if data is None else data, task, facts.recipe.seed)
    found = at_rate(found, facts.frames)
    samples = getattr(found, part)
    if tuple(samples.classes) != facts.classes:
        raise ValueError(
            f"`data` ({found.name}) must have the categories that the run learned, "
            f"{', '.join(facts.classes[:5])}, and has {', '.join(samples.classes[:5])}; take data "
            "with the same ones"
        )
    recipe = replace(facts.recipe, batch=batch or facts.recipe.batch, accumulate=1)
    opened.network.to(torch.device(device or "cpu"))
    return Validation(folder, facts, opened, SampleReader(samples, task, facts.preparation, recipe))
