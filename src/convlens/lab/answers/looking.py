"""Look at a picture: run the network on it once, and keep what every answer is read from."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from convlens.lab.answers.detections import Detections, detections_of
from convlens.lab.answers.envelope import Bytes
from convlens.lab.answers.filmstrip import WalkAnswer
from convlens.lab.answers.others import short_name
from convlens.lab.answers.scores import classes_of
from convlens.lab.answers.segments import Segments, Standing, segments_of
from convlens.lab.answers.slots import InputSources, slots_of
from convlens.lab.answers.steps import StepRow, step_rows
from convlens.learn.modes import mode
from convlens.learn.opening import Opened
from convlens.learn.predicting.category_names import fitting_names
from convlens.learn.predicting.forms import outputs_of
from convlens.learn.predicting.predictions import BACKGROUNDS
from convlens.learn.reading_inputs import placed, read_inputs, remark
from convlens.lens import Recording, Value, record
from convlens.zoo.weights.drawn import random_parts


@dataclass
class Look:
    """One look at a picture: the recording of the network's run, and what the network answered.

    `pixels`: the frames as the network sees them, uint8 (t, h, w, 3), one for a picture; None where
    the input is not a picture. `classes`: what `predict` finds in one row of scores. `names`: the
    names of the outputs; `doubts`: what the user must know of these names. `source`: what the input
    was read from, None if that is unknown.
    """

    number: int
    opened: Opened
    recording: Recording
    pixels: npt.NDArray[np.uint8] | None
    name: str
    seconds: float
    detections: Detections | None
    segments: Segments | None
    classes: dict[str, Any] | None
    names: tuple[str, ...]
    doubts: tuple[str, ...]
    source: object = None
    walks: dict[int, WalkAnswer] = field(default_factory=dict)

    def value(self, id: int) -> Value:
        """Return a value of the recording.

        Raises ValueError for a number that none has.
        """
        values = self.recording.values
        if not 0 <= id < len(values):
            raise ValueError(f"`value` (={id}) must be one of the recording's {len(values)} values")
        return values[id]

    def element(self, id: int, index: tuple[int, ...]) -> Value:
        """Return a value of the recording that has a number at an index.

        Raises ValueError if the index lies outside its shape.
        """
        value = self.value(id)
        inside = len(index) == len(value.shape) and all(
            0 <= i < n for i, n in zip(index, value.shape, strict=True)
        )
        if not inside:
            raise ValueError(f"`index` (={index}) must lie in the value's shape {value.shape}")
        return value

    @cached_property
    def steps(self) -> list[StepRow]:
        """Every step, as the page reads it."""
        return step_rows(self.recording)

    def walk(self, detection: int) -> WalkAnswer:
        """Return a detection walked back, which takes a while the first time."""
        known = self.walks.get(detection)
        if known is None:
            known = self.walks[detection] = self.found().walk(detection)
        return known

    def found(self) -> Detections:
        """Return the detections; ValueError if the network is not a detector."""
        if self.detections is None:
            raise ValueError("`recording` has no detections: its network is not a detector")
        return self.detections

    def segmented(self) -> Segments:
        """Return the segments; ValueError if the network gives pixels no classes."""
        if self.segments is None:
            raise ValueError("`recording` has no segments: this network gives pixels no classes")
        return self.segments

    def standing(self, id: int, index: tuple[int, ...]) -> Standing | None:
        """Return how a class stands at its pixel, where a number is the score of one."""
        if self.segments is None or self.segments.value.id != id:
            return None
        return self.segments.standing(index)

    def png(self) -> Bytes:
        """Return the frames, one below the other, as the bytes of a PNG file.

        Raises ValueError if the input is not a picture.
        """
        if self.pixels is None:
            raise ValueError("`recording` has no picture: this network's input is not one")
        file = io.BytesIO()
        image = Image.fromarray(self.pixels.reshape(-1, *self.pixels.shape[2:]))
        image.save(file, "PNG", compress_level=1)
        return np.frombuffer(file.getvalue(), np.uint8)


def look_at(opened: Opened, source: object, name: str, number: int) -> Look:
    """Run a network on a picture (or `.npy` array), as look `number`.

    A network of several inputs takes `InputSources`; anything else goes into each of them.

    Raises:
        ValueError: the network cannot be shown this.
        MemoryError: the recording would need more than half of the free memory.
    """
    began = time.perf_counter()
    sources = sources_of(opened, source, name)
    read = [read_inputs(opened, each) for each in sources.given]
    with mode(opened.network, training=False):
        recording = record(opened.network, *(inputs for inputs, _ in read))
    inputs, shown = read[0]
    pixels = None if shown is None else _frames(opened, inputs, shown)
    look = look_of(opened, recording, number, pixels)
    called = ", ".join(
        filter(None, (*dict.fromkeys(sources.names), remark(opened, sources.given[0])))
    )
    one = sources if len(sources.given) > 1 else sources.given[0]
    return replace(look, name=called, seconds=time.perf_counter() - began, source=one)


def look_beside(base: Look, opened: Opened, number: int) -> Look:
    """Run another network on the very input of a look, as look `number`.

    Raises MemoryError as `look_at` does.
    """
    given = [placed(v.tensor.detach().clone(), opened.network) for v in base.recording.inputs]
    with mode(opened.network, training=False):
        recording = record(opened.network, *given)
    look = look_of(opened, recording, number, base.pixels)
    return replace(look, name=short_name(opened.name), source=base.source)


def sources_of(opened: Opened, source: object, name: str) -> InputSources:
    """Return what each input of a network is read from."""
    slots = slots_of(opened.network)
    if isinstance(source, InputSources):
        if len(source.given) != len(slots):
            raise ValueError(
                f"{opened.name} has {len(slots)} inputs ({', '.join(slots)}), and "
                f"{len(source.given)} were given; give one for each"
            )
        return source
    if isinstance(source, tuple):
        return sources_of(
            opened, InputSources(source, tuple(Path(each).name for each in source)), ""
        )
    called = name or (Path(source).name if isinstance(source, str | Path) else "")
    return InputSources((source,) * len(slots), (called,) * len(slots))


def look_of(
    opened: Opened,
    recording: Recording,
    number: int,
    pixels: npt.NDArray[np.uint8] | None = None,
) -> Look:
    """Return look `number`, of a recording that is there already; see `Look`."""
    found = detections_of(recording)
    names, doubts = _names(opened, recording, found)
    known = _known(opened, names)
    segments = segments_of(recording, known)
    return Look(
        number=number,
        opened=opened,
        recording=recording,
        pixels=pixels,
        name="",
        seconds=sum(step.seconds for step in recording.steps),
        detections=found,
        segments=segments,
        classes=classes_of(recording) if found is None and segments is None else None,
        names=names if found is None else known,
        doubts=doubts,
    )


def _frames(
    opened: Opened, inputs: torch.Tensor, shown: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Return the pixels of all frames, (t, h, w, 3), of which `shown` is the first."""
    preparation = opened.preparation
    if preparation is None or inputs.ndim != 5:
        return shown[None]
    pixels = inputs[0].detach().cpu().permute(1, 2, 3, 0)  # (1, c, t, h, w) -> (t, h, w, c)
    if preparation.std is not None:
        pixels = pixels * torch.tensor(preparation.std)
    if preparation.mean is not None:
        pixels = pixels + torch.tensor(preparation.mean)
    bytes_ = (pixels * 255).round().clamp(0, 255).to(torch.uint8)
    return bytes_.expand(*bytes_.shape[:3], 3).numpy()


def _known(opened: Opened, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of classes that mean something: with random weights, the background's."""
    if not random_parts(opened.network):
        return names
    return tuple(name for name in names[:1] if name in BACKGROUNDS)


def _names(
    opened: Opened, recording: Recording, found: Detections | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the outputs, and what the user must know of them."""
    if found is not None:
        outputs, labels = None, found.part("labels").tolist()
    else:
        outputs, labels = outputs_of(recording.outputs, 1), []
    return fitting_names(opened.categories or (), outputs, labels)
