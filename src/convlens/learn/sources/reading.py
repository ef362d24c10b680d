"""Turn a path, folder, glob, list, camera or object of Python into sources to predict on."""

from __future__ import annotations

import glob
import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from convlens.files import expanded, printed
from convlens.learn.sources.clips import Frame, camera_frames, clip_frames, frames_of, is_clip
from convlens.learn.sources.finding import below, left_out, listed, matched
from convlens.learn.sources.in_memory import pictures_of_array
from convlens.learn.sources.pictures.animations import moves
from convlens.learn.sources.pictures.decoding import picture_of, read_picture
from convlens.learn.sources.pictures.opened_images import check_open, place_of
from convlens.learn.sources.pictures.pages import pages_of, pages_of_opened
from convlens.learn.sources.pictures.picture import Picture

__all__ = ["Source", "Sources", "read_sources"]


@dataclass(frozen=True, eq=False)
class Source:
    """One thing to predict on: a file, a camera, or a picture or clip that Python holds.

    `name`: its path below the folder that all files share, with "/"; no other source has it.
    `given`: decoded pictures, which are the frames of a clip if `is_clip`. `image`: a file of
    several pictures that Pillow opened, read during the run. `error`: a sentence that says why
    there is nothing to read.
    """

    name: str
    path: Path | None = None
    camera: int | None = None
    given: tuple[Picture, ...] = ()
    is_clip: bool = False
    image: Image.Image | None = None
    error: str | None = None

    def moves(self) -> bool:
        """Return whether it is a clip or a camera."""
        if self.path is not None:
            return is_clip(self.path)
        if self.image is not None:
            return moves(self.image)
        return self.is_clip or self.camera is not None

    def pages(self) -> tuple[int | None, ...]:
        """Return the numbers of a picture's pages, (None,) if it has only one.

        >>> Source("night", given=(Picture(np.zeros((2, 2, 3), np.uint8)),)).pages()
        (None,)
        """
        found: tuple[int, ...] = (0,)
        if self.path is not None:
            found = pages_of(self.path)
        elif self.image is not None:
            found = pages_of_opened(self.image)
        return found if len(found) > 1 else (None,)

    def read(self, page: int | None) -> Picture:
        """Return its picture, or that of a page.

        Raises ValueError as `read_picture` does.
        """
        if self.path is not None:
            return read_picture(self.path, self.name, page or 0)
        if self.image is not None:
            return picture_of(self.image, self.name, f"`source` ({printed(self.name)})", page)
        return self.given[0]

    def frames(self, rate: float | None) -> Generator[Frame, None, None]:
        """Yield the frames of a clip or camera; see `clip_frames`."""
        if self.camera is not None:
            return camera_frames(self.camera, rate)
        if self.path is not None:
            return clip_frames(self.path, rate)
        return frames_of(self.given if self.image is None else self.image, rate, self.name)


@dataclass(frozen=True, eq=False)
class Sources:
    """Sources in order. Every iteration looks into folders again.

    `root`: the folder that the names of files are relative to, None without files.
    """

    asked: tuple[Any, ...]
    root: Path | None
    skip: Path | None = None

    def __iter__(self) -> Iterator[Source]:
        """Yield the sources in the order given, files of a folder sorted by name."""
        for position, one in enumerate(self.asked):
            if isinstance(one, int):
                yield Source(f"camera-{one}", camera=one)
            elif isinstance(one, _Files):
                for path, lacks in one.found(self.skip):
                    yield self._file(path, lacks)
            else:
                yield _given(one, position if len(self.asked) > 1 else None)

    def count(self) -> int | None:
        """Return how many there are; None if a camera makes them endless.

        Clips and files of several pages count once.
        """
        if any(isinstance(one, int) for one in self.asked):
            return None
        return sum(1 for _ in self)

    def left_out(self) -> str | None:
        """Return what the folders hold besides pictures and clips, in words; None for nothing."""
        files = [path for one in self.asked if isinstance(one, _Files) for path in one.paths]
        return left_out((path for path in files if os.path.isdir(path)), self.skip)

    def _file(self, path: str, lacks: str | None) -> Source:
        name = Path(os.path.relpath(path, self.root)).as_posix()
        if lacks is not None:
            return Source(name, error=f"`source` ({printed(name)}) must be a folder {lacks}")
        return Source(name, Path(path))


@dataclass(frozen=True)
class _Files:
    """The absolute paths of files, and of folders to look into, that a path, list or glob means.

    They are found once: a glob or list that grows during the run could reach other folders.
    """

    asked: str
    paths: tuple[str, ...]

    def found(self, skip: Path | None) -> Iterator[tuple[str, str | None]]:
        """Yield the files, and the folders without files with what these lack."""
        for path in self.paths:
            if not os.path.isdir(path):
                if not _is_below(path, skip):
                    yield path, None
                continue
            empty = path != self.asked
            for file in below(path, skip):
                if not _is_below(file, skip):
                    empty = False
                    # A folder that cannot be read is yielded itself.
                    yield file, "that can be read" if os.path.isdir(file) else None
            if empty:
                yield path, "that holds a picture or clip, and does not"


def _is_below(path: str, folder: Path | None) -> bool:
    return folder is not None and Path(path).is_relative_to(folder)


