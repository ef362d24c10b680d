"""Decode a picture as it is meant to be seen, or refuse it in one sentence."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from convlens.files import expanded, printed
from convlens.learn.sentences import first_line
from convlens.learn.sources.binary import opened
from convlens.learn.sources.formats import PICTURES, START, format_of
from convlens.learn.sources.pictures.opened_images import check_open, place_of
from convlens.learn.sources.pictures.picture import MOST_PIXELS, Picture
from convlens.learn.sources.pictures.pixels import AlreadyLoaded, check_mode, pixels_of
from convlens.learn.sources.pictures.png_chunks import SIGNATURE, without_text
from convlens.learn.sources.pictures.refusals import check_size, damaged, fault, unidentified
from convlens.learn.sources.silencing import silence

__all__ = ["open_image", "picture_of", "read_picture", "seen"]


def read_picture(source: bytes | str | Path, name: str | None = None, page: int = 0) -> Picture:
    """Decode the picture in a file or in bytes as it is meant to be seen.

    It decodes the first frame, or the one numbered `page` of a TIFF or MPO of several pictures (see
    `pages`). The picture is turned as its EXIF orientation says. Transparency lies over white, 16
    bits become their upper 8; palettes, grey and CMYK become red, green and blue. `name` is what
    messages call it.

    Raises ValueError for a missing file, a format that is not read (see `formats.PICTURES`), a
    variant of a format that is not read, and a damaged or truncated file. Raises ValueError for
    more than 64 million pixels, counted by the header, before anything is decoded.

    >>> from convlens.zoo.weights import DATA
    >>> read_picture(DATA / "cat.jpg").pixels.shape
    (300, 451, 3)
    """
    if name is None:
        name = "the bytes given" if isinstance(source, bytes) else expanded(source).name
    with opened(source) as file:
        return _decoded(file, name, page)


def picture_of(image: Image.Image, name: str, called: str, page: int | None = None) -> Picture:
    """Return the picture that an image of Pillow's stands at, or its `page`, as it is to be seen.

    `called`: what messages call it. The image is left at the frame where it was found.

    Raises ValueError if it has no agreed black and white, too many pixels, or is damaged.

    >>> picture_of(Image.new("L", (3, 2), 7), "grey", "`source`").pixels[0, 0]
    array([7, 7, 7], dtype=uint8)
    """
    with silence() as said:
        check_open(image, called)
        began = place_of(image)
        try:
            if page is not None:
                _seek(image, page, called)
            check_size(image, called)
            return seen(image, name, called, said)
        finally:
            if place_of(image) != began:
                image.seek(began)


def open_image(file: BinaryIO, called: str, said: list[str]) -> Image.Image:
    """Open a file with Pillow, in the formats that are read only.

    `called`: what messages call it; `said`: what libtiff says about it, see `silence`. Raises
    ValueError if it cannot be opened.
    """
    try:
        return Image.open(file, formats=[format.decoder for format in PICTURES])
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{called} must have at most {MOST_PIXELS:,} pixels, and its header says "
            "far more; make it smaller"
        ) from error
    except UnidentifiedImageError as error:
        raise ValueError(unidentified(file, called)) from error
    except Exception as error:
        raise ValueError(fault(file, called, "picture", error, said)) from error


def seen(image: Image.Image, name: str, called: str, said: list[str]) -> Picture:
    """Return the picture that an opened image stands at, as it is to be seen.

    `called` and `said`: as for `open_image`. Raises ValueError if it cannot be decoded.
    """
    check_mode(image, called)
    file = getattr(image, "fp", None)
    try:
        return Picture(pixels_of(image), name)
    except AlreadyLoaded as error:
        cure = "give the file, open it again, or give its pixels as an array"
        raise ValueError(f"{called} must {error}, but was loaded before; {cure}") from error
    except Exception as error:
        # Decoders of several formats fail on damaged files with any exception.
        raise ValueError(fault(file, called, image.format, error, said)) from error


def _decoded(file: BinaryIO, name: str, page: int) -> Picture:
    called = f"`picture` ({printed(name)})"
    with silence() as said:
        try:
            return _page(file, name, called, page, said)
        except ValueError:
            # Texts and profiles in a PNG may be damaged where its pixels are not.
            file.seek(0)
            content = file.read()
            plain = without_text(content) if content.startswith(SIGNATURE) else None
            if plain is None:
                raise
            return _page(io.BytesIO(plain), name, called, page, said)


def _page(file: BinaryIO, name: str, called: str, page: int, said: list[str]) -> Picture:
    format = format_of(file.read(START))
    file.seek(0)
    if format not in PICTURES:  # of a raw file, Pillow would open the preview
        raise ValueError(unidentified(file, called))
    with open_image(file, called, said) as image:
        check_size(image, called)
        _seek(image, page, called)
        check_size(image, called)
        return seen(image, name, called, said)


def _seek(image: Image.Image, page: int, called: str) -> None:
    if page == place_of(image):
        return
    try:
        image.seek(page)
    except Exception as error:  # damaged files raise anything
        raise ValueError(damaged(called, image.format, first_line(error))) from error
