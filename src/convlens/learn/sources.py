"""What to predict on: a picture, folder, glob, list, clip or camera becomes a row of sources."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from convlens.files import expanded
from convlens.learn.clips import CLIPS
from convlens.learn.pictures import Picture

__all__ = ["PICTURES", "Source", "Sources", "read_sources"]

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
"""The suffixes of the pictures that are looked for in a folder."""


@dataclass(frozen=True, eq=False)
class Source:
    """One thing to predict on: a file, a camera, or a picture or clip that is decoded already.

    `name`: its path below the folder that all have in common, with "/", unlike any other's.
    `error`: why there is nothing to read, in a sentence.
    """

    name: str
    path: Path | None = None
    camera: int | None = None
    given: tuple[Picture, ...] = ()
    is_clip: bool = False
    error: str | None = None


@dataclass(frozen=True, eq=False)
class Sources:
    """Sources in order, found anew, a folder at a time, whenever they are iterated over.

    `root`: the folder that the names of files are relative to, None where there are no files.
    """

    asked: tuple[Any, ...]
    root: Path | None
    skip: Path | None = None

    def __iter__(self) -> Iterator[Source]:
        """Yield the sources: files of a folder sorted by name, whatever else as it was given."""
        for position, one in enumerate(self.asked):
            if isinstance(one, int):
                yield Source(f"camera-{one}", camera=one)
            elif isinstance(one, str):
                for path in _files(one, self.skip):
                    yield self._file(path)
            else:
                yield _given(one, position if len(self.asked) > 1 else None)

    def count(self) -> int | None:
        """Return how many there are, clips counted once; None where a camera makes it endless."""
        if any(isinstance(one, int) for one in self.asked):
            return None
        return sum(1 for _ in self)

    def _file(self, path: str) -> Source:
        name = Path(os.path.relpath(path, self.root)).as_posix()
        if os.path.isdir(path):
            return Source(name, error=f"`source` ({name}) must be a folder that can be read")
        return Source(name, Path(path))


def read_sources(source: object, skip: str | Path | None = None) -> Sources:
    """Return what to predict on, in order, nothing of it decoded yet.

    `source`: the path of a picture, a clip (.mp4 .mov .avi .mkv .webm, animated .gif .webp), a
    folder (all pictures and clips below it whose names begin with no dot), a list (.txt, a path a
    line, relative to the list), or a glob (`photos/**/*.jpg`); the number of a camera, as an int or
    digits; a `Picture`, a PIL image, uint8 pixels (h, w, 3), a clip's (t, h, w, 3); or a list of
    these. `skip`: a folder whose files are left out, where results go.

    Raises ValueError for a file or folder that does not exist, a folder or list without pictures, a
    glob that matches nothing, and for addresses: only files of this machine are read.

    >>> from convlens.zoo.weights import DATA
    >>> [source.name for source in read_sources(DATA)][:2]
    ['cat.jpg', 'digit-0.png']
    """
    several = isinstance(source, (list, tuple))
    items: Sequence[object] = source if isinstance(source, (list, tuple)) else [source]
    left_out = None if skip is None else Path(os.path.abspath(skip))
    asked = tuple(_settled(item) for item in items)
    if not asked:
        raise ValueError("`source` (=[]) must name something to predict on; give a path")
    bases = []
    for one in asked:
        if isinstance(one, str):
            bases.append(_base(one, left_out))
        elif several and isinstance(one, int):
            raise ValueError(f"`source` (={one}) is a camera, which has no end; give it alone")
    return Sources(asked, Path(os.path.commonpath(bases)) if bases else None, left_out)


def _settled(item: object) -> int | str | Picture | tuple[Picture, ...]:
    """A camera's number, an absolute path or glob, or what is decoded already."""
    if isinstance(item, int) and not isinstance(item, bool):
        if item < 0:
            raise ValueError(f"`source` (={item}) must be a camera's number; count from 0")
        return item
    if isinstance(item, (str, Path)):
        return _checked_path(str(item))
    if isinstance(item, Picture):
        return item
    if isinstance(item, Image.Image):
        return Picture(np.array(item.convert("RGB")), "picture")
    if isinstance(item, np.ndarray) and item.ndim == 4 and len(item):
        return tuple(Picture(frame.copy(), "clip") for frame in item)
    if isinstance(item, np.ndarray):
        return Picture(item.copy(), "picture")
    raise TypeError(
        f"`source` (of type {type(item).__name__}) must be a path, a camera's number, a Picture, a "
        "PIL image, uint8 pixels (h, w, 3), or a list of these; convert it"
    )


