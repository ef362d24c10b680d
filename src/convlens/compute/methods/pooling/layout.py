"""Divide a pooling into bands of rows, and halve its large windows step by step."""

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
"""The most vectors that are read after the last row of a band."""

DRAWN = (1, 2, 4)
"""The strides at which vectors are read; at others, single elements are."""

LARGEST = 2**26
"""The most bytes of a band in the memory of a thread."""


@dataclass(frozen=True)
class PoolBand:
    """The size of a task: `columns` of `rows` output rows of `planes` planes."""

    planes: int
    rows: int
    columns: int


@dataclass(frozen=True)
class PoolLayout:
    """A pooling with three axes of space, and which of its windows are halved before use."""

    images: int
    space: tuple[int, ...]
    outputs: tuple[int, ...]
    windows: tuple[Window, ...]
    lanes: int
    width: int
    sums: bool

    @classmethod
    def of(cls, problem: Pool) -> PoolLayout:
        """Return the layout of a pooling; axes of space that it lacks come first, of size 1.

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
        """Return the sizes in the form that kernels take."""
        return PoolShape(space=Axes.of(self.space), out=Axes.of(self.outputs))

    @property
    def stride(self) -> int:
        """The distance of windows along the last axis; 1 if there is only one window."""
        return self.windows[2].stride if self.outputs[2] > 1 else 1

    @property
    def halves_rows(self) -> bool:
        """Whether the rows of a window are halved, or all read for every output row."""
        depth, row, _ = self.windows
        lines = row.span(self.outputs[1])
        halved = lines * (depth.size + 2 * log2(row.size) + 1)
        return halved < self.outputs[1] * depth.size * row.size

    @property
    def halves_columns(self) -> bool:
        """Whether the columns of a window are halved, or all read for every output."""
        drawn = 12 if self.sums else 8
        return self.windows[2].size > (drawn if self.stride in DRAWN else 1)

    @property
    def in_place(self) -> bool:
        """Whether windows are read from the input itself where they meet no padding."""
        depth, row, _ = self.windows
        return depth == row == Window(1) and not self.halves_columns

    @property
    def row_step(self) -> int:
        """The number of lines of a band from one output row to the next."""
        return self.windows[1].stride if self.halves_rows else 1

    def lines(self, rows: int) -> int:
        """Return the number of combined input rows that `rows` output rows need."""
        return (rows - 1) * self.row_step + (self.windows[1].extent if self.halves_rows else 1)

    def pitch(self, columns: int) -> int:
        """Return the distance of these lines, a whole number of vectors."""
        column = self.windows[2]
        length = (columns - 1) * self.stride + column.extent
        return ceil(length / self.lanes) * self.lanes

    def elements(self, band: PoolBand) -> int:
        """Return the number of elements in the lines of a band."""
        return band.planes * self.lines(band.rows) * self.pitch(band.columns)

    def bytes(self, band: PoolBand) -> int:
        """Return the bytes a task needs: its lines, and as many again if sums are halved."""
        aside = self.sums and (self.halves_rows or self.halves_columns)
        return ((1 + aside) * self.elements(band) + SLACK * self.lanes) * self.width

    @property
    def moved(self) -> int:
        """Return the bytes of input and result."""
        return self.images * (prod(self.space) + prod(self.outputs)) * self.width

    def tasks(self, band: PoolBand) -> int:
        """Return the number of bands."""
        counts = zip(
            (self.images * self.outputs[0], *self.outputs[1:]),
            (band.planes, band.rows, band.columns),
            strict=True,
        )
        return prod(ceil(count / part) for count, part in counts)

    def work(self, band: PoolBand) -> float:
        """Return about how many elements are read for an output."""
        depth, row, column = self.windows
        taps = depth.size * (2 * log2(row.size) + 1 if self.halves_rows else row.size)
        taps += 2 * log2(column.size) + 1 if self.halves_columns else column.size
        done = max(1, self.images) * prod(self.outputs)
        return taps * self.tasks(band) * self.elements(band) / done

    def band(self, threads: int) -> PoolBand:
        """Choose the size of a task: it fits the caches, and computes few rows twice."""
        here, (_, high, wide), column = machine(), self.outputs, self.windows[2]
        unpadded = self.in_place and column.before == column.room_after == 0

        def price(band: PoolBand) -> float:
            size, done = self.bytes(band), band.planes * band.rows * band.columns
            # Work within the lines leaves the memory idle, which favours many short tasks.
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
    """Yield (what, shift, taps): steps by which windows of `size` taps shrink to one.

    "halve" combines lines with themselves, `shift` taps further on. An odd tap is first copied
    aside ("lay") or added to what is there ("add"); "back" adds this to the result at the end.

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
    """Return (steps, 4): the element to write, the one to read, whether to copy, and the count."""
    _, row, column = layout.windows
    pitch, beyond = layout.pitch(band.columns), layout.elements(band)
    last_line = (band.rows - 1) * layout.row_step
    found = []

    def append(what: str, start: int, count: int) -> None:
        into = beyond if what in ("lay", "add") else 0
        found.append((into, beyond if what == "back" else start, int(what == "lay"), count))

    # What is laid aside has one element per window; the lines have one per tap.
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
