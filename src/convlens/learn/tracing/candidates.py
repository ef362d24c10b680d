"""Find the best boxes that a detector did not report, because they scored too little."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from convlens.learn.tracing.finding import Box, box_of, enlarged, is_detector, proposals_of
from convlens.lens import Recording, Step
from convlens.zoo.detection import anatomy

__all__ = ["BoxCandidate", "Candidates", "candidates"]

_MOST = 10


@dataclass(frozen=True)
class BoxCandidate:
    """A box of one class that scored too little to be reported.

    `scores` and `boxes`: the ids of the values that hold its score and its box, decoded and
    clipped, among those of all proposals and classes. `row`: its place in both. `box`: x1, y1, x2,
    y2 in pixels of the picture.
    """

    scores: int
    boxes: int
    row: int
    label: int
    score: float
    box: Box


@dataclass(frozen=True)
class Candidates:
    """The best boxes below the score from which a network reports.

    `least`: that score. `proposals`: how many proposals the network made. `best`: at most ten, the
    best first.
    """

    least: float
    proposals: int
    best: tuple[BoxCandidate, ...]

    def sentence(self, named: Callable[[int], str] = "class {}".format) -> str:
        """Say that nothing was found, for a network that found nothing, and how near it came.

        `named`: gives the name of a class by its number.
        """
        said = f"No box scored {self.least:g}, where this network begins to report."
        if not self.best:
            return f"{said} It made {self.proposals or 'no'} proposals."
        best = self.best[0]
        return (
            f"{said} Best of {self.proposals:,} proposals: {named(best.label)}, "
            f"{_below(best.score, self.least)}."
        )


def candidates(recording: Recording, picture: int = 0) -> Candidates:
    """Return the best boxes of a recorded detector that it did not report.

    Their scores are those after the softmax, before the threshold and the suppression.

    Raises ValueError if the recording is not of a detector of two stages, LookupError if it picks
    boxes by their scores in another way than the zoo's detectors do.
    """
    if not is_detector(recording):
        raise ValueError("`recording` must be of a detector of two stages; record one")
    threshold, boxes = list(_thresholds(recording))[picture]
    least = float(threshold.args[1])
    (scores,) = threshold.inputs
    numbers = recording.values[scores].tensor.detach().float().cpu()
    proposals = len(recording.values[proposals_of(recording)[picture]].tensor)
    classes = len(numbers) // max(proposals, 1)  # the background has no boxes
    low = torch.where(numbers > least, -torch.inf, numbers.nan_to_num(-torch.inf))
    order = low.argsort(descending=True, stable=True)[:_MOST].tolist()
    places = recording.values[boxes].tensor
    best = tuple(
        BoxCandidate(
            *(scores, boxes, row, row % classes + 1, float(numbers[row])),
            enlarged(recording, box_of(places[row]), picture),
        )
        for row in order
        if low[row] > -torch.inf
    )
    return Candidates(least, proposals, best)


def _thresholds(recording: Recording) -> Iterator[tuple[Step, int]]:
    """Yield the step that compares the scores of a picture with the least, and its boxes' value."""
    steps = recording.steps
    for step in steps:
        if step.module != anatomy.HEADS or step.op != "gt" or len(step.inputs) != 1:
            continue
        count = recording.values[step.inputs[0]].shape
        picked = (
            later.inputs[0]
            for later in steps[step.index + 1 :]
            if later.op == "getitem" and recording.values[later.inputs[0]].shape == (*count, 4)
        )
        yield step, next(picked)


def _below(score: float, least: float) -> str:
    """Write a score with as many figures as it takes to see that it is less."""
    texts = (f"{score:.{figures}g}" for figures in range(3, 18))
    return next((text for text in texts if float(text) < least), f"{score!r}")
