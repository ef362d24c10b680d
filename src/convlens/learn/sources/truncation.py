"""Find out whether a file's end or a part of it is missing, from the lengths that it states."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from convlens.learn.sources.binary import opened
from convlens.learn.sources.formats import GIF, PNG

__all__ = ["missing_end", "strange_part"]

_EBML = b"\x1aE\xdf\xa3"  # begins Matroska and WebM

_SEGMENT = b"\x18\x53\x80\x67"  # of Matroska: everything after the header
_VOIDS = (b"\xec", b"\xbf")  # padding and checksums, whose names have one byte

_CLUSTER = b"\x1f\x43\xb6\x75"

# Elements next to clusters (RFC 9559, 5.1): an overview, facts, tracks, an index, attachments,
# chapters, tags; and elements in clusters (5.1.3): time and place, blocks and groups of blocks.
_ELEMENTS = frozenset(
    bytes.fromhex(name)
    for name in """1f43b675 114d9b74 1549a966 1654ae6b 1c53bb6b 1941a469 1043a770 1254c367
    e7 a7 ab a3 a0 af 5854 ec bf""".split()
)

# The outermost boxes of MP4 and QuickTime. After any other box, nothing is checked.
_BOXES = b"ftyp styp moov moof mdat free skip wide udta uuid meta mfra sidx pnot pdin".split()


def missing_end(source: bytes | Path) -> str | None:
    """Return what the file of a clip or animation lacks; None for nothing or an unknown length.

    Only the lengths of its outermost parts are read, and nothing is decoded. A recording that was
    never closed states no length; it counts as whole.

    >>> missing_end(b"GIF89a" + bytes(7) + b";"), missing_end(b"GIF89a" + bytes(7))
    (None, 'its end mark is missing')
    """
    with opened(source) as file:
        start, length = _start_and_length(file)
        if start[:4] == b"RIFF":
            lacks = max((end for _, end, _ in _riffs(file, length)), default=0) - length
        elif start[:4] == _EBML:
            lacks = (_segment(file)[1] or 0) - length
        elif GIF.begins(start):
            return _gif(file)
        elif PNG.begins(start):
            return None if _png_ends(file) else _NO_END
        else:
            lacks = max((end for _, end, _ in _boxes(file, length)), default=0) - length
    return None if lacks <= 0 else f"its last {lacks:,} bytes are missing"


def strange_part(source: bytes | Path) -> str | None:
    """Return which part of a clip's file is not a packet where one must be; None for nothing.

    The packets of an AVI or Matroska, and the fragments of an MP4, follow one another. If a part
    was overwritten, or never arrived, FFmpeg continues after it in silence. Nothing is decoded.

    >>> head = b"\\0\\0\\0\\x08moof"
    >>> strange_part(b"\\0\\0\\0\\x08ftyp" + head * 2), strange_part(head + bytes(8) + head)
    (None, 'what stands at byte 8 is not a part of it')
    """
    with opened(source) as file:
        start, length = _start_and_length(file)
        if start[:4] == b"RIFF":
            parts = [(begin, end) for begin, end, form in _riffs(file, length) if form == b"AVI"]
            found = (_strange_packet(file, begin + 12, end) for begin, end in parts)
            place = next((at for at in found if at is not None), None)
        elif start[:4] == _EBML:
            begin, known = _segment(file)
            place = _strange_block(file, begin, length if known is None else known)
        else:
            place = _strange_fragment(file, length)
    return None if place is None else f"what stands at byte {place:,} is not a part of it"


_NO_END = "its end mark is missing"


def _start_and_length(file: BinaryIO) -> tuple[bytes, int]:
    """Return the first 12 bytes of a file, and the number of all its bytes."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    return file.read(12), length


