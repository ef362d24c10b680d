"""Find the pictures of a data set, and decode them as tensors."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlens.files import printed
from convlens.learn.sources.finding import below
from convlens.learn.sources.formats import CLIPS, PICTURES, UNREAD, suffixes
from convlens.learn.sources.pictures.decoding import read_picture

__all__ = [
    "PICTURE_NAMES",
    "InFiles",
    "check_root",
    "folders_in",
    "pictures_below",
    "read_pixels",
    "read_text",
    "sizes_of",
]

PICTURE_NAMES = tuple(
    suffix for suffix in suffixes((*PICTURES, *UNREAD)) if suffix not in suffixes(CLIPS)
)
"""How the names of pictures end. One in a format that is not read is refused when it is read."""

_LEFT_BEHIND = ("__MACOSX", "__pycache__")
"""Folders that other programs leave among data."""

MOST_TEXT = 4 * 2**30
"""The most bytes that a file of labels may have."""


@runtime_checkable
class InFiles(Protocol):
    """Samples of which each has a file of its own."""

    def path(self, index: int) -> Path:
        """Return the file of a sample."""


def read_pixels(source: bytes | Path, key: str) -> Tensor:
    """Return the pixels of a picture as it is meant to be seen, uint8 (3, h, w), channels last.

    Raises ValueError as `read_picture` does; `key` is what messages call it.
    """
    pixels = read_picture(source, key).pixels
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def pictures_below(folder: Path) -> Iterator[str]:
    """Yield the pictures below a folder, as paths relative to it with "/", sorted by name.

    Names that begin with a dot are left out, and links to folders are not followed.
    """
    for path in below(str(folder)):
        if path.lower().endswith(PICTURE_NAMES):
            yield Path(os.path.relpath(path, folder)).as_posix()


def folders_in(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, except those that begin with a dot."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except OSError:
        return []
    return [name for name in names if not name.startswith(".") and name not in _LEFT_BEHIND]


def sizes_of(paths: Iterable[Path]) -> NDArray[np.int64]:
    """Return the sizes of files in bytes, -1 for one that is not there."""
    return np.array([_size(path) for path in paths], np.int64)


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return -1


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    """Return a text in UTF-8, without its byte order mark.

    Raises ValueError if it is larger than `most` bytes, is no file or is not UTF-8.
    """
    if not path.is_file():
        raise ValueError(f"`data` ({printed(str(path))}) must be a file; check the path")
    if path.stat().st_size > most:
        raise ValueError(
            f"`data` ({printed(path.name)}) must have at most {most:,} bytes, and has "
            f"{path.stat().st_size:,}; split it"
        )
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`data` ({printed(path.name)}) must be text in UTF-8, and byte {error.start:,} is "
            "not; save it as UTF-8"
        ) from error


def check_root(path: Path) -> None:
    """Raise ValueError unless there is a file or folder of this name."""
    if not path.exists():
        raise ValueError(
            f"`data` (={str(path)!r}) must name an existing folder or file, and there is none; "
            "check the path"
        )
