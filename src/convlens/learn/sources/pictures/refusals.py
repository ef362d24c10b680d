"""Say in one sentence why a picture is not read."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from PIL import Image

from convlens.learn.sentences import first_line
from convlens.learn.sources.formats import PICTURES, START, choice, described, format_of
from convlens.learn.sources.pictures.picture import MOST_PIXELS
from convlens.learn.sources.pictures.variants import unread_variant

__all__ = ["check_size", "damaged", "fault", "unidentified"]


def check_size(image: Image.Image, called: str) -> None:
    """Raise ValueError for an image of more than `MOST_PIXELS` pixels, by its header.

    `called`: what messages call the image.
    """
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise ValueError(
            f"{called} must have at most {MOST_PIXELS:,} pixels, and has {width:,} x {height:,}; "
            "make it smaller"
        )


def damaged(called: str, format: str | None, reason: str) -> str:
    """Return the sentence for a file of a readable format that cannot be decoded.

    `format`: what Pillow calls it; `reason`: what is wrong.
    """
    return (
        f"{called} must be a whole {format} file, and this one is truncated or damaged ({reason}); "
        "copy or save it again"
    )


def unidentified(file: BinaryIO, called: str) -> str:
    """Return the sentence for a file that Pillow does not open."""
    file.seek(0)
    start = file.read(START)
    format = format_of(start)
    if format is not None and format in PICTURES:
        return fault(file, called, format.decoder, _why_not(file, format.decoder), [])
    return (
        f"{called} must be a {choice(PICTURES)} file, and this is "
        f"{described(start) or 'of an unknown format'}; save it as one"
    )


def _why_not(file: BinaryIO, format: str) -> Exception:
    """Return what a decoder of Pillow raises; `Image.open` does not pass it on."""
    file.seek(0)
    try:
        Image.OPEN[format][0](file, "")
    except Exception as error:
        return error
    return ValueError("it cannot be opened")


def fault(
    file: BinaryIO | None, called: str, format: str | None, error: Exception, said: list[str]
) -> str:
    """Return the sentence for a file of a readable format: another variant of it, or damaged.

    `said`: what libtiff said about it.
    """
    why = said[0] if said else first_line(error)
    variant = None if file is None else _variant(file, why)
    if variant is None:
        return damaged(called, format, why)
    return (
        f"{called} must be of a kind that can be read, and {variant}; save it as a PNG with 8 bits"
    )


def _variant(file: BinaryIO, why: str) -> str | None:
    """Return what `unread_variant` does, even of a file that Pillow closed when it failed."""
    if not file.closed:
        return unread_variant(file, why)
    try:
        with Path(file.name).open("rb") as again:
            return unread_variant(again, why)
    except (AttributeError, TypeError, OSError):
        return None