def _riffs(file: BinaryIO, length: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield where the parts of an AVI or WebP begin and end, and what they are.

    An AVI of more than a gigabyte has several parts, one after the other.
    """
    place = 0
    while place < length:
        file.seek(place)
        name, size = file.read(4), int.from_bytes(file.read(4), "little")
        if name != b"RIFF" or size in (0, 2**32 - 1):
            return
        yield place, place + 8 + size, file.read(3)
        place += 8 + size + size % 2


def _strange_packet(file: BinaryIO, place: int, end: int) -> int | None:
    """Return where a part of an AVI has no packet, whose name is letters, where one must be."""
    within, odd = False, 0
    while place + 8 <= end:
        file.seek(place)
        head = file.read(13)
        if odd and _is_name(head[1:5]):  # some programs leave out the byte after an odd length
            place, head = place + 1, head[1:]
        size = int.from_bytes(head[4:8], "little")
        if within and not _is_name(head[:4]):
            return place
        odd = 0
        if head[:4] == b"LIST" and head[8:12] == b"movi":
            if not size:
                return None  # never closed
            within, end, place = True, min(end, place + 8 + size), place + 12
        elif head[:4] == b"LIST" and head[8:12] == b"rec ":
            place += 12
        else:
            place, odd = place + 8 + size, size % 2
    return None


def _is_name(four: bytes) -> bool:
    return len(four) == 4 and all(32 <= byte < 127 for byte in four)


def _segment(file: BinaryIO) -> tuple[int, int | None]:
    """Return where Matroska's segment begins and ends, None for an end that it does not state."""
    file.seek(4)
    size, _ = _vint(file)
    file.seek(size, os.SEEK_CUR)
    while name := file.read(1):
        if name not in _VOIDS:
            break
        size, _ = _vint(file)
        file.seek(size, os.SEEK_CUR)
    if name + file.read(3) != _SEGMENT:
        return file.tell(), file.tell()
    size, known = _vint(file)
    return file.tell(), file.tell() + size if known else None


def _strange_block(file: BinaryIO, place: int, end: int) -> int | None:
    """Return where a segment of Matroska, or a cluster, has no element where one must be."""
    while place < end:
        file.seek(place)
        name = file.read(1)
        name += file.read(8 - name[0].bit_length()) if name else b""
        if name not in _ELEMENTS:
            return place
        size, known = _vint(file)
        if not known and name != _CLUSTER:
            return None
        place = file.tell() + (0 if name == _CLUSTER else size)
    return None


def _vint(file: BinaryIO) -> tuple[int, bool]:
    """Return an EBML number, and whether it is known: not all bits are set (RFC 8794, 4 and 6)."""
    first = (file.read(1) or b"\x80")[0]
    more = 8 - first.bit_length()
    value = first & ((1 << (7 - more)) - 1) if more < 8 else 0
    value = int.from_bytes(bytes([value]) + file.read(more), "big")
    return value, value != (1 << 7 * (more + 1)) - 1


def _boxes(file: BinaryIO, length: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield where the boxes of MP4 and QuickTime begin and end, with their names, up to another."""
    place = 0
    while place + 8 <= length:
        file.seek(place)
        size, name = int.from_bytes(file.read(4), "big"), file.read(4)
        if size == 1:
            size = int.from_bytes(file.read(8), "big")
        if name not in _BOXES or size < 8:  # size 0: to the end, wherever that is
            return
        yield place, place + size, name
        place += size


def _strange_fragment(file: BinaryIO, length: int) -> int | None:
    """Return where no box follows the last fragment of an MP4; None if a box does.

    The index of the fragments is the last box.
    """
    boxes = list(_boxes(file, length))
    names = [name for _, _, name in boxes]
    if b"moof" not in names or b"mfra" in names or boxes[-1][1] + 8 > length:
        return None
    file.seek(boxes[-1][1] + 4)
    return None if _is_name(file.read(4)) else boxes[-1][1]


def _gif(file: BinaryIO) -> str | None:
    file.seek(10)
    flags = (file.read(1) or b"\0")[0]
    file.seek(2 + _table(flags), os.SEEK_CUR)
    while mark := file.read(1):
        if mark == b";":
            return None
        if mark == b"!":
            file.seek(1, os.SEEK_CUR)
        elif mark == b",":
            flags = (file.read(9)[8:] or b"\0")[0]
            file.seek(_table(flags) + 1, os.SEEK_CUR)
        elif mark == b"\0":  # some programs end a part twice
            continue
        else:
            return f"what stands at byte {file.tell() - 1:,} is not a part of it"
        while size := file.read(1)[:1]:
            if size == b"\0":
                break
            file.seek(size[0], os.SEEK_CUR)
    return _NO_END


def _table(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _png_ends(file: BinaryIO) -> bool:
    file.seek(8)
    while len(head := file.read(8)) == 8:
        if head[4:] == b"IEND":
            return len(file.read(4)) == 4
        file.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)
    return False
