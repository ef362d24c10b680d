"""How a pooling is cut into bands of rows, and which of its windows are halved, in what steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, log2, prod
from typing import Any

import numpy as np

from convlens.compute.kernels.machine import WIDTHS, machine
from convlens.compute.kernels.shapes import Axes, PoolShape
from convlens.compute.problems import AvgPool, Pool
from convlens.windows import Window

__all__ = ["DRAWN", "LARGEST", "PoolBand", "PoolLayout", "halvings", "steps_of"]

SLACK = 8
"""Vectors that are read behind the last row of a band, at most."""

DRAWN = (1, 2, 4)
"""The strides at which elements are drawn out of vectors; at others, one by one."""

LARGEST = 2**26
"""Bytes that a band may take in the memory of a thread."""


@dataclass(frozen=True)
class PoolBand:
    """How much a task does: `columns` of so many output rows of so many planes."""

    planes: int
    rows: int
    columns: int


@dataclass(frozen=True)
class PoolLayout:
    """The problem with three axes of space, and which of its windows are halved before use."""

    images: int
    space: tuple[int, ...]
    outputs: tuple[int, ...]
    windows: tuple[Window, ...]
    lanes: int
    width: int
    sums: bool

    @classmethod
    def of(cls, problem: Pool) -> PoolLayout:
        """Return the layout of a pooling; axes of space that it lacks are put before, of one.

        >>> from convlens.compute.problems import MaxPool
        >>> PoolLayout.of(
        ...     MaxPool(batch=2, channels=3, space=(8,), windows=(Window(2),), dtype="float32")
        ... ).outputs
        (1, 1, 7)
        """
        windows = problem.windows
        lacking = 3 - len(windows)
        return cls(
            problem.batch * problem.channels,
            (1,) * lacking + problem.space,
            (1,) * lacking + problem.outputs,
            (Window(1),) * lacking + windows,
            machine().lanes(problem.dtype),
            WIDTHS[problem.dtype],
            isinstance(problem, AvgPool),
        )

    def record(self) -> PoolShape:
        """Return the sizes as kernels take them."""
        return PoolShape(space=Axes.of(self.space), out=Axes.of(self.outputs))

    @property
    def stride(self) -> int:
        """Return how far windows lie apart along the last axis; where there is one, not at all."""
        return self.windows[2].stride if self.outputs[2] > 1 else 1

    @property
    def halves_rows(self) -> bool:
        """Return whether the rows of a window are halved, or all read for every output row."""
        depth, row, _ = self.windows
        lines = (self.outputs[1] - 1) * row.stride + row.extent
        halved = lines * (depth.size + 2 * log2(row.size) + 1)
        return halved < self.outputs[1] * depth.size * row.size

    @property
    def halves_columns(self) -> bool:
        """Return whether the columns of a window are halved, or all drawn for every output."""
        drawn = 12 if self.sums else 8
        return self.windows[2].size > (drawn if self.stride in DRAWN else 1)

    @property
    def in_place(self) -> bool:
        """Return whether windows are drawn from the input itself wherever they meet no padding."""
        depth, row, _ = self.windows
        return depth == row == Window(1) and not self.halves_columns

    @property
    def row_step(self) -> int:
        """Return how many lines of a band lie between two output rows."""
        return self.windows[1].stride if self.halves_rows else 1

    def lines(self, rows: int) -> int:
        """Return how many lines of combined rows of the input so many output rows need."""
        return (rows - 1) * self.row_step + (self.windows[1].extent if self.halves_rows else 1)

    def pitch(self, columns: int) -> int:
        """Return how far these lines lie apart: a whole number of vectors."""
        column = self.windows[2]
        length = (columns - 1) * self.stride + column.extent
        return ceil(length / self.lanes) * self.lanes

    def elements(self, band: PoolBand) -> int:
        """Return how many elements the lines of a band are."""
        return band.planes * self.lines(band.rows) * self.pitch(band.columns)

    def bytes(self, band: PoolBand) -> int:
        """Return the memory a task needs: its lines, and where sums are halved, as many again."""
        aside = self.sums and (self.halves_rows or self.halves_columns)
        return ((1 + aside) * self.elements(band) + SLACK * self.lanes) * self.width

    def tasks(self, band: PoolBand) -> int:
        """Return how many bands there are."""
        counts = zip(
            (self.images * self.outputs[0], *self.outputs[1:]),
            (band.planes, band.rows, band.columns),
            strict=True,
        )
        return prod(ceil(count / part) for count, part in counts)

    def work(self, band: PoolBand) -> float:
        """Return how many elements are read for an output, about."""
        depth, row, column = self.windows
        taps = depth.size * (2 * log2(row.size) + 1 if self.halves_rows else row.size)
        taps += 2 * log2(column.size) + 1 if self.halves_columns else column.size
        done = max(1, self.images) * prod(self.outputs)
        return taps * self.tasks(band) * self.elements(band) / done

    def band(self, threads: int) -> PoolBand:
        """Choose how much a task does: little beside what windows share, within the caches."""
        here, (_, high, wide), column = machine(), self.outputs, self.windows[2]
        unpadded = self.in_place and column.before == column.room_after == 0

        def price(band: PoolBand) -> float:
            size, done = self.bytes(band), band.planes * band.rows * band.columns
            # While a task works in its lines it asks for no input: many short ones are best.
            far = 1.0 + 0.15 * (size > here.level1 // 6) + 0.3 * (size > here.level1 // 2)
            far += 2.0 * (size > here.level2 // 2) + 1e6 * (size > LARGEST)
            if unpadded and size <= LARGEST:
                far = 1.0
            idle = max(1.0, 4 * threads / max(1, self.tasks(band)))
            lines = 40 * self.lines(band.rows) / (band.rows * band.columns)
            return (self.work(band) + lines + 300 / done) * far * idle

        rows = [ceil(high / 2**i) for i in range(high.bit_length())]
        steps = range(ceil(wide / self.lanes).bit_length())
        columns = [min(wide, ceil(wide / 2**i / self.lanes) * self.lanes) for i in steps]
        bands = [PoolBand(1, some, part) for some in rows for part in columns]
        most = self.images * self.outputs[0]
        bands += [PoolBand(2**i, high, wide) for i in range(1, max(most, 1).bit_length())]
        return min(bands, key=price)


def halvings(size: int, sums: bool) -> Iterator[tuple[str, int, int]]:
    """Yield (what, shift, taps): how windows of `size` taps come to have fewer, down to one.

    Lines are combined with themselves so many taps further on ("halve"), or that is first laid
    aside ("lay") or added to what lies there ("add"); at the end this is added again ("back").

    >>> list(halvings(7, sums=False))
    [('halve', 3, 4), ('halve', 2, 2), ('halve', 1, 1)]
    >>> list(halvings(5, sums=True))
    [('lay', 4, 4), ('halve', 2, 2), ('halve', 1, 1), ('back', 0, 1)]
    """
    taps, aside = size, False
    while taps > 1:
        if sums and taps % 2:
            taps -= 1
            yield "add" if aside else "lay", taps, taps
            aside = True
        else:
            shift = taps // 2
            taps -= shift
            yield "halve", shift, taps
    if aside:
        yield "back", 0, 1


def steps_of(layout: PoolLayout, band: PoolBand) -> np.ndarray[Any, Any]:
    """Return (steps, 4): into which element, from which, whether it copies, and how many."""
    _, row, column = layout.windows
    pitch, beyond = layout.pitch(band.columns), layout.elements(band)
    last_line = (band.rows - 1) * layout.row_step
    found = []

    def append(what: str, start: int, count: int) -> None:
        into = beyond if what in ("lay", "add") else 0
        found.append((into, beyond if what == "back" else start, int(what == "lay"), count))

    # What is laid aside has one place a window, the lines themselves one a tap.
    if layout.halves_rows:
        for what, shift, taps in halvings(row.size, layout.sums):
            more = (taps - 1) * row.dilation if what == "halve" else 0
            append(what, shift * row.dilation * pitch, (last_line + more + 1) * pitch)
    if layout.halves_columns:
        for what, shift, taps in halvings(column.size, layout.sums):
            more = (taps - 1) * column.dilation if what == "halve" else 0
            count = last_line * pitch + (band.columns - 1) * layout.stride + more + 1
            append(what, shift * column.dilation, count)
    return np.array(found, np.int64).reshape(-1, 4)
