"""Read from an explanation what its figure shows: two maps, the window, the kernel, the sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlens.lens import Explanation, Value
from convlens.lens.terms import floats, unravel

__all__ = ["MapSeen", "WindowSeen", "axes_of", "map_of", "window_of"]

Floats = NDArray[np.float64]

LONGEST_ROW = 64
"""Vectors up to this length are drawn as a row of cells."""

WINDOWED = ("conv", "pool")
"""Words in the names of torch's operations that slide a window."""


@dataclass(frozen=True, eq=False)
class MapSeen:
    """One map: its numbers (rows, columns), where it lies, and the cell that is marked on it.

    `index` is the element that the map was chosen for; `frame` the frame of a volume.
    """

    value: Value
    name: str
    index: tuple[int, ...]
    axes: int
    numbers: Floats
    frame: int | None

    @property
    def cell(self) -> tuple[int, int]:
        """Row and column of the element on the map."""
        return cell_of(self.index, self.axes)


@dataclass(frozen=True, eq=False)
class WindowSeen:
    """The window on the map that adds most: its places, its numbers and its weights.

    `rows` and `columns` say where each tap lies, also beyond the edge. `sum` is that of these
    products, `others` that of the `hidden` other terms.
    """

    map: MapSeen
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    values: Floats
    weights: Floats
    inside: NDArray[np.bool_]
    sum: float
    others: float
    hidden: int

    @property
    def products(self) -> Floats:
        """The products, as the window lies."""
        return self.values * self.weights


def axes_of(explanation: Explanation) -> int:
    """Return how many spatial axes the explained value has."""
    step, arrangement = explanation.step, explanation.terms.arrangement
    if step is not None and _slides(explanation):
        return len(arrangement) - 1
    return _guessed(len(explanation.value.shape))


def _guessed(dimensions: int) -> int:
    return {3: 1, 4: 2, 5: 3}.get(dimensions, 0)


def _slides(explanation: Explanation) -> bool:
    step, arrangement = explanation.step, explanation.terms.arrangement
    named = step is not None and any(word in step.op for word in WINDOWED)
    return named and 2 <= len(arrangement) <= 4 and len(explanation.terms) > 0


def cell_of(index: tuple[int, ...], axes: int) -> tuple[int, int]:
    """Return row and column of an element on its map; a vector is one row.

    >>> cell_of((0, 5, 6, 4), 2), cell_of((0, 3), 0)
    ((6, 4), (0, 3))
    """
    column = index[-1] if index else 0
    return (index[-2] if axes > 1 else 0), column


def map_of(
    explanation: Explanation, value: Value, index: tuple[int, ...], axes: int
) -> MapSeen | None:
    """Return the map of a value that holds an element; None for a vector too long to draw."""
    if axes == 0 and (not value.shape or value.shape[-1] > LONGEST_ROW):
        return None
    frame = index[-3] if axes == 3 else None
    lead = index[: len(index) - min(max(axes, 1), 2)]
    numbers = floats(value.tensor[lead])
    name = explanation.recording.name_of(value.id)
    return MapSeen(value, name, index, axes, numbers.reshape(-1, numbers.shape[-1]), frame)


def window_of(explanation: Explanation) -> WindowSeen | None:
    """Return the window that a number was made with, on the map that adds most to it.

    Of a volume, this is the window on one frame. Return None where no window slides.
    """
    if not _slides(explanation):
        return None
    terms = explanation.terms
    axes = len(terms.arrangement) - 1
    shape = _planes(terms.arrangement)
    inside = (terms.source >= 0).reshape(shape)
    products = np.nan_to_num(terms.product, posinf=np.inf, neginf=-np.inf).reshape(shape)
    sums = np.abs(products.sum((1, 2)))
    sums[~inside.any((1, 2))] = -1  # a plane that lies wholly beyond the edge is on no map
    best = int(sums.argmax())
    if sums[best] < 0:
        return None
    first = best * shape[1] * shape[2] + int(np.flatnonzero(inside[best].reshape(-1))[0])
    value = explanation.recording.values[int(terms.source[first])]
    seen = map_of(explanation, value, unravel(int(terms.position[first]), value.shape), axes)
    if seen is None:
        return None
    kept = float(terms.product.reshape(shape)[best].sum())
    everything = float(terms.product.sum())
    rows, columns = _places(explanation, best, inside[best], axes)
    return WindowSeen(
        seen,
        rows,
        columns,
        terms.value.reshape(shape)[best],
        terms.weight.reshape(shape)[best],
        inside[best],
        kept,
        everything - kept if shape[0] > 1 else 0.0,
        len(terms) - shape[1] * shape[2],
    )


def _planes(arrangement: tuple[int, ...]) -> tuple[int, int, int]:
    """Return terms as planes (channels x frames, rows, columns)."""
    columns = arrangement[-1]
    rows = arrangement[-2] if len(arrangement) > 2 else 1
    planes = 1
    for size in arrangement[: -2 if len(arrangement) > 2 else -1]:
        planes *= size
    return planes, rows, columns


def _places(
    explanation: Explanation, plane: int, inside: NDArray[np.bool_], axes: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the row of each row of taps and the column of each column, also beyond the edge."""
    terms = explanation.terms
    rows: dict[int, int] = {}
    columns: dict[int, int] = {}
    for r, c in np.argwhere(inside):
        term = plane * inside.size + int(r) * inside.shape[1] + int(c)
        rows[int(r)], columns[int(c)] = cell_of(terms.index(term, explanation.recording), axes)
    return _extended(rows, inside.shape[0]), _extended(columns, inside.shape[1])


def _extended(known: dict[int, int], count: int) -> tuple[int, ...]:
    """Return the position of every tap, of which those on the map are known.

    >>> _extended({1: 0, 2: 2}, 4)
    (-2, 0, 2, 4)
    """
    taps = sorted(known)
    apart = known[taps[1]] - known[taps[0]] if len(taps) > 1 else 1
    each = apart // (taps[1] - taps[0]) if len(taps) > 1 else apart
    return tuple(known.get(tap, known[taps[0]] + (tap - taps[0]) * each) for tap in range(count))
