"""Animated pictures: which move, and their frames, decoded one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from convlens.files import expanded
from convlens.learn.sentences import first_line
from convlens.learn.sources.binary import name_of, opened
from convlens.learn.sources.formats import FORMATS, PICTURES, START, format_of
from convlens.learn.sources.pictures.decoding import open_image, seen
from convlens.learn.sources.pictures.opened_images import check_open
from convlens.learn.sources.pictures.picture import Picture
from convlens.learn.sources.pictures.png_chunks import SIGNATURE, moving_frames
from convlens.learn.sources.pictures.refusals import check_size, damaged
from convlens.learn.sources.silencing import silence
from convlens.learn.sources.truncation import missing_end

__all__ = ["animation_of", "is_animated", "moves", "read_animation"]


def is_animated(source: bytes | str | Path) -> bool:
    """Return whether a file is a picture of several frames that are not pages.

    A damaged file gives False.

    >>> from convlens.zoo.weights import DATA
    >>> is_animated(DATA / "cat.jpg")
    False
    """
    try:
        with opened(source) as file:
            start = file.read(START)
            if start.startswith(SIGNATURE):  # without Pillow, which would take longer
                file.seek(len(SIGNATURE))
                return moving_frames(file) > 1
            format = format_of(start)
            if format is None or format not in PICTURES or not format.moves:
                return False
            with silence(), Image.open(file, formats=[format.decoder]) as image:
                return bool(getattr(image, "is_animated", False))
    except Exception:
        return False  # reading it will say what is wrong


def moves(image: Image.Image) -> bool:
    """Return whether an image of Pillow's is an animation: several frames that are not pages.

    >>> moves(Image.new("L", (2, 2)))
    False
    """
    animated = any(format.moves and format.decoder == image.format for format in FORMATS)
    frames = int(getattr(image, "n_frames", 1)) if animated else 1
    return frames - int(bool(image.info.get("default_image"))) > 1


def read_animation(source: bytes | str | Path) -> Iterator[tuple[Picture, float]]:
    """Yield the frames of an animated picture, one decoded at a time, with its seconds on show.

    Frames that claim less than 20 milliseconds are shown for 100, as in browsers.

    Raises ValueError as `read_picture` does, when it reaches the damaged frame, or after the last
    one if the end of the file is missing.
    """
    called = f"`picture` ({name_of(source)})"
    name = "the bytes given" if isinstance(source, bytes) else Path(source).name
    with opened(source) as file:
        with silence() as said:
            image = open_image(file, called, said)
        yield from animation_of(image, name, called)
        lacks = missing_end(source if isinstance(source, bytes) else expanded(source))
        if lacks is not None:
            raise ValueError(damaged(called, image.format, lacks))


def animation_of(image: Image.Image, name: str, called: str) -> Iterator[tuple[Picture, float]]:
    """Yield the frames of an image of Pillow's; see `read_animation`."""
    check_open(image, called)
    began = image.tell()
    # The still that an animated PNG shows where it cannot move is not one of its frames.
    number = int(bool(image.info.get("default_image")))
    # A GIF does not say how many it has.
    least = 1 if image.format == "GIF" else int(getattr(image, "n_frames", 1))
    while True:
        with silence() as said:
            try:
                image.seek(number)
            except EOFError as error:
                if number < least:
                    lacks = "frames are missing"
                    raise ValueError(damaged(called, image.format, lacks)) from error
                image.seek(began)
                return
            except Exception as error:
                raise ValueError(damaged(called, image.format, first_line(error))) from error
            check_size(image, called)
            picture = seen(image, name, called, said)
        milliseconds = image.info.get("duration", 0)
        yield picture, (milliseconds if milliseconds >= 20 else 100) / 1000
        number += 1
