"""PNG files of any depth, written by hand (ISO 15948, 11.2)."""

from __future__ import annotations

import struct
import zlib


def png(
    width: int,
    height: int,
    depth: int,
    colour_type: int,
    rows: list[bytes],
    *chunks: tuple[bytes, bytes],
    interlaced: bool = False,
) -> bytes:
    """Rows of packed numbers, unfiltered; `chunks` stand before them."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlaced)
    data = b"".join(b"\0" + row for row in rows)
    body = b"".join(chunk(*one) for one in chunks)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + body + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
