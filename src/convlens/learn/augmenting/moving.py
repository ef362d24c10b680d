"""Move a picture and all that is known of places in it, by one affine map."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convlens.learn.augmenting.augmentation import S
from convlens.learn.augmenting.checks import check_range
from convlens.learn.augmenting.warping import Matrices, nearest
from convlens.learn.data.samples import NOT_LABELLED, Boxed, ClipSample, Labelled, Mapped, Sample

__all__ = ["Geometric", "Move", "is_allowed", "moved", "pixels_of"]


@dataclass(frozen=True, eq=False)
class Move:
    """Where everything goes.

    `matrix`: float64 (2, 3), from a place (x, y) of the picture before to the place after, in
    pixels from the left and upper edge. `size`: (h, w) after. `pixels`: moves pixels
    (..., c, h, w). `is_whole`: whether every pixel is kept as it is, as in a mirror.
    """

    matrix: Matrices
    size: tuple[int, int]
    pixels: Callable[[Tensor], Tensor]
    is_whole: bool = False

    @property
    def growth(self) -> float:
        """The area after of a square pixel before, negative if the map mirrors."""
        return float(np.linalg.det(self.matrix[:, :2]))

    @property
    def is_upright(self) -> bool:
        """Whether up and down stay so, within 45 degrees."""
        return bool(self.matrix[1, 1] > abs(self.matrix[0, 1]))

    def places(self, xy: Tensor) -> Tensor:
        """Return where places (..., 2) go, float64."""
        linear, shift = torch.from_numpy(self.matrix).split([2, 1], 1)
        there: Tensor = xy.double() @ linear.T + shift[:, 0]
        return there


@dataclass(frozen=True, kw_only=True)
class Geometric(ABC):
    """An augmentation that moves pixels, and with them boxes, masks, points and maps.

    `visible`: the least share of a figure's area that the picture must still show; below it, the
    figure is dropped.
    """

    visible: float = 0.3

    def __post_init__(self) -> None:
        check_range("visible", self.visible, 0, 1)

    @abstractmethod
    def move(
        self, size: tuple[int, int], numbers: NDArray[np.float64], strength: float
    ) -> Move | None:
        """Return the move of a picture of `size` (h, w) by `numbers` (draws,); None to stay."""

    def apply(self, sample: S, numbers: NDArray[np.float64], strength: float) -> S:
        """Return the moved sample; itself if nothing moves.

        A sample that would become wrong stays as it is, with a warning the first time: points and
        clips in a mirror if the data names no `pairs`, and clips turned by more than 45 degrees.
        """
        if strength == 0:
            return sample
        h, w = pixels_of(sample).shape[-2:]
        move = self.move((h, w), numbers, strength)
        if move is None or not is_allowed(sample, move):
            return sample
        return moved(sample, move, self.visible)  # type: ignore[no-any-return]

    def many(
        self, pictures: Tensor, numbers: NDArray[np.float64], strength: float
    ) -> Tensor | None:
        """Return moved pictures (n, c, h, w); None if they end in different sizes."""
        if strength == 0 or not len(pictures):
            return pictures
        h, w = pictures.shape[-2:]
        moves = [self.move((h, w), row, strength) for row in numbers]
        if len({(h, w) if move is None else move.size for move in moves}) > 1:
            return None
        pairs = zip(pictures, moves, strict=True)
        return torch.stack([one if move is None else move.pixels(one) for one, move in pairs])


def pixels_of(sample: Sample) -> Tensor:
    """Return the pixels of a sample: a picture (c, h, w), or a clip (t, c, h, w)."""
    return sample.frames if isinstance(sample, ClipSample) else sample.picture


def is_allowed(sample: Sample, move: Move) -> bool:
    """Return whether a sample is still right after a move; warn the first time that it is not."""
    if isinstance(sample, Labelled | Mapped):
        return True
    unknown = move.growth < 0 and sample.pairs is None
    if isinstance(sample, Boxed):
        if sample.points is None or not unknown:
            return True
        _warn(
            "pictures with points are not mirrored, as the data does not name the points that "
            f"change places (the first: {sample.key}); give it `pairs`, () if none do"
        )
    elif not move.is_upright:
        _warn(
            "clips are not turned by more than 45 degrees or flipped, as the direction of a "
            f"motion may be its category (the first: {sample.key}); leave the augmentation out"
        )
    elif unknown:
        _warn(
            "clips are not mirrored, as the data does not name the categories that change "
            f"places, such as left and right (the first: {sample.key}); give it `pairs`, () "
            "if none do"
        )
    else:
        return True
    return False


_SAID: set[str] = set()
"""The rules of which this process has warned, in their first words."""


def _warn(sentence: str) -> None:
    """Warn of a rule once a process, whichever sample comes first."""
    rule = sentence.split(",")[0]
    if rule not in _SAID:
        _SAID.add(rule)
        warnings.warn(sentence, stacklevel=4)


def moved(sample: Any, move: Move, visible: float) -> Any:
    """Return a sample of any type, moved; figures less `visible` than this share are dropped."""
    if isinstance(sample, Labelled):
        return replace(sample, picture=move.pixels(sample.picture))
    if isinstance(sample, ClipSample):
        label = sample.label if move.growth > 0 else _partner(sample.label, sample.pairs or ())
        return replace(sample, frames=move.pixels(sample.frames), label=label)
    if isinstance(sample, Mapped):
        category = nearest(sample.map, move.matrix, move.size, NOT_LABELLED)
        return replace(sample, picture=move.pixels(sample.picture), map=category)
    return _moved_figures(
        replace(sample, picture=move.pixels(sample.picture)), sample, move, visible
    )


def _partner(label: int, pairs: tuple[tuple[int, int], ...]) -> int:
    partners = dict(pairs) | {b: a for a, b in pairs}
    return partners.get(label, label)


def _moved_figures(to: Boxed, sample: Boxed, move: Move, visible: float) -> Boxed:
    """Return `to` with the figures of `sample`: one index cuts every field."""
    whole = _around(move.places(_corners(sample.boxes)))
    boxes, masks = _clipped(whole, move.size), None
    share = _area_of(boxes) / _area_of(whole).clamp(min=1e-9)
    area = sample.area.double() * abs(move.growth) * share
    if sample.masks is not None:
        masks = nearest(sample.masks, move.matrix, move.size, False)
    if move.is_whole:
        boxes, area = whole, sample.area
        kept = torch.ones(len(boxes), dtype=torch.bool)
    else:
        if sample.masks is not None and masks is not None:
            boxes, area, share = _by_masks(sample.masks, masks, move, (boxes, area, share))
        kept = (share >= visible) & (boxes[:, 2:] > boxes[:, :2]).all(1)
    return replace(
        to,
        boxes=boxes[kept].float(),
        labels=sample.labels[kept],
        crowd=sample.crowd[kept],
        area=area[kept].float(),
        masks=None if masks is None else masks[kept],
        points=None if sample.points is None else _moved_points(sample, move)[kept],
    )


def _corners(boxes: Tensor) -> Tensor:
    """Return the four corners of boxes, (m, 4, 2)."""
    return boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)


def _around(corners: Tensor) -> Tensor:
    return torch.cat([corners.amin(1), corners.amax(1)], 1)


def _clipped(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    h, w = size
    return boxes.clamp(min=0).minimum(boxes.new_tensor([w, h, w, h]))


def _area_of(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).prod(1)


def _by_masks(
    before: Tensor, after: Tensor, move: Move, by_boxes: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return boxes, areas and visible shares by the masks; those by boxes where one was empty."""
    boxes, area, share = by_boxes
    pixels, left = before.sum((1, 2)).double(), after.sum((1, 2)).double()
    has = pixels > 0
    boxes = torch.where(has[:, None], boxes_of(after).double(), boxes)
    seen = left / (pixels * abs(move.growth)).clamp(min=1e-9)
    return boxes, torch.where(has, left, area), torch.where(has, seen, share)