def read_sources(source: object, skip: str | Path | None = None) -> Sources:
    """Return what to predict on, in order, without decoding any of it.

    `source` is one of these, or a list of several:

    - the path of a picture or clip (see `formats`);
    - a folder: all pictures and clips below it, except those whose names begin with a dot;
    - a list, that is a .txt file with one path on each line, relative to the list;
    - a glob (`photos/**/*.jpg`);
    - the number of a camera, as an int or digits;
    - a `Picture`, a PIL image, or uint8 pixels as an array or a tensor: (h, w, 3), grey (h, w), or
      a clip (t, h, w, 3). An animation, and a TIFF or MPO of several pages, that Pillow opened
      stands for all its pictures, unless it was moved to one of them.

    `skip`: a folder whose files are left out, because results go there.

    Raises ValueError for a file or folder that does not exist, a folder or list without pictures,
    and a glob without matches. Raises ValueError for numbers that are not pixels, with how to
    convert them, and for addresses: only files of this machine are read.

    >>> from convlens.zoo.weights import DATA
    >>> [source.name for source in read_sources(DATA)][:2]
    ['boot.png', 'cat.jpg']
    """
    several = isinstance(source, (list, tuple))
    items: Sequence[object] = source if isinstance(source, (list, tuple)) else [source]
    left = None if skip is None else Path(os.path.abspath(skip))
    asked = tuple(
        _settled(item, f"source[{position}]" if several else "source")
        for position, item in enumerate(items)
    )
    if not asked:
        raise ValueError("`source` (=[]) must name something to predict on; give a path")
    bases = []
    for one in asked:
        if isinstance(one, _Files):
            bases.append(_base(one, left))
        elif several and isinstance(one, int):
            raise ValueError(f"`source` (={one}) is a camera, which has no end; give it alone")
    return Sources(asked, Path(os.path.commonpath(bases)) if bases else None, left)


def _settled(item: object, said: str) -> int | _Files | Picture | tuple[Picture, ...] | Image.Image:
    """Return a camera's number, files, decoded pictures, or an image to decode during the run."""
    if isinstance(item, int) and not isinstance(item, bool):
        if item < 0:
            raise ValueError(f"`source` (={item}) must be a camera's number; count from 0")
        return item
    if isinstance(item, (str, Path)):
        return _checked_path(str(item))
    if isinstance(item, Picture):
        return item
    if isinstance(item, Image.Image):
        return _settled_image(item, f"`{said}` (a PIL image)")
    if isinstance(item, (np.ndarray, Tensor)):
        pictures = pictures_of_array(item, said)
        return pictures if item.ndim == 4 else pictures[0]
    cure = "convert it"
    if isinstance(item, (bytes, bytearray)) or hasattr(item, "read"):
        cure = "give what convlens.read_picture makes of its bytes"
    raise TypeError(
        f"`{said}` (of type {type(item).__name__}) must be a path, a camera's number, a Picture, a "
        f"PIL image, uint8 pixels (h, w, 3), or a list of these; {cure}"
    )


def _settled_image(image: Image.Image, called: str) -> Picture | Image.Image:
    """Return an image that stands for all its pictures, or the picture that it was moved to."""
    check_open(image, called)
    if place_of(image) == 0 and (moves(image) or len(pages_of_opened(image)) > 1):
        return image
    return picture_of(image, _name_of(image), called)


def _checked_path(text: str) -> int | _Files:
    if "://" in text:
        raise ValueError(
            f"`source` (={text!r}) must be on this machine; download it and name the file"
        )
    if text.startswith("~"):
        text = str(expanded(text))
    if text.isdecimal() and not os.path.exists(text):
        return int(text)
    path = os.path.abspath(text)
    if os.path.isdir(path):
        return _Files(path, (path,))
    if os.path.exists(path):
        return _Files(path, tuple(listed(path)) if path.lower().endswith(".txt") else (path,))
    if not glob.has_magic(text):
        raise ValueError(
            f"`source` (={text!r}) must be an existing picture, clip, folder or list, or a glob, "
            "and there is none; check the path"
        )
    return _Files(path, tuple(matched(path)))


def _base(files: _Files, skip: Path | None) -> str:
    """Return the folder below which all files of a path lie; raise ValueError without files."""
    if next(files.found(skip), None) is None:
        what = "hold a picture or clip" if os.path.exists(files.asked) else "match a file"
        rest = left_out((path for path in files.paths if os.path.isdir(path)), skip)
        raise ValueError(
            f"`source` (={files.asked!r}) must {what}, and does not"
            f"{f' ({rest})' if rest else ''}; check the path"
        )
    if os.path.isdir(files.asked):
        return files.asked
    return os.path.commonpath(
        [path if os.path.isdir(path) else os.path.dirname(path) for path in files.paths]
    )


def _given(one: Picture | tuple[Picture, ...] | Image.Image, position: int | None) -> Source:
    """Return the source of an object; one of several is numbered, so that names differ."""
    if isinstance(one, Image.Image):
        name = _name_of(one)
    else:
        name = Path((one if isinstance(one, Picture) else one[0]).name).name or "picture"
    if position is not None:
        name = f"{position}-{name}"
    if isinstance(one, Image.Image):
        return Source(name, image=one)
    pictures = (one,) if isinstance(one, Picture) else one
    return Source(name, given=pictures, is_clip=not isinstance(one, Picture))


def _name_of(image: Image.Image) -> str:
    file = getattr(image, "filename", "")
    return (
        Path(os.fsdecode(file)).name if isinstance(file, (str, bytes, Path)) and file else "picture"
    )
