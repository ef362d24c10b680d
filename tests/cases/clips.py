"""Small clips: each frame is one grey, whose brightness gives its number."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image


def shade(number: int) -> int:
    """The grey of frame `number`."""
    return 16 + 8 * (number % 28)


def number_of(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> int:
    """The number of one of the first 28 frames, even if a codec changed its grey."""
    return round((float(pixels.mean()) - 16) / 8)


def film(
    path: Path,
    frames: int,
    rate: int = 30,
    codec: str = "libx264",
    left_only: bool = False,
    photograph: Path | None = None,
    kind: str | None = None,
) -> Path:
    """A clip of 64 x 48; one white on the left and black on the right; a photograph that moves."""
    still = None if photograph is None else Image.open(photograph).convert("RGB")
    width, height = (64, 48) if still is None else (320, 240)
    with av.open(str(path), "w", format=kind) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            pixels = np.full((48, 64, 3), shade(number), np.uint8)
            if left_only:
                pixels[:, :32], pixels[:, 32:] = 255, 0
            if still is not None:
                pixels = np.asarray(still.crop((number, number, number + 320, number + 240)))
            frame = av.VideoFrame.from_ndarray(pixels)
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def animation(path: Path, frames: int, milliseconds: int = 50) -> Path:
    """The same as a GIF or WebP, by Pillow."""
    images = [Image.new("RGB", (64, 48), (shade(n),) * 3) for n in range(frames)]
    options: dict[str, Any] = {"lossless": True} if path.suffix == ".webp" else {}
    images[0].save(
        path, save_all=True, append_images=images[1:], duration=milliseconds, loop=0, **options
    )
    return path


SIZE = (48, 64, 3)


def filmed(
    path: Path,
    codec: str,
    frames: int = 20,
    *,
    sound: float = 0,
    sparse: bool = False,
    options: dict[str, str] | None = None,
    muxing: dict[str, str] | None = None,
    close: bool = True,
) -> Path:
    """Noise at 10 frames a second, with `sound` of this many seconds; `sparse`: growing gaps."""
    container = av.open(str(path), "w", options=muxing or {})
    video: Any = container.add_stream(codec, rate=10, options=options or {})
    video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
    audio: Any = container.add_stream("mp2", rate=48_000) if sound else None
    if audio is not None:
        audio.layout = "mono"
    for number in range(frames):
        pixels = np.random.default_rng(number).integers(0, 255, SIZE, dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(pixels)
        frame.pts = number + number * number // 3 if sparse else number
        frame.time_base = Fraction(1, 10)
        container.mux(video.encode(frame))
    if not close:
        return path  # the disk now holds what a crash leaves
    container.mux(video.encode(None))
    if audio is not None:
        for place in range(0, int(sound * 48_000), 1152):
            heard = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), "s16", "mono")
            heard.sample_rate, heard.pts, heard.time_base = 48_000, place, Fraction(1, 48_000)
            container.mux(audio.encode(heard))
        container.mux(audio.encode(None))
    container.close()
    return path
