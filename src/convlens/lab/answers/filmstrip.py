"""Show the walk of a detection as the frames of a filmstrip, each with what it is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import torch

from convlens.lab.answers.envelope import Singles
from convlens.learn.tracing import Station, Trace
from convlens.lens import Recording

MOST = 64
"""The rows and columns of a frame's map that are sent at most; of a larger one every k-th is."""

_AROUND = 4  # cells that are shown around those that a frame is about

# What the frame of a station shows; the selections between them have no frames of their own.
_FRAMES = {
    "box": "box",
    "mask": "map",
    "keypoints": "map",
    "score": "score",
    "move": "move",
    "proposal": "box",
    "anchor": "move",
    "objectness": "map",
    "level": "map",
    "samples": "map",
    "cells": "cells",
    "pixels": "pixels",
}


class WalkMap(TypedDict):
    """The map that a number lies in, or the part of it that a frame shows.

    Each pair is of rows and columns. `size`: those of the whole map. `first` and `step`: the first
    that is sent, and how many further the next. `shown`: how many are sent, from `start` on among
    the answer's numbers. `cells`: the first cells that the frame is about, and one past the last.
    """

    size: list[int]
    first: list[int]
    step: list[int]
    shown: list[int]
    start: int
    cells: list[list[int]]


class WalkChoice(TypedDict):
    """Why a box was chosen among others; `value` and `index` are the number that says so."""

    text: str
    value: int
    index: list[int]


class WalkStation(TypedDict):
    """A place on the way from a detection back to the pixels (see `convlens.learn.tracing`).

    `frame`: "box", "score", "move", "map", "cells" or "pixels", what its frame shows. `brief`: what
    is written in it. `box`, `into` and `cut`: its place, the box it was moved into, and the part of
    the picture to show, x1, y1, x2, y2 in pixels of the picture. `chosen`: why it was chosen.
    """

    name: str
    text: str
    brief: str
    frame: str
    value: int
    index: list[int]
    link: str
    box: list[float] | None
    into: list[float] | None
    cut: list[float] | None
    map: WalkMap | None
    chosen: WalkChoice | None


class WalkAnswer(TypedDict):
    """A detection, the stations it was walked back by, and the numbers of their maps."""

    detection: int
    stations: list[WalkStation]
    numbers: Singles


def filmstrip(recording: Recording, walk: Trace, detection: int) -> WalkAnswer:
    """Return the frames of a walk; `detection` is the number that the page knows it by."""
    frames: list[WalkStation] = []
    numbers: list[Singles] = []
    for station in walk.stations:
        if station.name in _FRAMES:
            frames.append(_frame(recording, station, numbers))
        else:
            _choose(frames, station)
    return {
        "detection": detection,
        "stations": frames,
        "numbers": np.concatenate([np.zeros(0, np.float32), *numbers]),
    }


def rounded(box: Sequence[float]) -> list[float]:
    """Return the sides of a box in hundredths of a pixel."""
    return [round(side, 2) for side in box]


def _choose(frames: list[WalkStation], station: Station) -> None:
    """Say on the frame that a selection chose why; suppression says it first, and at once."""
    name, _, _ = station.name.rpartition(" ")
    chosen = next((frame for frame in reversed(frames) if frame["name"] == name), None)
    if chosen is not None and chosen["chosen"] is None:
        text = f"Chosen: {station.text}."
        chosen["chosen"] = {"text": text, "value": station.value, "index": list(station.index)}


def _frame(recording: Recording, station: Station, numbers: list[Singles]) -> WalkStation:
    kind = _FRAMES[station.name]
    return {
        "name": station.name,
        "text": station.text,
        "brief": station.brief,
        "frame": kind,
        "value": station.value,
        "index": list(station.index),
        "link": station.link,
        "box": station.box and rounded(station.box),
        "into": station.into and rounded(station.into),
        "cut": _cut(station) if kind in ("box", "move") else None,
        "map": _map(recording, station, numbers) if kind in ("map", "cells") else None,
        "chosen": None,
    }


def _cut(station: Station) -> list[float] | None:
    """Return the part of the picture that holds a box, and the one it was moved into."""
    boxes = [box for box in (station.box, station.into) if box is not None]
    if not boxes:
        return None
    left, top, right, bottom = zip(*boxes, strict=True)
    return rounded((min(left), min(top), max(right), max(bottom)))


def _map(recording: Recording, station: Station, numbers: list[Singles]) -> WalkMap:
    """Return the map in which the number of a station lies; its numbers go behind the others."""
    plane = recording.values[station.value].tensor.detach()[station.index[:-2]]
    about = station.cells or tuple(range(at, at + 1) for at in station.index[-2:])
    near = [
        range(max(0, each.start - _AROUND), min(size, each.stop + _AROUND))
        if station.cells
        else range(size)
        for each, size in zip(about, plane.shape, strict=True)
    ]
    step = [-(-len(each) // MOST) for each in near]
    rows, columns = (slice(each.start, each.stop, by) for each, by in zip(near, step, strict=True))
    part = plane[rows, columns].to("cpu", torch.float32)
    start = sum(len(each) for each in numbers)
    numbers.append(part.reshape(-1).numpy())
    return {
        "size": list(plane.shape),
        "first": [each.start for each in near],
        "step": step,
        "shown": list(part.shape),
        "start": start,
        "cells": [[each.start, each.stop] for each in about],
    }