def _checked_path(text: str) -> int | str:
    if "://" in text:
        raise ValueError(
            f"`source` (={text!r}) must be on this machine; download it and name the file"
        )
    if text.startswith("~"):
        text = str(expanded(text))
    if text.isdecimal() and not os.path.exists(text):
        return int(text)
    if not os.path.exists(text) and not glob.has_magic(text):
        raise ValueError(
            f"`source` (={text!r}) must be an existing picture, clip, folder or list, or a glob; "
            "there is none, check the path"
        )
    return os.path.abspath(text)


def _base(path: str, skip: Path | None) -> str:
    """The folder below which all files of a path lie; ValueError where there are none."""
    first = next(_files(path, skip), None)
    if first is None:
        what = "hold a picture or clip" if os.path.exists(path) else "match a file"
        raise ValueError(f"`source` (={path!r}) must {what}, and does not; check the path")
    if os.path.isdir(path):
        return path
    return os.path.commonpath([os.path.dirname(file) for file in _files(path, skip)])


def _files(path: str, skip: Path | None) -> Iterator[str]:
    """Absolute paths of what a path, list or glob stands for."""
    if os.path.isdir(path):
        found = _below(path)
    elif path.lower().endswith(".txt"):
        found = _listed(path)
    elif os.path.exists(path):
        found = iter([path])
    else:
        matches = sorted(glob.iglob(path, recursive=True))
        found = (match for match in matches if os.path.isfile(match))
    return (file for file in found if skip is None or not Path(file).is_relative_to(skip))


def _below(folder: str) -> Iterator[str]:
    """Depth first, a folder's names in order; links to folders are not followed, they may circle.

    A folder that cannot be read is given itself.
    """
    open_folders = [_sorted(folder)]
    while open_folders:
        entry = next(open_folders[-1], None)
        if entry is None:
            open_folders.pop()
        elif isinstance(entry, str):
            yield entry
        elif entry.is_dir(follow_symlinks=False):
            open_folders.append(_sorted(entry.path))
        elif entry.name.lower().endswith((*PICTURES, *CLIPS)):
            yield entry.path


def _sorted(folder: str) -> Iterator[os.DirEntry[str] | str]:
    try:
        with os.scandir(folder) as entries:
            seen = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return iter([folder])
    return iter(sorted(seen, key=lambda entry: entry.name))


def _listed(path: str) -> Iterator[str]:
    folder = os.path.dirname(path)
    # Names of files are bytes; those that are no UTF-8 come through as they are.
    with open(path, encoding="utf-8", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, 1):
            entry = line.strip()
            if "://" in entry:
                raise ValueError(
                    f"`source` ({path}, line {number}: {entry!r}) must name files of this machine; "
                    "download it and name the file"
                )
            if entry:
                entry = str(expanded(entry)) if entry.startswith("~") else entry
                yield os.path.abspath(os.path.join(folder, entry))


def _given(one: Picture | tuple[Picture, ...], position: int | None) -> Source:
    """Named as it is, and numbered where it is one of several, so that names differ."""
    pictures = (one,) if isinstance(one, Picture) else one
    name = Path(pictures[0].name).name or "picture"
    if position is not None:
        name = f"{position}-{name}"
    return Source(name, given=pictures, is_clip=not isinstance(one, Picture))
