"""Read the chunks of a PNG: how many frames it has, and the file without texts and profiles."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

__all__ = ["SIGNATURE", "moving_frames", "without_text"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""The bytes that every PNG begins with."""

# Texts, profiles and hints (ISO 15948, 11.3); those that give the orientation are kept.
_UNSEEN = (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"pHYs", b"tIME", b"sPLT")
_XMP, _EXIF = b"XML:com.adobe.xmp\x00\x00", b"Raw profile type exif\x00\x00"
_LONGEST = 1_000_000


def moving_frames(file: BinaryIO) -> int:
    """Return how many frames a PNG states, else 1; the file stands after its signature."""
    frames = 1
    while len(head := file.read(8)) == 8:
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        if name == b"IDAT":
            break
        if name == b"acTL":
            frames = int.from_bytes(file.read(4), "big")
            length -= 4
        file.seek(length + 4, 1)
    return frames


def without_text(content: bytes) -> bytes | None:
    """Return a PNG without its texts and profiles; None if it has none.

    >>> without_text(b"") is None
    True
    """
    kept = [content[: len(SIGNATURE)]]
    dropped = False
    for name, chunk in _chunks(content):
        if name in _UNSEEN and not _gives_orientation(chunk[8:-4]):
            dropped = True
        else:
            kept.append(chunk)
    return b"".join(kept) if dropped else None


def _gives_orientation(body: bytes) -> bool:
    if body.startswith(_EXIF):
        inflating = zlib.decompressobj()
        try:
            inflating.decompress(body.removeprefix(_EXIF), _LONGEST)
        except zlib.error:
            return False
        return inflating.eof
    return body.startswith(_XMP) and len(body) < _LONGEST


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at < len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        yield content[at + 4 : at + 8], content[at:end]
        at = end
