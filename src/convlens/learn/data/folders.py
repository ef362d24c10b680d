"""Read pictures in one folder for each class: root/class/picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlens.files import printed
from convlens.learn.data.files import folders_in, pictures_below
from convlens.learn.data.labelled import PictureSamples, counted
from convlens.learn.data.packed import Texts, natural
from convlens.learn.data.parts import Parts, check_known, part_folders

__all__ = ["class_files", "class_parts", "find_folders", "read_folders"]

Files = Callable[[Path], Iterator[str]]
"""Lists the samples below the folder of a class."""


def find_folders(path: Path) -> Parts:
    """Return the parts of class folders, none if no folder holds pictures."""
    return class_parts(path, pictures_below, read_folders)


def class_parts(
    path: Path, files: Files, read: Callable[[Path, tuple[str, ...] | None], object]
) -> Parts:
    """Return the parts of a folder whose folders, or those of its parts, hold such files."""
    parts = {
        part: folder for part, folder in part_folders(path).items() if _has_classes(folder, files)
    }
    if not parts and _has_classes(path, files):
        parts = {"whole": path}
    return {part: partial(read, folder) for part, folder in parts.items()}


def read_folders(root: Path, classes: tuple[str, ...] | None = None) -> PictureSamples:
    """Read the pictures below a folder, whose folders are the classes.

    The classes are sorted naturally: "2" before "10". Names that begin with a dot are left out.
    `classes`: those to use instead, if the data has a part to train on.

    Raises ValueError if there are no pictures, or for a class that is not one of `classes`.
    """
    return PictureSamples(root, *class_files(root, classes, pictures_below, "picture"))


def class_files(
    root: Path, classes: tuple[str, ...] | None, files: Files, what: str
) -> tuple[Texts, NDArray[np.int64], tuple[str, ...], list[str]]:
    """Return the names, categories, classes and warnings of files in class folders."""
    found = sorted(folders_in(root), key=natural)
    named = tuple(found) if classes is None else classes
    names: list[str] = []
    labels: list[int] = []
    strange = []
    for name in found:
        here = [f"{name}/{file}" for file in files(root / name)]
        if name in named:
            names += here
            labels += [named.index(name)] * len(here)
        elif here:
            strange.append(name)
    check_known(strange, classes, printed(root.name))
    if not names:
        raise ValueError(
            f"`data` (={str(root)!r}) must have a {what} in at least one class folder, and has "
            "none; add some"
        )
    numbers = np.array(labels, np.int64)
    return Texts(names), numbers, named, _lacking(numbers, named, classes, root, what)


def _lacking(
    labels: NDArray[np.int64],
    named: tuple[str, ...],
    classes: tuple[str, ...] | None,
    root: Path,
    what: str,
) -> list[str]:
    """Return the warning for classes without samples; a part that is held out may lack some."""
    empty = [named[k] for k in np.flatnonzero(counted(labels, named) == 0)]
    if not empty or classes is not None:
        return []
    some = ", ".join(repr(name) for name in empty[:5]) + (", ..." if len(empty) > 5 else "")
    return [f"`data` ({printed(root.name)}): no {what} is of class {some}"]


def _has_classes(folder: Path, files: Files) -> bool:
    return any(next(files(folder / name), None) for name in folders_in(folder))
