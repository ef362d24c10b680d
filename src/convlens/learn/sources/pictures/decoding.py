"""Read a picture file someone hands over: shown right, or refused in one sentence."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from convlens.files import expanded, printed
from convlens.learn.sources.pictures.pixels import Loaded, check_mode, pixels_of
from convlens.learn.sources.pictures.png_chunks import moving_frames, without_text
from convlens.learn.sources.signatures import START, check_file, kind_of, unread_kind
from convlens.learn.sources.silencing import silence
from convlens.learn.sources.truncation import missing_end

__all__ = [
    "FORMATS",
    "MOST_PIXELS",
    "Picture",
    "animation_of",
    "check_open",
    "is_animated",
    "moves",
    "picture_of",
    "place_of",
    "read_animation",
    "read_picture",
]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""The only formats Pillow is allowed to try; its others are many and little tested."""

MOST_PIXELS = 64_000_000
"""The most pixels a picture may have, counted from its header before anything is decoded."""

_ANIMATIONS = ("GIF", "WEBP", "PNG", "AVIF")

_TIFFS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_MAGIC = {
    **{b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"RIFF": "WEBP", b"GIF8": "GIF", b"BM": "BMP"},
    **dict.fromkeys(_TIFFS, "TIFF"),
}


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
                "(h, w, 3), values 0 to 255; scale others, and repeat a grey one three times"
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


def read_picture(source: bytes | str | Path, name: str | None = None, page: int = 0) -> Picture:
    """Decode the picture in a file or in bytes as it is meant to be seen.

    It decodes the first frame, or the one numbered `page` of a TIFF or MPO of several pictures (see
    `pages`). The picture is turned as its EXIF orientation says. Transparency lies over white, 16
    bits become their upper 8; palettes, grey and CMYK become red, green and blue. `name` is what
    messages call it.

    Raises ValueError where there is no such file, it is none of PNG, JPEG, WebP, GIF, BMP and
    TIFF, is of a kind of these that is not read, is damaged or truncated, or has more than 64
    million pixels; the last by its header, before anything is decoded.

    >>> from convlens.zoo.weights import DATA
    >>> read_picture(DATA / "cat.jpg").pixels.shape
    (300, 451, 3)
    """
    if isinstance(source, bytes):
        name = name or "the bytes given"
        return _decoded(io.BytesIO(source), name, page)
    path = expanded(source)
    name = name or path.name
    check_file(path)
    with path.open("rb") as file:
        return _decoded(file, name, page)


def is_animated(source: bytes | str | Path) -> bool:
    """Return whether a file is a GIF, WebP or PNG picture of several frames; False where damaged.

    >>> from convlens.zoo.weights import DATA
    >>> is_animated(DATA / "cat.jpg")
    False
    """
    try:
        if not isinstance(source, bytes):
            check_file(expanded(source))
        with (
            io.BytesIO(source) if isinstance(source, bytes) else expanded(source).open("rb") as file
        ):
            start = file.read(8)
            if _is_png(start):
                return moving_frames(file) > 1
            if start[:4] not in (b"GIF8", b"RIFF"):
                return False
            with silence(), Image.open(file, formats=("GIF", "WEBP")) as image:
                return bool(getattr(image, "is_animated", False))
    except Exception:
        return False  # reading it will say what is the matter


def check_open(image: Image.Image, called: str) -> None:
    """Raise ValueError where an image of Pillow's was closed, or its file before it was decoded.

    >>> check_open(Image.new("L", (2, 2)), "`source`")
    """
    if _is_closed(image):
        raise ValueError(
            f"{called} must be open while it is read, and was closed; open it again, or give a "
            "copy() made while it was open"
        )


def place_of(image: Image.Image) -> int:
    """Return the number of the frame an image of Pillow's stands at.

    >>> place_of(Image.new("L", (2, 2)))
    0
    """
    try:
        return image.tell()
    except AttributeError:  # unpickled, or copied by copy.deepcopy: it has no file any more
        return 0


