"""Decode a clip or a camera frame by frame, each with its time, at its own rate or at another."""

from __future__ import annotations

import io
import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convlens.files import expanded, printed
from convlens.learn.sources.pictures.decoding import (
    MOST_PIXELS,
    Picture,
    animation_of,
    is_animated,
    read_animation,
)
from convlens.learn.sources.signatures import START, check_file, kind_of
from convlens.learn.sources.truncation import missing_end, strange_part

if TYPE_CHECKING:
    import av

__all__ = ["CLIPS", "Frame", "camera_frames", "clip_frames", "frames_of", "is_clip"]

CLIPS = (".mp4", ".mov", ".avi", ".mkv", ".webm")
"""The suffixes of clips, which PyAV decodes; animated GIF, WebP and PNG pictures Pillow does."""

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

    Or a GIF, WebP or PNG picture with frames.

    >>> is_clip("holiday.mp4"), is_clip("holiday.jpg"), is_clip(b"1234ftypmp42")
    (True, False, True)
    """
    if isinstance(source, bytes):
        return _is_container(source) or is_animated(source)
    return Path(source).suffix.lower() in CLIPS or is_animated(source)


def clip_frames(
    source: bytes | str | Path, rate: float | None = None
) -> Generator[Frame, None, None]:
    """Yield the frames of a clip as they are meant to be seen, one decoded at a time.

    `source`: its path, or its bytes. `rate`: frames a second to give, each the one that is on show
    at its time (so some are left out or come twice, but for a clip of one frame, which does not
    move); None for every frame of the clip at its own.

    Raises ValueError for what is no whole clip (after the frames before the damage, or after all
    that there are, where the file by its own account has more), has no frames, or some of more than
    64 million pixels, and, but for GIF, WebP and PNG, where PyAV is not installed.
    """
    if isinstance(source, bytes):
        frames = _decoded(source) if _is_container(source) else _animated(source)
    else:
        path = expanded(source)
        frames = _decoded(path) if path.suffix.lower() in CLIPS else _animated(path)
    return frames if rate is None else _resampled(frames, rate)


def frames_of(
    given: Sequence[Picture] | Image.Image, rate: float | None = None, name: str = "clip"
) -> Generator[Frame, None, None]:
    """Yield the frames of a clip that Python holds: pictures, or an animation that Pillow opened.

    `rate`: as for `clip_frames`; pictures do not say theirs, and have it, or 25 a second.

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
    if not isinstance(source, bytes):
        check_file(source, "source")
    file = io.BytesIO(source) if isinstance(source, bytes) else str(source.resolve())
    try:
        with av.open(file, options=dict(_LOCKED_BYTES if given else _LOCKED)) as container:
            yield from _frames(container, name)
    except av.error.DecoderNotFoundError as error:
        raise ValueError(_ended(source, name, _NO_DECODER)) from error
    except _NoFramesError as error:
        raise ValueError(_ended(source, name, str(error))) from error
    except (av.error.FFmpegError, EOFError) as error:
        raise ValueError(_no_clip(source, name, _first_line(error))) from error
    except _EndsEarlyError as error:
        raise ValueError(_no_clip(source, name, missing_end(source) or str(error))) from error
    lacks = missing_end(source) or strange_part(source)
    if lacks is not None:
        raise ValueError(_no_clip(source, name, lacks))


_NO_DECODER = (
    "have pictures that FFmpeg can decode, and this one's codec is none it knows; save it as an "
    "MP4 with H.264"
)
_NO_FRAMES = "be a clip with frames, and none can be decoded; copy or save it again"


class _NoFramesError(Exception):
    """What a clip must be or have, where it gave no frame."""


def _ended(source: bytes | Path, name: str, must: str) -> str:
    """Why there was no frame: the rest of the file is missing, or else what it must have."""
    lacks = missing_end(source)
    return f"`source` ({name}) must {must}" if lacks is None else _no_clip(source, name, lacks)


def _no_clip(source: bytes | Path, name: str, said: str) -> str:
    what = None
    if isinstance(source, bytes):
        what = kind_of(source[:START])
    else:
        with source.open("rb") as file:
            what = kind_of(file.read(START))
    if what is None or "clip" in what:
        what = f"one is truncated or damaged ({said}); copy or save it again"
    else:
        what = f"is {what}; save it as one"
    return f"`source` ({name}) must be a whole MP4, MOV, AVI, MKV or WebM clip, and this {what}"


