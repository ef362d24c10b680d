"""Run a network over pictures, clips and cameras, several at a time."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from convlens.files import printed
from convlens.learn.modes import mode
from convlens.learn.opening import Opened
from convlens.learn.predicting.category_names import fitting_names
from convlens.learn.predicting.forms import outputs_of, predictions_of
from convlens.learn.predicting.outputs import UnknownFormError
from convlens.learn.predicting.predictions import Limits, Prediction, View
from convlens.learn.predicting.reliability import broken_inside, broken_weights, doubts
from convlens.learn.predicting.sigmoids import Sigmoids
from convlens.learn.predicting.units import Unit, units, weight_of
from convlens.learn.preparing import Preparation
from convlens.learn.reading_inputs import placed
from convlens.learn.sentences import first_line
from convlens.learn.sources.pictures.picture import Picture
from convlens.learn.sources.prefetching import prefetched
from convlens.learn.sources.reading import Source
from convlens.zoo.detection import Detector

__all__ = ["Running", "Seen"]

WORKERS = 2
"""Threads that read and scale pictures, which takes a twentieth of a small network's time."""

MOST_HELD = 32
"""The network is refused if its first answers, this many, have no known form."""

MOST_BYTES = 2**28
"""The most bytes of pixels in a batch, and of those prepared for the next, except one picture's."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A prediction with its pictures as they are seen: one, or a clip's frames, `step` s apart.

    `unknown_form`: the error to raise if no answer has a known form.
    """

    prediction: Prediction
    pictures: tuple[Picture, ...]
    step: float = 0.0
    unknown_form: UnknownFormError | None = None


@dataclass(frozen=True, eq=False)
class Running:
    """A network about to run over sources.

    `by_sigmoid`: whether a sigmoid makes its answers, once that is known.
    """

    opened: Opened
    preparation: Preparation
    limits: Limits
    batch: int
    every: int
    device: torch.device | None
    by_sigmoid: list[bool] = field(default_factory=list)

    def over(self, sources: Iterable[Source]) -> Generator[Seen, None, None]:
        """Yield the answer for each picture with the picture, in order."""
        network = self.opened.network
        if self.device is not None:
            network.to(self.device)
        said, broken = doubts(network), broken_weights(network)
        with mode(network, training=False), closing(self._ahead(sources)) as ready:
            seen = (one for few in _batches(ready, self.batch) for one in self._answered(few))
            for one in _of_known_form(seen):
                yield one if not said else _with_warnings(one, said, broken)

    def _ahead(self, sources: Iterable[Source]) -> Generator[_Ready, None, None]:
        """Return what the network reads of each source, prepared ahead in threads."""
        row = units(sources, self.opened, self.every)
        return prefetched(
            *(row, self._prepared),
            ahead=self.batch,
            workers=WORKERS,
            weigh=weight_of,
            most=MOST_BYTES,
        )

    def _prepared(self, unit: Unit) -> _Ready:
        if unit.error is not None:
            return _Ready(unit, unit.pictures, error=unit.error)
        pictures = unit.pictures
        try:
            if not pictures:
                pictures = (unit.source.read(unit.page),)
            if self.opened.frames is not None:
                return _Ready(unit, pictures, self.preparation.clip(pictures))
            return _Ready(unit, pictures, self.preparation(pictures[0]))
        except Exception as error:
            return _Ready(unit, pictures, error=first_line(error))

    def _answered(self, few: list[_Ready]) -> Iterator[Seen]:
        """Yield the answers of a batch, in order; pictures of one size run together."""
        answers: dict[int, _Answer] = {}
        good = [number for number, ready in enumerate(few) if ready.x is not None]
        good.sort(key=lambda number: _shape(few[number]))
        for _, same in groupby(good, key=lambda number: _shape(few[number])):
            numbers = list(same)
            answers |= zip(numbers, self._run([few[number] for number in numbers]), strict=True)
        for number, ready in enumerate(few):
            step = 0.0 if self.opened.frames is None else 1 / self.opened.frames[1]
            answer = answers.get(number, _Answer({}))
            prediction = self._prediction(ready, answer.fields)
            yield Seen(prediction, ready.pictures, step, answer.unknown_form)

    def _run(self, few: list[_Ready]) -> list[_Answer]:
        began = time.perf_counter()
        name, what = few[0].unit.source.name, "the network"
        try:
            views = [self._view(ready) for ready in few]
            x = torch.cat([ready.x for ready in few if ready.x is not None])
            x = placed(x, self.opened.network)
            with torch.inference_mode():
                output = self._answer(x)
                what = "reading the network's answer"
                found = predictions_of(output, views, self.limits, by_sigmoid=self.by_sigmoid[0])
                found = [self._doubted(one, output, n, x) for n, one in enumerate(found)]
                outputs = outputs_of(output, len(views))
                found = [self._named(one, outputs) for one in found]
        except Exception as error:  # a network may raise anything
            if len(few) > 1:  # perhaps only some of the pictures cause it
                return [self._run([ready])[0] for ready in few]
            if isinstance(error, UnknownFormError):
                return [_Answer({"error": str(error)}, error)]
            return [_Answer({"error": _failed(what, name, error)})]
        seconds = (time.perf_counter() - began) / len(few)
        return [_Answer({**fields, "seconds": seconds}) for fields in found]

    def _answer(self, x: Tensor) -> Any:
        """Return what the network answers; the first time, see whether a sigmoid makes it."""
        network: Any = self.opened.network
        # Masks are laid over the picture later: one by one, and only those that are kept.
        options = {"whole_masks": False} if isinstance(network, Detector) else {}
        if self.by_sigmoid:
            return network(x, **options)
        with Sigmoids() as seen:
            output = network(x, **options)
        self.by_sigmoid.append(seen.made(output))
        return output

    def _doubted(self, fields: dict[str, Any], output: Any, n: int, x: Tensor) -> dict[str, Any]:
        """Turn an answer without detections into an error if numbers were lost on the way."""
        if "boxes" not in fields or len(output[n]["scores"]):
            return fields
        broken = broken_inside(self.opened.network, x[n : n + 1])
        return fields if broken is None else {"error": broken}

    def _named(self, fields: dict[str, Any], outputs: int | None) -> dict[str, Any]:
        labels = fields.get("labels", ())
        names, said = fitting_names(self.opened.categories or (), outputs, labels)
        return {**fields, "categories": names, "warnings": (*fields.get("warnings", ()), *said)}

    def _view(self, ready: _Ready) -> View:
        picture = ready.pictures[0]
        high, wide = _shape(ready)[-2:]
        box = self.preparation.seen(picture)
        return View((picture.height, picture.width), (high, wide), box)

    def _prediction(self, ready: _Ready, fields: dict[str, Any]) -> Prediction:
        unit, pictures = ready.unit, ready.pictures
        return Prediction(
            name=unit.source.name,
            width=pictures[0].width if pictures else 0,
            height=pictures[0].height if pictures else 0,
            frame=unit.number,
            time=unit.time,
            page=unit.page,
            **({"error": ready.error} if ready.error is not None else fields),
        )


