"""Decode videos and cameras with PyAV, which gives Python the libraries of FFmpeg."""

from __future__ import annotations

import io
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convlens.learn.sentences import reason
from convlens.learn.sources.binary import check_file, name_of, opened
from convlens.learn.sources.formats import CLIPS, PICTURES, START, choice, described, format_of
from convlens.learn.sources.pictures.picture import MOST_PIXELS, Picture
from convlens.learn.sources.truncation import missing_end, strange_part

if TYPE_CHECKING:
    import av

__all__ = ["camera_pictures", "video_pictures"]

# FFmpeg may open no other file or address from within a clip, and try no playlist.
_FORMATS = {"format_whitelist": ",".join(format.decoder for format in CLIPS)}
_LOCKED = {**_FORMATS, "protocol_whitelist": "file"}
_LOCKED_BYTES = {**_FORMATS, "protocol_whitelist": "none"}

# The cameras of each system, by FFmpeg's names.
_CAMERAS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}

_NO_DECODER = (
    "have pictures that FFmpeg can decode, and FFmpeg does not know the codec of this one; save "
    "it as an MP4 with H.264"
)
_NO_FRAMES = "be a clip with frames, and none can be decoded; copy or save it again"


class _NoFramesError(Exception):
    """A clip gave no frame; the message says what it must be or have."""


class _EndsEarlyError(Exception):
    """A clip ends long before its header says."""


def video_pictures(source: bytes | Path) -> Generator[tuple[Picture, float, float], None, None]:
    """Yield the pictures of a video with the start and duration of each in seconds.

    Raises ValueError as `clip_frames` does.
    """
    name = name_of(source)
    av = _pyav(name)
    if not isinstance(source, bytes):
        check_file(source, "source")
    file = io.BytesIO(source) if isinstance(source, bytes) else str(source.resolve())
    options = _LOCKED_BYTES if isinstance(source, bytes) else _LOCKED
    try:
        with av.open(file, options=dict(options)) as container:
            yield from _pictures(container, name)
    except av.error.DecoderNotFoundError as error:
        raise ValueError(_without_frames(source, name, _NO_DECODER)) from error
    except _NoFramesError as error:
        raise ValueError(_without_frames(source, name, str(error))) from error
    except (av.error.FFmpegError, EOFError) as error:
        raise ValueError(_damaged(source, name, reason(error))) from error
    except _EndsEarlyError as error:
        raise ValueError(_damaged(source, name, missing_end(source) or str(error))) from error
    lacks = missing_end(source) or strange_part(source)
    if lacks is not None:
        raise ValueError(_damaged(source, name, lacks))


def camera_pictures(index: int) -> Generator[tuple[Picture, float, float], None, None]:
    """Yield what the camera numbered `index` sees, with the time of each picture in seconds.

    Raises ValueError as `camera_frames` does.
    """
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
            f"({reason(error)}); plug it in, or count from 0"
        ) from error
    with container:
        yield from _pictures(container, f"camera-{index}")


def _pyav(name: str) -> Any:
    try:
        import av  # it is an extra
    except ImportError as error:
        raise ValueError(
            f"`source` ({name}) needs PyAV to be decoded, and it is not installed; "
            "pip install 'convlens[video]'"
        ) from error
    # FFmpeg's remarks on damaged files would be printed; an error says them in its sentence.
    av.logging.set_level(None)
    return av


def _without_frames(source: bytes | Path, name: str, must: str) -> str:
    """Say why there was no frame: the end of the file is missing, or else what it must have."""
    lacks = missing_end(source)
    return f"`source` ({name}) must {must}" if lacks is None else _damaged(source, name, lacks)


def _damaged(source: bytes | Path, name: str, said: str) -> str:
    with opened(source) as file:
        start = file.read(START)
    what, format = described(start), format_of(start)
    if what is None or format in (*CLIPS, *PICTURES):
        what = f"one is truncated or damaged ({said}); copy or save it again"
    else:
        what = f"is {what}; save it as one"
    return f"`source` ({name}) must be a whole {choice(CLIPS)} clip, and this {what}"


def _pictures(
    container: av.container.InputContainer, name: str
) -> Iterator[tuple[Picture, float, float]]:
    stream = _decodable(container)
    _check_size(stream.codec_context.width, stream.codec_context.height, name)
    step = float(1 / (stream.average_rate or 25))
    start: float | None = None
    number = -1
    ends = _Ends(container, stream)
    for number, frame in enumerate(ends.decoded()):
        _check_size(frame.width, frame.height, name)
        stated: float | None = frame.time
        time = number * step if stated is None else stated
        start = time if start is None else start
        pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        upright = np.ascontiguousarray(_upright(pixels, frame))
        yield Picture(upright, name), max(0.0, time - start), step
    if number < 0:
        raise _NoFramesError(_NO_FRAMES)
    ends.check()


class _Ends:
    """Decodes a clip, and compares where its packets end with where its header says they do.

    A file keeps its length when its tail was overwritten, or never arrived. Only two statements
    are exact enough to rely on: AVI's about its pictures, and Matroska's about all its streams.
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
            if packet.is_corrupt:  # it would be decoded to half a picture
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


def _decodable(container: av.container.InputContainer) -> av.VideoStream:
    """Return the stream of pictures, to be decoded in threads; raise if FFmpeg cannot decode it."""
    stream = _moving(container)
    if stream.codec_context is None:
        raise _NoFramesError(_NO_DECODER)
    stream.thread_type = "AUTO"
    return stream


def _moving(container: av.container.InputContainer) -> av.VideoStream:
    """Return the first stream of pictures; the cover of an album is a stream, but not one."""
    streams = container.streams.video
    attached = [bool(stream.disposition & _attached_picture()) for stream in streams]
    if not all(attached):
        return streams[attached.index(False)]
    holds = "only sound" if container.streams.audio else "no stream of pictures"
    cure = "give another file" if len(container.streams) else "it may be damaged: copy it again"
    raise _NoFramesError(f"be a clip with pictures, and holds {holds}; {cure}")


def _attached_picture() -> int:
    from av.stream import Disposition  # it is an extra

    return int(Disposition.attached_pic)


def _upright(pixels: NDArray[np.uint8], frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Turn and mirror pixels as the display matrix says (ISO 14496-12, 8.3.2).

    Pixel (x, y) is shown at (a x + c y, b x + d y). Only the signs, and whether the axes are
    swapped, matter: the nearest of eight positions is taken.
    """
    from av.sidedata.sidedata import Type  # it is an extra

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
