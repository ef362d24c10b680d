"""Decode a clip or a camera frame by frame, each with its time, at its own rate or at another."""

from __future__ import annotations

import io
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convlens.files import expanded
from convlens.learn.pictures import MOST_PIXELS, Picture, is_animated, read_animation

if TYPE_CHECKING:
    import av

__all__ = ["CLIPS", "Frame", "camera_frames", "clip_frames", "is_clip"]

CLIPS = (".mp4", ".mov", ".avi", ".mkv", ".webm")
"""The suffixes of clips, which PyAV decodes; animated GIF and WebP pictures Pillow does."""

_ANIMATED = (".gif", ".webp")

# FFmpeg may open no other file or address from within a clip, and try no playlist.
_FORMATS = {"format_whitelist": "mov,mp4,matroska,webm,avi"}
_LOCKED = {**_FORMATS, "protocol_whitelist": "file"}
_LOCKED_BYTES = {**_FORMATS, "protocol_whitelist": "none"}

# The system's cameras, by FFmpeg's names.
_CAMERAS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


@dataclass(frozen=True)
class Frame:
    """A decoded frame of a clip: its number from 0, its seconds from the start, how long it stays.

    >>> Frame(Picture(np.zeros((2, 3, 3), np.uint8)), 5, 0.2, 0.04).time
    0.2
    """

    picture: Picture
    number: int
    time: float
    duration: float


def is_clip(source: bytes | str | Path) -> bool:
    """Return whether a file is a clip: a path by its suffix, bytes by how their container begins.

    Or a GIF or WebP picture with frames.

    >>> is_clip("holiday.mp4"), is_clip("holiday.jpg"), is_clip(b"1234ftypmp42")
    (True, False, True)
    """
    if isinstance(source, bytes):
        return _is_container(source) or is_animated(source)
    suffix = Path(source).suffix.lower()
    return suffix in CLIPS or (suffix in _ANIMATED and is_animated(source))


def clip_frames(
    source: bytes | str | Path, rate: float | None = None
) -> Generator[Frame, None, None]:
    """Yield the frames of a clip as they are meant to be seen, one decoded at a time.

    `source`: its path, or its bytes. `rate`: frames a second to give, each the one that is on show
    at its time (so some are left out or come twice); None for every frame of the clip at its own.

    Raises ValueError for what is no whole clip (after the frames before the damage), has frames of
    more than 64 million pixels, and, but for GIF and WebP, where PyAV is not installed.
    """
    if isinstance(source, bytes):
        frames = _decoded(source) if _is_container(source) else _animated(source)
    else:
        path = expanded(source)
        frames = _animated(path) if path.suffix.lower() in _ANIMATED else _decoded(path)
    return frames if rate is None else _resampled(frames, rate)


def camera_frames(index: int, rate: float | None = None) -> Generator[Frame, None, None]:
    """Yield what the camera numbered `index` sees, from 0 the first, without end.

    `rate`: as for `clip_frames`.

    Raises ValueError where there is none, or PyAV is not installed.
    """
    frames = _filmed(index)
    return frames if rate is None else _resampled(frames, rate)


def _filmed(index: int) -> Generator[Frame, None, None]:
    av = _pyav(f"camera {index}")
    driver = _CAMERAS.get(sys.platform, "v4l2")
    try:
        if driver == "dshow":
            cameras = [d for d in av.enumerate_input_devices(driver) if "video" in d.media_types]
            address = f"video={cameras[index].name}"
        else:
            address = f"/dev/video{index}" if driver == "v4l2" else str(index)
        options = {"framerate": "30"} if driver == "avfoundation" else {}
        container = av.open(address, format=driver, options=options)
    except (OSError, ValueError, IndexError) as error:
        raise ValueError(
            f"`source` (={index}) must be the number of a camera, and none can be opened there "
            f"({_first_line(error)}); plug it in, or count from 0"
        ) from error
    name = f"camera-{index}"
    with container:
        yield from _frames(container, name)


def _pyav(name: str) -> Any:
    try:
        import av
    except ImportError as error:
        raise ValueError(
            f"`source` ({name}) needs PyAV to be decoded, and it is not installed; "
            "pip install 'convlens[video]'"
        ) from error
    # It would print FFmpeg's remarks on damaged files; the sentence of an error says it.
    av.logging.set_level(None)
    return av


def _is_container(start: bytes) -> bool:
    """Whether bytes begin as MP4 and MOV, as AVI, or as Matroska and WebM."""
    riff = start[:4] == b"RIFF" and start[8:12] == b"AVI "
    return riff or start[4:8] == b"ftyp" or start[:4] == b"\x1aE\xdf\xa3"


def _decoded(source: bytes | Path) -> Generator[Frame, None, None]:
    name = _name(source)
    av = _pyav(name)
    given = isinstance(source, bytes)
    file = io.BytesIO(source) if isinstance(source, bytes) else str(source.resolve())
    try:
        with av.open(file, options=dict(_LOCKED_BYTES if given else _LOCKED)) as container:
            yield from _frames(container, name)
    except (av.error.FFmpegError, EOFError, IndexError) as error:
        raise ValueError(
            f"`source` ({name}) must be a whole MP4, MOV, AVI, MKV or WebM clip, and this one "
            f"is truncated or damaged ({_first_line(error)}); copy or save it again"
        ) from error


def _frames(container: av.container.InputContainer, name: str) -> Iterator[Frame]:
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    _check_size(stream.codec_context.width, stream.codec_context.height, name)
    step = float(1 / (stream.average_rate or 25))
    start: float | None = None
    for number, frame in enumerate(container.decode(stream)):
        _check_size(frame.width, frame.height, name)
        told: float | None = frame.time
        time = number * step if told is None else told
        start = time if start is None else start
        pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        upright = np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))
        yield Frame(Picture(upright, name), number, max(0.0, time - start), step)


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > MOST_PIXELS:
        raise ValueError(
            f"`source` ({name}) must have frames of at most {MOST_PIXELS:,} pixels, and has "
            f"{width:,} x {height:,}; make it smaller"
        )


def _name(source: bytes | Path) -> str:
    return "the bytes given" if isinstance(source, bytes) else source.name


def _animated(source: bytes | Path) -> Generator[Frame, None, None]:
    time = 0.0
    for number, (picture, seconds) in enumerate(read_animation(source)):
        yield Frame(picture, number, time, seconds)
        time += seconds


def _resampled(frames: Iterator[Frame], rate: float) -> Generator[Frame, None, None]:
    """Number k is the frame on show at k / rate seconds."""
    number, shown = 0, None
    tiny = 1e-6  # containers round times
    for frame in frames:
        while shown is not None and number / rate < frame.time - tiny:
            yield Frame(shown, number, number / rate, 1 / rate)
            number += 1
        shown, end = frame.picture, frame.time + frame.duration
    while shown is not None and number / rate < end - tiny:
        yield Frame(shown, number, number / rate, 1 / rate)
        number += 1


def _first_line(error: Exception) -> str:
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(said).splitlines()[0]
