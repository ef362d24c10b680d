"""Hold the labels of boxes, masks and points in arrays, and read samples by them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlens.files import printed
from convlens.learn.data.faults import Faults
from convlens.learn.data.files import read_pixels, sizes_of
from convlens.learn.data.mirroring import mirrored
from convlens.learn.data.outlines import fill_counts, fill_outline
from convlens.learn.data.packed import Texts, digest_of
from convlens.learn.data.samples import Boxed

__all__ = ["COUNTS", "OUTLINE", "BoxedSamples", "FigureLabels"]

OUTLINE, COUNTS = 0, 1
"""What a part of a mask is."""


@dataclass(frozen=True, eq=False)
class FigureLabels:
    """The labels of n pictures, sorted by picture.

    - `names` of the pictures' files and their `sizes` (n, 2), width and height;
    - `starts` (n + 1,): the figures of picture k are those from `starts[k]` up to `starts[k + 1]`;
    - of each figure: `boxes` (m, 4), left, top, right, bottom; `labels` from 1; `crowd`; `area`,
      NaN if the file does not say;
    - `points` (m, k, 3), None if no category has any;
    - masks: figure i has the parts from `parts[i, 0]` up to `parts[i, 1]`, each of a kind in
      `kinds`, its numbers from `ends[part]` up to `ends[part + 1]` in `numbers`.
    """

    names: Texts
    sizes: NDArray[np.int32]
    starts: NDArray[np.int64]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int32]
    crowd: NDArray[np.bool_]
    area: NDArray[np.float32]
    points: NDArray[np.float32] | None
    parts: NDArray[np.int64]
    kinds: NDArray[np.int8]
    ends: NDArray[np.int64]
    numbers: NDArray[np.int32]
    classes: tuple[str, ...]
    ids: tuple[int, ...]
    point_names: tuple[str, ...]
    has_masks: bool
    faults: Faults


class BoxedSamples:
    """Pictures below a folder with the labels of their figures."""

    sample = Boxed

    def __init__(self, root: Path, labels: FigureLabels, name: str) -> None:
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