def boxes_of(masks: Tensor) -> Tensor:
    """Return the boxes of masks (m, h, w), float32 (m, 4); zeros for an empty one.

    >>> masks = torch.zeros(1, 4, 5, dtype=torch.bool)
    >>> masks[0, 1:3, 2] = True
    >>> boxes_of(masks)
    tensor([[2., 1., 3., 3.]])
    """
    sides = []
    for line in (masks.any(1), masks.any(2)):  # columns, rows
        n, has = line.shape[1], line.any(1)
        ones = line.to(torch.uint8)
        first = torch.where(has, ones.argmax(1), 0)
        last = torch.where(has, n - ones.flip(1).argmax(1), 0)
        sides.append((first, last))
    (left, right), (top, bottom) = sides
    return torch.stack([left, top, right, bottom], 1).float()


def _moved_points(sample: Boxed, move: Move) -> Tensor:
    """Return the points, (m, k, 3); those outside or not labelled are at 0, 0 with visibility 0."""
    assert sample.points is not None
    points, (h, w) = sample.points, move.size
    xy, seen = move.places(points[..., :2]), points[..., 2]
    inside = ((xy >= 0) & (xy <= xy.new_tensor([w, h]))).all(-1) & (seen > 0)
    there = torch.cat([xy.float(), seen[..., None]], -1) * inside[..., None]
    if move.growth < 0:
        count = points.shape[1]
        there = there[:, [_partner(k, sample.pairs or ()) for k in range(count)]]
    return there
