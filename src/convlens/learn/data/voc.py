"""Read pictures with boxes in the XML files of Pascal VOC."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from convlens.files import printed
from convlens.learn.data.boxed import BoxedSamples, FigureLabels
from convlens.learn.data.faults import Faults
from convlens.learn.data.files import pictures_below, read_text
from convlens.learn.data.packed import Texts, natural
from convlens.learn.data.parts import Parts, check_known, part_folders, part_of
from convlens.learn.sentences import first_line

__all__ = ["find_voc"]

MOST_BYTES = 2**24
"""The most bytes that the file of one picture may have."""

Sides = tuple[float, float, float, float]


@dataclass(frozen=True)
class _Annotated:
    """What the file of one picture says: its size, and of each figure name, sides, difficulty."""

    size: tuple[int, int]
    figures: tuple[tuple[str, Sides, bool], ...]


def find_voc(path: Path) -> Parts:
    """Return the parts of a folder in the layout of Pascal VOC.

    `Annotations` has an XML file for each picture in `JPEGImages`, and `ImageSets/Main` the lists
    of the parts. Or the XML files are next to their pictures, perhaps in a folder for each part.

    Source: Everingham et al., *The Pascal Visual Object Classes Challenge: Development Kit*.
    """
    annotations = path / "Annotations"
    if _xml_in(annotations):
        pictures = path / "JPEGImages"
        folder = _Folder(annotations, pictures if pictures.is_dir() else path)
        lists = sorted((path / "ImageSets" / "Main").glob("*.txt"))
        named = {part: file for file in lists if (part := part_of(file.stem))}
        both = path / "ImageSets" / "Main" / "trainval.txt"
        if "train" not in named and both.is_file():
            named["train"] = both
        return {part: partial(folder.read, file) for part, file in named.items()} or {
            "whole": partial(folder.read, None)
        }
    parts = {part: below for part, below in part_folders(path).items() if _is_mixed(below)}
    if not parts and _is_mixed(path):
        parts = {"whole": path}
    return {part: partial(_Folder(below, below).read, None) for part, below in parts.items()}


def _is_mixed(folder: Path) -> bool:
    """Return whether an XML file of a folder has a picture of its name next to it."""
    found = _xml_in(folder)
    return bool(found) and any(Path(n).stem == found[0].stem for n in pictures_below(folder))


def _xml_in(folder: Path) -> list[Path]:
    """Return the XML files in a folder, sorted naturally."""
    found = (path for path in folder.glob("*.xml") if not path.name.startswith("."))
    return sorted((path for path in found if path.is_file()), key=lambda path: natural(path.stem))


class _Folder:
    """A folder of XML files, and that of their pictures."""

    def __init__(self, annotations: Path, pictures: Path) -> None:
        self.annotations, self.pictures = annotations, pictures

    @cached_property
    def files(self) -> dict[str, _Annotated]:
        """What all files say, by their names without the suffix."""
        return {path.stem: _parsed(path) for path in _xml_in(self.annotations)}

    @cached_property
    def from_zero(self) -> bool:
        """Whether a box begins at 0: then pixels are counted from 0, else from 1."""
        return any(
            min(sides[:2]) < 1 for file in self.files.values() for _, sides, _ in file.figures
        )

    def read(self, listed: Path | None, classes: tuple[str, ...] | None) -> BoxedSamples:
        """Read the pictures that a list names, or all; difficult figures become crowds.

        VOC counts pixels from 1, and both ends are inside: 1 is taken from the left and upper ends.
        """
        names = list(self.files) if listed is None else self._names_in(listed)
        found = sorted({f[0] for name in names for f in self.files[name].figures}, key=natural)
        called = printed(self.annotations.name if listed is None else listed.name)
        check_known(found, classes, called)
        labels = self._labels(names, classes or tuple(found))
        samples = BoxedSamples(self.pictures, labels, called)
        if self.from_zero:
            samples.warnings += (
                f"`data` ({called}): a box begins at 0, so that pixels are taken to be counted "
                "from 0, not from 1 as Pascal VOC does",
            )
        return samples

    def _names_in(self, listed: Path) -> list[str]:
        names = []
        for line in read_text(listed, 2**28).splitlines():
            # A second column says whether the picture has a class.
            name = line.strip() if line.strip() in self.files else (line.split() or [""])[0]
            if name and name not in self.files:
                raise ValueError(
                    f"`data` ({printed(listed.name)}) must name pictures that have an XML file, "
                    f"and {name!r} has none; remove the line"
                )
            names += [name] if name else []
        if not names:
            raise ValueError(f"`data` ({printed(listed.name)}) must name pictures; add some")
        return names

    def _labels(self, names: list[str], classes: tuple[str, ...]) -> FigureLabels:
        there = {name.rpartition(".")[0]: name for name in pictures_below(self.pictures)}
        numbers = {name: place + 1 for place, name in enumerate(classes)}
        faults, starts = Faults(), [0]
        boxes: list[Sides] = []
        labels: list[int] = []
        crowd: list[bool] = []
        for name in names:
            file = self.files[name]
            for category, sides, difficult in file.figures:
                box = _cut(sides, 0 if self.from_zero else 1, file.size)
                if box is None:
                    said = ", ".join(f"{side:g}" for side in sides)
                    faults.add("boxes have no area and are left out", f"{printed(name)} ({said})")
                    continue
                boxes.append(box)
                labels.append(numbers[category])
                crowd.append(difficult)
            starts.append(len(boxes))
        sides_of = np.array(boxes, np.float32).reshape(-1, 4)
        return FigureLabels(
            names=Texts(there.get(name, f"{name}.jpg") for name in names),
            sizes=np.array([self.files[name].size for name in names], np.int32),
            starts=np.array(starts, np.int64),
            boxes=sides_of,
            labels=np.array(labels, np.int32),
            crowd=np.array(crowd, bool),
            area=(sides_of[:, 2:] - sides_of[:, :2]).prod(1),
            points=None,
            parts=np.zeros((len(boxes), 2), np.int64),
            kinds=np.zeros(0, np.int8),
            ends=np.zeros(1, np.int64),
            numbers=np.zeros(0, np.int32),
            classes=classes,
            ids=(),
            point_names=(),
            has_masks=False,
            faults=faults,
        )


def _cut(sides: Sides, first: int, size: tuple[int, int]) -> Sides | None:
    """Return the edges of a box within the picture, None if it has no area there."""
    left, top = max(sides[0] - first, 0), max(sides[1] - first, 0)
    right, bottom = min(sides[2], size[0]), min(sides[3], size[1])
    return (left, top, right, bottom) if right > left and bottom > top else None


class _Builder(ElementTree.TreeBuilder):
    """Builds a tree, but from no file that declares entities, which may grow without end."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Refuse a document type."""
        raise ValueError("it has a DOCTYPE")