@dataclass(frozen=True)
class _Answer:
    """What an output says of a picture, as fields of `Prediction`, or an error of its form."""

    fields: dict[str, Any]
    unknown_form: UnknownFormError | None = None


def _of_known_form(seen: Iterable[Seen]) -> Iterator[Seen]:
    """Yield the same; raise if the network answers every picture in an unknown form.

    One picture's odd answer is its own error, so the first are held back until another is known.
    """
    held: list[Seen] = []
    undecided = True
    for one in seen:
        if undecided and one.unknown_form is not None:
            held.append(replace(one, pictures=()))
            if len(held) == MOST_HELD:
                raise one.unknown_form
        elif undecided and held and one.prediction.error is not None:
            held.append(replace(one, pictures=()))
        else:
            undecided = undecided and one.prediction.error is not None
            yield from held
            held = []
            yield one
    if held and held[0].unknown_form is not None:  # the first one held always has it
        raise held[0].unknown_form


def _with_warnings(seen: Seen, said: tuple[str, ...], broken: str | None) -> Seen:
    """Add warnings about the network; nothing found by broken weights becomes an error."""
    found = seen.prediction
    if broken is not None and found.boxes is not None and not len(found.labels):
        found = found.without_boxes(broken)
    warnings = (*said, *found.warnings)
    return replace(seen, prediction=found.changed(warnings=warnings))


@dataclass(frozen=True, eq=False)
class _Ready:
    """A unit read and prepared as x (1, c, *space), or the reason why it is not."""

    unit: Unit
    pictures: tuple[Picture, ...]
    x: Tensor | None = None
    error: str | None = None


def _batches(ready: Iterator[_Ready], size: int) -> Iterator[list[_Ready]]:
    """Yield lists of at most `size`, fewer if they have many pixels."""
    few: list[_Ready] = []
    pixels = 0
    for one in ready:
        few.append(one)
        pixels += sum(picture.pixels.nbytes for picture in one.pictures)
        # A camera's picture is answered at once.
        if len(few) == size or pixels >= MOST_BYTES or one.unit.source.camera is not None:
            yield few
            few, pixels = [], 0
    if few:
        yield few


def _shape(ready: _Ready) -> tuple[int, ...]:
    return () if ready.x is None else tuple(ready.x.shape)


def _failed(what: str, name: str, error: Exception) -> str:
    return f"{what} raised {type(error).__name__} on {printed(name)}: {first_line(error)}"
