"""Divide sources into inputs of a network: pictures, frames of a clip, or stretches of frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

from convlens.files import printed
from convlens.learn.opening import Opened
from convlens.learn.sentences import first_line
from convlens.learn.sources.clips import Frame
from convlens.learn.sources.pictures.picture import Picture
from convlens.learn.sources.reading import Source

__all__ = ["Unit", "units", "weight_of"]


@dataclass(frozen=True, eq=False)
class Unit:
    """What becomes one input: a file or page not read yet, or frames, and where they begin."""

    source: Source
    pictures: tuple[Picture, ...] = ()
    number: int | None = None
    time: float | None = None
    page: int | None = None
    error: str | None = None


def units(sources: Iterable[Source], opened: Opened, every: int) -> Iterator[Unit]:
    """Yield what becomes an input of a network, source by source.

    A failure within a source is a unit with `error`, after the units that could be read.
    """
    for source in sources:
        try:
            yield from _units_of(source, opened, every)
        except Exception as error:  # a damaged clip must not end the run
            yield Unit(source, error=first_line(error))


def _units_of(source: Source, opened: Opened, every: int) -> Iterator[Unit]:
    if source.error is not None:
        yield Unit(source, error=source.error)
    elif source.moves():
        yield from _frames(source, opened, every)
    elif opened.frames is not None:
        (count, rate), name = opened.frames, printed(source.name)
        yield Unit(
            source,
            error=f"`source` ({name}) must be a clip for {opened.name}, which looks at "
            f"{count} frames at {rate:g} a second; give a .mp4, or an animated .gif",
        )
    else:
        for page in source.pages():
            yield Unit(source, source.given, page=page)


def _frames(source: Source, opened: Opened, every: int) -> Iterator[Unit]:
    """Yield the frames of a clip, or its stretches."""
    rate = None if opened.frames is None else opened.frames[1]
    seen = 0
    with closing(source.frames(rate)) as frames:
        if opened.frames is None:
            for frame in frames:
                seen += 1
                if frame.number % every == 0:
                    yield Unit(source, (frame.picture,), frame.number, frame.time)
        else:
            for unit in _stretches(source, frames, opened.frames[0]):
                seen += 1
                yield unit
    if not seen:
        yield Unit(
            source,
            error=f"`source` ({printed(source.name)}) must have a frame, and has none; record it "
            "again",
        )


def _stretches(source: Source, frames: Iterator[Frame], count: int) -> Iterator[Unit]:
    """Yield whole stretches; the last ends with the clip, and may overlap the one before."""
    held: deque[Frame] = deque(maxlen=count)
    unseen = 0
    for frame in frames:
        held.append(frame)
        unseen += 1
        if unseen == count:
            yield _stretch(source, held)
            unseen = 0
    if len(held) == 1:
        yield Unit(
            source,
            error=f"`source` ({printed(source.name)}) must have at least 2 frames to be seen "
            "moving, and has 1; give it to a network that looks at pictures",
        )
    elif unseen:
        yield _stretch(source, held)


def _stretch(source: Source, frames: deque[Frame]) -> Unit:
    pictures = tuple(frame.picture for frame in frames)
    return Unit(source, pictures, frames[0].number, frames[0].time)


def weight_of(unit: Unit) -> int:
    """Return the bytes of its pixels, for an unread file by what JPEG usually saves."""
    if unit.pictures or unit.source.path is None:
        return sum(picture.pixels.nbytes for picture in unit.pictures)
    try:
        return 12 * unit.source.path.stat().st_size
    except (OSError, ValueError):  # not every name can be a file's
        return 0  # reading it will say what is wrong
