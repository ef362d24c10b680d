"""Read a CSV file of paths of pictures and their classes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from convlens.files import printed
from convlens.learn.data.files import PICTURE_NAMES, read_text
from convlens.learn.data.labelled import PictureSamples
from convlens.learn.data.packed import Texts, natural
from convlens.learn.data.parts import Parts, check_known, part_of
from convlens.learn.sentences import first_line

__all__ = ["find_csv"]

_PATHS = (
    "path",
    "file",
    "image",
    "filename",
    "file_name",
    "filepath",
    "image_path",
    "img",
    "picture",
)
_LABELS = ("label", "class", "category", "target", "class_name", "label_name")
_SPLITS = ("split", "part", "set", "subset", "partition")
"""How the columns are called, whatever their case."""

_START = 2**16
"""The bytes at the beginning of a file that show whether it is such a table."""

Row = tuple[str, str, str]
"""The path, the label and the part of a picture."""


def find_csv(path: Path) -> Parts:
    """Return the parts of a CSV file, or of those in a folder: `labels.csv`, or `train.csv` ...

    It has a column of paths and one of labels, and perhaps one that names the part of each row.
    """
    if path.is_file():
        return _by_column(path) if _columns(path) else {}
    if not path.is_dir():
        return {}
    files = [file for file in sorted(path.glob("*.csv")) if _columns(file)]
    named = {part: file for file in files if (part := part_of(file.stem))}
    if named:
        return {part: partial(_read, file, "") for part, file in named.items()}
    return _by_column(files[0]) if len(files) == 1 else {}


def _by_column(path: Path) -> Parts:
    """Return the parts that the column of parts names, or the whole table."""
    parts = sorted({part for _, _, part in _rows(path)})
    if parts in ([], [""]):
        return {"whole": partial(_read, path, "")}
    strange = [part for part in parts if part_of(part) is None]
    if strange:
        raise ValueError(
            f"`data` ({printed(path.name)}) must name the part of each row, train, val or test, "
            f"and one is {strange[0]!r}; correct it, or call the column otherwise"
        )
    return {part_of(part) or "": partial(_read, path, part) for part in parts}


def _read(path: Path, part: str, classes: tuple[str, ...] | None = None) -> PictureSamples:
    rows = [row for row in _rows(path) if row[2] == part]
    if not rows:
        raise ValueError(
            f"`data` ({printed(path.name)}) must have a row for each picture, and has none; add "
            "some"
        )
    found = sorted({label for _, label, _ in rows}, key=natural)
    check_known(found, classes, printed(path.name))
    named = {name: number for number, name in enumerate(classes or found)}
    labels = np.array([named[label] for _, label, _ in rows], np.int64)
    below = ("", "images", "data", path.stem)
    roots = (path.parent / name for name in below)
    root = next((root for root in roots if (root / rows[0][0]).is_file()), path.parent)
    return PictureSamples(root, Texts(name for name, _, _ in rows), labels, tuple(named))


def _rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a table.

    Raises ValueError for a row that has no path or no label.
    """
    at, delimiter, has_header = _columns(path) or ((0, 1, -1), ",", False)
    lines = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter, strict=True)
    try:
        for number, line in enumerate(lines):
            if not line or (number == 0 and has_header):
                continue
            cells = [line[place].strip() if 0 <= place < len(line) else "" for place in at]
            if not cells[0] or not cells[1] or "\0" in cells[0]:
                raise ValueError("it needs a path and a label")
            yield cells[0].replace("\\", "/"), cells[1], cells[2]
    except (csv.Error, ValueError) as error:
        raise ValueError(
            f"`data` ({printed(path.name)}): line {lines.line_num} cannot be read "
            f"({first_line(error)}); correct it"
        ) from error


def _columns(path: Path) -> tuple[tuple[int, int, int], str, bool] | None:
    """Return the places of path, label and part, the delimiter, and whether there is a header.

    A place is -1 without such a column. None for a file that is no table of pictures.
    """
    if path.suffix.lower() not in (".csv", ".tsv") or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            start = file.read(_START).decode("utf-8-sig", "replace")
    except OSError:
        return None
    lines = start.splitlines()
    first = lines[0] if lines else ""
    delimiter = max(",;\t", key=first.count)
    cells = next(csv.reader([first], delimiter=delimiter), [])
    names = [cell.strip().casefold() for cell in cells]
    at = tuple(
        next((names.index(known) for known in choice if known in names), -1)
        for choice in (_PATHS, _LABELS, _SPLITS)
    )
    if at[0] >= 0 and at[1] >= 0:
        return (at[0], at[1], at[2]), delimiter, True
    if len(cells) == 2 and names[0].endswith(PICTURE_NAMES):
        return (0, 1, -1), delimiter, False
    return None
