"""Clips and cameras, frame by frame, each with its time, at their own rate or at another."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from convlens.files import expanded, printed
from convlens.learn.sources.formats import CLIPS, START, format_of, suffixes
from convlens.learn.sources.pictures.animations import animation_of, is_animated, read_animation
from convlens.learn.sources.pictures.picture import Picture
from convlens.learn.sources.video import camera_pictures, video_pictures

__all__ = ["Frame", "camera_frames", "clip_frames", "frames_of", "is_clip"]


@dataclass(frozen=True)
class Frame:
    """A decoded frame of a clip: its number from 0, its start and duration in seconds.

    >>> import numpy as np
    >>> Frame(Picture(np.zeros((2, 3, 3), np.uint8)), 5, 0.2, 0.04).time
    0.2
    """

    picture: Picture
    number: int
    time: float
    duration: float


def is_clip(source: bytes | str | Path) -> bool:
    """Return whether a file is a clip: a path by its suffix, bytes by how they begin.

    Animated pictures are clips, too.

    >>> is_clip("holiday.mp4"), is_clip("holiday.jpg"), is_clip(b"1234ftypmp42")
    (True, False, True)
    """
    return _is_video(source) or is_animated(source)


def clip_frames(
    source: bytes | str | Path, rate: float | None = None
) -> Generator[Frame, None, None]:
    """Yield the frames of a clip as they are meant to be seen, one decoded at a time.

    `source`: its path, or its bytes. `rate`: give this many frames a second, each the one that is
    on show at its time; some are left out or repeated, but a single frame is not. None gives every
    frame at its own time.

    Raises ValueError for a file that is not a whole clip, has no frames, or has frames of more than
    64 million pixels. It first yields the frames before the damage; if the file says that it has
    more than it holds, all of them. Formats other than animated pictures need PyAV.
    """
    if not _is_video(source):
        frames = _timed(read_animation(source))
    elif isinstance(source, bytes):
        frames = _numbered(video_pictures(source))
    else:
        frames = _numbered(video_pictures(expanded(source)))
    return frames if rate is None else _resampled(frames, rate)


def frames_of(
    given: Sequence[Picture] | Image.Image, rate: float | None = None, name: str = "clip"
) -> Generator[Frame, None, None]:
    """Yield the frames of a clip that Python holds: pictures, or an animation that Pillow opened.

    `rate`: as for `clip_frames`. Pictures have no times of their own; they get this rate, or 25 a
    second.

    >>> import numpy as np
    >>> [frame.time for frame in frames_of([Picture(np.zeros((2, 2, 3), np.uint8))] * 2)]
    [0.0, 0.04]
    """
    if isinstance(given, Image.Image):
        frames = _timed(animation_of(given, name, f"`source` ({printed(name)})"))
        return frames if rate is None else _resampled(frames, rate)
    return _at_rate(given, rate or 25)


def camera_frames(index: int, rate: float | None = None) -> Generator[Frame, None, None]:
    """Yield what the camera numbered `index` sees, from 0 the first, without end.

    `rate`: as for `clip_frames`.

    Raises ValueError if there is no such camera, or PyAV is not installed.
    """
    frames = _numbered(camera_pictures(index))
    return frames if rate is None else _resampled(frames, rate)


def _is_video(source: bytes | str | Path) -> bool:
    if isinstance(source, bytes):
        return format_of(source[:START]) in CLIPS
    return Path(source).suffix.lower() in suffixes(CLIPS)


def _numbered(
    pictures: Generator[tuple[Picture, float, float], None, None],
) -> Generator[Frame, None, None]:
    with closing(pictures):
        for number, (picture, time, duration) in enumerate(pictures):
            yield Frame(picture, number, time, duration)


def _timed(pictures: Iterator[tuple[Picture, float]]) -> Generator[Frame, None, None]:
    time = 0.0
    for number, (picture, seconds) in enumerate(pictures):
        yield Frame(picture, number, time, seconds)
        time += seconds


def _at_rate(pictures: Sequence[Picture], rate: float) -> Generator[Frame, None, None]:
    for number, picture in enumerate(pictures):
        yield Frame(picture, number, number / rate, 1 / rate)


def _resampled(frames: Iterator[Frame], rate: float) -> Generator[Frame, None, None]:
    """Yield, as number k, the frame on show at k / rate seconds; a single frame is not repeated."""
    number, shown = 0, None
    tiny = 1e-6  # containers round times
    alone = True
    for frame in frames:
        while shown is not None and number / rate < frame.time - tiny:
            yield Frame(shown, number, number / rate, 1 / rate)
            number += 1
        alone = shown is None
        shown, end = frame.picture, frame.time + frame.duration
    if shown is not None and alone:
        yield Frame(shown, 0, 0.0, 1 / rate)
        return
    while shown is not None and number / rate < end - tiny:
        yield Frame(shown, number, number / rate, 1 / rate)
        number += 1
