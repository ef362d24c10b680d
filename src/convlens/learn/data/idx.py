"""Read the idx files of MNIST and Fashion-MNIST, plain or compressed."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from convlens.files import printed
from convlens.learn.data.arrays import ArraySamples
from convlens.learn.data.parts import Parts, Reader
from convlens.learn.sentences import first_line

__all__ = ["FASHION", "find_idx", "read_idx"]

FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
"""The classes of Fashion-MNIST (Xiao, Rasul & Vollgraf, arXiv 1708.07747, table 2)."""

_NAME = re.compile(r"(train|t10k|test)-images[-.]idx3-ubyte(\.gz)?")

_BYTES = 8
"""The kind of number that is read; the third byte of a file says its kind."""

_MOST = 2**32
"""The most bytes that a file may unpack to."""

_TIGHTEST = 1040
"""Deflate makes numbers at most this many times smaller (RFC 1951)."""


def find_idx(path: Path) -> Parts:
    """Return the parts of a folder of idx files, or of its folder `raw`; none without them."""
    for folder in (path, path / "raw"):
        parts: dict[str, Reader] = {}
        for file in sorted(folder.iterdir()) if folder.is_dir() else []:
            name = _NAME.fullmatch(file.name)
            if name and file.is_file():
                part = "train" if name[1] == "train" else "test"
                parts.setdefault(part, partial(read_idx, file))
        if parts:
            return parts
    return {}


def read_idx(pictures: Path, classes: tuple[str, ...] | None = None) -> ArraySamples:
    """Read a file of pictures (n, h, w) and that of their labels, as samples (n, 1, h, w).

    The classes of Fashion-MNIST have names, if a folder above the files has "fashion" in its name.
    Other classes are called by their numbers.

    Raises ValueError for files that are not whole idx files, and those that do not belong together.

    Source: the description of the files by LeCun, Cortes & Burges, *The MNIST Database*.
    """
    inputs = _numbers(pictures, 3)
    name = pictures.name.replace("images", "labels").replace("idx3", "idx1")
    others = [name, name.removesuffix(".gz"), f"{name}.gz"]
    beside = next((pictures.with_name(n) for n in others if pictures.with_name(n).is_file()), None)
    if beside is None:
        raise ValueError(
            f"`data` ({printed(pictures.name)}) needs its labels next to it, and there is no "
            f"{printed(name)}; copy it there"
        )
    labels = _numbers(beside, 1)
    if len(labels) != len(inputs):
        raise ValueError(
            f"`data` ({printed(beside.name)}) must have a label for each of the {len(inputs):,} "
            f"pictures, and has {len(labels):,}; copy the files again"
        )
    if classes is None and _is_fashion(pictures):
        classes = FASHION
    targets = torch.from_numpy(labels.astype(np.int64))
    return ArraySamples(torch.from_numpy(inputs)[:, None], targets, classes or ())


def _is_fashion(path: Path) -> bool:
    folders = path.resolve().parts[-3:-1]
    return any("fashion" in name.lower() for name in folders)


def _numbers(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Return the numbers of an idx file, whose header has their kind and the size of each side."""
    called = f"`data` ({printed(path.name)})"
    stored = path.stat().st_size
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4 + 4 * dimensions)
            if head[:4] != bytes([0, 0, _BYTES, dimensions]) or len(head) < 4 + 4 * dimensions:
                raise ValueError(
                    f"{called} must be an idx file of bytes in {dimensions} dimensions, and begins "
                    f"with {head[:4].hex(' ') or 'nothing'}; copy it again"
                )
            shape = struct.unpack(f">{dimensions}I", head[4:])
            size = math.prod(shape)
            _check_size(size, stored * (_TIGHTEST if path.suffix == ".gz" else 1), called)
            content = bytearray(file.read(size + 1))
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{called} must be a whole file, and is damaged ({first_line(error)}); copy it again"
        ) from error
    if len(content) != size:
        raise ValueError(
            f"{called} must have the {size:,} bytes that its header says, and has "
            f"{'more' if len(content) > size else f'{len(content):,}'}; copy it again"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _check_size(size: int, most: int, called: str) -> None:
    if not 0 < size <= min(most, _MOST):
        raise ValueError(
            f"{called} must hold at least 1 number and at most its {min(most, _MOST):,} bytes can, "
            f"and its header says {size:,}; copy it again"
        )
