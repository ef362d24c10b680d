"""Write drawn frames as a film, whole or not at all."""

from __future__ import annotations

import math
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from PIL import Image

from convlens.files import expanded, whole

__all__ = ["Film"]

_TICKS = 90_000  # per second, the clock of MPEG

MOST_BYTES = 2**28
"""The most bytes of frames in a WebP film, which Pillow writes at once; others are left out."""


class Film:
    """A film that is being written; use it in `with`, whose end gives the file its name.

    It is an MP4 (H.264) if PyAV is installed, else an animated WebP. `path` is the file without its
    suffix, `Film.path` the file with it. All frames take the size of the first, rounded up to the
    multiples of 2 that video needs. Before the end, and after an exception, no such file exists.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Film(Path(folder) / "film") as film:
    ...         film.write(Image.new("RGB", (32, 24)), time=0.0)
    ...         film.write(Image.new("RGB", (32, 24), "white"), time=0.5)
    ...     film.path.stat().st_size > 0
    True
    """

    def __init__(self, path: str | Path) -> None:
        try:
            import av
        except ImportError:
            self._av: Any = None
        else:
            self._av = av
        base = expanded(path)
        self.path = base.with_name(base.name + (".webp" if self._av is None else ".mp4"))
        self._open = ExitStack()
        self._beside = self.path  # until the first frame
        self._container: Any = None
        self._stream: Any = None
        self._size = (0, 0)
        self._kept: list[Image.Image] = []
        self._times: list[float] = []
        self._ticks = -(2**62)  # of the frame before

    def __enter__(self) -> Self:
        return self

    def write(self, image: Image.Image, time: float) -> None:
        """Add an RGB frame that is shown from `time` on, in seconds.

        Times must rise, as they do not in some files. Another time, or one that is not a number,
        counts as the least later one.
        """
        if not self._times:
            self._beside = self._open.enter_context(whole(self.path, durable=False))
            self._size = (image.width + image.width % 2, image.height + image.height % 2)
        if image.size != self._size:
            canvas = Image.new("RGB", self._size)
            canvas.paste(image)
            image = canvas
        if not math.isfinite(time):
            time = self._times[-1] if self._times else 0.0
        self._times.append(time)
        if self._av is None:
            if len(self._kept) * self._size[0] * self._size[1] * 3 < MOST_BYTES:
                self._kept.append(image)
        else:
            self._encode(image, time)

    def _encode(self, image: Image.Image, time: float) -> None:
        if self._container is None:
            self._container = self._av.open(str(self._beside), "w")
            stream = self._container.add_stream("libx264", rate=30)
            stream.width, stream.height = self._size
            stream.pix_fmt = "yuv420p"
            stream.options = {"crf": "20", "preset": "veryfast"}
            stream.codec_context.time_base = Fraction(1, _TICKS)
            self._stream = stream
        frame = self._av.VideoFrame.from_image(image)
        self._ticks = max(self._ticks + 1, round(time * _TICKS))
        frame.pts, frame.time_base = self._ticks, Fraction(1, _TICKS)
        self._container.mux(self._stream.encode(frame))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self._times:
                self._finish()
            elif self._container is not None:
                self._container.close()
        except BaseException as failed:
            self._open.__exit__(type(failed), failed, failed.__traceback__)
            raise
        self._open.__exit__(kind, error, trace)

    def _finish(self) -> None:
        if self._av is not None:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            return
        shown = zip(self._times, self._times[1:], strict=False)
        spans = [max(20, round(1000 * (after - before))) for before, after in shown]
        first, *others = self._kept
        spans = [*spans, spans[-1] if spans else 100][: len(self._kept)]
        first.save(
            self._beside, "WEBP", save_all=True, append_images=others, duration=spans, loop=0
        )
