"""Mark positions of the input: the ones that a number depends on, or that a detection covers."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from torch import Tensor

from convlens.lab.answers.envelope import Bytes
from convlens.lab.answers.sheets import layout_in
from convlens.lens import Recording, Region

_SPACE = frozenset(("row", "column", "frame", "position", "feature"))
"""The axes of an input that have places; the others count samples and channels."""


class Lit(TypedDict):
    """The marked positions of a space, such as the rows and columns of a picture.

    `box`: first and one past the last marked position on each axis. `count`: how many are marked.
    `bits`: the positions of the box in order, eight to a byte, the most significant bit first.
    `warning`: why fewer positions may matter; "" where the marks are exact.
    """

    space: list[int]
    box: list[tuple[int, int]]
    count: int
    bits: Bytes
    warning: str


def lit(mask: Tensor, warning: str = "") -> Lit:
    """Return the positions where a boolean tensor is true."""
    axes = range(mask.ndim)
    others = [[other for other in axes if other != axis] for axis in axes]
    box = [_ends(mask.any(dim=dims) if dims else mask) for dims in others]
    cut = mask[tuple(slice(low, high) for low, high in box)]
    return {
        "space": list(mask.shape),
        "box": box,
        "count": int(mask.sum()),
        "bits": np.packbits(cut.numpy().reshape(-1)),
        "warning": warning,
    }


def lit_region(recording: Recording, region: Region) -> Lit:
    """Return the places of an input that a region holds, of any sample and channel."""
    plan = layout_in(recording, region.value)
    ahead = sum(axis not in _SPACE for axis in plan.axes)
    mask = region.mask
    return lit(mask.any(dim=tuple(range(ahead))) if ahead else mask, region.warning)


def _ends(line: Tensor) -> tuple[int, int]:
    """Return first and one past the last true position of a boolean line."""
    where = line.nonzero()
    return (int(where[0]), int(where[-1]) + 1) if len(where) else (0, 0)