def _parsed(path: Path) -> _Annotated:
    """Return what an XML file says.

    Raises ValueError for one that is not whole, or lacks sizes or sides.
    """
    called = f"`data` ({printed(path.name)})"
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{called} must have at most {MOST_BYTES:,} bytes; split it")
    try:
        parser = ElementTree.XMLParser(target=_Builder())
        root = ElementTree.fromstring(path.read_bytes(), parser)
        size = int(_number(root, "size/width")), int(_number(root, "size/height"))
        if min(size) < 1:
            raise ValueError(f"its size is {size[0]} x {size[1]}")
        return _Annotated(size, tuple(_figure(found) for found in root.iterfind("object")))
    except (ElementTree.ParseError, ValueError, RecursionError, OverflowError) as error:
        raise ValueError(
            f"{called} must be a file of Pascal VOC, and cannot be read ({first_line(error)}); "
            "correct it"
        ) from error


def _figure(found: ElementTree.Element) -> tuple[str, Sides, bool]:
    name = (found.findtext("name") or "").strip()
    if not name:
        raise ValueError("an object has no name")
    left, top, right, bottom = (
        _number(found, f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")
    )
    return name, (left, top, right, bottom), (found.findtext("difficult") or "").strip() == "1"


def _number(element: ElementTree.Element, path: str) -> float:
    number = float(element.findtext(path) or "nan")
    if not math.isfinite(number):
        raise ValueError(f"{path} is not a number")
    return number
