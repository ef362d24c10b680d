"""Divide a filter into steps and register blocks, and its input into bands.

A step is a column of taps, each reading the line below the one before (see `filter_blocks`). The
lines of an image are its rows; with a stride or dilation, they are every stride-th or dilation-th
row. A signal is folded into lines of L numbers, so that taps L apart are a column, too.
"""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass
from itertools import product
from math import ceil, gcd, prod

import numpy as np

from convlens.compute.kernels.blocks.filters import MOST_WRITTEN
from convlens.compute.kernels.machine import WIDTHS, Machine, machine
from convlens.compute.kernels.speed import NOMINAL
from convlens.compute.methods.shape import Shape, phase, phases
from convlens.windows import Window

__all__ = [
    "FilterBand",
    "FilterBlock",
    "FilterStep",
    "Numbers",
    "block_of",
    "choose_band",
    "kinds_of",
    "offsets",
    "steps_of",
]

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]

HIDDEN = 0.968
"""The cycles that pass for one of a block; some are hidden behind others."""

WIDEST, TALLEST = 6, 12
"""The most vectors and rows of a block."""


LINE = 40
"""The elements that could be packed in the time it takes to start a line."""


@dataclass(frozen=True)
class FilterStep:
    """A column of taps: the place of its first line, and the taps of the kernel that it has.

    `line` and `shift` count strides from the first position of a window. `phase` and `slot` are its
    positions within a stride of rows and of columns. `taps` count in (kh, kw).
    """

    phase: int
    slot: int
    line: int
    shift: int
    taps: tuple[int, ...]


@dataclass(frozen=True)
class FilterBlock:
    """A register block of `rows` x `vectors`, the last of a row `rest`, and its steps.

    `fold` is the length of a line if a signal is folded into lines, else 0. `spread` is the number
    of lines from one row of a block to the next. `cycles` is an estimate for one kernel over one
    channel and all its outputs.
    """

    rows: int
    vectors: int
    rest: int
    fold: int
    spread: int
    cycles: float

    @property
    def high(self) -> int:
        """The number of rows of the result that a block covers."""
        return self.rows * self.spread


@functools.lru_cache(512)
def block_of(shape: Shape, dtype: str, load: float) -> FilterBlock:
    """Return the block that takes the least time, by its multiply-adds and loads.

    `load` is that of `Speed`. It does not affect fold and spread, which order the sums.
    """
    common = min(_blocks(shape, dtype, NOMINAL.load), key=_by_cycles)
    blocks = _blocks(shape, dtype, load)
    same = [b for b in blocks if (b.fold, b.spread) == (common.fold, common.spread)]
    return min(same, key=_by_cycles)


def _by_cycles(block: FilterBlock) -> tuple[float, ...]:
    return block.cycles, block.rows, block.vectors, block.rest, block.fold, block.spread


