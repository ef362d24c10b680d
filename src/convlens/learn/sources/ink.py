"""Find the ink of a handwritten digit on any paper and count it in the cells of a small grid."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ink_cells"]

_Numbers = NDArray[np.floating[Any]]

# Pictures longer than this are averaged down first: enough for any grid, and it stills noise.
_LONGEST = 1024
# Less difference than this between paper and ink, of 255, is an empty paper.
_FAINT = 24


def ink_cells(grey: _Numbers, height: int, width: int) -> _Numbers:
    """Return how many sixteenths of ink each cell of a (height, width) grid holds, 0 to 16.

    `grey`: (h, w), 0 to 255. The paper is the median of the border; where it is light, dark is
    ink, else bright is. A picture that already is such a grid, each cell of one grey, is taken
    cell by cell. In any other the ink is cut out, scaled to fill the height of the grid (its width,
    where it is wider than high), centred, averaged over each cell, and the fullest cell counts 16:
    as the digits of Alpaydin & Kaynak (1998) were made, who counted the ink of size-normalised
    bitmaps in cells of 4 x 4.

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
    """The value of each cell, 0 to 1, where every cell is of one grey; else None."""
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
    """Means of square blocks, as many as leave at most `_LONGEST`; a last part block is dropped."""
    side = -(-max(grey.shape) // _LONGEST)
    h, w = (max(1, length // side) for length in grey.shape)
    side_h, side_w = (min(side, length) for length in grey.shape)
    kept = grey[: h * side_h, : w * side_w]
    means: _Numbers = kept.reshape(h, side_h, w, side_w).mean((1, 3), dtype=np.float64)
    return means


def _averaged(values: _Numbers, edges: NDArray[np.float64]) -> _Numbers:
    """The mean of the rows of `values` between neighbouring edges, 0 outside; parts of rows too."""
    sums = np.vstack([np.zeros((1, values.shape[1])), values.cumsum(0, dtype=np.float64)])
    edges_inside = edges.clip(0, len(values))
    whole = np.floor(edges_inside).astype(int).clip(max=len(values) - 1)
    part = (edges_inside - whole)[:, None]
    at_edges = sums[whole] * (1 - part) + sums[whole + 1] * part
    means: _Numbers = np.diff(at_edges, axis=0) / np.diff(edges)[:, None]
    return means
