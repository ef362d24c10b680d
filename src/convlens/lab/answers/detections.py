"""Report what a detector found, as the page lists it and draws it on the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypedDict

import torch
from torch import Tensor

from convlens.draw.colours import category_colour
from convlens.draw.detections import SEEN, limbs_of
from convlens.lab.answers.filmstrip import WalkAnswer, filmstrip, rounded
from convlens.lab.answers.marking import Lit, lit
from convlens.learn.predicting.detections import may_be_chances
from convlens.learn.predicting.parts import MAPS, POINTS
from convlens.learn.predicting.predictions import score_text
from convlens.learn.predicting.reliability import not_finite
from convlens.learn.tracing import (
    Candidates,
    Trace,
    candidates,
    detections,
    is_detector,
    trace,
    trace_candidate,
)
from convlens.lens import Recording

MOST = 300
"""The detections that are listed at most, the best ones; COCO's detectors find 100."""

_OTHERS = (LookupError, RuntimeError, AttributeError, StopIteration, TypeError)
"""What reading a recording raises if the detector is built in another way than the zoo's."""

_INSIDE = 0.5  # the least chance with which a pixel belongs to a mask


class Detection(TypedDict):
    """One detection, or a candidate that scored too little to be one.

    `number`: its place in the network's answer; candidates count on from there. `text`: its score
    as `predict` writes it. `box`: x1, y1, x2, y2 in pixels of the picture. `points`: x, y of each
    point, and whether it is sure enough to be drawn.
    """

    number: int
    label: str
    score: float
    text: str
    box: list[float]
    colour: tuple[int, int, int]
    points: list[tuple[float, float, bool]]


class DetectionList(TypedDict):
    """The detections of a picture, the best first.

    `scores`: the id of the value that holds them all. `maps`: how many masks each has. `walks`:
    whether each can be walked back. `points`: the names of points. `limbs`: the pairs to join.
    `candidates`: the best boxes that scored less than `least`, from which this network reports, of
    all `proposals`. `sentence`: says so if nothing was found, else "".
    """

    scores: int
    count: int
    best: list[Detection]
    maps: int
    walks: bool
    points: list[str]
    limbs: list[tuple[int, int, tuple[int, int, int]]]
    candidates: list[Detection]
    least: float
    proposals: int
    sentence: str


class _Nearly(TypedDict):
    """The part of a `DetectionList` that is about the candidates."""

    candidates: list[Detection]
    least: float
    proposals: int
    sentence: str


