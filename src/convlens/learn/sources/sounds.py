"""Read a WAV file as the input of a network that reads signals."""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.io import wavfile
from torch import Tensor

from convlens.learn.sentences import first_line
from convlens.learn.sources.binary import name_of, opened
from convlens.learn.sources.formats import (
    SOUNDS,
    START,
    UNREAD_SOUNDS,
    choice,
    described,
    format_of,
    suffixes,
)
from convlens.learn.sources.silencing import silence

__all__ = ["MOST_SAMPLES", "Sound", "is_sound", "read_sound"]

MOST_SAMPLES = 64_000_000
"""The most numbers that a sound may have in all channels, counted before it is decoded."""

# The lengths that stand for an unknown one: the recording was never closed, or was streamed.
_UNKNOWN = (0, 2**32 - 1)


@dataclass(frozen=True, eq=False)
class Sound:
    """A decoded sound: `x` (1, c, samples), -1 to 1; its `rate` in samples a second; `channels`.

    >>> Sound(torch.zeros(1, 1, 8), 16_000, 2).described()
    '16,000 samples a second, 2 channels mixed down to one'
    """

    x: Tensor
    rate: int
    channels: int

    def described(self) -> str:
        """Return what was read, in words."""
        mixed = self.channels > self.x.shape[1]
        rest = f", {self.channels} channels mixed down to one" if mixed else ""
        return f"{self.rate:,} samples a second{rest}"


def is_sound(source: bytes | str | Path) -> bool:
    """Return whether `source` is a sound: bytes by how they begin, a path by its suffix.

    >>> is_sound("tone.wav"), is_sound("tone.npy"), is_sound(b"RIFF1234WAVEfmt ")
    (True, False, True)
    """
    if isinstance(source, bytes):
        return format_of(source[:START]) in (*SOUNDS, *UNREAD_SOUNDS)
    return Path(source).suffix.lower() in suffixes((*SOUNDS, *UNREAD_SOUNDS))


def read_sound(source: bytes | str | Path, channels: int | None = None) -> Sound:
    """Decode a WAV file of whole numbers with 8 to 64 bits or of floats, at its own rate.

    `channels`: how many the network reads. For 1, several are mixed down to their mean; None keeps
    them.

    Raises ValueError for another file, one that is truncated or compressed, other channels, and
    more than 64 million numbers; these are counted before anything is decoded.

    >>> file = io.BytesIO()
    >>> wavfile.write(file, 8000, np.full((3, 2), 16384, np.int16))
    >>> read_sound(file.getvalue(), channels=1).x.tolist()
    [[[0.5, 0.5, 0.5]]]
    """
    with opened(source) as file:
        return _decoded(file, name_of(source), channels)


def _decoded(file: BinaryIO, name: str, channels: int | None) -> Sound:
    start = file.read(START)
    if format_of(start) not in SOUNDS:
        what = described(start) or "of an unknown format"
        raise ValueError(
            f"`picture` ({name}) must be a {choice(SOUNDS)} sound or a .npy array, and this is "
            f"{what}; save it as a {choice(SOUNDS)}"
        )
    rate, samples = _samples(_whole(file, name), name)
    if samples.dtype.kind in "iu":
        bits = 8 * samples.dtype.itemsize
        middle = 128 if samples.dtype == np.uint8 else 0
        samples = (samples.astype(np.float64) - middle) / 2.0 ** (bits - 1)
    elif not np.isfinite(samples).all():
        raise ValueError(
            f"`picture` ({name}) must hold numbers, and has some that are not finite; save it again"
        )
    if rate < 1:
        raise ValueError(
            f"`picture` ({name}) must say how many samples a second it has, and says {rate}; save "
            "it again"
        )
    samples = samples.reshape(len(samples), -1)
    found = samples.shape[1]
    if channels == 1 and found > 1:
        samples = samples.mean(1, keepdims=True)
    if channels not in (None, samples.shape[1]):
        raise ValueError(
            f"`picture` ({name}) must have {channels} channels for this network, and has {found}; "
            "save it with as many"
        )
    x = torch.from_numpy(np.array(samples.T, np.float32, order="C"))[None]
    return Sound(x, rate, found)


def _samples(file: BinaryIO, name: str) -> tuple[int, NDArray[Any]]:
    try:
        with silence():  # SciPy warns of parts that it does not know, such as titles
            return wavfile.read(file)  # type: ignore[no-any-return]
    except Exception as error:
        # SciPy's reader fails on damaged headers with any exception.
        raise ValueError(
            f"`picture` ({name}) must be a WAV sound of whole numbers or floats "
            f"({first_line(error)}); save it so, with 16 bits"
        ) from error


def _whole(file: BinaryIO, name: str) -> BinaryIO:
    """Return the file at its beginning; if it does not say its length, a copy that does."""
    data = _data_part(file, name)
    there = file.seek(0, os.SEEK_END) - data.place
    if data.size > there and data.size not in _UNKNOWN:
        raise ValueError(
            f"`picture` ({name}) must be a whole WAV file, and its last {data.size - there:,} "
            "bytes are missing; copy or save it again"
        )
    if min(data.size, there) // data.bytes_a_number > MOST_SAMPLES or there == 0:
        raise ValueError(
            f"`picture` ({name}) must have 1 to {MOST_SAMPLES:,} samples, and has "
            f"{there // data.bytes_a_number:,}; cut a part of it"
        )
    file.seek(0)
    if data.size not in _UNKNOWN:
        return file
    there -= there % data.bytes_a_frame
    whole = bytearray(file.read(data.place + there))
    whole[data.place - 4 : data.place] = struct.pack(data.order + "I", there)
    whole[4:8] = struct.pack(data.order + "I", data.place - 8 + there)
    return io.BytesIO(bytes(whole))


@dataclass(frozen=True)
class _DataPart:
    """The part with the samples: its `place` and stated `size` in bytes, and how they are stored.

    `bytes_a_frame`: of one sample in every channel. `order`: of bytes, as `struct` writes it.
    """

    place: int
    size: int
    order: str
    bytes_a_number: int
    bytes_a_frame: int


def _data_part(file: BinaryIO, name: str) -> _DataPart:
    file.seek(0)
    order = ">" if file.read(4) == b"RIFX" else "<"
    file.seek(12)
    form = bytes(16)
    while len(head := file.read(8)) == 8:
        part, size = head[:4], struct.unpack(order + "I", head[4:])[0]
        if part == b"data":
            frame, bits = struct.unpack_from(order + "HH", form, 12)
            return _DataPart(file.tell(), size, order, max(1, (bits & 255) // 8), max(1, frame))
        if part == b"fmt ":
            form = (file.read(size) + bytes(16))[:16]
            size = 0
        file.seek(size + size % 2, os.SEEK_CUR)
    raise ValueError(
        f"`picture` ({name}) must be a WAV sound with samples, and holds none; save it again"
    )
