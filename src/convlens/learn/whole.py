"""Tell from a file's own account of its lengths whether its end is missing."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO

__all__ = ["missing_end"]

_SEGMENT = b"\x18\x53\x80\x67"  # of Matroska, which is all of the file behind its header
_VOIDS = (b"\xec", b"\xbf")  # padding and checksums, of one byte's name

# MP4's and QuickTime's boxes that stand side by side in a file; behind others nothing is judged.
_BOXES = b"ftyp styp moov moof mdat free skip wide udta uuid meta mfra sidx pnot pdin".split()


def missing_end(source: bytes | Path) -> str | None:
    """Return what a clip's or animation's file lacks; None for nothing, or where it says no length.

    Only the lengths of its outermost parts are read; nothing is decoded. A recording that was never
    closed says none, and is whole.

    >>> missing_end(b"GIF89a" + bytes(7) + b";"), missing_end(b"GIF89a" + bytes(7))
    (None, 'its end mark is missing')
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(0)
        start = file.read(12)
        if start[:4] == b"RIFF":
            lacks = _riff(file, length)
        elif start[:4] == b"\x1aE\xdf\xa3":
            lacks = _matroska(file, length)
        elif start[:4] == b"GIF8":
            return None if _gif_ends(file) else "its end mark is missing"
        elif start[:8] == b"\x89PNG\r\n\x1a\n":
            return None if _png_ends(file) else "its end mark is missing"
        else:
            lacks = _boxes(file, length)
    return None if lacks <= 0 else f"its last {lacks:,} bytes are missing"


def _riff(file: BinaryIO, length: int) -> int:
    """AVI and WebP; an AVI of more than a gigabyte is several, side by side."""
    place = 0
    while place < length:
        file.seek(place)
        name, size = file.read(4), int.from_bytes(file.read(4), "little")
        if name != b"RIFF" or size in (0, 2**32 - 1):
            return 0
        place += 8 + size
        if place > length:
            return place - length
        place += size % 2
    return 0


def _matroska(file: BinaryIO, length: int) -> int:
    file.seek(4)
    size, _ = _vint(file)
    file.seek(size, os.SEEK_CUR)
    while name := file.read(1):
        if name not in _VOIDS:
            break
        size, _ = _vint(file)
        file.seek(size, os.SEEK_CUR)
    if name + file.read(3) != _SEGMENT:
        return 0
    size, known = _vint(file)
    return file.tell() + size - length if known else 0


def _vint(file: BinaryIO) -> tuple[int, bool]:
    """An EBML number, and whether it is one: all bits set stand for unknown (RFC 8794, 4 and 6)."""
    first = (file.read(1) or b"\x80")[0]
    more = 8 - first.bit_length()
    value = first & ((1 << (7 - more)) - 1) if more < 8 else 0
    value = int.from_bytes(bytes([value]) + file.read(more), "big")
    return value, value != (1 << 7 * (more + 1)) - 1


def _boxes(file: BinaryIO, length: int) -> int:
    place = 0
    while place + 8 <= length:
        file.seek(place)
        size, name = int.from_bytes(file.read(4), "big"), file.read(4)
        if size == 1:
            size = int.from_bytes(file.read(8), "big")
        if name not in _BOXES or size < 8:  # size 0: to the end, wherever that is
            return 0
        place += size
    return place - length


def _gif_ends(file: BinaryIO) -> bool:
    file.seek(10)
    flags = (file.read(1) or b"\0")[0]
    file.seek(2 + _table(flags), os.SEEK_CUR)
    while mark := file.read(1):
        if mark == b";":
            return True
        if mark == b"!":
            file.seek(1, os.SEEK_CUR)
        elif mark == b",":
            flags = (file.read(9)[8:] or b"\0")[0]
            file.seek(_table(flags) + 1, os.SEEK_CUR)
        else:
            continue
        while size := file.read(1)[:1]:
            if size == b"\0":
                break
            file.seek(size[0], os.SEEK_CUR)
    return False


def _table(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _png_ends(file: BinaryIO) -> bool:
    file.seek(8)
    while len(head := file.read(8)) == 8:
        if head[4:] == b"IEND":
            return len(file.read(4)) == 4
        file.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)
    return False