def _frames(container: av.container.InputContainer, name: str) -> Iterator[Frame]:
    stream = _moving(container)
    if stream.codec_context is None:
        raise _NoFramesError(_NO_DECODER)
    stream.thread_type = "AUTO"
    _check_size(stream.codec_context.width, stream.codec_context.height, name)
    step = float(1 / (stream.average_rate or 25))
    start: float | None = None
    number = -1
    ends = _Ends(container, stream)
    for number, frame in enumerate(ends.decoded()):
        _check_size(frame.width, frame.height, name)
        told: float | None = frame.time
        time = number * step if told is None else told
        start = time if start is None else start
        pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        upright = np.ascontiguousarray(_upright(pixels, frame))
        yield Frame(Picture(upright, name), number, max(0.0, time - start), step)
    if number < 0:
        raise _NoFramesError(_NO_FRAMES)
    ends.check()


class _Ends:
    """Decodes a clip, and compares where its packets end with where its header says they do.

    A file whose tail was overwritten, or never arrived, is as long as it should be. Only what AVI
    says of its pictures, and Matroska of all its streams together, is exact enough to be believed.
    """

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream) -> None:
        self._container, self._stream = container, stream
        kind = container.format.name
        self._of_all = "matroska" in kind
        self._stated = 0.0
        if self._of_all and container.duration is not None:
            self._stated = container.duration / 1e6
        elif kind == "avi" and stream.duration is not None and stream.time_base is not None:
            self._stated = float(stream.duration * stream.time_base)
        self._reached = 0.0

    def decoded(self) -> Iterator[av.VideoFrame]:
        streams = list(self._container.streams) if self._of_all else [self._stream]
        for packet in self._container.demux(streams):
            if packet.is_corrupt:  # torn, and would be decoded to half a picture
                yield from self._stream.decode(None)
                return
            begins = packet.dts if packet.pts is None else packet.pts
            if begins is not None and packet.time_base is not None:
                ends = float((begins + (packet.duration or 0)) * packet.time_base)
                self._reached = max(self._reached, ends)
            if packet.stream is self._stream:
                yield from self._stream.decode(packet)

    def check(self) -> None:
        missing = self._stated - self._reached
        if missing > 0.5 and missing > self._stated / 10:
            raise _EndsEarlyError(
                f"its header says {self._stated:.1f} s, and it ends after {self._reached:.1f}"
            )


class _EndsEarlyError(Exception):
    """A clip ends long before its header says."""


def _moving(container: av.container.InputContainer) -> av.VideoStream:
    """The first stream that is no picture on the sleeve of a sound."""
    streams = container.streams.video
    attached = [bool(stream.disposition & _attached_picture()) for stream in streams]
    if not all(attached):
        return streams[attached.index(False)]
    holds = "only sound" if container.streams.audio else "no stream of pictures"
    cure = "give another file" if len(container.streams) else "it may be damaged: copy it again"
    raise _NoFramesError(f"be a clip with pictures, and holds {holds}; {cure}")


def _attached_picture() -> int:
    from av.stream import Disposition

    return int(Disposition.attached_pic)


def _upright(pixels: NDArray[np.uint8], frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Turned and mirrored as the display matrix says (ISO 14496-12, 8.3.2): its nearest of eight.

    Pixel (x, y) is shown at (a x + c y, b x + d y), signs and swapped axes being all that matters.
    """
    from av.sidedata.sidedata import Type

    matrix: Any = frame.side_data
    matrix = matrix.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return pixels
    a, b, _, c, d = (int(n) for n in np.frombuffer(matrix, np.int32)[:5])
    if abs(a * d) >= abs(b * c):
        across, down = a, d
    else:
        pixels = pixels.transpose(1, 0, 2)
        across, down = c, b
    return pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > MOST_PIXELS:
        raise ValueError(
            f"`source` ({name}) must have frames of at most {MOST_PIXELS:,} pixels, and has "
            f"{width:,} x {height:,}; make it smaller"
        )


def _name(source: bytes | Path) -> str:
    return "the bytes given" if isinstance(source, bytes) else printed(source.name)


def _animated(source: bytes | Path) -> Generator[Frame, None, None]:
    return _timed(read_animation(source))


def _timed(frames: Iterator[tuple[Picture, float]]) -> Generator[Frame, None, None]:
    time = 0.0
    for number, (picture, seconds) in enumerate(frames):
        yield Frame(picture, number, time, seconds)
        time += seconds


def _at_rate(pictures: Sequence[Picture], rate: float) -> Generator[Frame, None, None]:
    for number, picture in enumerate(pictures):
        yield Frame(picture, number, number / rate, 1 / rate)


def _resampled(frames: Iterator[Frame], rate: float) -> Generator[Frame, None, None]:
    """Number k is the frame on show at k / rate seconds; one that is alone is not repeated."""
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


def _first_line(error: Exception) -> str:
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(said).splitlines()[0]
