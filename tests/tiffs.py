"""TIFF files of any depth and photometric interpretation, written by hand (TIFF 6.0)."""

from __future__ import annotations

import struct
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
