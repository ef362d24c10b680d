"""A picture in, an answer out: run a network over pictures, clips and cameras, many at a time."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from convlens.files import printed
from convlens.learn.opening import Opened, arrays_for, open_network, opened_module, placed
from convlens.learn.predicting.forms import (
    Sigmoids,
    UnknownFormError,
    fitting_names,
    outputs_of,
    predictions_of,
)
from convlens.learn.predicting.predictions import Limits, Prediction, View
from convlens.learn.predicting.reliability import broken_inside, broken_weights, doubts
from convlens.learn.predicting.units import Unit, units, weight_of
from convlens.learn.preparing import Preparation
from convlens.learn.sentences import first_line
from convlens.learn.sources.pictures.picture import Picture
from convlens.learn.sources.prefetching import prefetched
from convlens.learn.sources.reading import Source, read_sources
from convlens.zoo.detection import Detector

__all__ = ["Prediction", "Running", "Seen", "device_for", "opened_for", "predict", "running"]

WORKERS = 2
"""Threads that prepare; reading and scaling a picture is a twentieth of a small network's work."""

MOST_HELD = 32
"""Answers of no known form in a row, from the first on, after which the network is refused."""

MOST_BYTES = 2**28
"""Of pixels in a batch, and as many again being prepared for the next; or one picture's."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A prediction with the frames it is of, as they are seen: one, or a clip's, `step` s apart.

    `unknown_form`: what is raised where no picture is answered in a form that is known.
    """

    prediction: Prediction
    pictures: tuple[Picture, ...]
    step: float = 0.0
    unknown_form: UnknownFormError | None = None


def predict(
    network: str | nn.Module | Opened,
    source: object,
    *,
    batch: int = 8,
    weights: str | Path | None = "DEFAULT",
    threshold: float = 0.5,
    top: int = 5,
    every: int = 1,
    size: int | tuple[int, int] | None = None,
    crop: int | tuple[int, int] | None = None,
    normalize: str | None = None,
    device: str | torch.device | None = None,
) -> Iterator[Prediction]:
    """Yield what `network` says of each picture of `source`, in order, as they are computed.

    `network`: as `open_network` takes it, with `weights` (None for ones drawn at random), `size`,
    `crop` and `normalize`; what it opened; or a torch.nn.Module, run in evaluation mode and left as
    it was found. `source`: as `read_sources` takes it. Pictures are read and prepared ahead in
    threads, and run in batches of at most `batch` of one size: no answer depends on what the
    neighbours show, and only the last digits, about 1e-6 of a score, on how many they are. `top`:
    categories told of a classification; `threshold`: the least score of a box.

    A TIFF or MPO of several pages gives a prediction for each, with its `page`.

    A network that reads pictures sees every frame of a clip, or every `every`-th. One that reads
    clips sees stretches of as many frames, at the rate it learned; the last begins early enough to
    be whole, and a clip that is shorter is seen as it is. `device`: where it runs; None leaves a
    Module where it is, and puts another on a CUDA device where there is one.

    A picture that cannot be read, and one the network fails on, gives a `Prediction` with `error`.

    Raises ValueError or TypeError for what `open_network` and `read_sources` refuse, numbers out of
    range, and a network whose output is none of the forms `predictions_of` knows.

    >>> from convlens.zoo.weights import DATA
    >>> best = next(predict("digits", DATA / "digit-3.png", top=1))
    >>> print(best)
    digit-3.png (128 x 128)
      100.0 %  3
    """
    limits = Limits(threshold, top)
    opened = opened_for(network, weights=weights, size=size, crop=crop, normalize=normalize)
    device = device_for(network, device)
    run = running(opened, limits, batch=batch, every=every, device=device)
    return _only_predictions(run.over(read_sources(source)))


def _only_predictions(seen: Generator[Seen, None, None]) -> Iterator[Prediction]:
    with closing(seen):
        for one in seen:
            yield one.prediction


