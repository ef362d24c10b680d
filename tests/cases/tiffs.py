"""TIFF files of any depth and photometric interpretation, written by hand (TIFF 6.0)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray


def tiff(
    values: NDArray[Any],
    bits: int,
    *,
    white_is_zero: bool = False,
    order: str = "<",
    sample_format: int = 1,
    compression: int = 1,
    **more: int,
) -> bytes:
    """One page of (h, w) or (h, w, c) numbers, uncompressed, rows padded to whole bytes.

    `more`: further tags, as `tag_254=1`.
    """
    height, width = values.shape[:2]
    samples = 1 if values.ndim == 2 else values.shape[2]
    data = b"".join(_row(row.reshape(-1), bits, order) for row in values)
    entries: list[tuple[int, int, int]] = [
        *((256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, compression)),
        *((262, 3, 2 if samples == 3 else int(not white_is_zero)), (273, 4, 8)),
        *((277, 3, samples), (278, 4, height), (279, 4, len(data)), (339, 3, sample_format)),
        *((int(name.removeprefix("tag_")), 4, value) for name, value in more.items()),
    ]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(data))
    body = struct.pack(order + "H", len(entries))
    end = 8 + len(data) + 2 + 12 * len(entries) + 4
    long = b""
    for tag, form, value in sorted(entries):
        if tag in (258, 339) and samples > 2:
            body += struct.pack(order + "HHII", tag, 3, samples, end + len(long))
            long += struct.pack(order + f"{samples}H", *[value] * samples)
        else:
            kept = struct.pack(order + "H", value) if form == 3 else struct.pack(order + "I", value)
            body += struct.pack(order + "HHI", tag, form, 1) + kept.ljust(4, b"\0")
    return head + data + body + struct.pack(order + "I", 0) + long


def _row(numbers: NDArray[Any], bits: int, order: str) -> bytes:
    if numbers.dtype.kind == "f" or (bits >= 8 and bits % 8 == 0):
        return numbers.astype(numbers.dtype.newbyteorder("<" if order == "<" else ">")).tobytes()
    joined = "".join(f"{int(number):0{bits}b}" for number in numbers)
    return int(joined.ljust(-(-len(joined) // 8) * 8, "0"), 2).to_bytes(-(-len(joined) // 8), "big")


def planes(
    values: NDArray[Any],
    photometric: int,
    *,
    order: str = "<",
    extra: int | None = None,
    pack: Callable[[bytes], bytes] | None = None,
) -> bytes:
    """One page of (h, w, c) uint8 or uint16, a plane a colour (PlanarConfiguration 2).

    `extra`: what the last sample is (ExtraSamples, tag 338). `pack`: compresses a plane (Deflate).
    """
    height, width, samples = values.shape
    form = values.dtype.newbyteorder("<" if order == "<" else ">")
    raw = [values[:, :, n].astype(form).tobytes() for n in range(samples)]
    strips = raw if pack is None else [pack(plane) for plane in raw]
    starts = [8 + sum(map(len, strips[:n])) for n in range(samples)]
    tags: dict[int, list[int]] = {
        **{256: [width], 257: [height], 258: [values.itemsize * 8] * samples},
        **{259: [1 if pack is None else 8], 262: [photometric], 273: starts, 277: [samples]},
        **{278: [height], 279: [len(strip) for strip in strips], 284: [2]},
        **({} if extra is None else {338: [extra]}),
    }
    at = 8 + sum(map(len, strips))
    end = at + 2 + 12 * len(tags) + 4
    body, long = struct.pack(order + "H", len(tags)), b""
    for tag, numbers in tags.items():
        content = struct.pack(order + f"{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            place = struct.pack(order + "I", end + len(long))
            long, content = long + content, place
        body += struct.pack(order + "HHI", tag, 4, len(numbers)) + content
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", at)
    return head + b"".join(strips) + body + struct.pack(order + "I", 0) + long
