"""Read pictures with boxes, masks and points in COCO's format."""

from __future__ import annotations

import os
import re
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlens.files import printed
from convlens.learn.data.coco_labels import COUNTS, CocoLabels, read_labels
from convlens.learn.data.files import folders_in, read_pixels, sizes_of
from convlens.learn.data.mirroring import mirrored
from convlens.learn.data.outlines import fill_counts, fill_outline
from convlens.learn.data.packed import digest_of
from convlens.learn.data.parts import Parts, Reader, part_of
from convlens.learn.data.samples import Boxed

__all__ = ["CocoSamples", "find_coco", "read_coco"]

_START = 2**16
"""The bytes at the beginning of a JSON file in which its first keys are sought."""

_PART = re.compile(r"(?<![a-z])(train(?:ing)?|valid(?:ation)?|val|dev|test(?:ing)?)(?![a-z])", re.I)

_ORDER = ("instances", "person_keypoints")
"""Of several files of one part, the one whose name begins with the first of these is read."""


class CocoSamples:
    """Pictures below a folder with the labels of their figures."""

    sample = Boxed

    def __init__(self, root: Path, labels: CocoLabels, name: str) -> None:
        self.root, self.about = root, labels
        self.classes, self.ids, self.points = labels.classes, labels.ids, labels.point_names
        self.pairs = mirrored(self.points)
        self.faults = labels.faults
        self.warnings = tuple(labels.faults.warnings(printed(name)))

    def __len__(self) -> int:
        return len(self.about.names)

    def path(self, index: int) -> Path:
        """Return the file of a picture."""
        return self.root / self.about.names[index]

    def labels(self) -> None:
        """Return None: a picture has figures of several categories."""
        return

    @cached_property
    def fingerprint(self) -> str:
        """Return the digest of names, labels and sizes of files; their content is not read."""
        about = self.about
        masks = (about.parts, about.kinds, about.ends, about.numbers)
        points = np.zeros(0) if about.points is None else about.points
        sizes = sizes_of(self.path(index) for index in range(len(self)))
        figures = (about.starts, about.boxes, about.labels, about.crowd, about.area, points)
        return digest_of(about.names, self.classes, self.ids, *figures, *masks, sizes)

    def read(self, index: int) -> Boxed:
        """Return a sample; its key is the name of its file.

        Raises ValueError if the picture cannot be read, or has not the size that the labels say.
        """
        about = self.about
        key = about.names[index]
        picture = read_pixels(self.path(index), key)
        wide, high = (int(side) for side in about.sizes[index])
        if tuple(picture.shape[1:]) != (high, wide):
            raise ValueError(
                f"`picture` ({printed(key)}) must be {wide} x {high} as its labels say, and is "
                f"{picture.shape[2]} x {picture.shape[1]} as its EXIF orientation turns it; "
                "correct the labels, or save it again"
            )
        at = slice(int(about.starts[index]), int(about.starts[index + 1]))
        boxes = torch.from_numpy(about.boxes[at].copy())
        masks = self._masks(at, (high, wide)) if about.has_masks else None
        return Boxed(
            key,
            picture,
            boxes,
            torch.from_numpy(about.labels[at].astype(np.int64)),
            torch.from_numpy(about.crowd[at].copy()),
            self._area(at, boxes, (high, wide)),
            masks,
            None if about.points is None else torch.from_numpy(about.points[at].copy()),
            self.pairs,
        )

    def _masks(self, at: slice, size: tuple[int, int]) -> Tensor:
        masks = np.zeros((at.stop - at.start, *size), bool)
        for mask, figure in zip(masks, range(at.start, at.stop), strict=True):
            self._fill(mask, figure)
        return torch.from_numpy(masks)

    def _fill(self, mask: NDArray[np.bool_], figure: int) -> None:
        about = self.about
        for part in range(*(int(place) for place in about.parts[figure])):
            numbers = about.numbers[about.ends[part] : about.ends[part + 1]]
            (fill_counts if about.kinds[part] == COUNTS else fill_outline)(mask, numbers)

    def _area(self, at: slice, boxes: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the areas that the file says; of others, that of the mask, else of the box."""
        area = self.about.area[at].copy()
        for place in np.flatnonzero(np.isnan(area)):
            figure = at.start + int(place)
            left, top, right, bottom = boxes[place].tolist()
            area[place] = (right - left) * (bottom - top)
            if self.about.parts[figure, 0] < self.about.parts[figure, 1]:
                mask = np.zeros(size, bool)
                self._fill(mask, figure)
                area[place] = mask.sum()
        return torch.from_numpy(area)


def read_coco(path: Path, classes: tuple[str, ...] | None = None) -> CocoSamples:
    """Read a JSON file of labels; its pictures are looked for near it.

    Raises ValueError for a file that is not in COCO's format, or whose labels do not fit.
    """
    labels = read_labels(path)
    return CocoSamples(_pictures_of(path, labels), labels, path.name)


def find_coco(path: Path) -> Parts:
    """Return the parts of labels at a path: a JSON file, with those of other parts next to it.

    In a folder they are sought there, in `annotations`, and in the folders of parts.
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
        parts[part] = partial(read_coco, min(files, key=_rank))
    return parts


def _rank(file: Path) -> int:
    return next((k for k, start in enumerate(_ORDER) if file.name.startswith(start)), len(_ORDER))


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
    return {**parts, part: partial(read_coco, path)}


def _is_coco(path: Path) -> bool:
    if path.suffix.lower() != ".json" or path.name.startswith((".", "captions_", "stuff_")):
        return False
    try:
        with path.open("rb") as file:
            start = file.read(_START)
    except OSError:
        return False
    keys = (b'"images"', b'"annotations"', b'"categories"')
    return start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and any(k in start for k in keys)


def _pictures_of(path: Path, labels: CocoLabels) -> Path:
    """Return the folder that holds the first picture, or else that of the labels."""
    split = path.stem.rpartition("_")[2]
    below = ("", "images", split, f"images/{split}", "data", "JPEGImages")
    folders = [near / name for near in (path.parent, path.parent.parent) for name in below]
    first = labels.names[0]
    return next((folder for folder in folders if os.path.isfile(folder / first)), path.parent)
