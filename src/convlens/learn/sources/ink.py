"""Find the ink of a handwritten digit on any paper and count it in the cells of a small grid."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ink_cells"]

_Numbers = NDArray[np.floating[Any]]

# Longer pictures are averaged down to this first: enough for any grid, and it removes noise.
_LONGEST = 1024
# The paper is empty if ink differs from it by less than this, of 255.
_FAINT = 24


def ink_cells(grey: _Numbers, height: int, width: int) -> _Numbers:
    """Return how many sixteenths of ink each cell of a (height, width) grid holds, 0 to 16.

    `grey`: (h, w), 0 to 255. The paper is the median of the border; on light paper, ink is dark, on
    dark paper bright. If the picture is already such a grid, each cell of one grey, its cells are
    taken. In any other the ink is cut out and scaled to fill the grid's height, or its width if the
    ink is wider than high. It is centred and averaged over each cell, and the fullest cell counts
    16. The digits of Alpaydin & Kaynak (1998) were made like this: they counted the ink of
    size-normalised bitmaps in cells of 4 x 4.

    >>> paper = np.full((40, 30), 255.0)
    >>> paper[5:35, 12:16] = 0
    >>> ink_cells(paper, 4, 4).astype(int)[0]
    array([ 0, 16, 16,  0])
    """
    if np.median(_border(grey)) > 127.5:
        grey = 255 - grey
    cells = _as_grid(grey, height, width)
    if cells is None:
        cells = _fitted(grey, height, width)
    counts: _Numbers = np.rint(cells * 16)
    return counts


def _border(grey: _Numbers) -> _Numbers:
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def _as_grid(grey: _Numbers, height: int, width: int) -> _Numbers | None:
    """Return the value of each cell, 0 to 1; None unless every cell is of one grey."""
    h, w = grey.shape
    if h % height or w % width:
        return None
    blocks = grey.reshape(height, h // height, width, w // width)
    if (blocks.max((1, 3)) != blocks.min((1, 3))).any():
        return None
    cells: _Numbers = blocks[:, 0, :, 0] / 255
    return cells


def _fitted(grey: _Numbers, height: int, width: int) -> _Numbers:
    grey = _shrunk(grey)
    ink = (grey - np.median(_border(grey))).clip(min=0)
    if ink.max() < _FAINT:
        return np.zeros((height, width))
    marked = ink > ink.max() / 2
    rows, columns = np.flatnonzero(marked.any(1)), np.flatnonzero(marked.any(0))
    top, bottom = rows[0], rows[-1] + 1
    left, right = columns[0], columns[-1] + 1
    cell = max((bottom - top) / height, (right - left) / width)
    row_edges = (top + bottom) / 2 + cell * (np.arange(height + 1) - height / 2)
    column_edges = (left + right) / 2 + cell * (np.arange(width + 1) - width / 2)
    cells = _averaged(_averaged(ink, row_edges).T, column_edges).T
    fullest: _Numbers = cells / cells.max()
    return fullest


def _shrunk(grey: _Numbers) -> _Numbers:
    """Return the means of whole square blocks, so that no side exceeds `_LONGEST`."""
    side = -(-max(grey.shape) // _LONGEST)
    h, w = (max(1, length // side) for length in grey.shape)
    side_h, side_w = (min(side, length) for length in grey.shape)
    kept = grey[: h * side_h, : w * side_w]
    means: _Numbers = kept.reshape(h, side_h, w, side_w).mean((1, 3), dtype=np.float64)
    return means


def _averaged(values: _Numbers, edges: NDArray[np.float64]) -> _Numbers:
    """Return the mean of the rows of `values` between neighbouring edges, with parts of rows.

    Rows outside of `values` are 0.
    """
    sums = np.vstack([np.zeros((1, values.shape[1])), values.cumsum(0, dtype=np.float64)])
    edges_inside = edges.clip(0, len(values))
    whole = np.floor(edges_inside).astype(int).clip(max=len(values) - 1)
    part = (edges_inside - whole)[:, None]
    at_edges = sums[whole] * (1 - part) + sums[whole + 1] * part
    means: _Numbers = np.diff(at_edges, axis=0) / np.diff(edges)[:, None]
    return means