def _blocks(shape: Shape, dtype: str, load: float) -> list[FilterBlock]:
    """Return every block that fits the registers."""
    here, lanes = machine(), machine().lanes(dtype)
    wide = shape.outputs[2]
    layers = shape.outputs[0] * shape.windows[0].size * HIDDEN
    found = []
    for fold, spread in _ways(shape, lanes):
        widths = [fold // lanes] if fold else range(1, min(WIDEST, ceil(wide / lanes)) + 1)
        counts = Counter(len(step.taps) for step in steps_of(shape, fold, spread))
        for v, rows in product(widths, range(1, TALLEST + 1)):
            if not _held(here, rows, v, counts):
                continue
            if fold:
                rest, blocks = v, ceil(wide / (fold * rows))
                cycles = blocks * _cycles(rows, v, counts, load)
            else:
                rest = ceil(((wide - 1) % (v * lanes) + 1) / lanes)
                blocks = spread * ceil(ceil(shape.outputs[1] / spread) / rows)
                cycles = blocks * ((wide - 1) // (v * lanes)) * _cycles(rows, v, counts, load)
                cycles += blocks * _cycles(rows, rest, counts, load)
            found.append(FilterBlock(rows, v, rest, fold, spread, cycles * layers))
    return found


def _ways(shape: Shape, lanes: int) -> list[tuple[int, int]]:
    """Return the (fold, spread) worth trying."""
    depth, row = shape.windows[:2]
    if shape.outputs[0] == shape.outputs[1] == 1 and row.size == depth.size == 1:
        most = min(WIDEST, ceil(shape.outputs[2] / lanes))
        return [(v * lanes, 1) for v in range(1, most + 1)]
    spread = row.dilation // gcd(row.dilation, row.stride)
    return [(0, 1)] if spread == 1 or row.size == 1 else [(0, 1), (0, spread)]


def _held(here: Machine, rows: int, vectors: int, counts: Counter[int]) -> bool:
    """Return whether the registers hold a block, and its text can have the steps."""
    written = [taps for taps in counts if taps <= MOST_WRITTEN]
    looped = [taps for taps in counts if taps > MOST_WRITTEN]
    # Unrolled steps hold all their weights; a loop loads a few ahead.
    weights = max([*written, 4 if looped else 1])
    if looped and rows > min(looped) + 1:
        return False
    return rows * vectors + vectors + weights <= here.registers or rows * vectors == 1


def _cycles(rows: int, vectors: int, counts: Counter[int], load: float) -> float:
    """Return the cycles of one layer of a block."""
    total = 3.0 + rows * vectors
    for taps, steps in counts.items():
        lines = rows + taps - 1
        weights = taps if taps <= MOST_WRITTEN else rows * lines
        loads = load * lines * vectors + weights
        total += steps * (max(float(rows * taps * vectors), loads, 4.0 * taps) + 2)
    return total


@functools.lru_cache(512)
def steps_of(shape: Shape, fold: int, spread: int) -> tuple[FilterStep, ...]:
    """Return the steps of a kernel in the order in which they are computed, long columns first.

    `fold` and `spread` are those of the block. With a spread of 1, dilated rows form no column, and
    every tap is a step.

    >>> shape = Shape(1, 1, (1, 9, 9), (1, 7, 7), (Window(1), Window(3), Window(3)))
    >>> [step.taps for step in steps_of(shape, 0, 1)]
    [(0, 3, 6), (1, 4, 7), (2, 5, 8)]
    """
    row, column = shape.windows[1:]
    steps = []
    if fold:
        for place, first, apart, taps in _classes(column):
            line = fold if fold % apart == 0 else apart * len(taps)
            steps += [
                FilterStep(0, place, 0, first + e, tuple(taps[e // apart :: line // apart]))
                for e in range(0, min(line, apart * len(taps)), apart)
            ]
    else:
        for (place, first, apart, taps), e in product(_classes(row), range(column.size)):
            slot, shift = phase(column, e)
            columns = [taps] if apart == spread else [[tap] for tap in taps]
            for i, rows in enumerate(columns):
                held = tuple(tap * column.size + e for tap in rows)
                steps.append(FilterStep(place, slot, first + i * apart, shift, held))
    return tuple(sorted(steps, key=lambda step: -len(step.taps)))


def kinds_of(steps: tuple[FilterStep, ...]) -> tuple[list[int], Numbers]:
    """Return the kinds of steps that `filter_blocks` must write, and the number of each.

    >>> [
    ...     kinds_of(steps)
    ...     for steps in [(FilterStep(0, 0, 0, 0, (0,)), FilterStep(0, 0, 0, 1, (1,)))]
    ... ]
    [([1], array([2]))]
    """
    written = [len(step.taps) for step in steps if len(step.taps) <= MOST_WRITTEN]
    looped = len(steps) - len(written)
    kinds = ([0] if looped else []) + sorted(set(written), reverse=True)
    counts = [looped if kind == 0 else written.count(kind) for kind in kinds]
    return kinds, np.array(counts, np.int64)


def _classes(window: Window) -> list[tuple[int, int, int, list[int]]]:
    """Return (phase, first shift, distance, taps) for the taps of each phase.

    >>> _classes(Window(5, stride=2))
    [(0, 0, 1, [0, 2, 4]), (1, 0, 1, [1, 3])]
    """
    apart = window.dilation // gcd(window.dilation, window.stride)
    found: dict[int, list[int]] = {}
    for tap in range(window.size):
        found.setdefault(phase(window, tap)[0], []).append(tap)
    return [(place, phase(window, taps[0])[1], apart, taps) for place, taps in found.items()]


@dataclass(frozen=True)
class FilterBand:
    """The size of a task, and the layout of the input that it packs.

    A task computes `deep` planes of `rows` rows of `columns` results. For every channel it packs
    `planes` planes of `phases` times `slots` times `lines` lines of `length` elements.
    """

    deep: int
    rows: int
    columns: int
    planes: int
    phases: int
    slots: int
    lines: int
    length: int

    @property
    def plane(self) -> int:
        """The elements packed for one channel and plane."""
        return self.phases * self.slots * self.lines * self.length


def choose_band(
    shape: Shape, block: FilterBlock, dtype: str, elsewhere: int, threads: int
) -> FilterBand:
    """Choose a band that packs little twice, fits half the cache and gives all threads tasks.

    `elsewhere` is the number of images times groups.
    """
    lanes, room = machine().lanes(dtype), machine().level2 // 2
    depth, row, column = shape.windows
    out_d, out_h, out_w = shape.outputs

    in_place = row.stride == column.stride == 1 and column.before == column.after == 0

    def laid_out(deep: int, rows: int, columns: int) -> FilterBand:
        planes = depth.span(deep)
        lines = rows + (row.extent - 1) // row.stride
        length = ceil((columns + (column.extent - 1) // column.stride) / lanes) * lanes
        if length * WIDTHS[dtype] % 4096 == 0:  # otherwise lines would share cache sets
            length += lanes
        return FilterBand(deep, rows, columns, planes, phases(row), phases(column), lines, length)

    def price(band: FilterBand) -> tuple[float, float]:
        tasks = max(1, elsewhere) * prod(
            ceil(n / m)
            for n, m in zip(shape.outputs, (band.deep, band.rows, band.columns), strict=True)
        )
        size = shape.each * band.planes * band.plane
        # Starting a line costs some elements more; input that is read in place is not packed.
        packed = tasks * size * (1 + LINE / band.length) * (0.2 if in_place else 1.0)
        idle = ceil(tasks / threads) * threads / tasks
        if tasks < 4 * threads:  # so that one slow thread does not delay the others much
            idle *= 1.1
        over = max(1.0, size * WIDTHS[dtype] / room)
        return (elsewhere * prod(shape.outputs) * 2.0 + packed) * idle * over, -band.columns

    deeps = _halves(out_d, 1)
    heights = _halves(out_h, block.high)
    unit = block.rows * block.fold if block.fold else block.vectors * lanes
    widths = [w for w in _halves(out_w, unit) if w <= 2**15 or w <= 2 * unit]
    bands = [laid_out(*sizes) for sizes in product(deeps, heights, widths)]
    return min(bands, key=price)


def _halves(whole: int, unit: int) -> list[int]:
    """Return the whole, a half, a quarter and so on of it, in multiples of a unit.

    >>> _halves(20, 4)
    [20, 12, 8, 4]
    """
    found = [whole]
    while found[-1] > unit:
        half = ceil(found[-1] / 2 / unit) * unit
        if half >= found[-1]:
            break
        found.append(half)
    return found


def offsets(steps: tuple[FilterStep, ...], band: FilterBand, pitch: int, in_place: bool) -> Numbers:
    """Return the offset of every step's first line, in elements, and its number of taps."""
    table = []
    for step in steps:
        first = 0 if in_place else (step.phase * band.slots + step.slot) * band.lines
        table += [(first + step.line) * pitch + step.shift, len(step.taps)]
    return np.array(table, np.int64)