def opened_for(
    network: str | nn.Module | Opened,
    *,
    weights: str | Path | None = "DEFAULT",
    size: int | tuple[int, int] | None = None,
    crop: int | tuple[int, int] | None = None,
    normalize: str | None = None,
) -> Opened:
    """Return the network to predict with, one that is named laid out for speed; see `predict`.

    >>> opened_for("digits").name
    'digits'
    """
    if isinstance(network, Opened):
        return network
    if isinstance(network, nn.Module):
        return opened_module(network, size=size, crop=crop, normalize=normalize)
    asked = "none" if weights is None else weights
    opened = open_network(network, weights=asked, size=size, crop=crop, normalize=normalize)
    _put_colours_last(opened.network)
    return opened


def _put_colours_last(network: nn.Module) -> None:
    """Colours side by side: on CPUs torch's convolutions take as long, or down to a third of it."""
    forms = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in network.parameters():
        lazy = isinstance(parameter, nn.parameter.UninitializedParameter)
        if not lazy and parameter.ndim in forms and parameter.layout == torch.strided:
            form = forms[parameter.ndim]
            parameter.data = parameter.data.contiguous(memory_format=form)


def device_for(
    network: str | nn.Module | Opened, device: str | torch.device | None
) -> str | torch.device | None:
    """Return the device asked for; else CUDA for a network that is named, where there is some.

    >>> device_for("digits", "cpu")
    'cpu'
    """
    if device is None and isinstance(network, str) and torch.cuda.is_available():
        return "cuda"
    return device


def running(
    opened: Opened,
    limits: Limits,
    *,
    batch: int = 8,
    every: int = 1,
    device: str | torch.device | None = None,
) -> Running:
    """Return what runs an opened network; see `predict` for the arguments and what is refused."""
    for name, value in (("batch", batch), ("every", every)):
        if value < 1:
            raise ValueError(f"`{name}` (={value}) must be at least 1; leave it out for the usual")
    if opened.preparation is None:
        raise ValueError(
            f"`network` (={opened.name!r}) must read pictures or clips, and its first layer reads "
            f"neither; give it a `preparation`, or `convlens record` it on {arrays_for(opened)}"
        )
    return Running(opened, opened.preparation, limits, batch, every, _device(device))


