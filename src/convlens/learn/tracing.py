"""Walk a detection back from its box over its proposal and anchor to the pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from convlens.learn.predicting.parts import PARTS
from convlens.lens import Call, Explanation, Recording, Step, explain_value, region
from convlens.zoo.detection import anatomy
from convlens.zoo.detection.anatomy import Part

__all__ = ["Station", "Trace", "detections", "is_detector", "trace"]

Box = tuple[float, float, float, float]

# An element that one of these made was there before, or is the limit that cut it off.
_CLIPS = ("clamp", "clip", "minimum", "maximum")

# The selections that get a station; those by a threshold, or for an order, do not.
SELECTIONS = {"nms": "{} suppression", "batched_nms": "{} suppression", "topk": "{} ranking"}


@dataclass(frozen=True)
class Station:
    """A place on the way from a detection back to the pixels.

    `text`: one sentence with its numbers. `value` and `index`: the element of the recording that
    represents it, to be explained further. `link`: "made of" if arithmetic leads there, "chosen" if
    only a selection does, such as suppression or a ranking. `box`: its place in the picture, x1,
    y1, x2, y2 in pixels.
    """

    name: str
    text: str
    value: int
    index: tuple[int, ...]
    link: str = "made of"
    box: Box | None = None


@dataclass(frozen=True)
class Trace:
    """What one detection came from, station by station; it prints as text.

    `box`: x1, y1, x2, y2 in pixels of the picture. `label`: the number of the class.
    """

    picture: int
    detection: int
    label: int
    score: float
    box: Box
    stations: tuple[Station, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        box = ", ".join(f"{side:.1f}" for side in self.box)
        lines = [f"detection {self.detection}: class {self.label}, {self.score:.3f}, box {box}"]
        width = max(len(station.name) for station in self.stations)
        for station in self.stations:
            mark = "~" if station.link == "chosen" else "<"
            lines.append(f"  {mark} {station.name:{width}}  {station.text}")
        return "\n".join(lines)


def is_detector(recording: Recording) -> bool:
    """Return whether a recording is of a detector with two stages that found boxes."""
    ran = {call.path for call in recording.calls}
    return {anatomy.PROPOSAL_HEAD, anatomy.BOX_PREDICTOR} <= ran and bool(detections(recording))


def trace(recording: Recording, detection: int, picture: int = 0) -> Trace:
    """Walk one detection of a recorded Faster, Mask or Keypoint R-CNN back to the pixels.

    `detection`: its number, from 0, in the answer to the picture of that number. Stations that are
    "made of" others are linked by arithmetic, which `explain` shows term by term. If only a
    selection links them, the station says "chosen", and why.

    Raises ValueError if the recording is not of such a detector, and for numbers out of range.
    """
    if not is_detector(recording):
        raise ValueError(
            "`recording` must be of a detector of two stages in evaluation mode, such as "
            "fasterrcnn_resnet50_fpn; record one"
        )
    answers = detections(recording)
    if not 0 <= picture < len(answers):
        raise ValueError(
            f"`picture` (={picture}) must be one of the {len(answers)} recorded; "
            f"use 0 to {len(answers) - 1}"
        )
    found = answers[picture]
    count = len(recording.values[found["boxes"]].tensor)
    if not 0 <= detection < count:
        raise ValueError(
            f"`detection` (={detection}) must be one of the {count} found in picture {picture}; "
            + (f"use 0 to {count - 1}" if count else "there is none to walk back")
        )
    return _Walk(recording, found, detection, picture).trace()


def detections(recording: Recording) -> list[dict[str, int]]:
    """Return the value ids of a detector's answer to each picture by name; [] for other networks.

    >>> import torch
    >>> from convlens.lens import record
    >>> detections(record(torch.relu, torch.zeros(1)))
    []
    """
    outputs = recording.outputs
    if not isinstance(outputs, list) or not all(isinstance(each, dict) for each in outputs):
        return []
    if not all({"boxes", "labels", "scores"} <= each.keys() for each in outputs):
        return []
    if len(recording.output_ids) != sum(map(len, outputs)):
        return []  # some of it was never a tensor of torch that the recording saw
    ids = iter(recording.output_ids)
    return [{name: next(ids) for name in each} for each in outputs]


class _Walk:
    """The way of one detection; numbers are read from the recording, never computed again."""

    def __init__(
        self, recording: Recording, found: dict[str, int], detection: int, picture: int
    ) -> None:
        self.recording, self.found = recording, found
        self.detection, self.picture = detection, picture
        self.numbers = {name: recording.values[id].tensor for name, id in found.items()}
        self.label = int(self.numbers["labels"][detection])
        self.box = _sides(self.numbers["boxes"][detection])

    def trace(self) -> Trace:
        score = float(self.numbers["scores"][self.detection])
        stations = tuple(self._stations())
        return Trace(self.picture, self.detection, self.label, score, self.box, stations)

    def _stations(self) -> Iterator[Station]:
        chain = list(self._back(self.found["scores"], (self.detection,)))
        softmax = chain[-1]
        row = softmax.index[0]
        proposals, local = self._proposals(row)
        proposal = self._in_picture(self._tensor(proposals)[local])
        yield Station(
            *("box", f"{_said(self.box)} in the picture"),
            *(self.found["boxes"], (self.detection, 0)),
            box=self.box,
        )
        yield from self._added()
        yield from self._chosen(chain, "box", self.box)
        yield self._score(softmax, proposal)
        yield self._regression(softmax, proposal)
        yield from self._proposal(row, proposal)
        yield from self._samples(row, proposal)

    def _added(self) -> Iterator[Station]:
        """Yield the places where the heads computed what they added to the detection's box."""
        at = self.detection + sum(
            len(self.recording.values[other["boxes"]].tensor)
            for other in detections(self.recording)[: self.picture]
        )
        for part in PARTS.values():
            if part.name in self.found:
                yield self._part(part, at)

    def _part(self, part: Part, at: int) -> Station:
        maps = self._output(part.layer)
        count, h, w = self._tensor(maps).shape[1:]
        if part.form == "map":
            text = f"{h} x {w} scores of its class, over the box, pasted into the picture"
            channel, link = self.label if count > 1 else 0, "made of"
        else:
            text = f"each of the {count} is chosen: the highest place of its map, {h} x {w} over "
            text += "the box and enlarged to its size"
            channel, link = 0, "chosen"
        index = (at, channel, h // 2, w // 2)
        return Station(part.station, text, maps, index, link=link, box=self.box)

    def _score(self, softmax: Explanation, proposal: Box) -> Station:
        row, label = softmax.index
        scores = self._output(anatomy.BOX_SCORES)
        every = self._tensor(scores)[row]
        text = f"softmax {softmax.recorded:.4g} of {float(every[label]):.4g} among {len(every)} "
        text += f"classes' scores; the background has {float(every[0]):.4g}"
        return Station("score", text, scores, (row, label), box=proposal)

    def _regression(self, softmax: Explanation, proposal: Box) -> Station:
        row, label = softmax.index
        codes = self._output(anatomy.BOX_CODES)
        shifted = _shifted(self._tensor(codes)[row, 4 * label : 4 * label + 4])
        text = f"the proposal's box {shifted}"
        return Station("regression", text, codes, (row, 4 * label), box=proposal)

    def _proposal(self, row: int, place: Box) -> Iterator[Station]:
        """Yield the proposal, why it was chosen, and the anchor it is made of."""
        proposals, local = self._proposals(row)
        box = _sides(self._tensor(proposals)[local])
        yield Station(
            *("proposal", f"number {local} of {len(self._tensor(proposals))}: {_said(box)}"),
            *(proposals, (local, 0)),
            box=place,
        )
        chain = list(self._back(proposals, (local, 0)))
        yield from self._chosen(chain, "proposal", place)
        heads = [call for call in self.recording.calls if call.path == anatomy.PROPOSAL_HEAD]
        anchors = [self.recording.values[head.outputs[0]].shape[1] for head in heads]
        # The walk ends where the boxes of all anchors of all pictures are joined from two corners.
        anchor = chain[-1].index[0] % sum(anchors)
        placed = self._in_picture(self._tensor(self._anchors(sum(anchors)))[anchor])
        for level, (head, count) in enumerate(zip(heads, anchors, strict=True)):
            if anchor < count:
                yield from self._anchor(head, level, anchor, placed)
                return
            anchor -= count

    def _anchors(self, count: int) -> int:
        """Return the id of the value that holds all anchors of a picture."""
        return next(
            id
            for step in self.recording.steps
            if step.module == anatomy.PROPOSALS and step.op == "cat"
            for id in step.outputs
            if self.recording.values[id].shape == (count, 4)
        )

    def _anchor(self, head: Call, level: int, anchor: int, place: Box) -> Iterator[Station]:
        inside = self.recording.steps[head.first : head.last]
        scores = _output_of(inside, anatomy.PROPOSAL_SCORES)
        codes = _output_of(inside, anatomy.PROPOSAL_CODES)
        _, kinds, h, w = self._tensor(scores).shape
        cell, kind = divmod(anchor, kinds)
        y, x = divmod(cell, w)
        where = f"anchor {kind} of {kinds} at cell ({y}, {x}) of level {level}, {h} x {w} cells"
        shifted = _shifted(self._tensor(codes)[self.picture, 4 * kind : 4 * kind + 4, y, x])
        yield Station(
            *("anchor", f"{where}, {shifted}"),
            *(codes, (self.picture, 4 * kind, y, x)),
            box=place,
        )
        score = float(self._tensor(scores)[self.picture, kind, y, x])
        chance = 1 / (1 + math.exp(-score))
        yield Station(
            *("objectness", f"{score:.4g}, which is {chance:.4g} after the sigmoid"),
            *(scores, (self.picture, kind, y, x)),
            box=self._cells((h, w), range(y, y + 1), range(x, x + 1)),
        )

    def _samples(self, row: int, proposal: Box) -> Iterator[Station]:
        """Yield the pooled box, the cells of the pyramid under it, and their pixels."""
        pooled = self._call(anatomy.BOX_POOL).outputs[0]
        _, _, h, w = self.recording.values[pooled].shape
        *_, aligned = self._back(pooled, (row, 0, h // 2, w // 2))
        left, top, right, bottom = proposal
        wide, tall = (right - left) / w, (bottom - top) / h
        x, y = left + (w // 2) * wide, top + (h // 2) * tall
        middle = (x, y, x + wide, y + tall)
        yield Station("RoI samples", aligned.note, aligned.value.id, aligned.index, box=middle)
        cells = [aligned.terms.index(k, self.recording) for k in range(len(aligned.terms))]
        cells = [cell for cell in cells if len(cell) == 4]
        if not cells:
            return  # the bin is outside of the map
        level = int(aligned.terms.source[0])
        heaviest = cells[int(abs(aligned.terms.weight).argmax())]
        ys, xs = sorted({cell[2] for cell in cells}), sorted({cell[3] for cell in cells})
        yield Station(
            "cells",
            f"the middle bin reads rows {ys[0]} to {ys[-1]}, columns {xs[0]} to {xs[-1]} of "
            f"{self.recording.name_of(level)}",
            *(level, heaviest),
            box=self._cells(
                self._tensor(level).shape[-2:], range(ys[0], ys[-1] + 1), range(xs[0], xs[-1] + 1)
            ),
        )
        seen = region(self.recording, level, heaviest)
        rows, columns = seen.box[-2:]
        yield Station(
            "pixels",
            f"that cell was made from {seen.count:,} numbers of {seen.value.name}: rows "
            f"{rows.start} to {rows.stop - 1}, columns {columns.start} to {columns.stop - 1}"
            + (f" ({seen.warning})" if seen.warning else ""),
            *(seen.value.id, tuple(span[len(span) // 2] for span in seen.box)),
            box=(columns.start, rows.start, columns.stop, rows.stop),
        )

    def _chosen(self, chain: Sequence[Explanation], name: str, box: Box) -> Iterator[Station]:
        """Yield the selections along a way: what chose each position, and why."""
        for made in chain:
            if made.rule != "copy" or made.terms.weight_source[0] < 0:
                continue
            *_, chooser = self._back_from(made.open(0, weight=True))
            said = chooser.step and SELECTIONS.get(chooser.step.op)
            if said:
                text = chooser.note.removeprefix("chosen: ")
                place = (chooser.value.id, chooser.index)
                yield Station(said.format(name), text, *place, link="chosen", box=box)

    def _back(self, id: int, index: tuple[int, ...]) -> Iterator[Explanation]:
        yield from self._back_from(explain_value(self.recording, id, index))

    def _back_from(self, made: Explanation) -> Iterator[Explanation]:
        """Yield a number and those before it, as long as each is made of one computed number."""
        while True:
            yield made
            sources = [
                k
                for k, id in enumerate(made.terms.source)
                if id >= 0 and self.recording.values[int(id)].kind == "computed"
            ]
            if made.step is None or not sources or made.step.op in SELECTIONS:
                return
            if len(sources) > 1 and made.step.op not in _CLIPS:
                return
            made = made.open(sources[0])

    def _proposals(self, row: int) -> tuple[int, int]:
        """Return the id of the value of this picture's proposals, and the number of one in it."""
        call = self._call(anatomy.BOX_POOL)
        boxes = [id for id in call.inputs if len(self.recording.values[id].shape) == 2]
        before = sum(self.recording.values[id].shape[0] for id in boxes[: self.picture])
        return boxes[self.picture], row - before

    def _call(self, path: str) -> Call:
        return next(call for call in self.recording.calls if call.path == path)

    def _output(self, path: str) -> int:
        return _output_of(self.recording.steps, path)

    def _tensor(self, id: int) -> Tensor:
        return self.recording.values[id].tensor

    def _in_picture(self, box: Tensor) -> Box:
        """Return a box of the resized picture in pixels of the picture itself."""
        resizings = [
            step
            for step in self.recording.steps
            if step.module == anatomy.RESIZING and step.op == "interpolate"
        ]
        step = resizings[self.picture]
        (h, w), (tall, wide) = (
            self.recording.values[id].shape[-2:] for id in (step.inputs[0], step.outputs[0])
        )
        x1, y1, x2, y2 = _sides(box)
        return x1 * w / wide, y1 * h / tall, x2 * w / wide, y2 * h / tall

    def _cells(self, size: Sequence[int], rows: range, columns: range) -> Box:
        """Return the place in the picture of cells of a map of this size (h, w)."""
        tall, wide = self.recording.values[self._call(anatomy.BACKBONE).inputs[0]].shape[-2:]
        y, x = tall / size[0], wide / size[1]
        corners = (columns.start * x, rows.start * y, columns.stop * x, rows.stop * y)
        return self._in_picture(torch.tensor(corners))


def _output_of(steps: Sequence[Step], path: str) -> int:
    """Return the id of what the only step of a layer made."""
    return next(step.outputs[0] for step in steps if step.module == path)


def _sides(box: Tensor) -> Box:
    x1, y1, x2, y2 = box.tolist()
    return x1, y1, x2, y2


def _said(box: Box) -> str:
    x1, y1, x2, y2 = box
    return f"x {x1:.1f} to {x2:.1f}, y {y1:.1f} to {y2:.1f}"


def _shifted(codes: Tensor) -> str:
    """Say by which four numbers, its codes, a box is shifted."""
    listed = ", ".join(f"{code:+.3g}" for code in codes.tolist())
    return f"shifted by {listed} (dx, dy, dw, dh)"
