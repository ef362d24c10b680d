"""Write a mask as COCO does: the lengths of its runs, column by column, as letters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["run_lengths"]


def run_lengths(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return a mask (h, w) as COCO's compressed run lengths: {"size": [h, w], "counts": letters}.

    The lengths of runs of 0 and 1 in turn, down one column after the other, begin with 0's; from
    the third on less the one before the last; each in groups of 5 bits, lowest first, 32 added
    where more follow, 48 added to make a letter (pycocotools, `rleToString`).

    >>> run_lengths(np.array([[False, True], [True, True]]))
    {'size': [2, 2], 'counts': '13'}
    """
    flat = np.asarray(mask, bool).T.reshape(-1)
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    ends = [0] if flat[:1].any() else []  # a first run of no zeros
    counts = np.diff([0, *ends, *edges, flat.size]).astype(np.int64)
    counts[3:] -= counts[1:-2].copy()
    return {"size": list(mask.shape), "counts": _letters(counts)}


def _letters(values: NDArray[np.int64]) -> str:
    groups, going, rest = [], np.ones(len(values), bool), values
    while going.any():
        low, rest = rest & 31, rest >> 5
        # The last group's upper bit is its sign.
        more = np.where(low & 16, rest != -1, rest != 0)
        groups.append(np.where(going, low + 32 * more + 48, 0))
        going = going & more
    letters = np.stack(groups, axis=1).reshape(-1) if groups else values
    return letters[letters > 0].astype(np.uint8).tobytes().decode("ascii")
