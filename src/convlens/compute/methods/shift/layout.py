"""Pack a band of the input so that every tap reads one run of numbers, at some shift."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from convlens.compute.kernels.rows.packing import Packing
from convlens.compute.methods.shape import Shape, phase, phases

__all__ = ["ShiftBand", "laid_out", "offsets", "packing"]

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class ShiftBand:
    """The size of a task, and the layout of the input that it packs.

    A task computes `rows` output rows or, if there is only one row, `columns` of it. For every
    channel and depth tap it packs `slots` copies of `lines` rows of `length` elements, for each of
    `phases`: rows a stride apart follow each other. If there are several rows, there is one copy
    for each tap of the last axis, so that output rows follow each other without a gap; otherwise
    one for each position within a stride.
    """

    rows: int
    columns: int
    channels: int
    phases: int
    slots: int
    lines: int
    length: int
    copies: bool

    @property
    def plane(self) -> int:
        """The elements packed for one channel and depth tap."""
        return self.phases * self.slots * self.lines * self.length


def laid_out(shape: Shape, rows: int, columns: int, channels: int) -> ShiftBand:
    """Return the layout of the packed input for these rows, columns and channels of a task."""
    row, column = shape.windows[1:]
    copies = shape.outputs[1] > 1 and not (column.size == 1 and column.stride == 1)
    lines = rows + (row.extent - 1) // row.stride
    length = columns + (0 if copies else (column.extent - 1) // column.stride)
    slots = column.size if copies else phases(column)
    return ShiftBand(rows, columns, channels, phases(row), slots, lines, length, copies)


def offsets(shape: Shape, band: ShiftBand) -> Numbers:
    """Return the offset of every step's input in the packed band, in elements."""
    depth, row, column = shape.windows
    if shape.plain:
        return np.arange(shape.each, dtype=np.int64) * prod(shape.space)
    found = []
    for c in range(band.channels):
        for a in range(depth.size):
            for b in range(row.size):
                place, line = phase(row, b)
                for e in range(column.size):
                    slot, shift = (e, 0) if band.copies else phase(column, e)
                    at = (c * depth.size + a) * band.phases + place
                    at = (at * band.slots + slot) * band.lines + line
                    found.append(at * band.length + shift)
    return np.array(found, np.int64)


def packing(shape: Shape, band: ShiftBand, mode: str) -> Packing:
    """Return the packing of a band for a padding mode."""
    depth, row, column = shape.windows
    apart = column.dilation if band.copies else 1
    return shape.packing(
        mode,
        starts=np.arange(band.slots, dtype=np.int64) * apart,
        planes=depth.size,
        lines=band.lines,
        length=band.length,
        row_stride=row.stride,
        column_stride=column.stride,
        depth_dilation=depth.dilation,
        phases=band.phases,
        slots=band.slots,
    )