@dataclass(frozen=True)
class Detections:
    """The detections of the first picture of a recording: the value ids of their parts by name."""

    recording: Recording
    ids: dict[str, int]

    def part(self, name: str) -> Tensor:
        """Return one part of all detections, by its name: boxes, labels, scores, ..."""
        return self.recording.values[self.ids[name]].tensor.detach().cpu()

    def listed(self, categories: tuple[str, ...], points: tuple[str, ...]) -> DetectionList:
        """Return the detections; `points` are the names of the network's points."""
        scores = self.part("scores").float()
        order = scores.argsort(descending=True, stable=True)[:MOST].tolist()
        return {
            "scores": self.ids["scores"],
            "count": len(scores),
            "best": [self._detection(number, categories) for number in order],
            "maps": len(self._maps()),
            "walks": is_detector(self.recording),
            "points": list(points),
            "limbs": self._limbs(),
            **self._nearly(categories),
        }

    def _nearly(self, categories: tuple[str, ...]) -> _Nearly:
        """Return what the network almost found."""
        count, low = len(self.part("scores")), self.candidates
        if low is None:
            nothing = "" if count else "Nothing was found: no box scored enough to be reported."
            return {"candidates": [], "least": 0.0, "proposals": 0, "sentence": nothing}
        return {
            "candidates": [
                _listed(count + k, each.label, each.score, each.box, categories)
                for k, each in enumerate(low.best)
            ],
            "least": low.least,
            "proposals": low.proposals,
            "sentence": "" if count else low.sentence(partial(name_of, categories=categories)),
        }

    def _detection(self, number: int, categories: tuple[str, ...]) -> Detection:
        label, box = int(self.part("labels")[number]), self.part("boxes")[number].tolist()
        found = _listed(number, label, float(self.part("scores")[number]), box, categories)
        sure = may_be_chances(self.part("scores"))
        return found | {
            "text": score_text(found["score"], sure),
            "points": self._points(number),
        }

    @cached_property
    def candidates(self) -> Candidates | None:
        """What scored too little to be reported; None for a detector that is built differently."""
        if not is_detector(self.recording):
            return None
        try:
            return candidates(self.recording)
        except _OTHERS:
            return None

    def _maps(self) -> list[str]:
        return [part.name for part in MAPS if part.name in self.ids]

    def _points(self, number: int) -> list[tuple[float, float, bool]]:
        found: list[tuple[float, float, bool]] = []
        for part in POINTS:
            if part.name in self.ids:
                points = self.part(part.name)[number]
                seen = points[:, 2] > 0
                if part.scores in self.ids:
                    seen = seen & (self.part(part.scores)[number] > SEEN)
                each = zip(points.tolist(), seen.tolist(), strict=True)
                found += [(round(x, 1), round(y, 1), is_seen) for (x, y, _), is_seen in each]
        return found

    def _limbs(self) -> list[tuple[int, int, tuple[int, int, int]]]:
        """Return the limbs of all points, which are counted on from one part to the next."""
        found: list[tuple[int, int, tuple[int, int, int]]] = []
        before = 0
        for part in POINTS:
            if part.name in self.ids:
                count = self.part(part.name).shape[1]
                found += [(before + a, before + b, c) for a, b, c in limbs_of(part.name, count)]
                before += count
        return found

    def doubts(self) -> list[str]:
        """Return why the detections are doubtful, in sentences: numbers that are not finite."""
        scores = self.part("scores")
        parts = [self.part(name) for name in self.ids if len(self.part(name)) == len(scores)]
        broken = sum(
            ~part.isfinite().reshape(len(scores), -1).all(1)
            for part in parts
            if part.is_floating_point() and part.numel()
        )
        if len(scores):
            count = int((torch.as_tensor(broken) > 0).sum())
            return [not_finite(count, len(scores), "detections")] if count else []
        # A detector drops boxes that are not finite, and then it finds nothing.
        computed = (v for v in self.recording.values if v.kind == "computed" and not v.opaque)
        lost = next((value for value in computed if _is_broken(value.tensor)), None)
        if lost is None:
            return []
        name = self.recording.name_of(lost.id)
        return [f"the network gave no finite numbers in {name}, so that it finds none"]

    def mask(self, detection: int, map: int) -> Lit:
        """Return the pixels of the picture that belong to a detection, by one of its maps.

        Raises ValueError if there are no masks, and for a detection or a map out of range.
        """
        maps = self._maps()
        if not maps:
            raise ValueError("`detection` has no mask: this network finds none")
        if not 0 <= map < len(maps):
            raise ValueError(f"`map` (={map}) must be one of the {len(maps)} of a detection")
        masks = self.part(maps[map])
        if not 0 <= detection < len(masks):
            raise ValueError(f"`detection` (={detection}) must be one of the {len(masks)} found")
        return lit(masks[detection].reshape(masks.shape[-2:]) >= _INSIDE)

    def walk(self, detection: int) -> WalkAnswer:
        """Return a detection walked back to the pixels (see `convlens.learn.tracing.trace`).

        Candidates have the numbers after the detections'. Raises ValueError if it cannot be.
        """
        try:
            return filmstrip(self.recording, self._walk(detection), detection)
        except _OTHERS as error:
            # A user's network may have the same module names and be built differently inside.
            raise ValueError(
                f"`detection` (={detection}) cannot be walked back: this network is not built as "
                "the zoo's detectors are; follow its numbers from the outline"
            ) from error

    def _walk(self, detection: int) -> Trace:
        count, low = len(self.part("scores")), self.candidates
        if low is None or detection < count:
            return trace(self.recording, detection)
        if detection >= count + len(low.best):
            raise ValueError(
                f"`detection` (={detection}) must be one of the {count} found, or of the "
                f"{len(low.best)} candidates after them"
            )
        return trace_candidate(self.recording, low.best[detection - count])


def _listed(
    number: int, label: int, score: float, box: Sequence[float], categories: tuple[str, ...]
) -> Detection:
    return {
        "number": number,
        "label": name_of(label, categories),
        "score": score,
        "text": score_text(score, True),
        "box": rounded(box),
        "colour": category_colour(label),
        "points": [],
    }


def detections_of(recording: Recording) -> Detections | None:
    """Return the detections of a recording's first picture; None if its network detects nothing."""
    answers = detections(recording)
    return Detections(recording, answers[0]) if answers else None


def name_of(label: int, categories: tuple[str, ...]) -> str:
    """Return a category's name, or its number if it has none."""
    return categories[label] if 0 <= label < len(categories) else f"class {label}"


def _is_broken(numbers: Tensor) -> bool:
    """Return whether some numbers are NaN or infinity; -infinity is how networks rule out."""
    if not numbers.is_floating_point():
        return False
    return not bool((numbers.isfinite() | numbers.isneginf()).all())
