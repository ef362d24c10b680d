"""Find which pictures in a file are its pages, without decoding any."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, MpoImagePlugin

from convlens.learn.sources.binary import opened
from convlens.learn.sources.formats import JPEG, START, TIFF
from convlens.learn.sources.silencing import silence

__all__ = ["pages_of", "pages_of_opened"]

# NewSubfileType's bits (TIFF 6.0, section 8). Smaller copies and masks are not pages.
_SUBFILE, _REDUCED, _MASK = 254, 1, 4

# The numbers of a TIFF: the form of an offset, that of a count of entries, bytes of an entry.
_CLASSIC, _BIG = ("I", "H", 12), ("Q", "Q", 20)

# MP entries of this type (CIPA DC-007, 5.2.3.3) are smaller copies of the first picture.
_THUMBNAILS = "Large Thumbnail"

# The XMP of a phone's gain map, which is not a picture, holds one of these.
_GAIN_MAPS = (b"hdrgainmap", b"hdrgm:")


def pages_of(source: bytes | str | Path) -> tuple[int, ...]:
    """Return which of a file's pictures are pages; (0,) unless it is a TIFF or MPO of several.

    Smaller copies, masks and gain maps are left out. A damaged picture counts as a page, so that
    reading it says what is wrong.

    >>> from convlens.zoo.weights import DATA
    >>> pages_of(DATA / "cat.jpg")
    (0,)
    """
    try:
        with opened(source) as file:
            start = file.read(START)
            if TIFF.begins(start):
                return _tiff_pages(file, start)
            if JPEG.begins(start) and _says_several(file):
                with silence(), Image.open(file, formats=[JPEG.decoder]) as image:
                    return _mpo_pages(image)
    except Exception:
        pass  # a damaged file may raise anything; reading it will say what is wrong
    return (0,)


def pages_of_opened(image: Image.Image) -> tuple[int, ...]:
    """Return which pictures of a file that Pillow opened are pages; see `pages_of`.

    >>> pages_of_opened(Image.new("L", (2, 2)))
    (0,)
    """
    if image.format not in ("TIFF", "MPO") or getattr(image, "n_frames", 1) == 1:
        return (0,)
    if isinstance(image, MpoImagePlugin.MpoImageFile):
        return _mpo_pages(image)
    file: BinaryIO = image._fp  # type: ignore[attr-defined]
    place = file.tell()
    file.seek(0)
    try:
        return _tiff_pages(file, file.read(8))
    finally:
        file.seek(place)


def _tiff_pages(file: BinaryIO, start: bytes) -> tuple[int, ...]:
    order = "<" if start[:2] == b"II" else ">"
    offset, count, length = _BIG if b"+" in start[2:4] else _CLASSIC
    file.seek(struct.calcsize(offset))
    kinds: list[int] = []
    seen = {0}
    try:
        while (place := _number(file, order + offset)) not in seen:
            seen.add(place)
            file.seek(place)
            entries = _number(file, order + count)
            kinds.append(_kind(file, order, entries, length, length - struct.calcsize(offset)))
    except (struct.error, OverflowError, ValueError):
        kinds.append(0)
    whole = tuple(n for n, kind in enumerate(kinds) if not kind & (_REDUCED | _MASK))
    return whole or (0,)


def _number(file: BinaryIO, form: str) -> int:
    return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])


def _kind(file: BinaryIO, order: str, entries: int, length: int, value: int) -> int:
    """Return NewSubfileType of a directory; the file then stands after its entries."""
    kind = 0
    for _ in range(entries):
        entry = file.read(length)
        tag, form = struct.unpack_from(order + "HH", entry)
        if len(entry) < length:
            raise ValueError("the directory is truncated")
        if tag == _SUBFILE:
            (kind,) = struct.unpack_from(order + ("H" if form == 3 else "I"), entry, value)
    return int(kind)


def _says_several(file: BinaryIO) -> bool:
    """Return whether a JPEG has a part that numbers pictures; Pillow would take longer."""
    file.seek(2)
    while len(head := file.read(8)) == 8 and head[0] == 0xFF and head[1] != 0xDA:
        if head[1] == 0xE2 and head[4:] == b"MPF\0":
            return True
        file.seek(int.from_bytes(head[2:4], "big") - 6, 1)
    return False


def _mpo_pages(image: Image.Image) -> tuple[int, ...]:
    if not isinstance(image, MpoImagePlugin.MpoImageFile) or not image.mpinfo:
        return (0,)
    began = image.tell()
    entries = image.mpinfo[0xB002]
    pages = (0, *(n for n in range(1, len(entries)) if _is_page(image, n, entries[n])))
    image.seek(began)
    return pages


def _is_page(image: MpoImagePlugin.MpoImageFile, number: int, entry: dict[str, Any]) -> bool:
    if str(entry["Attribute"].get("MPType", "")).startswith(_THUMBNAILS):
        return False
    try:
        image.seek(number)
    except Exception:
        return True  # reading it will say what is wrong
    if image.fp is None:
        return True
    image.fp.seek(image.offset)
    head = image.fp.read(1 << 16)
    image.fp.seek(image.offset)
    return not any(mark in head for mark in _GAIN_MAPS)
