"""Read a picture file someone hands over: shown right, or refused in one sentence."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from convlens.files import expanded

__all__ = ["FORMATS", "MOST_PIXELS", "Picture", "is_animated", "read_animation", "read_picture"]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""The only formats Pillow is allowed to try; its others are many and little tested."""

MOST_PIXELS = 64_000_000
"""The most pixels a picture may have, counted from its header before anything is decoded."""

# What each EXIF orientation asks for (CIPA DC-008-2019, 4.6.4.A, tag 274).
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow's modes whose black and white are agreed: not 32-bit numbers, floats or L*a*b*.
_MODES = (
    *("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"),
    *("I;16", "I;16B", "I;16L", "I;16N"),
)

# Python keeps one list of warning filters for all threads: only one may change it at a time.
_quiet = threading.Lock()


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture: `pixels` uint8 (h, w, 3), red, green and blue, read-only; and its name.

    >>> Picture(np.zeros((2, 3, 3), np.uint8), name="black").height
    2
    """

    pixels: NDArray[np.uint8]
    name: str = "picture"

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise ValueError(
                f"`pixels` (={self.pixels.shape}, {self.pixels.dtype}) must be uint8 of shape "
                "(h, w, 3); convert with .astype(np.uint8) and repeat a grey one three times"
            )
        if self.pixels.size == 0:
            raise ValueError(
                f"`pixels` (={self.pixels.shape}) must not be empty; give at least one pixel"
            )
        self.pixels.flags.writeable = False

    @property
    def height(self) -> int:
        """The number of rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """The number of columns."""
        return int(self.pixels.shape[1])


def read_picture(source: bytes | str | Path, name: str | None = None) -> Picture:
    """Decode the picture in a file or in bytes as it is meant to be seen.

    The first frame, turned as its EXIF orientation says, transparency over white, 16 bits by
    their upper 8, palettes, grey and CMYK as red, green and blue. `name` is what messages call it.

    Raises ValueError where there is no such file, it is none of PNG, JPEG, WebP, GIF, BMP and
    TIFF, is damaged or truncated, or has more than 64 million pixels; the last by its header,
    before anything is decoded.

    >>> from convlens.zoo.weights import DATA
    >>> read_picture(DATA / "cat.jpg").pixels.shape
    (300, 451, 3)
    """
    if isinstance(source, bytes):
        name = name or "the bytes given"
        return _decoded(io.BytesIO(source), name)
    path = expanded(source)
    name = name or path.name
    if not path.is_file():
        raise ValueError(
            f"`picture` (={str(path)!r}) must name an existing file; there is none, check the path"
        )
    with path.open("rb") as file:
        return _decoded(file, name)


def is_animated(source: bytes | str | Path) -> bool:
    """Return whether a file is a GIF or WebP picture of several frames; False where damaged.

    >>> from convlens.zoo.weights import DATA
    >>> is_animated(DATA / "cat.jpg")
    False
    """
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else expanded(source)
        with _silence(), Image.open(file, formats=("GIF", "WEBP")) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:
        return False  # reading it will say what is the matter


def read_animation(source: bytes | str | Path) -> Iterator[tuple[Picture, float]]:
    """Yield the frames of an animated picture, one decoded at a time, with the seconds each stays.

    Frames that say less than 20 milliseconds stay 100, as browsers have it.

    Raises ValueError as `read_picture` does, when the frame that is damaged is asked for.
    """
    name = "the bytes given" if isinstance(source, bytes) else Path(source).name
    with io.BytesIO(source) if isinstance(source, bytes) else expanded(source).open("rb") as file:
        with _silence():
            image = _opened(file, name)
            _check_size(image, name)
        number = 0
        while True:
            with _silence():
                try:
                    image.seek(number)
                except EOFError:
                    return
                except Exception as error:
                    raise ValueError(_damaged(image, name, error)) from error
                picture = _seen(image, name)
            milliseconds = image.info.get("duration", 0)
            yield picture, (milliseconds if milliseconds >= 20 else 100) / 1000
            number += 1


def _decoded(file: BinaryIO, name: str) -> Picture:
    with _silence(), _opened(file, name) as image:
        _check_size(image, name)
        return _seen(image, name)


@contextmanager
def _silence() -> Iterator[None]:
    with _quiet, warnings.catch_warnings():
        # Pillow warns of large and odd files; what follows refuses or shows them.
        warnings.simplefilter("ignore")
        yield


def _seen(image: Image.Image, name: str) -> Picture:
    _check_mode(image, name)
    try:
        return Picture(_pixels(image), name)
    except Exception as error:
        # Decoders of six formats fail on damaged files with any exception.
        raise ValueError(_damaged(image, name, error)) from error


def _damaged(image: Image.Image, name: str, error: Exception) -> str:
    return (
        f"`picture` ({name}) must be a whole {image.format} file, and this one is truncated or "
        f"damaged ({_first_line(error)}); copy or save it again"
    )


def _opened(file: BinaryIO, name: str) -> Image.Image:
    try:
        return Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise ValueError(
            f"`picture` ({name}) must be a PNG, JPEG, WebP, GIF, BMP or TIFF file, and this is "
            "none that can be read; save it as one"
        ) from error
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"`picture` ({name}) must have at most {MOST_PIXELS:,} pixels, and its header says "
            "far more; make it smaller"
        ) from error
    except Exception as error:
        raise ValueError(
            f"`picture` ({name}) must be a whole picture file, and this one is truncated or "
            f"damaged ({_first_line(error)}); copy or save it again"
        ) from error


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise ValueError(
            f"`picture` ({name}) must have at most {MOST_PIXELS:,} pixels, and has "
            f"{width:,} x {height:,}; make it smaller"
        )


def _check_mode(image: Image.Image, name: str) -> None:
    if image.mode not in _MODES:
        raise ValueError(
            f"`picture` ({name}) must have 8 or 16 bits of grey, a palette, RGB, YCbCr or CMYK, "
            f"and has Pillow's mode {image.mode}; save it as a PNG with 8 bits"
        )


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    image.load()
    turn = _TURNS.get(_orientation(image))
    if image.mode.startswith("I;16"):
        # Pillow itself clips 16-bit grey to 255; 16-bit colour it reads by its upper byte, as here.
        upper = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        image = Image.fromarray(upper)
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        colour = image.convert("RGBA")
        white = Image.new("RGBA", colour.size, "white")
        image = Image.alpha_composite(white, colour)
    image = image.convert("RGB")
    if turn is not None:
        image = image.transpose(turn)
    return np.array(image)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(274, 1))
    except Exception:
        # Damaged EXIF says nothing about how the picture lies; the pixels are still good.
        return 1


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