@dataclass(frozen=True, eq=False)
class Running:
    """A network about to be run over sources.

    `by_sigmoid`: whether its answers are a sigmoid's, once that is known.
    """

    opened: Opened
    preparation: Preparation
    limits: Limits
    batch: int
    every: int
    device: torch.device | None
    by_sigmoid: list[bool] = field(default_factory=list)

    def over(self, sources: Iterable[Source]) -> Generator[Seen, None, None]:
        """Yield each picture's answer with the picture, in order."""
        network = self.opened.network
        training = [module for module in network.modules() if module.training]
        network.eval()
        if self.device is not None:
            network.to(self.device)
        said, broken = doubts(network), broken_weights(network)
        row = units(sources, self.opened, self.every)
        ready = prefetched(
            *(row, self._prepared),
            ahead=self.batch,
            workers=WORKERS,
            weigh=weight_of,
            most=MOST_BYTES,
        )
        try:
            with closing(ready):
                seen = (one for few in _batches(ready, self.batch) for one in self._answered(few))
                for one in _of_known_form(seen):
                    yield one if not said else _with_warnings(one, said, broken)
        finally:
            for module in training:
                module.training = True

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
        """The answers of a batch, in order; those of one size are run together."""
        answers: dict[int, _Told] = {}
        good = [number for number, ready in enumerate(few) if ready.x is not None]
        good.sort(key=lambda number: _shape(few[number]))
        for _, same in groupby(good, key=lambda number: _shape(few[number])):
            numbers = list(same)
            told = self._run([few[number] for number in numbers])
            answers |= zip(numbers, told, strict=True)
        for number, ready in enumerate(few):
            step = 0.0 if self.opened.frames is None else 1 / self.opened.frames[1]
            answer = answers.get(number, _Told({}))
            prediction = self._prediction(ready, answer.fields)
            yield Seen(prediction, ready.pictures, step, answer.unknown_form)

    def _run(self, few: list[_Ready]) -> list[_Told]:
        began = time.perf_counter()
        name, what = few[0].unit.source.name, "the network"
        try:
            views = [self._view(ready) for ready in few]
            x = torch.cat([ready.x for ready in few if ready.x is not None])
            x = placed(x, self.opened.network)
            with torch.inference_mode():
                output = self._answer(x)
                what = "telling the network's answer"
                sigmoid = self.by_sigmoid[0]
                told = predictions_of(output, views, self.limits, by_sigmoid=sigmoid)
                told = [self._doubted(one, output, n, x) for n, one in enumerate(told)]
                outputs = outputs_of(output, len(views))
                told = [self._named(one, outputs) for one in told]
        except Exception as error:  # a network fails on a picture with any exception
            if len(few) > 1:  # only some may be to blame
                return [self._run([ready])[0] for ready in few]
            if isinstance(error, UnknownFormError):
                return [_Told({"error": str(error)}, error)]
            return [_Told({"error": _failed(what, name, error)})]
        seconds = (time.perf_counter() - began) / len(few)
        return [_Told({**fields, "seconds": seconds}) for fields in told]

    def _answer(self, x: Tensor) -> Any:
        """What the network answers; the first time it is watched for a sigmoid at its end."""
        network: Any = self.opened.network
        # Masks are laid over the picture later: one by one, and only those that are told.
        options = {"whole_masks": False} if isinstance(network, Detector) else {}
        if self.by_sigmoid:
            return network(x, **options)
        with Sigmoids() as seen:
            output = network(x, **options)
        self.by_sigmoid.append(seen.made(output))
        return output

    def _doubted(self, fields: dict[str, Any], output: Any, n: int, x: Tensor) -> dict[str, Any]:
        """Nothing found, at any score, because numbers were lost on the way is no answer."""
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
class _Told:
    """What an output says of a picture, as fields of `Prediction`, or that its form is unknown."""

    fields: dict[str, Any]
    unknown_form: UnknownFormError | None = None


def _of_known_form(seen: Iterable[Seen]) -> Iterator[Seen]:
    """The same; raises where the network answers every picture in a form that is none.

    One picture's odd answer is its own error, so the first are held back until another is told.
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
    for one in held:
        if one.unknown_form is not None:
            raise one.unknown_form
    yield from held


def _with_warnings(seen: Seen, said: tuple[str, ...], broken: str | None) -> Seen:
    """With what is said of the network; nothing found by broken weights is no answer."""
    told = seen.prediction
    if broken is not None and told.boxes is not None and not len(told.labels):
        told = told.without_boxes(broken)
    warnings = (*said, *told.warnings)
    return replace(seen, prediction=told.changed(warnings=warnings))


@dataclass(frozen=True, eq=False)
class _Ready:
    """A unit read and prepared, x of shape (1, c, *space), or the reason why it is not."""

    unit: Unit
    pictures: tuple[Picture, ...]
    x: Tensor | None = None
    error: str | None = None


def _device(device: str | torch.device | None) -> torch.device | None:
    if device is None:
        return None
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"`device` (={str(device)!r}) must be one that torch can use here "
            f"({first_line(error)}); use 'cpu'"
        ) from error


def _batches(ready: Iterator[_Ready], size: int) -> Iterator[list[_Ready]]:
    """At most `size` at a time, fewer where their pixels are many."""
    few: list[_Ready] = []
    pixels = 0
    for one in ready:
        few.append(one)
        pixels += sum(picture.pixels.nbytes for picture in one.pictures)
        # What a camera sees is to be told at once.
        if len(few) == size or pixels >= MOST_BYTES or one.unit.source.camera is not None:
            yield few
            few, pixels = [], 0
    if few:
        yield few


def _shape(ready: _Ready) -> tuple[int, ...]:
    return () if ready.x is None else tuple(ready.x.shape)


def _failed(what: str, name: str, error: Exception) -> str:
    return f"{what} raised {type(error).__name__} on {printed(name)}: {first_line(error)}"
