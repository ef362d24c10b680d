"""Read COCO's JSON of boxes, masks and points into arrays, whatever its size."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlens.files import printed
from convlens.learn.data.boxed import COUNTS, OUTLINE, FigureLabels
from convlens.learn.data.faults import Faults
from convlens.learn.data.files import read_text
from convlens.learn.data.json_lists import items_of
from convlens.learn.data.outlines import fifths, read_letters
from convlens.learn.data.packed import Texts

__all__ = ["read_labels"]

MOST_BYTES = 2**31
"""The most bytes that a file of labels may have."""


def read_labels(path: Path) -> FigureLabels:
    """Read a file of labels in COCO's format.

    Boxes are cut at the picture's border; those of no area are left out and counted.

    Raises ValueError for a file that is not one, and names the first annotation that is wrong.
    """
    called = f"`data` ({printed(path.name)})"
    text = read_text(path, MOST_BYTES)
    figures, pictures, categories = _Figures(), _Pictures(), {}
    for key, item in items_of(text, ("images", "annotations", "categories"), called):
        try:
            if key == "annotations":
                figures.add(item)
            elif key == "images":
                pictures.add(item)
            elif key == "categories":
                categories[_whole(item, "id")] = (str(item["name"]), item.get("keypoints") or [])
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise ValueError(f"{called}: {_wrong(key, item, error)}; correct it") from error
    del text
    if not pictures.ids or not categories:
        lacks = "`categories`" if pictures.ids else "`images`"
        raise ValueError(f"{called} must list {lacks}, and has none; is it a file of labels?")
    return _assembled(figures, pictures, categories, called)


def _wrong(key: str, item: Any, error: Exception) -> str:
    name = item.get("id", "without an id") if isinstance(item, dict) else "that is no object"
    lacks = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
    what = {"annotations": "annotation", "images": "picture", "categories": "category"}[key]
    return f"{what} {name} cannot be read, as {lacks}"


class _Pictures:
    def __init__(self) -> None:
        self.ids: dict[int | str, int] = {}
        self.names: list[str] = []
        self.sizes = array("i")

    def add(self, item: dict[str, Any]) -> None:
        if item["id"] in self.ids:
            raise ValueError("another has the same id")
        name = item["file_name"]
        if not isinstance(name, str) or not name or "\0" in name:
            raise ValueError(f"its file_name is {name!r}")
        size = _whole(item, "width"), _whole(item, "height")
        if min(size) < 1:
            raise ValueError(f"its size is {size[0]} x {size[1]}")
        self.ids[item["id"]] = len(self.names)
        self.names.append(name.replace("\\", "/"))
        self.sizes.extend(size)


class _Figures:
    """The annotations in the order of the file, in arrays that grow."""

    def __init__(self) -> None:
        self.ids: list[int | str] = []
        self.pictures: list[int | str] = []
        self.categories = array("q")
        self.boxes, self.area, self.points = array("d"), array("d"), array("f")
        self.crowd = bytearray()
        self.point_ends = array("q", [0])
        self.parts, self.ends = array("q", [0]), array("q", [0])
        self.kinds, self.numbers = array("b"), array("i")
        self.mask_sizes = array("i")

    def add(self, item: dict[str, Any]) -> None:
        box = [float(side) for side in item["bbox"]]
        if len(box) != 4 or not all(math.isfinite(side) for side in box):
            raise ValueError(f"its bbox is {item['bbox']}, not four numbers")
        if not isinstance(item["image_id"], int | str):
            raise ValueError(f"its image_id is {item['image_id']!r}")
        area = item.get("area")
        points = item.get("keypoints") or []
        if len(points) % 3 or not all(math.isfinite(number) for number in points):
            raise ValueError("its keypoints are not three numbers each")
        self.categories.append(_whole(item, "category_id"))
        self._add_mask(item.get("segmentation"))
        self.pictures.append(item["image_id"])
        self.ids.append(item.get("id", len(self.ids)))
        self.boxes.extend(box)
        # BlenderProc writes a list (BlenderProc#48).
        self.area.append(float(area) if isinstance(area, int | float) else math.nan)
        self.crowd.append(bool(item.get("iscrowd", 0)))
        self.points.extend(points)
        self.point_ends.append(len(self.points))

    def _add_mask(self, mask: Any) -> None:
        h = w = 0
        if isinstance(mask, dict):
            h, w = (int(side) for side in mask["size"])
            counts = mask["counts"]
            runs = read_letters(counts) if isinstance(counts, str) else np.array(counts, np.int64)
            if runs.ndim != 1 or (len(runs) and runs.min() < 0) or runs.sum() != h * w:
                raise ValueError(f"its run lengths do not fill {w} x {h} pixels")
            self._add_part(COUNTS, runs)
        elif mask:
            outlines = mask if isinstance(mask[0], list) else [mask]
            for outline in outlines:
                # With 4 numbers, a line; pycocotools would take it for a box.
                if len(outline) not in (2, 4):
                    self._add_part(OUTLINE, fifths(outline))
        self.parts.append(len(self.kinds))
        self.mask_sizes.extend((w, h))

    def _add_part(self, kind: int, numbers: NDArray[Any]) -> None:
        self.kinds.append(kind)
        self.numbers.frombytes(numbers.astype(np.intc).tobytes())
        self.ends.append(len(self.numbers))


def _whole(item: dict[str, Any], key: str) -> int:
    value = item[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ValueError(f"its {key} is {value!r}, not a whole number")
    return int(value)


def _assembled(
    figures: _Figures,
    pictures: _Pictures,
    categories: dict[int, tuple[str, list[str]]],
    called: str,
) -> FigureLabels:
    ids = sorted(categories)
    sizes = np.array(pictures.sizes, np.int32).reshape(-1, 2)
    picture = _numbered(figures, figures.pictures, pictures.ids, "a picture", called)
    labels = _numbered(
        figures, figures.categories, {id: k + 1 for k, id in enumerate(ids)}, "a category", called
    )
    _check_mask_sizes(figures, sizes[picture], called)
    faults = Faults()
    boxes, kept = _cut(figures, pictures, sizes[picture], picture, faults)
    names, points = _points(figures, [categories[id][1] for id in ids], labels, called)
    order = kept[np.argsort(picture[kept], kind="stable")]
    ends = np.array(figures.parts, np.int64)
    parts = np.stack([ends[:-1], ends[1:]], 1)[order]
    crowd = np.frombuffer(bytes(figures.crowd), np.uint8).astype(bool)[order]
    return FigureLabels(
        names=Texts(pictures.names),
        sizes=sizes,
        starts=np.searchsorted(picture[order], np.arange(len(sizes) + 1)).astype(np.int64),
        boxes=boxes[order].astype(np.float32),
        labels=labels[order].astype(np.int32),
        crowd=crowd,
        area=np.array(figures.area, np.float32)[order],
        points=None if points is None else points[order],
        parts=parts,
        kinds=np.array(figures.kinds, np.int8),
        ends=np.array(figures.ends, np.int64),
        numbers=np.array(figures.numbers, np.int32),
        classes=tuple(categories[id][0] for id in ids),
        ids=tuple(ids),
        point_names=names,
        has_masks=_has_masks(parts, crowd, figures, order, faults),
        faults=faults,
    )


def _numbered(
    figures: _Figures,
    given: Sequence[int | str],
    known: dict[Any, int],
    what: str,
    called: str,
) -> NDArray[np.int64]:
    numbers = np.array([known.get(id, -1) for id in given], np.int64)
    if len(numbers) and numbers.min() < 0:
        first = int(np.argmin(numbers))
        raise ValueError(
            f"{called}: annotation {figures.ids[first]} must be of {what} that the file lists, and "
            f"{given[first]!r} is not; correct it"
        )
    return numbers


def _check_mask_sizes(figures: _Figures, sizes: NDArray[np.int32], called: str) -> None:
    given = np.array(figures.mask_sizes, np.int32).reshape(-1, 2)
    wrong = np.flatnonzero((given != sizes).any(1) & (given > 0).any(1))
    if len(wrong):
        first = int(wrong[0])
        raise ValueError(
            f"{called}: annotation {figures.ids[first]} must have a mask of its picture's size, "
            f"{' x '.join(map(str, sizes[first]))}, and has {' x '.join(map(str, given[first]))}; "
            "correct it"
        )


def _cut(
    figures: _Figures,
    pictures: _Pictures,
    sizes: NDArray[np.int32],
    picture: NDArray[np.int64],
    faults: Faults,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the boxes cut at the picture's border, and the places of those with an area left."""
    given = np.array(figures.boxes, np.float64).reshape(-1, 4)
    whole = np.concatenate([given[:, :2], given[:, :2] + given[:, 2:]], 1)
    boxes = np.clip(whole, 0, np.tile(sizes, 2))
    flat = (given[:, 2:] <= 0).any(1)
    outside = ~flat & (boxes[:, 2:] <= boxes[:, :2]).any(1)
    reaches = ~flat & ~outside & (np.abs(whole - boxes) > 0.5).any(1)
    for wrong, what, note in (
        (flat, "boxes have no area and are left out", False),
        (outside, "boxes lie outside their picture and are left out", False),
        (reaches, "boxes reach beyond their picture and are cut", True),
    ):
        for n in np.flatnonzero(wrong):
            box = ", ".join(f"{side:g}" for side in given[n])
            name = printed(pictures.names[picture[n]])
            faults.add(what, f"annotation {figures.ids[n]} of {name} ({box})", note=note)
    return boxes, np.flatnonzero(~flat & ~outside)