def moves(image: Image.Image) -> bool:
    """Return whether an image of Pillow's is an animation: of several frames that are no pages.

    >>> moves(Image.new("L", (2, 2)))
    False
    """
    frames = int(getattr(image, "n_frames", 1)) if image.format in _ANIMATIONS else 1
    return frames - int(bool(image.info.get("default_image"))) > 1


def read_animation(source: bytes | str | Path) -> Iterator[tuple[Picture, float]]:
    """Yield the frames of an animated picture, one decoded at a time, with the seconds each stays.

    Frames that say less than 20 milliseconds stay 100, as browsers have it.

    Raises ValueError as `read_picture` does, when the frame that is damaged is asked for, or the
    one that would follow the last if the file's end is missing.
    """
    name = "the bytes given" if isinstance(source, bytes) else Path(source).name
    called = f"`picture` ({printed(name)})"
    with io.BytesIO(source) if isinstance(source, bytes) else expanded(source).open("rb") as file:
        with silence() as said:
            image = _opened(file, called, said)
        yield from animation_of(image, name, called)
        lacks = missing_end(source if isinstance(source, bytes) else expanded(source))
        if lacks is not None:
            raise ValueError(_damaged(called, image.format, lacks))


def picture_of(image: Image.Image, name: str, called: str, page: int | None = None) -> Picture:
    """Return the picture that an image of Pillow's stands at, or its `page`, as it is to be seen.

    `called`: what messages call it. The image is left at the frame where it was found.

    Raises ValueError where it has no agreed black and white, too many pixels, or is damaged.

    >>> picture_of(Image.new("L", (3, 2), 7), "grey", "`source`").pixels[0, 0]
    array([7, 7, 7], dtype=uint8)
    """
    with silence() as said:
        check_open(image, called)
        began = place_of(image)
        try:
            if page is not None:
                _sought(image, page, called)
            _check_size(image, called)
            return _seen(image, name, called, said)
        finally:
            if place_of(image) != began:
                image.seek(began)


def animation_of(image: Image.Image, name: str, called: str) -> Iterator[tuple[Picture, float]]:
    """Yield the frames of an image of Pillow's; see `read_animation`."""
    check_open(image, called)
    began = image.tell()
    # What an animated PNG shows where it cannot move is no frame, unless it says so.
    number = int(bool(image.info.get("default_image")))
    # A GIF does not say how many it has.
    least = 1 if image.format == "GIF" else int(getattr(image, "n_frames", 1))
    while True:
        with silence() as said:
            try:
                image.seek(number)
            except EOFError as error:
                if number < least:
                    raise ValueError(
                        _damaged(called, image.format, "frames are missing")
                    ) from error
                image.seek(began)
                return
            except Exception as error:
                raise ValueError(_damaged(called, image.format, _first_line(error))) from error
            _check_size(image, called)
            picture = _seen(image, name, called, said)
        milliseconds = image.info.get("duration", 0)
        yield picture, (milliseconds if milliseconds >= 20 else 100) / 1000
        number += 1


def _is_closed(image: Image.Image) -> bool:
    try:
        image.im  # noqa: B018
        several = int(getattr(image, "n_frames", 1)) > 1
        file = getattr(image, "_fp", None) if several else None
    except AssertionError:  # it is not decoded yet
        file = getattr(image, "fp", None)
        return file is None or bool(file.closed)
    except ValueError as error:
        return "closed" in str(error)
    try:
        return file is not None and bool(file.closed)
    except ValueError:  # what Pillow puts in place of a closed one
        return True


def _sought(image: Image.Image, page: int, called: str) -> None:
    if page == place_of(image):
        return
    try:
        image.seek(page)
    except Exception as error:  # of damaged files, anything
        raise ValueError(_damaged(called, image.format, _first_line(error))) from error


