"""Divide a transposed convolution into phases and bands, and lay out the input of a task."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import ceil, prod

import numpy as np
import torch
from torch import Tensor

from convlens.compute.kernels.launching import threads
from convlens.compute.kernels.machine import WIDTHS, machine
from convlens.compute.kernels.records import Pointer
from convlens.compute.problems import ConvTranspose
from convlens.windows import TransposedWindow

__all__ = ["PhaseAxis", "PhaseBand", "PhasePacking", "axes_of", "band_of", "packing_of", "steps_of"]

Tap = tuple[int, int]
Table = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class PhaseAxis:
    """One axis: output q * stride + r reads input q + shift by every (tap, shift) of `phases[r]`.

    q is below `count`; the shifts are from `first` to `last`.
    """

    inputs: int
    outputs: int
    phases: tuple[tuple[Tap, ...], ...]

    @classmethod
    def of(cls, window: TransposedWindow, n: int) -> PhaseAxis:
        """Return the axis of a window over n inputs."""
        outputs = window.outputs(n)
        stride = min(window.stride, outputs)
        count = ceil(outputs / stride)
        # At this distance from both ends of enough inputs, every tap of an output meets one.
        far = window.extent + window.before
        many = 2 * far + window.after + 2
        phases = []
        for r in range(stride):
            o = far * window.stride + r
            pairs = zip(window.taps(o, many), window.reads(o, many), strict=True)
            shifts = [(tap, i - far) for tap, i in pairs]
            phases.append(tuple(sorted((t, s) for t, s in shifts if -count < s < n)))
        return cls(n, outputs, tuple(phases))

    @property
    def stride(self) -> int:
        """The distance of the outputs of a phase."""
        return len(self.phases)

    @property
    def count(self) -> int:
        """The number of outputs of the first phase; others may have one less."""
        return ceil(self.outputs / self.stride)

    @property
    def shifts(self) -> tuple[int, ...]:
        """The shifts of all phases in rising order."""
        return tuple(sorted({shift for taps in self.phases for _, shift in taps})) or (0,)

    @property
    def first(self) -> int:
        """The lowest shift."""
        return self.shifts[0]

    @property
    def last(self) -> int:
        """The highest shift."""
        return self.shifts[-1]

    @property
    def halo(self) -> int:
        """The number of inputs read beyond the number of outputs of a phase."""
        return self.last - self.first

    def table(self) -> Table:
        """Return the input at every packed position, -1 for a zero."""
        positions = np.arange(self.first, self.count + self.last, dtype=np.int64)
        return np.where((positions >= 0) & (positions < self.inputs), positions, -1)

    def ends(self) -> Table:
        """Return the table without its middle, where inputs are read in place."""
        outside = max(0, -self.first) + max(0, self.count + self.last - self.inputs)
        return np.full(outside, -1, np.int64)


def axes_of(problem: ConvTranspose) -> list[PhaseAxis]:
    """Return the axes of space; those that a problem lacks come first, of size 1."""
    lacking = 3 - len(problem.windows)
    axes = [PhaseAxis.of(w, n) for w, n in zip(problem.windows, problem.space, strict=True)]
    return [PhaseAxis.of(TransposedWindow(1), 1)] * lacking + axes


@dataclass(frozen=True)
class PhaseBand:
    """The size of a task: `columns` columns of `rows` rows of `deep` planes, in every phase.

    For every channel it packs `planes` planes of `lines` rows of `length` inputs. Channels are
    `pitch` elements apart. `slots` are the shifts with which packed rows begin, each with its own
    copy. Short rows have a slot for every shift, so that the rows of a phase follow each other
    without a gap; for long rows one slot is enough.
    """

    deep: int
    rows: int
    columns: int
    planes: int
    lines: int
    length: int
    slots: tuple[int, ...]
    pitch: int

    @classmethod
    def of(cls, axes: list[PhaseAxis], lanes: int, deep: int, rows: int, columns: int) -> PhaseBand:
        """Return the band with that number of planes, rows and columns."""
        depth, row, column = axes
        planes, lines, length, slots = deep + depth.halo, rows + row.halo, columns, column.shifts
        if rows == 1 or column.halo * 16 < columns:
            length, slots = columns + column.halo, (column.first,)
        pitch = ceil(planes * len(slots) * lines * length / lanes) * lanes
        # With an odd number of vectors, channels do not fall on the same lines of the cache.
        pitch += lanes * (pitch // lanes % 2 == 0)
        return cls(deep, rows, columns, planes, lines, length, slots, pitch)

    def place(self, axes: list[PhaseAxis], shifts: tuple[int, ...]) -> int:
        """Return the place in a channel of the first input that is read with these shifts."""
        depth, row, _ = axes
        d, h, w = shifts
        slot = self.slots.index(w) if len(self.slots) > 1 else 0
        at = ((d - depth.first) * len(self.slots) + slot) * self.lines + h - row.first
        return at * self.length + w - self.slots[slot]


def band_of(axes: list[PhaseAxis], each: int, dtype: str, tasks_elsewhere: int) -> PhaseBand:
    """Choose a band that fits most of the cache and leaves enough tasks."""
    lanes, room = machine().lanes(dtype), machine().level2 * 3 // 4 // WIDTHS[dtype]
    depth, row, column = axes
    least, fewest = 6 * lanes, 4 * threads()

    def fits(deep: int, rows: int, columns: int) -> bool:
        return each * PhaseBand.of(axes, lanes, deep, rows, columns).pitch <= room

    def tasks(deep: int, rows: int, columns: int) -> int:
        counts = ((depth.count, deep), (row.count, rows), (column.count, columns))
        return tasks_elsewhere * prod(ceil(count / part) for count, part in counts)

    columns = min(column.count, 32 * lanes)
    rows = min(row.count, max(1, ceil(16 * lanes / columns)))
    while rows > 1 and (
        not fits(1, rows, columns)
        or (rows * columns > 2 * least and tasks(1, rows, columns) < fewest)
    ):
        rows = ceil(rows / 2)
    while columns > least and (not fits(1, rows, columns) or tasks(1, rows, columns) < fewest):
        columns = ceil(columns / 2 / lanes) * lanes
    rows = ceil(row.count / ceil(row.count / rows))
    deep = 1
    while depth.halo and tasks(2 * deep, rows, columns) >= fewest // 2:
        if not fits(2 * deep, rows, columns):
            break
        deep *= 2
    return PhaseBand.of(axes, lanes, deep, rows, columns)


def steps_of(
    axes: list[PhaseAxis], band: PhaseBand, weight: Tensor, rows: int
) -> tuple[Table, Table, Tensor]:
    """Return a table of the phases, the place of each step's input, and the weights in blocks.

    For every phase the table holds the number of its steps, the first of them, and the start of its
    weights. `weight` is (groups, k / groups, c / groups, *size).
    """
    groups, out_each, each, *size = weight.shape
    blocks = ceil(out_each / rows)
    channels = np.arange(each, dtype=np.int64)[:, None] * band.pitch
    phases, offsets, weights = [], [], []
    begin, start = 0, 0
    for taps in product(*(axis.phases for axis in axes)):
        met = [tuple(zip(*pairs, strict=True)) for pairs in product(*taps)]
        places = [band.place(axes, shifts) for _, shifts in met]
        chosen = [(a * size[1] + b) * size[2] + e for (a, b, e), _ in met]
        steps = each * len(places)
        offsets.append((channels + np.array(places, np.int64)).ravel())
        filled = weight.new_zeros(groups, blocks * rows, steps)
        filled[:, :out_each] = weight.flatten(3)[..., chosen].reshape(groups, out_each, steps)
        weights.append(filled.view(groups, blocks, rows, steps).transpose(2, 3).flatten())
        phases.append((steps, begin, start))
        begin, start = begin + steps, start + filled.numel()
    return np.array(phases, np.int64).ravel(), np.concatenate(offsets), torch.cat(weights)


@dataclass(frozen=True, kw_only=True)
class PhasePacking:
    """The packing of a band of the input; see `PhaseBand`.

    `depth_table`, `row_table` and `column_ends` are those of the axes, and cover the positions
    before `plane_end`, `row_end` and `column_end`. From `column_start` to `column_stop` a row is
    copied unchanged. `slots` are the columns with which the packed rows begin.
    """

    depth_table: Pointer
    row_table: Pointer
    column_ends: Pointer
    slots: Pointer
    planes: int
    slot_count: int
    lines: int
    length: int
    pitch: int
    plane_end: int
    row_end: int
    column_start: int
    column_stop: int
    column_end: int


def packing_of(axes: list[PhaseAxis], band: PhaseBand) -> PhasePacking:
    """Return the packing of a band."""
    depth, row, column = axes
    return PhasePacking(
        depth_table=Pointer(depth.table()),
        row_table=Pointer(row.table()),
        column_ends=Pointer(column.ends()),
        slots=Pointer(np.array(band.slots, np.int64) - column.first),
        planes=band.planes,
        slot_count=len(band.slots),
        lines=band.lines,
        length=band.length,
        pitch=band.pitch,
        plane_end=depth.count + depth.halo,
        row_end=row.count + row.halo,
        column_start=-column.first,
        column_stop=column.inputs - column.first,
        column_end=column.count + column.halo,
    )
