"""A picture in, an answer out: run a network over pictures, clips and cameras, many at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from convlens.learn.clips import Frame, camera_frames, clip_frames, is_clip
from convlens.learn.opening import Opened, open_network, opened_module, placed
from convlens.learn.pictures import Picture, read_picture
from convlens.learn.predictions import Limits, Prediction, View, predictions_of
from convlens.learn.prefetching import prefetched
from convlens.learn.preparing import Preparation
from convlens.learn.sources import Source, read_sources

__all__ = ["Prediction", "Running", "Seen", "device_for", "opened_for", "predict", "running"]

WORKERS = 2
"""Threads that prepare; reading and scaling a picture is a twentieth of a small network's work."""

MOST_BYTES = 2**28
"""Of pixels in a batch, and as many again being prepared for the next; or one picture's."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A prediction with the frames it is of, as they are seen: one, or a clip's, `step` s apart."""

    prediction: Prediction
    pictures: tuple[Picture, ...]
    step: float = 0.0


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
    normalize: str | None = None,
    device: str | torch.device | None = None,
) -> Iterator[Prediction]:
    """Yield what `network` says of each picture of `source`, in order, as they are computed.

    `network`: as `open_network` takes it, with `weights` (None for ones drawn at random), `size`
    and `normalize`; what it opened; or a torch.nn.Module, run in evaluation mode and left as it was
    found. `source`: as `read_sources` takes it. Pictures are read and prepared ahead in threads,
    and run in batches of at most `batch` of one size, so that no picture's answer depends on its
    neighbours'. `top`: categories told of a classification; `threshold`: the least score of a box.

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
    opened = opened_for(network, weights=weights, size=size, normalize=normalize)
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
    normalize: str | None = None,
) -> Opened:
    """Return the network to predict with, one that is named laid out for speed; see `predict`.

    >>> opened_for("digits").name
    'digits'
    """
    if isinstance(network, Opened):
        return network
    if isinstance(network, nn.Module):
        return opened_module(network, size=size, normalize=normalize)
    asked = "none" if weights is None else weights
    opened = open_network(network, weights=asked, size=size, normalize=normalize)
    # Colours side by side: on CPUs torch's convolutions take as long, or down to a third of it.
    form = torch.channels_last if opened.frames is None else torch.channels_last_3d
    opened.network.to(memory_format=form)  # type: ignore[call-overload]
    return opened


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
            "neither; give it a `preparation`, or `convlens record` it on a .npy array"
        )
    return Running(opened, opened.preparation, limits, batch, every, _device(device))


@dataclass(frozen=True, eq=False)
class Running:
    """A network about to be run over sources."""

    opened: Opened
    preparation: Preparation
    limits: Limits
    batch: int
    every: int
    device: torch.device | None

    def over(self, sources: Iterable[Source]) -> Generator[Seen, None, None]:
        """Yield each picture's answer with the picture, in order."""
        network = self.opened.network
        training = [module for module in network.modules() if module.training]
        network.eval()
        if self.device is not None:
            network.to(self.device)
        units = _units(sources, self.opened, self.every)
        ready = prefetched(
            *(units, self._prepared),
            ahead=self.batch,
            workers=WORKERS,
            weigh=_weight,
            most=MOST_BYTES,
        )
        try:
            with closing(ready):
                for few in _batches(ready, self.batch):
                    yield from self._answered(few)
        finally:
            for module in training:
                module.training = True

    def _prepared(self, unit: _Unit) -> _Ready:
        if unit.error is not None:
            return _Ready(unit, unit.pictures, error=unit.error)
        pictures = unit.pictures
        try:
            if not pictures and unit.source.path is not None:
                pictures = (read_picture(unit.source.path, unit.source.name),)
            if self.opened.frames is not None:
                return _Ready(unit, pictures, self.preparation.clip(pictures))
            return _Ready(unit, pictures, self.preparation(pictures[0]))
        except Exception as error:
            return _Ready(unit, pictures, error=_sentence(error))

    def _answered(self, few: list[_Ready]) -> Iterator[Seen]:
        """The answers of a batch, in order; those of one size are run together."""
        answers: dict[int, dict[str, Any]] = {}
        good = [number for number, ready in enumerate(few) if ready.x is not None]
        good.sort(key=lambda number: _shape(few[number]))
        for _, same in groupby(good, key=lambda number: _shape(few[number])):
            numbers = list(same)
            told = self._run([few[number] for number in numbers])
            answers |= zip(numbers, told, strict=True)
        for number, ready in enumerate(few):
            step = 0.0 if self.opened.frames is None else 1 / self.opened.frames[1]
            yield Seen(self._prediction(ready, answers.get(number, {})), ready.pictures, step)

    def _run(self, few: list[_Ready]) -> list[dict[str, Any]]:
        began = time.perf_counter()
        views = [self._view(ready) for ready in few]
        try:
            x = torch.cat([ready.x for ready in few if ready.x is not None])
            with torch.inference_mode():
                output = self.opened.network(placed(x, self.opened.network))
        except Exception as error:  # a network fails on a picture with any exception
            if len(few) > 1:  # only some may be to blame
                return [self._run([ready])[0] for ready in few]
            return [{"error": _failed(few[0].unit.source.name, error)}]
        with torch.inference_mode():
            told = predictions_of(output, views, self.limits)
        seconds = (time.perf_counter() - began) / len(few)
        return [{**fields, "seconds": seconds} for fields in told]

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
            categories=self.opened.categories or (),
            frame=unit.number,
            time=unit.time,
            **({"error": ready.error} if ready.error is not None else fields),
        )


