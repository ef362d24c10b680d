"""The class of every pixel, of a network that segments: which are there, and who won a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.draw.colours import GREY, category_colour
from convlens.lab.findings import name_of
from convlens.learn.predicting.forms import map_doubt
from convlens.learn.predicting.predictions import BACKGROUNDS
from convlens.lens import Recording, Value
from convlens.lens.terms import plain

_CLASSES = range(2, 257)  # a class is told as a byte


@dataclass(frozen=True)
class Segments:
    """The scores of every class at every pixel: the first sample of a value (n, classes, h, w)."""

    value: Value
    categories: tuple[str, ...]

    @property
    def scores(self) -> Tensor:
        """Of the first picture, (classes, h, w)."""
        return self.value.tensor[0].detach()

    @cached_property
    def winners(self) -> Tensor:
        """The class of the largest score at each pixel, uint8 (h, w)."""
        return self.scores.argmax(0).to("cpu", torch.uint8)

    def told(self) -> dict[str, Any]:
        """The classes that won pixels, the largest share first, ready for JSON.

        `index` is where a class's score is the largest of those it won with.
        """
        counts = torch.bincount(self.winners.flatten().long(), minlength=len(self.scores))
        order = counts.argsort(descending=True, stable=True)
        present = [label for label in order.tolist() if counts[label]]
        h, w = self.winners.shape
        return {
            "value": self.value.id,
            "size": [h, w],
            "count": len(self.scores),
            "classes": [
                {
                    "label": label,
                    "name": name_of(label, self.categories),
                    "share": float(counts[label]) / (h * w),
                    "colour": list(self._colour(label)),
                    "background": self._is_background(label),
                    "index": [0, label, *self._best_of(label)],
                }
                for label in present
            ],
        }

    def doubt(self) -> dict[str, Any]:
        """The error or warnings there are of the scores (see `convlens.learn.predicting.forms`)."""
        return map_doubt(self.scores)

    def map(self) -> bytes:
        """The class of every pixel, a byte each, row by row."""
        return self.winners.numpy().astype(np.uint8).tobytes()

    def standing(self, index: tuple[int, ...]) -> dict[str, Any] | None:
        """How a score stands among all at its pixel; None for another picture of the batch."""
        sample, label, y, x = index
        if sample != 0:
            return None
        scores = self.scores[:, y, x]
        winner = int(self.winners[y, x])
        behind = int((scores > scores[label]).sum())
        return {
            "chosen": label == winner,
            "rank": behind + 1,
            "count": len(scores),
            "winner": name_of(winner, self.categories),
            "name": name_of(label, self.categories),
            "largest": plain(float(scores[winner])),
            "index": [0, winner, y, x],
        }

    def _is_background(self, label: int) -> bool:
        return name_of(label, self.categories) in BACKGROUNDS

    def _colour(self, label: int) -> tuple[int, int, int]:
        return GREY if self._is_background(label) else category_colour(label)

    def _best_of(self, label: int) -> tuple[int, int]:
        own = torch.where(self.winners == label, self.scores[label].cpu(), -torch.inf)
        y, x = divmod(int(own.argmax()), own.shape[1])
        return y, x


def segments_of(recording: Recording, categories: tuple[str, ...]) -> Segments | None:
    """The segmentation a network answered, as a tensor or under "out"; None for another answer."""
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