def _points(
    figures: _Figures, lists: list[list[str]], labels: NDArray[np.int64], called: str
) -> tuple[tuple[str, ...], NDArray[np.float32] | None]:
    """Return the names of the points, and those of each figure; zeros for one without."""
    named = {tuple(map(str, names)) for names in lists if names}
    if not named:
        return (), None
    if len(named) > 1:
        one, other = sorted(named)[:2]
        raise ValueError(
            f"{called} must give all categories the same keypoints, and one list begins with "
            f"{one[0]!r} and has {len(one)}, another with {other[0]!r} and has {len(other)}; split "
            "the file"
        )
    names = named.pop()
    points = np.zeros((len(labels), len(names), 3), np.float32)
    ends = np.array(figures.point_ends, np.int64)
    flat = np.array(figures.points, np.float32)
    count = np.diff(ends)
    wrong = np.flatnonzero((count != 3 * len(names)) & (count > 0))
    if len(wrong):
        raise ValueError(
            f"{called}: annotation {figures.ids[int(wrong[0])]} must have the {len(names)} "
            f"keypoints of its category, and has {count[wrong[0]] // 3}; correct it"
        )
    points[count > 0] = flat.reshape(-1, len(names), 3)
    return names, points


def _has_masks(
    parts: NDArray[np.int64],
    crowd: NDArray[np.bool_],
    figures: _Figures,
    order: NDArray[np.int64],
    faults: Faults,
) -> bool:
    """Return whether all figures have masks; if only some have, count the others."""
    lack = np.flatnonzero((parts[:, 0] == parts[:, 1]) & ~crowd)
    some = len(lack) < len(crowd) - crowd.sum()
    for n in lack if some else []:
        faults.add(
            "figures lack a mask, so that no masks are read", f"annotation {figures.ids[order[n]]}"
        )
    return some and not len(lack)