def _decoded(file: BinaryIO, name: str, page: int) -> Picture:
    called = f"`picture` ({printed(name)})"
    with silence() as said:
        try:
            return _page(file, name, called, page, said)
        except ValueError:
            file.seek(0)
            start = file.read(8)
            plain = without_text(start + file.read()) if _is_png(start) else None
            if plain is None:
                raise
            return _page(io.BytesIO(plain), name, called, page, said)


def _page(file: BinaryIO, name: str, called: str, page: int, said: list[str]) -> Picture:
    start = file.read(START)
    file.seek(0)
    if start.startswith(_TIFFS) and kind_of(start) is not None:  # Pillow opens its preview
        raise ValueError(_unidentified(file, called))
    with _opened(file, called, said) as image:
        _check_size(image, called)
        _sought(image, page, called)
        _check_size(image, called)
        return _seen(image, name, called, said)


def _seen(image: Image.Image, name: str, called: str, said: list[str]) -> Picture:
    check_mode(image, called)
    file = getattr(image, "fp", None)
    try:
        return Picture(pixels_of(image), name)
    except Loaded as error:
        cure = "give the file, open it anew, or give its pixels as an array"
        raise ValueError(f"{called} must {error}, but was loaded before; {cure}") from error
    except Exception as error:
        # Decoders of six formats fail on damaged files with any exception.
        raise ValueError(_fault(file, called, image.format, error, said)) from error


def _opened(file: BinaryIO, called: str, said: list[str]) -> Image.Image:
    try:
        return Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{called} must have at most {MOST_PIXELS:,} pixels, and its header says "
            "far more; make it smaller"
        ) from error
    except UnidentifiedImageError as error:
        raise ValueError(_unidentified(file, called)) from error
    except Exception as error:
        raise ValueError(_fault(file, called, "picture", error, said)) from error


def _unidentified(file: BinaryIO, called: str) -> str:
    file.seek(0)
    start = file.read(START)
    what = kind_of(start)
    if what is None:
        # Pillow does not say why it took none: opening it by the format it begins as does.
        format = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)
        if format is not None:
            return _fault(file, called, format, _why_not(file, format), [])
        what = "none that can be read"
    return (
        f"{called} must be a PNG, JPEG, WebP, GIF, BMP or TIFF file, and this is {what}; "
        "save it as one"
    )


def _why_not(file: BinaryIO, format: str) -> Exception:
    file.seek(0)
    try:
        Image.OPEN[format][0](file, "")
    except Exception as error:
        return error
    return ValueError("it cannot be opened")


def _fault(
    file: BinaryIO | None, called: str, format: str | None, error: Exception, said: list[str]
) -> str:
    """The sentence for a file of a kind that is read, which cannot be: another kind, or damaged."""
    reason = said[0] if said else _first_line(error)
    kind = None if file is None else _unread(file, reason)
    if kind is None:
        return _damaged(called, format, reason)
    return f"{called} must be of a kind that can be read, and {kind}; save it as a PNG with 8 bits"


def _unread(file: BinaryIO, reason: str) -> str | None:
    """As `unread_kind`; a file that Pillow itself opened it closes when it fails."""
    if not file.closed:
        return unread_kind(file, reason)
    try:
        with Path(file.name).open("rb") as again:
            return unread_kind(again, reason)
    except (AttributeError, TypeError, OSError):
        return None


def _damaged(called: str, format: str | None, reason: str) -> str:
    return (
        f"{called} must be a whole {format} file, and this one is truncated or damaged ({reason}); "
        "copy or save it again"
    )


def _check_size(image: Image.Image, called: str) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise ValueError(
            f"{called} must have at most {MOST_PIXELS:,} pixels, and has {width:,} x {height:,}; "
            "make it smaller"
        )


def _is_png(start: bytes) -> bool:
    return start[:8] == b"\x89PNG\r\n\x1a\n"


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
