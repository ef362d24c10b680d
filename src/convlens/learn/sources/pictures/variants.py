"""Recognise variants of readable formats that are not read."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

from PIL import TiffImagePlugin

from convlens.learn.sources.formats import BMP, JPEG, START, TIFF

__all__ = ["unread_tiff", "unread_variant"]

# TIFF's tags, and what they say (TIFF 6.0, section 8; SampleFormat: section 19).
_SUBFILE, _BITS, _COMPRESSION, _COLOURS, _PLANES = 254, 258, 259, 262, 284
_PARTS, _SAMPLE_FORMAT, _SUBSAMPLING, _DNG = 330, 339, 530, 50706
_YCBCR, _COLOUR_FILTERS, _APART = 6, 32803, 2


def unread_variant(file: BinaryIO, said: str) -> str | None:
    """Return which variant of a readable format a file is, as a clause; None for a damaged file.

    `said`: the message of Pillow, or of the library below it.
    """
    place = file.tell()
    file.seek(0)
    start = file.read(START)
    try:
        if start[12:16] == b"CgBI":
            return "this is a PNG of the kind that only Apple's devices read (CgBI)"
        if TIFF.begins(start):
            return _tiff(file, start, said)
        if JPEG.begins(start):
            return _jpeg(file)
        if BMP.begins(start) and said.startswith("Unsupported BMP"):
            return f"this BMP is not ({said})"
    finally:
        file.seek(place)
    return None


def _jpeg(file: BinaryIO) -> str | None:
    """Read the marker that begins the frame (ITU-T T.81, B.1.1.3; of JPEG-LS, T.87, C.1.1)."""
    file.seek(2)
    while (marker := file.read(2)) and marker[0] == 0xFF:
        kind, length = marker[1], file.read(3)
        if len(length) < 3:
            return None
        if kind == 0xF7:
            return "this is a JPEG-LS picture"
        if kind in (0xDE, 0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF):
            return "this is a hierarchical JPEG"
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            if kind in (0xC3, 0xCB):
                return "this is a lossless JPEG"
            return None if length[2] == 8 else f"this is a JPEG of {length[2]} bits"
        file.seek(int.from_bytes(length[:2], "big") - 3, 1)
    return None


def _tiff(file: BinaryIO, start: bytes, said: str) -> str | None:
    tags = _tiff_tags(file, start)
    if tags is None:
        return None
    colours, compression = tags.get(_COLOURS), tags.get(_COMPRESSION, 1)
    if colours == _COLOUR_FILTERS or _DNG in tags:
        return "this is a camera's raw file"
    if compression not in TiffImagePlugin.COMPRESSION_INFO:
        return f"this is a TIFF with compression {compression}"
    if "not configured" in said or "not available" in said or "not implemented" in said:
        return f"this is a TIFF with compression {compression} ({said})"
    # The last two concern planes: Pillow knows too few names for them, or runs out of letters.
    if any(
        what in said
        for what in ("pixel mode", "data organization", "raw mode", "string index out of range")
    ):
        return f"this is a TIFF of {_numbers(tags)}, photometric interpretation {colours}"
    return None


def _numbers(tags: TiffImagePlugin.ImageFileDirectory_v2) -> str:
    bits = tags.get(_BITS, (1,))
    kind = {2: "signed", 3: "floating-point"}.get(tags.get(_SAMPLE_FORMAT, (1,))[0], "whole")
    each = "/".join(str(depth) for depth in sorted(set(bits)))
    return f"{kind} numbers, {len(bits)} a pixel, {each} bits each"


def _tiff_tags(file: BinaryIO, start: bytes) -> TiffImagePlugin.ImageFileDirectory_v2 | None:
    """Return the tags of the first page; None if they cannot be read."""
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(start[: 16 if start[2:3] == b"+" else 8])
        file.seek(tags.next)
        tags.load(file)
        dict(tags)  # Pillow decodes their values when they are asked for
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, struct.error):
        return None
    return tags


def unread_tiff(mode: str, tags: Any) -> str | None:
    """Return which variant a TIFF is that Pillow opens, but decodes to other pixels in silence.

    `mode`: Pillow's mode of the opened file; `tags`: its tags.

    >>> unread_tiff("RGB", {})
    """
    if _DNG in tags or (_PARTS in tags and tags.get(_SUBFILE, 0) & 1):
        return "a camera's raw file, which begins with a small copy"
    is_raw = tags.get(_COMPRESSION, 1) == 1
    if mode in ("LA", "La") and tags.get(_PLANES) == _APART and not is_raw:
        return "a compressed TIFF whose grey and transparency lie in planes of their own"
    if is_raw and tags.get(_COLOURS) == _YCBCR and tags.get(_SUBSAMPLING, (2, 2)) != (1, 1):
        return "an uncompressed TIFF whose colours are stored once for several pixels"
    return None
