"""Masks as the lengths of their runs, which take a thousandth of their pixels, and as COCO's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Counts", "RunLengths", "counts", "part_counts", "run_lengths"]

Counts = NDArray[np.int64]
"""The lengths of the runs of one mask."""


@dataclass(frozen=True, eq=False)
class RunLengths:
    """Masks of one size (h, w), each as the lengths of its runs of 0 and 1 in turn.

    The runs go down one column after the other. The first is a run of zeros, perhaps of length 0.

    >>> masks = np.array([[[False, True], [True, True]]])
    >>> RunLengths.of(masks).counts, bool((RunLengths.of(masks).array() == masks).all())
    ((array([1, 3]),), True)
    """

    size: tuple[int, int]
    counts: tuple[Counts, ...]

    @staticmethod
    def of(masks: NDArray[np.bool_]) -> RunLengths:
        """Return the run lengths of masks (k, h, w)."""
        h, w = masks.shape[1:]
        return RunLengths((h, w), tuple(counts(mask) for mask in masks))

    def __len__(self) -> int:
        return len(self.counts)

    def mask(self, position: int) -> NDArray[np.bool_]:
        """Return one of the masks, (h, w)."""
        h, w = self.size
        lengths = self.counts[position]
        values = np.arange(len(lengths)) % 2 == 1
        return np.repeat(values, lengths).reshape(w, h).T

    def array(self) -> NDArray[np.bool_]:
        """Return all of them, (k, h, w)."""
        masks = np.zeros((len(self), *self.size), bool)
        for position in range(len(self)):
            masks[position] = self.mask(position)
        return masks

    def coco(self, position: int) -> dict[str, Any]:
        """Return one of the masks as COCO's compressed run lengths; see `run_lengths`."""
        lengths = self.counts[position].copy()
        lengths[3:] -= self.counts[position][1:-2]
        return {"size": list(self.size), "counts": _letters(lengths)}


def run_lengths(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return a mask (h, w) as COCO's compressed run lengths: {"size": [h, w], "counts": letters}.

    The lengths are those of `RunLengths`. From the third on, the one before the last is subtracted.
    Each number is written in groups of 5 bits, the lowest first. 32 is added if more groups follow,
    and 48 to make a letter (pycocotools, `rleToString`).

    >>> run_lengths(np.array([[False, True], [True, True]]))
    {'size': [2, 2], 'counts': '13'}
    """
    return RunLengths.of(np.asarray(mask, bool)[None]).coco(0)


def part_counts(part: NDArray[np.bool_], place: tuple[int, int], size: tuple[int, int]) -> Counts:
    """Return the run lengths of a mask of `size` (h, w): `part` (h', w') at `place`, 0 elsewhere.

    >>> part_counts(np.ones((1, 2), bool), (1, 0), (2, 2))
    array([1, 1, 1, 1])
    """
    (h, w), (top, left) = size, place
    tall, wide = part.shape
    # A row of zeros above and below keeps runs from continuing into the next column.
    columns = np.zeros((wide, tall + 2), bool)
    columns[:, 1:-1] = part.T
    column, row = np.nonzero(columns[:, 1:] != columns[:, :-1])
    edges = (left + column) * h + top + row
    # If the part has the height of the mask, a run that ends where another begins is the same.
    same = np.flatnonzero(edges[1:] == edges[:-1])
    edges = np.delete(edges, np.concatenate([same, same + 1]))
    return _between(edges, h * w)


def counts(mask: NDArray[np.bool_]) -> Counts:
    """Return the run lengths of a mask (h, w), those of zeros and ones in turn."""
    flat = np.asarray(mask, bool).T.reshape(-1)
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    first = [0] if flat[:1].any() else []  # a first run of no zeros
    return _between([*first, *edges], flat.size)


def _between(edges: Iterable[int], end: int) -> Counts:
    edges = list(edges)
    return np.diff([0, *edges, *([end] if not edges or edges[-1] < end else [])]).astype(np.int64)


def _letters(values: Counts) -> str:
    groups, going, rest = [], np.ones(len(values), bool), values
    while going.any():
        low, rest = rest & 31, rest >> 5
        # The last group's upper bit is its sign.
        more = np.where(low & 16, rest != -1, rest != 0)
        groups.append(np.where(going, low + 32 * more + 48, 0))
        going = going & more
    letters = np.stack(groups, axis=1).reshape(-1) if groups else values
    return letters[letters > 0].astype(np.uint8).tobytes().decode("ascii")