@dataclass(frozen=True, eq=False)
class _Unit:
    """What becomes one input: a file yet to be read, or frames; of a clip, where they begin."""

    source: Source
    pictures: tuple[Picture, ...] = ()
    number: int | None = None
    time: float | None = None
    error: str | None = None


@dataclass(frozen=True, eq=False)
class _Ready:
    """A unit read and prepared, x of shape (1, c, *space), or the reason why it is not."""

    unit: _Unit
    pictures: tuple[Picture, ...]
    x: Tensor | None = None
    error: str | None = None


def _device(device: str | torch.device | None) -> torch.device | None:
    if device is None:
        return None
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        said = str(error).splitlines()[0]
        raise ValueError(
            f"`device` (={str(device)!r}) must be one torch can use here ({said}); use 'cpu'"
        ) from error


def _units(sources: Iterable[Source], opened: Opened, every: int) -> Iterator[_Unit]:
    for source in sources:
        moving = source.is_clip or source.camera is not None
        if source.error is not None:
            yield _Unit(source, error=source.error)
        elif moving or (source.path is not None and is_clip(source.path)):
            yield from _frames(source, opened, every)
        elif opened.frames is not None:
            count, rate = opened.frames
            yield _Unit(
                source,
                error=f"`source` ({source.name}) must be a clip for {opened.name}, which looks at "
                f"{count} frames at {rate:g} a second; give a .mp4, or an animated .gif",
            )
        else:
            yield _Unit(source, source.given)


def _frames(source: Source, opened: Opened, every: int) -> Iterator[_Unit]:
    """The frames of a clip, or its stretches; then why no more could be read, if so."""
    rate = None if opened.frames is None else opened.frames[1]
    with closing(_decoding(source, rate)) as frames:
        try:
            if opened.frames is None:
                for frame in frames:
                    if frame.number % every == 0:
                        yield _Unit(source, (frame.picture,), frame.number, frame.time)
            else:
                yield from _stretches(source, frames, opened.frames[0])
        except Exception as error:  # a damaged clip never ends the run
            yield _Unit(source, error=_sentence(error))


def _decoding(source: Source, rate: float | None) -> Generator[Frame, None, None]:
    if source.camera is not None:
        return camera_frames(source.camera, rate)
    if source.path is not None:
        return clip_frames(source.path, rate)
    return _given_frames(source.given, rate or 25)


def _given_frames(pictures: Sequence[Picture], rate: float) -> Generator[Frame, None, None]:
    for number, picture in enumerate(pictures):
        yield Frame(picture, number, number / rate, 1 / rate)


def _stretches(source: Source, frames: Iterator[Frame], count: int) -> Iterator[_Unit]:
    """Whole stretches side by side; the last ends with the clip, and may overlap the one before."""
    held: deque[Frame] = deque(maxlen=count)
    unseen = 0
    for frame in frames:
        held.append(frame)
        unseen += 1
        if unseen == count:
            yield _stretch(source, held)
            unseen = 0
    if len(held) == 1:
        yield _Unit(
            source,
            error=f"`source` ({source.name}) must have at least 2 frames to be seen moving, and "
            "has 1; give it to a network that looks at pictures",
        )
    elif unseen:
        yield _stretch(source, held)


def _stretch(source: Source, frames: deque[Frame]) -> _Unit:
    pictures = tuple(frame.picture for frame in frames)
    return _Unit(source, pictures, frames[0].number, frames[0].time)


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


def _weight(unit: _Unit) -> int:
    """The bytes of its pixels; of a file yet to be read, a guess by what JPEG usually saves."""
    if unit.pictures or unit.source.path is None:
        return sum(picture.pixels.nbytes for picture in unit.pictures)
    try:
        return 12 * unit.source.path.stat().st_size
    except OSError:
        return 0  # reading it will say what is the matter


def _shape(ready: _Ready) -> tuple[int, ...]:
    return () if ready.x is None else tuple(ready.x.shape)


def _sentence(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _failed(name: str, error: Exception) -> str:
    return f"the network raised {type(error).__name__} on {name}: {_sentence(error)}"
