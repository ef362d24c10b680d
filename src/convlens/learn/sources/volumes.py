"""Read NIfTI volumes as inputs, for networks of three dimensions."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from convlens.learn.sentences import first_line
from convlens.learn.sources.binary import name_of, opened
from convlens.learn.sources.formats import NIFTI

__all__ = ["is_volume", "read_volume"]

_HEAD = 348
"""The bytes of the head, which its first number repeats."""

_KINDS = {
    **{2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8"},
    **{256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"},
}
"""The kinds of numbers that are read, by their codes."""

_MOST = 2**32
"""The most bytes of numbers that are read."""

_TIGHTEST = 1040
"""Deflate makes numbers at most this many times smaller (RFC 1951)."""


@dataclass(frozen=True)
class _Head:
    """What the head says: the sides, the kind of number, where they begin, and their scale."""

    sides: tuple[int, ...]
    kind: np.dtype[np.generic]
    start: int
    slope: float
    intercept: float


def is_volume(source: bytes | str | Path) -> bool:
    """Return whether `source` is a NIfTI volume: bytes by how they begin, a path by its suffix.

    >>> is_volume("brain.nii"), is_volume("brain.NII.gz"), is_volume(b"GIF89a")
    (True, True, False)
    """
    if isinstance(source, bytes):
        return NIFTI.begins(source)
    return Path(source).name.lower().endswith(NIFTI.suffixes)


def read_volume(source: bytes | str | Path) -> Tensor:
    """Return the numbers of a NIfTI-1 file as float32 (c, depth, h, w), scaled as its head says.

    The file's first side is w, its second h, its third the depth; its fourth, such as time, or
    else its fifth, becomes c. The directions in space that the head gives are not applied.

    Raises ValueError for another file, for numbers of another kind, and for a file that is shorter
    than its head says, before memory is taken.

    Source: R. W. Cox et al., *A (sort of) new image data format standard: NIfTI-1* (2004), and
    `nifti1.h`.
    """
    called = f"`picture` ({name_of(source)})"
    is_packed = not isinstance(source, bytes) and str(source).lower().endswith(".gz")
    try:
        with opened(source) as stored:
            most = stored.seek(0, 2) * (_TIGHTEST if is_packed else 1)
            stored.seek(0)
            if is_packed:
                with gzip.open(stored, "rb") as file:
                    return _read(file, most)
            return _read(stored, most)
    except (ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        if str(error).startswith("`"):  # there is no such file
            raise
        raise ValueError(
            f"{called} must be a whole NIfTI-1 file of real numbers ({first_line(error)}); save it "
            "as one, or write an array with numpy.save"
        ) from error


def _read(file: BinaryIO | gzip.GzipFile, most: int) -> Tensor:
    head = _parsed(file.read(_HEAD))
    count = math.prod(head.sides)
    size = count * head.kind.itemsize
    if head.start + size > most or size > _MOST:
        raise ValueError(f"its head says {size:,} bytes of numbers, which it cannot hold")
    file.read(head.start - _HEAD)
    content = file.read(size)
    if len(content) < size:
        raise ValueError(f"{size - len(content):,} bytes are missing")
    numbers = np.frombuffer(content, head.kind).reshape(head.sides[::-1])
    if head.slope != 1 or head.intercept != 0:
        numbers = numbers * np.float64(head.slope) + head.intercept
    return torch.from_numpy(numbers.astype(np.float32))


def _parsed(head: bytes) -> _Head:
    if len(head) < _HEAD:
        raise ValueError(f"its head of {_HEAD} bytes is not whole")
    order = next((o for o in "<>" if struct.unpack(f"{o}i", head[:4])[0] == _HEAD), None)
    if order is None:
        raise ValueError("it does not begin as one does")
    if head[344:348] != b"n+1\0":
        raise ValueError("its numbers are in another file")
    dimensions, *sides = struct.unpack(f"{order}8h", head[40:56])
    code = struct.unpack(f"{order}h", head[70:72])[0]
    offset, slope, intercept = struct.unpack(f"{order}3f", head[108:120])
    if code not in _KINDS:
        raise ValueError(f"its numbers are of kind {code}")
    if not 1 <= dimensions <= 7 or min(sides[:dimensions]) < 1:
        raise ValueError(f"its sides are {sides}, {dimensions} of them")
    if not _HEAD + 4 <= offset < 2**28:
        raise ValueError(f"its numbers begin at byte {offset:g}")
    if not (math.isfinite(slope) and math.isfinite(intercept)) or slope == 0:
        slope, intercept = 1.0, 0.0  # without a scale, as nifti1.h says
    kind = np.dtype(order + _KINDS[code])
    return _Head(_four(sides[:dimensions]), kind, int(offset), slope, intercept)


def _four(sides: list[int]) -> tuple[int, ...]:
    """Return w, h, depth and c of a file's sides, those of length 1 after the third left out."""
    space = [*sides, 1, 1][:3]
    rest = [side for side in sides[3:] if side > 1]
    if len(rest) > 1:
        raise ValueError(f"it has {len(rest)} sides besides space")
    return (*space, *(rest or [1]))
