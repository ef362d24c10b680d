"""Report the class of every pixel for a network that segments: which there are, and who won."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypedDict

import torch
from torch import Tensor

from convlens.draw.colours import GREY, category_colour
from convlens.lab.answers.detections import name_of
from convlens.lab.answers.envelope import Bytes
from convlens.learn.predicting.predictions import BACKGROUNDS
from convlens.learn.predicting.segmenting import map_doubt
from convlens.lens import Recording, Value

_CLASSES = range(2, 257)  # a byte holds the class of a pixel


class SegmentClass(TypedDict):
    """A class that won pixels; `index` is where its score is the largest of those it won with."""

    label: int
    name: str
    share: float
    colour: tuple[int, int, int]
    background: bool
    index: list[int]


class SegmentList(TypedDict):
    """The classes that won pixels, the largest share first.

    `value`: the id of the scores. `size`: rows and columns. `count`: how many classes there are.
    """

    value: int
    size: list[int]
    count: int
    classes: list[SegmentClass]


class SegmentsAnswer(TypedDict):
    """The class of every pixel, row by row."""

    codes: Bytes


class PixelScore(TypedDict):
    """The score of a class at one pixel; `index` is where it lies in the scores."""

    label: int
    name: str
    score: float
    colour: tuple[int, int, int]
    index: list[int]


class PixelAnswer(TypedDict):
    """The scores of every class at one pixel, the best first, and who won in a sentence."""

    value: int
    scores: list[PixelScore]
    sentence: str


class Standing(TypedDict):
    """How the score of a class stands among all scores at its pixel.

    `winner`, `largest` and `index` are name, score and place of the class that was chosen there.
    """

    chosen: bool
    rank: int
    count: int
    name: str
    winner: str
    largest: float
    index: list[int]


@dataclass(frozen=True)
class Segments:
    """The scores of every class at every pixel: the first sample of a value (n, classes, h, w)."""

    value: Value
    categories: tuple[str, ...]

    @property
    def scores(self) -> Tensor:
        """The scores of the first picture, (classes, h, w)."""
        return self.value.tensor[0].detach()

    @cached_property
    def winners(self) -> Tensor:
        """The class of the largest score at each pixel, uint8 (h, w)."""
        return self.scores.argmax(0).to("cpu", torch.uint8)

    def listed(self) -> SegmentList:
        """Return the classes that won pixels."""
        counts = torch.bincount(self.winners.flatten().long(), minlength=len(self.scores))
        order = counts.argsort(descending=True, stable=True)
        h, w = self.winners.shape
        return {
            "value": self.value.id,
            "size": [h, w],
            "count": len(self.scores),
            "classes": [
                self._class(label, float(counts[label]) / (h * w))
                for label in order.tolist()
                if counts[label]
            ],
        }

    def _class(self, label: int, share: float) -> SegmentClass:
        return {
            "label": label,
            "name": self._name(label),
            "share": share,
            "colour": self._colour(label),
            "background": self._is_background(label),
            "index": [0, label, *self._best_of(label)],
        }

    def doubt(self) -> dict[str, Any]:
        """Return the error or the warnings about the scores, as `map_doubt` does."""
        return map_doubt(self.scores)

    def map(self) -> SegmentsAnswer:
        """Return the class of every pixel."""
        return {"codes": self.winners.numpy().reshape(-1)}

    def pixel(self, row: int, column: int) -> PixelAnswer:
        """Return the scores of all classes at a pixel, the best first.

        Raises ValueError for a pixel outside the map.
        """
        h, w = self.winners.shape
        if not (0 <= row < h and 0 <= column < w):
            raise ValueError(
                f"`row` and `column` (={row}, {column}) must lie in the {h} x {w} pixels"
            )
        scores = self.scores[:, row, column].to("cpu", torch.float64)
        order = scores.argsort(descending=True, stable=True).tolist()
        names = [self._name(label) for label in order[:2]]
        ahead = float(scores[order[0]] - scores[order[1]])
        return {
            "value": self.value.id,
            "scores": [
                {
                    "label": label,
                    "name": self._name(label),
                    "score": float(scores[label]),
                    "colour": self._colour(label),
                    "index": [0, label, row, column],
                }
                for label in order
            ],
            "sentence": f"Chosen: {names[0]}, the largest of {len(scores)} scores at row {row}, "
            f"column {column}, {ahead:.4g} above {names[1]}.",
        }

    def _is_background(self, label: int) -> bool:
        return name_of(label, self.categories) in BACKGROUNDS

    def _name(self, label: int) -> str:
        """Return the name that people know a class by."""
        return "background" if self._is_background(label) else name_of(label, self.categories)

    def _colour(self, label: int) -> tuple[int, int, int]:
        return GREY if self._is_background(label) else category_colour(label)

    def standing(self, index: tuple[int, ...]) -> Standing | None:
        """Return how a score stands at its pixel; None for another picture of the batch."""
        sample, label, y, x = index
        if sample != 0:
            return None
        scores = self.scores[:, y, x]
        winner = int(self.winners[y, x])
        return {
            "chosen": label == winner,
            "rank": int((scores > scores[label]).sum()) + 1,
            "count": len(scores),
            "name": self._name(label),
            "winner": self._name(winner),
            "largest": float(scores[winner]),
            "index": [0, winner, y, x],
        }

    def _best_of(self, label: int) -> tuple[int, int]:
        own = torch.where(self.winners == label, self.scores[label].cpu(), -torch.inf)
        y, x = divmod(int(own.argmax()), own.shape[1])
        return y, x


def segments_of(recording: Recording, categories: tuple[str, ...]) -> Segments | None:
    """Return the segmentation a network answered with, as a tensor or under "out", else None."""
    outputs = recording.outputs
    named = outputs if isinstance(outputs, dict) else {"out": outputs}
    if not all(isinstance(o, Tensor) for o in named.values()):
        return None
    if "out" not in named or len(named) != len(recording.output_ids):
        return None
    value = recording.values[dict(zip(named, recording.output_ids, strict=True))["out"]]
    fits = len(value.shape) == 4 and value.shape[1] in _CLASSES and 0 not in value.shape
    is_map = fits and value.shape[2:] != (1, 1)  # else it is a row of scores
    return Segments(value, categories) if is_map and value.dtype.is_floating_point else None
