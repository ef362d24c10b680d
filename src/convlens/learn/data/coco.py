"""Read pictures with boxes, masks and points in COCO's format."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path

from convlens.learn.data.boxed import BoxedSamples, FigureLabels
from convlens.learn.data.coco_labels import read_labels
from convlens.learn.data.files import folders_in
from convlens.learn.data.parts import Parts, Reader, part_of

__all__ = ["find_coco", "read_coco"]

_START = 2**16
"""The bytes at the beginning of a JSON file in which its first keys are sought."""

_PART = re.compile(r"(?<![a-z])(train(?:ing)?|valid(?:ation)?|val|dev|test(?:ing)?)(?![a-z])", re.I)


def read_coco(path: Path, classes: tuple[str, ...] | None = None) -> BoxedSamples:
    """Read a JSON file of labels; its pictures are looked for near it.

    Raises ValueError for a file that is not in COCO's format, or whose labels do not fit.
    """
    labels = read_labels(path)
    return BoxedSamples(_pictures_of(path, labels), labels, path.name)


def find_coco(path: Path, first: str = "instances") -> Parts:
    """Return the parts of labels at a path: a JSON file, with those of other parts next to it.

    In a folder they are sought there, in `annotations`, and in the folders of parts. Of several
    files of one part, the one whose name begins with `first` is read.
    """
    if path.is_file():
        return _parts_beside(path) if _is_coco(path) else {}
    folders = [
        path,
        *(path / n for n in sorted(folders_in(path)) if n == "annotations" or part_of(n)),
    ]
    found: dict[str, list[Path]] = {}
    for folder in folders:
        for file in sorted(folder.glob("*.json")):
            if _is_coco(file):
                part = _part(file, path)
                found.setdefault(part, []).append(file)
    if len(found) > 1:
        found.pop("whole", None)
    parts: dict[str, Reader] = {}
    for part, files in found.items():
        named = (file for file in files if file.name.startswith(first))
        parts[part] = partial(read_coco, next(named, files[0]))
    return parts


def _part(file: Path, root: Path) -> str:
    """Return the part that the last word of a name says, or else its folder's below the root."""
    words = [word[1] for word in _PART.finditer(file.stem)]
    if not words and file.parent != root:
        words = [file.parent.name]
    return (part_of(words[-1]) if words else None) or "whole"


def _parts_beside(path: Path) -> Parts:
    """Return the part that a file is, and those of files that differ only in the part's name."""
    part = _part(path, path.parent)
    if part == "whole":
        return {part: partial(read_coco, path)}
    pattern = _PART.sub("(part)", path.name)
    near = [file for file in sorted(path.parent.glob("*.json")) if file != path]
    beside = [file for file in near if _PART.sub("(part)", file.name) == pattern]
    parts = {_part(file, path.parent): partial(read_coco, file) for file in beside}
    return {**parts, part if parts else "whole": partial(read_coco, path)}


def _is_coco(path: Path) -> bool:
    if (
        path.suffix.lower() != ".json"
        or not path.is_file()
        or path.name.startswith((".", "captions_", "stuff_"))
    ):
        return False
    try:
        with path.open("rb") as file:
            start = file.read(_START)
    except OSError:
        return False
    keys = (b'"images"', b'"annotations"', b'"categories"')
    return start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and any(k in start for k in keys)


def _pictures_of(path: Path, labels: FigureLabels) -> Path:
    """Return the folder that holds the first picture, or else that of the labels."""
    split = path.stem.rpartition("_")[2]
    below = ("", "images", split, f"images/{split}", "data", "JPEGImages")
    folders = [near / name for near in (path.parent, path.parent.parent) for name in below]
    first = labels.names[0]
    return next((folder for folder in folders if os.path.isfile(folder / first)), path.parent)
