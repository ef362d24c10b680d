"""Hold what a detector found in pictures, and the truth, as arrays that can be put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlens.learn.measuring.measure import State
from convlens.learn.measuring.states import check_same

__all__ = ["FigureArrays", "in_order"]

PICTURES = ("key_lengths", "found", "truths", "overlap_counts")
FOUND = ("labels", "scores", "boxes", "has_points")
TRUE = ("true_labels", "true_boxes", "true_areas", "true_crowd", "true_points")
PAIRS = ("overlaps", "overlap_found", "overlap_true")
"""The arrays with a row for each picture, found figure, true figure, and pair of masks."""


class FigureArrays:
    """Arrays that grow by a picture at a time.

    A picture has a key, f figures that were found and m true ones: "found" and "truths" count
    them, and the other arrays hold the figures of all pictures one after the other.

    - "keys", uint8: the keys as UTF-8, "key_lengths" of each.
    - "labels", "scores", "boxes" (f, 4): what was found. "true_labels", "true_boxes", "true_areas",
      "true_crowd" (m,): the truth.
    - with masks, "overlaps" (q,) of 0.5 or more of masks of one class, "overlap_counts" of each
      picture, and "overlap_found", "overlap_true": the places of both in the picture.
    - with points, "points" (?, points, 3) of those that "has_points" (f,) marks; "true_points".
    """

    def __init__(self, *, masks: bool, points: int) -> None:
        whole, real = np.int64, np.float64
        kinds: dict[str, tuple[Any, tuple[int, ...]]] = {
            **{
                "keys": (np.uint8, ()),
                "key_lengths": (whole, ()),
            },
            **{"found": (whole, ()), "labels": (whole, ()), "scores": (real, ())},
            **{"boxes": (real, (4,)), "truths": (whole, ()), "true_labels": (whole, ())},
            **{"true_boxes": (real, (4,)), "true_areas": (real, ()), "true_crowd": (bool, ())},
        }
        if masks:
            kinds |= {"overlap_counts": (whole, ()), "overlaps": (real, ())}
            kinds |= {"overlap_found": (whole, ()), "overlap_true": (whole, ())}
        if points:
            kinds |= {"has_points": (bool, ()), "points": (real, (points, 3))}
            kinds |= {"true_points": (real, (points, 3))}
        self._parts = {name: [np.zeros((0, *shape), kind)] for name, (kind, shape) in kinds.items()}

    def add(self, **arrays: Any) -> None:
        """Add the arrays of a picture, all but those of its keys and counts by name."""
        for name, array in arrays.items():
            like = self._parts[name][0]
            self._parts[name].append(np.asarray(array, like.dtype).reshape(-1, *like.shape[1:]))

    def add_picture(self, key: str, found: int, truths: int) -> None:
        """Add a picture's key and counts of figures."""
        letters = np.frombuffer(key.encode("utf-8", "surrogateescape"), np.uint8)
        self.add(keys=letters, key_lengths=len(letters), found=found, truths=truths)

    def state(self) -> State:
        """Return all arrays."""
        for name, parts in self._parts.items():
            self._parts[name] = [np.concatenate(parts)]
        return {name: parts[0].copy() for name, parts in self._parts.items()}

    def merge(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Add the pictures of another state; raise ValueError if it has other arrays."""
        check_same({name: parts[0] for name, parts in self._parts.items()}, state, leading=True)
        for name, array in state.items():
            self._parts[name].append(array.copy())


def in_order(state: State) -> State:
    """Return a state with its pictures sorted by key, however they came together.

    Of equal scores the earlier picture's comes first, so that measures depend on the order.
    """
    lengths = state["key_lengths"]
    letters = state["keys"].tobytes()
    ends = np.cumsum(lengths)
    keys = [letters[end - n : end] for end, n in zip(ends, lengths, strict=True)]
    pictures = np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
    rows = {
        "keys": _rows(lengths, pictures),
        **dict.fromkeys(PICTURES, pictures),
        **dict.fromkeys(FOUND, _rows(state["found"], pictures)),
        **dict.fromkeys(TRUE, _rows(state["truths"], pictures)),
    }
    if "overlaps" in state:
        rows |= dict.fromkeys(PAIRS, _rows(state["overlap_counts"], pictures))
    if "points" in state:
        rows["points"] = _rows(state["has_points"].astype(np.int64), rows["labels"])
    return {name: array[rows[name]] for name, array in state.items()}


def _rows(counts: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places of groups' rows, where the groups are put in another order.

    >>> _rows(np.array([2, 1]), np.array([1, 0])).tolist()
    [2, 0, 1]
    """
    sizes = counts[order]
    starts = (np.cumsum(counts) - counts)[order]
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    places: NDArray[np.int64] = np.repeat(starts, sizes) + within
    return places
