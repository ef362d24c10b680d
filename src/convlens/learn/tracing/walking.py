"""Walk a detection back from its box over its proposal and anchor to the pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from convlens.learn.predicting.parts import PARTS
from convlens.learn.tracing.candidates import BoxCandidate
from convlens.learn.tracing.choosing import back, choices
from convlens.learn.tracing.finding import (
    Box,
    box_of,
    detections,
    enlarged,
    is_detector,
    output_of,
    proposals_of,
)
from convlens.lens import Call, Explanation, Recording, region
from convlens.zoo.detection import anatomy
from convlens.zoo.detection.anatomy import Part

__all__ = ["Station", "Trace", "trace", "trace_candidate"]


@dataclass(frozen=True)
class Station:
    """A place on the way from a detection back to the pixels.

    `text`: one sentence with its numbers. `value` and `index`: the element of the recording that
    represents it, to be explained further. `link`: "made of" if arithmetic leads there, "chosen" if
    only a selection does, such as suppression or a ranking. `box`: its place in the picture, x1,
    y1, x2, y2 in pixels, and `into` the box that it was moved into. `cells`: the rows and columns
    of its map that it is about, where that is more than one cell. `brief`: what of it is shortest
    to say, such as a score or a shift in pixels.
    """

    name: str
    text: str
    value: int
    index: tuple[int, ...]
    link: str = "made of"
    box: Box | None = None
    into: Box | None = None
    cells: tuple[range, range] | None = None
    brief: str = ""


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
        """Return the fields as plain values, for JSON; ranges as their first and one past last."""
        plain = asdict(self)
        for station in plain["stations"]:
            cells = station["cells"]
            station["cells"] = cells and [[each.start, each.stop] for each in cells]
        return plain

    def __str__(self) -> str:
        box = ", ".join(f"{side:.1f}" for side in self.box)
        lines = [f"detection {self.detection}: class {self.label}, {self.score:.3f}, box {box}"]
        width = max(len(station.name) for station in self.stations)
        for station in self.stations:
            mark = "~" if station.link == "chosen" else "<"
            lines.append(f"  {mark} {station.name:{width}}  {station.text}")
        return "\n".join(lines)


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
    scores, boxes, labels = (found[name] for name in ("scores", "boxes", "labels"))
    values = recording.values
    seat = BoxCandidate(
        *(scores, boxes, detection, int(values[labels].tensor[detection])),
        float(values[scores].tensor[detection]),
        box_of(values[boxes].tensor[detection]),
    )
    walk = _Walk(recording, seat, picture, found)
    return Trace(picture, detection, seat.label, seat.score, seat.box, tuple(walk.stations()))


def trace_candidate(recording: Recording, candidate: BoxCandidate, picture: int = 0) -> Trace:
    """Walk a box that was not reported (see `candidates`) back to the pixels, as `trace` does.

    The number of its `detection` is its row among the boxes of all proposals and classes.
    """
    stations = tuple(_Walk(recording, candidate, picture, {}).stations())
    return Trace(
        *(picture, candidate.row, candidate.label, candidate.score, candidate.box),
        stations,
    )


class _Walk:
    """The way of one box; numbers are read from the recording, never computed again.

    `found`: the value ids of the answer's parts by name, for a box that the network reported.
    """

    def __init__(
        self, recording: Recording, seat: BoxCandidate, picture: int, found: dict[str, int]
    ) -> None:
        self.recording, self.seat, self.picture, self.found = recording, seat, picture, found

    def stations(self) -> Iterator[Station]:
        """Yield the stations from the box to the pixels."""
        seat = self.seat
        chain = list(back(self.recording, seat.scores, (seat.row,)))
        softmax = chain[-1]
        row = softmax.index[0]
        proposals, local = self._proposals(row)
        proposal = self._in_picture(box_of(self._tensor(proposals)[local]))
        yield Station(
            *("box", f"{_said(seat.box)} in the picture"),
            *(seat.boxes, (seat.row, 0)),
            box=seat.box,
        )
        yield from self._added()
        yield from self._chosen(chain, "box", "score", seat.box)
        yield self._score(softmax, proposal)
        yield self._move(softmax, proposal)
        yield from self._proposal(row, proposal)
        yield from self._samples(row, proposal)

    def _added(self) -> Iterator[Station]:
        """Yield the places where the heads computed what they added to the detection's box."""
        at = self.seat.row + sum(
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
            channel, link = self.seat.label if count > 1 else 0, "made of"
        else:
            text = f"each of the {count} is chosen: the highest place of its map, {h} x {w} over "
            text += "the box and enlarged to its size"
            channel, link = 0, "chosen"
        index = (at, channel, h // 2, w // 2)
        brief = f"{h} x {w}"
        return Station(part.station, text, maps, index, link=link, box=self.seat.box, brief=brief)

    def _score(self, softmax: Explanation, proposal: Box) -> Station:
        row, label = softmax.index
        scores = self._output(anatomy.BOX_SCORES)
        every = self._tensor(scores)[row]
        text = f"softmax {softmax.recorded:.4g} of {float(every[label]):.4g} among {len(every)} "
        text += f"classes' scores; the background has {float(every[0]):.4g}"
        brief = f"{softmax.recorded:.3g}"
        return Station("score", text, scores, (row, label), box=proposal, brief=brief)

    def _move(self, softmax: Explanation, proposal: Box) -> Station:
        row, label = softmax.index
        codes = self._output(anatomy.BOX_CODES)
        shifted = _shifted(self._tensor(codes)[row, 4 * label : 4 * label + 4])
        moved, brief = _moved(proposal, self.seat.box)
        return Station(
            *("move", f"from the proposal to the box {moved}; {shifted}"),
            *(codes, (row, 4 * label)),
            box=proposal,
            into=self.seat.box,
            brief=brief,
        )

    def _proposal(self, row: int, place: Box) -> Iterator[Station]:
        """Yield the proposal, why it was chosen, and the anchor it is made of."""
        proposals, local = self._proposals(row)
        box, count = box_of(self._tensor(proposals)[local]), len(self._tensor(proposals))
        yield Station(
            *("proposal", f"number {local} of {count}: {_said(box)} in the resized picture"),
            *(proposals, (local, 0)),
            box=place,
            brief=f"{local} of {count:,}",
        )
        chain = list(back(self.recording, proposals, (local, 0)))
        yield from self._chosen(chain, "proposal", "objectness", place)
        heads = [call for call in self.recording.calls if call.path == anatomy.PROPOSAL_HEAD]
        anchors = [self.recording.values[head.outputs[0]].shape[1] for head in heads]
        # The walk ends where the boxes of all anchors of all pictures are joined from two corners.
        anchor = chain[-1].index[0] % sum(anchors)
        placed = self._in_picture(box_of(self._tensor(self._anchors(sum(anchors)))[anchor]))
        for level, (head, count) in enumerate(zip(heads, anchors, strict=True)):
            if anchor < count:
                yield self._anchor(head, level, anchor, (placed, place))
                yield self._objectness(head, anchor)
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

    def _anchor(self, head: Call, level: int, anchor: int, places: tuple[Box, Box]) -> Station:
        """Return the anchor with its place and the proposal's."""
        codes = output_of(self.recording.steps[head.first : head.last], anatomy.PROPOSAL_CODES)
        kinds, (h, w) = self._tensor(codes).shape[1] // 4, self._tensor(codes).shape[2:]
        kind, y, x = _cell(anchor, kinds, w)
        shifted = _shifted(self._tensor(codes)[self.picture, 4 * kind : 4 * kind + 4, y, x])
        moved, brief = _moved(*places)
        return Station(
            "anchor",
            f"anchor {kind} of {kinds} at cell ({y}, {x}) of level {level}, {h} x {w} cells. From "
            f"it to the proposal {moved}; {shifted}",
            *(codes, (self.picture, 4 * kind, y, x)),
            box=places[0],
            into=places[1],
            brief=brief,
        )

    def _objectness(self, head: Call, anchor: int) -> Station:
        scores = output_of(self.recording.steps[head.first : head.last], anatomy.PROPOSAL_SCORES)
        _, kinds, h, w = self._tensor(scores).shape
        kind, y, x = _cell(anchor, kinds, w)
        score = float(self._tensor(scores)[self.picture, kind, y, x])
        chance = 1 / (1 + math.exp(-score)) if score > -700 else 0.0
        return Station(
            *("objectness", f"{score:.4g}, which is {chance:.4g} after the sigmoid"),
            *(scores, (self.picture, kind, y, x)),
            box=self._cells((h, w), range(y, y + 1), range(x, x + 1)),
            brief=f"{chance:.3g}",
        )

    def _samples(self, row: int, proposal: Box) -> Iterator[Station]:
        """Yield the pooled box, the level and the cells under it, and their pixels."""
        pooled = self._call(anatomy.BOX_POOL).outputs[0]
        _, _, h, w = self.recording.values[pooled].shape
        channel = int(self._tensor(pooled)[row, :, h // 2, w // 2].abs().argmax())
        *_, aligned = back(self.recording, pooled, (row, channel, h // 2, w // 2))
        left, top, right, bottom = proposal
        wide, tall = (right - left) / w, (bottom - top) / h
        x, y = left + (w // 2) * wide, top + (h // 2) * tall
        samples = Station(
            "samples",
            f"the proposal in {h} x {w} bins of map {channel}; the middle one, ({h // 2}, "
            f"{w // 2}), averages the map over it: {aligned.recorded:.4g}",
            *(aligned.value.id, aligned.index),
            box=(x, y, x + wide, y + tall),
            brief=f"{h} x {w} bins",
        )
        cells = [aligned.terms.index(k, self.recording) for k in range(len(aligned.terms))]
        cells = [cell for cell in cells if len(cell) == 4]
        if not cells:
            yield samples
            return  # the bin is outside of the map
        level = int(aligned.terms.source[0])
        heaviest = cells[int(abs(aligned.terms.weight).argmax())]
        yield self._level(level, heaviest, proposal)
        yield samples
        yield self._under(level, heaviest, cells)
        yield self._pixels(level, heaviest)

    def _level(self, level: int, cell: tuple[int, ...], proposal: Box) -> Station:
        steps = self.recording.steps
        pooling = [s for s in steps if s.module == anatomy.BOX_POOL and s.op == "roi_align"]
        levels = list(dict.fromkeys(step.inputs[0] for step in pooling))
        at, (h, w) = levels.index(level), self._tensor(level).shape[-2:]
        text = f"a box of this size is read from level {at} of {len(levels)}, {h} x {w} cells"
        return Station(
            *("level", text, level, cell),
            link="chosen",
            box=proposal,
            brief=f"level {at} of {len(levels)}",
        )

    def _under(
        self, level: int, heaviest: tuple[int, ...], cells: Sequence[tuple[int, ...]]
    ) -> Station:
        """Return the cells of the pyramid that the middle bin reads."""
        ys, xs = sorted({cell[2] for cell in cells}), sorted({cell[3] for cell in cells})
        rows, columns = range(ys[0], ys[-1] + 1), range(xs[0], xs[-1] + 1)
        return Station(
            "cells",
            f"the middle bin reads rows {ys[0]} to {ys[-1]}, columns {xs[0]} to {xs[-1]} of "
            f"{self.recording.name_of(level)}",
            *(level, heaviest),
            box=self._cells(self._tensor(level).shape[-2:], rows, columns),
            cells=(rows, columns),
            brief=f"{len(rows)} x {len(columns)} cells",
        )

    def _pixels(self, level: int, cell: tuple[int, ...]) -> Station:
        seen = region(self.recording, level, cell)
        rows, columns = seen.box[-2:]
        return Station(
            "pixels",
            f"that cell was made from {seen.count:,} numbers of {seen.value.name}: rows "
            f"{rows.start} to {rows.stop - 1}, columns {columns.start} to {columns.stop - 1}"
            + (f" ({seen.warning})" if seen.warning else ""),
            *(seen.value.id, tuple(span[len(span) // 2] for span in seen.box)),
            box=(columns.start, rows.start, columns.stop, rows.stop),
            brief=f"{len(rows)} x {len(columns)}",
        )

    def _chosen(
        self, way: Sequence[Explanation], name: str, by: str, box: Box
    ) -> Iterator[Station]:
        """Yield the selections along a way: what chose each position, and why."""
        for kind, text, made in choices(way, by):
            place = (made.value.id, made.index)
            yield Station(f"{name} {kind}", text, *place, link="chosen", box=box)

    def _proposals(self, row: int) -> tuple[int, int]:
        """Return the id of the value of this picture's proposals, and the number of one in it."""
        boxes = proposals_of(self.recording)
        before = sum(self.recording.values[id].shape[0] for id in boxes[: self.picture])
        return boxes[self.picture], row - before

    def _call(self, path: str) -> Call:
        return next(call for call in self.recording.calls if call.path == path)

    def _output(self, path: str) -> int:
        return output_of(self.recording.steps, path)

    def _tensor(self, id: int) -> Tensor:
        return self.recording.values[id].tensor

    def _in_picture(self, box: Box) -> Box:
        return enlarged(self.recording, box, self.picture)

    def _cells(self, size: Sequence[int], rows: range, columns: range) -> Box:
        """Return the place in the picture of cells of a map of this size (h, w)."""
        tall, wide = self.recording.values[self._call(anatomy.BACKBONE).inputs[0]].shape[-2:]
        y, x = tall / size[0], wide / size[1]
        return self._in_picture(
            (columns.start * x, rows.start * y, columns.stop * x, rows.stop * y)
        )


def _cell(anchor: int, kinds: int, width: int) -> tuple[int, int, int]:
    """Return which of the kinds of anchors one is, and its cell's row and column."""
    cell, kind = divmod(anchor, kinds)
    return kind, *divmod(cell, width)


def _said(box: Box) -> str:
    x1, y1, x2, y2 = box
    return f"columns {x1:.1f} to {x2:.1f}, rows {y1:.1f} to {y2:.1f}"


def _moved(before: Box, after: Box) -> tuple[str, str]:
    """Say how a box lies to another: in words, and the shift of its centre alone."""
    shift = [((after[k] + after[k + 2]) - (before[k] + before[k + 2])) / 2 for k in (0, 1)]
    sides = [(box[2] - box[0], box[3] - box[1]) for box in (before, after)]
    wider, taller = (b / a if a else math.nan for a, b in zip(*sides, strict=True))
    x, y = (f"{by:+.1f}" for by in shift)
    text = f"its centre moves by {x}, {y} pixels, its sides become {wider:.2f} and {taller:.2f} "
    brief = ", ".join(f"{by:+.0f}" if abs(by) >= 9.95 else f"{by:+.1f}" for by in shift)
    return f"{text}times as long", brief.replace("-", "\N{MINUS SIGN}")


def _shifted(codes: Tensor) -> str:
    """Say by which four numbers, its codes, a box is shifted."""
    listed = ", ".join(f"{code:+.3g}" for code in codes.tolist())
    return f"dx, dy, dw and dh are {listed}"
