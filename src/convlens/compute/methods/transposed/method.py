"""Transposed convolution as one convolution of stride 1 for every place within a stride.

Outputs that lie a stride apart meet the same taps, one input further from one to the next: those of
one *phase* are a convolution with some of the taps, and no zero between inputs is ever multiplied.
A task packs the inputs that a band of rows meets, computes all phases from them, row by row of
`blocks`, and writes those of the last axis in turn into rows of the result. Every output is one
chain of multiply-adds over the channels, and within a channel over the taps in rising order.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import ceil, prod

import numpy as np
import torch
from torch import Tensor

from convlens.compute.kernels.blocks.shift import best_rows, best_vectors, shift_blocks
from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import LANES, WIDTH, shift_rows, word
from convlens.compute.kernels.launching import Launch, threads
from convlens.compute.kernels.machine import WIDTHS, machine
from convlens.compute.kernels.rows import interleaving, packing
from convlens.compute.kernels.rows.interleaving import interleave
from convlens.compute.kernels.rows.packing import clear, pack_row
from convlens.compute.kernels.tasks import place_of
from convlens.compute.methods.borders import is_finite
from convlens.compute.methods.method import ConvMethod, Fill
from convlens.compute.methods.reach import refuses_arrays
from convlens.compute.problems import ConvTranspose, Unsuited
from convlens.windows import TransposedWindow

__all__ = ["METHOD", "cost", "prepare", "refuses"]

SLACK = 8
"""Vectors that a block may read behind the last column it needs."""

Tap = tuple[int, int]
Table = np.ndarray[tuple[int], np.dtype[np.int64]]


def refuses(problem: ConvTranspose) -> str | None:
    """Return why this method cannot do the problem, or None.

    >>> refuses(ConvTranspose(space=(4,), windows=(TransposedWindow(2),), dtype="int32"))
    """
    return refuses_arrays(problem)


def cost(problem: ConvTranspose) -> float:
    """Return about how long it takes, in seconds: multiply-adds in full blocks, and the result.

    >>> window = TransposedWindow(4, stride=2, before=1, after=1)
    >>> of = lambda c: ConvTranspose(
    ...     channels=c, space=(64, 64), channels_out=32, windows=(window,) * 2, dtype="float32"
    ... )
    >>> 2 < cost(of(64)) / cost(of(16)) < 5
    True
    """
    lanes, out_each = machine().lanes(problem.dtype), problem.channels_out // problem.groups
    rows = best_rows(machine(), out_each)
    vectors = best_vectors(machine(), rows)
    used = rows * vectors / (rows * vectors + 0.6 * (rows + vectors) * (rows * vectors < 20))
    filled = ceil(out_each / rows) * rows / out_each
    columns = problem.space[-1]
    filled *= (columns + 2) / columns if prod(problem.space[:-1]) > 1 else 1
    seconds = problem.steps * filled / (lanes * 3.0e9 * used)
    written = problem.batch * problem.channels_out * prod(problem.outputs)
    tasks = problem.batch * problem.groups * prod(problem.space[:-1])
    return 5e-6 + (seconds + written * 3e-10 + tasks * 1e-7) / threads()


@dataclass(frozen=True)
class _Axis:
    """One axis: output q * stride + r reads, by every (tap, shift) of `phases[r]`, input q + shift.

    q goes up to `count`; the shifts go from `first` to `last`.
    """

    inputs: int
    outputs: int
    phases: tuple[tuple[Tap, ...], ...]

    @classmethod
    def of(cls, window: TransposedWindow, n: int) -> _Axis:
        outputs = window.outputs(n)
        stride = min(window.stride, outputs)
        count = ceil(outputs / stride)
        # So far from both ends of so many inputs, every tap of an output meets one.
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
        return len(self.phases)

    @property
    def count(self) -> int:
        return ceil(self.outputs / self.stride)

    @property
    def shifts(self) -> tuple[int, ...]:
        return tuple(sorted({shift for taps in self.phases for _, shift in taps})) or (0,)

    @property
    def first(self) -> int:
        return self.shifts[0]

    @property
    def last(self) -> int:
        return self.shifts[-1]

    @property
    def halo(self) -> int:
        """Return how many more inputs than outputs of a phase are read."""
        return self.last - self.first

    def table(self) -> Table:
        """Return for every position that is packed which input it is; -1 stands for a zero."""
        positions = np.arange(self.first, self.count + self.last, dtype=np.int64)
        return np.where((positions >= 0) & (positions < self.inputs), positions, -1)

    def ends(self) -> Table:
        """Return the table without its middle, where inputs are read as they lie."""
        outside = max(0, -self.first) + max(0, self.count + self.last - self.inputs)
        return np.full(outside, -1, np.int64)


@dataclass(frozen=True)
class _Band:
    """How much a task does: of `deep` planes `rows` rows of every phase, `columns` of each.

    For every channel it packs `planes` planes of `lines` rows of `length` inputs, and that once for
    each of `slots`, the shifts with which packed rows begin; channels lie `pitch` elements apart.
    Where rows are short there is a slot for every shift, so that the rows of a phase follow each
    other without a gap; else one is enough.
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
    def of(cls, axes: list[_Axis], lanes: int, deep: int, rows: int, columns: int) -> _Band:
        depth, row, column = axes
        planes, lines, length, slots = deep + depth.halo, rows + row.halo, columns, column.shifts
        if rows == 1 or column.halo * 16 < columns:
            length, slots = columns + column.halo, (column.first,)
        pitch = ceil(planes * len(slots) * lines * length / lanes) * lanes
        # An odd number of vectors: channels then do not fall on the same lines of the cache.
        pitch += lanes * (pitch // lanes % 2 == 0)
        return cls(deep, rows, columns, planes, lines, length, slots, pitch)

    def place(self, axes: list[_Axis], shifts: tuple[int, ...]) -> int:
        """Return where in a channel the first input lies that is read with these shifts."""
        depth, row, _ = axes
        d, h, w = shifts
        slot = self.slots.index(w) if len(self.slots) > 1 else 0
        at = ((d - depth.first) * len(self.slots) + slot) * self.lines + h - row.first
        return at * self.length + w - self.slots[slot]


def _band(axes: list[_Axis], each: int, dtype: str, tasks_elsewhere: int) -> _Band:
    """Choose how much a task does: a band that fits most of the cache, and enough tasks."""
    lanes, room = machine().lanes(dtype), machine().level2 * 3 // 4 // WIDTHS[dtype]
    depth, row, column = axes
    least, fewest = 6 * lanes, 4 * threads()

    def fits(deep: int, rows: int, columns: int) -> bool:
        return each * _Band.of(axes, lanes, deep, rows, columns).pitch <= room

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
    return _Band.of(axes, lanes, deep, rows, columns)


def _steps(
    axes: list[_Axis], band: _Band, weight: Tensor, rows: int
) -> tuple[Table, Table, Tensor]:
    """Return what a phase does, where each step's input lies, and the weights block by block.

    Of every phase: its number of steps, the first of them, and where its weights begin. `weight` is
    (groups, k / groups, c / groups, *size).
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


def _pack(
    x: int, to: int, d: int, top: int, left: int, depth_table: int, row_table: int,
    column_ends: int, slots: int, each: int, planes: int, slot_count: int, lines: int,
    length: int, pitch: int, plane_end: int, row_end: int, column_start: int, column_stop: int,
    column_end: int, space_d: int, space_h: int, space_w: int,
) -> None:  # fmt: skip
    """Pack a band of the input: d, top and left are the positions where it begins."""
    for c in range(each):
        for plane in range(min(planes, plane_end - d)):
            found_d = word(depth_table, d + plane)
            for line in range(min(lines, row_end - top)):
                found = word(row_table, top + line)
                row = x + ((c * space_d + found_d) * space_h + found) * space_w * WIDTH
                place = to + (c * pitch + (plane * slot_count * lines + line) * length) * WIDTH
                for slot in range(slot_count):
                    start = left + word(slots, slot)
                    count = min(length, column_end - start)
                    if found_d < 0 or found < 0:
                        clear(place, count)
                    else:
                        pack_row(
                            place, row, column_ends, column_start, column_stop, start, 1, count
                        )
                    place += lines * length * WIDTH


def _phases(
    source: int, results: int, y: int, d: int, top: int, left: int, at: int, kept: int, w: int,
    bias: int, phases: int, offsets: int, rows: int, columns: int, length: int, reach: int,
    count_h: int, count_w: int, stride_d: int, stride_h: int, stride_w: int, out_d: int,
    out_h: int, out_w: int,
) -> None:  # fmt: skip
    """Do all phases of a plane's band for block number `at` of the output channels."""
    lines = min(rows, count_h - top)
    count = (lines - 1) * length + min(columns, count_w - left)
    bottom = min(lines * stride_h, out_h - top * stride_h)
    wide = min(columns * stride_w, out_w - left * stride_w)
    for o in range(d * stride_d, min((d + 1) * stride_d, out_d)):
        first = y + ((o * out_h + top * stride_h) * out_w + left * stride_w) * WIDTH
        for phase in range(stride_h * stride_w):
            f = phases + ((o - d * stride_d) * stride_h * stride_w + phase) * 24
            steps = word(f, 0)
            shift_rows(
                w + (word(f, 2) + at * steps * ROWS) * WIDTH, source, offsets + word(f, 1) * 8,
                steps, results + phase * ROWS * reach * WIDTH, reach, kept, count, 0,
                bias + at * ROWS * WIDTH,
            )  # fmt: skip
        for r in range(kept):
            for line in range(lines):
                row = first + (r * out_d * out_h + line * stride_h) * out_w * WIDTH
                place = results + (r * reach + line * length) * WIDTH
                for _ in range(min(stride_h, bottom - line * stride_h)):
                    interleave(row, place, ROWS * reach, stride_w, wide)
                    row += out_w * WIDTH
                    place += stride_w * ROWS * reach * WIDTH


def _drive(
    task: int, scratch: int, x: int, y: int, w: int, bias: int, phases: int, offsets: int,
    offsets_in_place: int, in_place: int, depth_table: int, row_table: int, column_ends: int,
    slots: int, groups: int, each: int, out_each: int, block_count: int, shares: int,
    layers: int, bands: int, pieces: int, deep: int, rows: int, columns: int, planes: int,
    slot_count: int, lines: int, length: int, pitch: int, reach: int, plane_end: int,
    row_end: int, column_start: int, column_stop: int, column_end: int, count_d: int,
    count_h: int, count_w: int, stride_d: int, stride_h: int, stride_w: int, space_d: int,
    space_h: int, space_w: int, out_d: int, out_h: int, out_w: int,
) -> None:  # fmt: skip
    """Do one band of one image and group for a share of the output channels."""
    share, piece, band, layer, _, image = place_of(task, shares, pieces, bands, layers, 1)
    first, top, left = layer * deep, band * rows, piece * columns
    volume = space_d * space_h * space_w
    source, plane = scratch, slot_count * lines * length * WIDTH
    begin = ((image * each * space_d + first) * space_h + top) * space_w + left
    read = (rows * columns + LANES - 1) // LANES * LANES  # in whole vectors
    if begin + (each - 1) * volume + read <= in_place:
        source, offsets = x + begin * WIDTH, offsets_in_place
    else:
        _pack(
            x + image * each * volume * WIDTH, scratch, first, top, left, depth_table, row_table,
            column_ends, slots, each, planes, slot_count, lines, length, pitch, plane_end,
            row_end, column_start, column_stop, column_end, space_d, space_h, space_w,
        )  # fmt: skip
    for block in range(block_count * share // shares, block_count * (share + 1) // shares):
        k = image * out_each + block * ROWS
        for d in range(first, min(first + deep, count_d)):
            _phases(
                source + (d - first) * plane, scratch + each * pitch * WIDTH,
                y + k * out_d * out_h * out_w * WIDTH, d, top, left,
                image % groups * block_count + block, min(ROWS, out_each - block * ROWS), w, bias,
                phases, offsets, rows, columns, length, reach, count_h, count_w, stride_d,
                stride_h, stride_w, out_d, out_h, out_w,
            )  # fmt: skip


ROWS = 0
"""A stand-in, as `shift_rows` is: each kernel has its own."""


def prepare(problem: ConvTranspose, weight: Tensor, bias: Tensor | None) -> Fill:
    """Return `run(x, y)`, which fills y (n, k, *outputs) from x (n, c, *space)."""
    if not is_finite(weight):
        raise Unsuited("a weight is not finite, and is multiplied by zeros around the input")
    groups, each = problem.groups, problem.channels // problem.groups
    out_each = problem.channels_out // groups
    lacking = 3 - len(problem.windows)
    windows = problem.windows
    axes = [_Axis.of(TransposedWindow(1), 1)] * lacking
    axes += [_Axis.of(w, n) for w, n in zip(windows, problem.space, strict=True)]
    depth, row, column = axes
    rows = best_rows(machine(), out_each)
    vectors = best_vectors(machine(), rows)
    lanes, width = machine().lanes(problem.dtype), WIDTHS[problem.dtype]
    band = _band(axes, each, problem.dtype, problem.batch * groups)
    blocks, layers = ceil(out_each / rows), ceil(depth.count / band.deep)
    bands, pieces = ceil(row.count / band.rows), ceil(column.count / band.columns)
    tasks = problem.batch * groups * layers * bands * pieces
    shares = min(blocks, max(1, ceil(4 * threads() / max(tasks, 1))))
    reach = (ceil(band.rows * band.length / lanes) + 1) * lanes
    size = (1,) * lacking + problem.size
    shaped = weight.reshape(groups, each, out_each, *size).transpose(1, 2)
    phases, offsets, weights = _steps(axes, band, shaped, rows)
    # Up to which element of x whole vectors may be read where it lies: all, or none.
    in_place = problem.batch * problem.channels * prod(problem.space)
    in_place *= all(
        axis.halo == 0 and axis.first == 0 and axis.count == axis.inputs for axis in axes
    )
    starting = weight.new_zeros(groups, blocks * rows)
    if bias is not None:
        starting[:, :out_each] = bias.reshape(groups, out_each)
    launch = Launch(
        Kernel(
            name="transposed",
            dtype=problem.dtype,
            drive=_drive,
            uses=(
                *packing.PACK_ROW,
                place_of,
                interleaving.interleave_2,
                interleaving.interleave_4,
                interleaving.interleave,
                _pack,
                _phases,
            ),
            blocks=shift_blocks(rows, vectors),
            constants=(("ROWS", rows),),
        ),
        tasks=tasks * shares,
        scratch=(each * band.pitch + row.stride * column.stride * rows * reach + SLACK * lanes)
        * width,
        fixed={
            "w": weights,
            "bias": starting,
            "phases": phases,
            "offsets": offsets,
            "offsets_in_place": offsets // band.pitch * prod(problem.space),
            "in_place": in_place,
            "depth_table": depth.table(),
            "row_table": row.table(),
            "column_ends": column.ends(),
            "groups": groups,
            "each": each,
            "out_each": out_each,
            "block_count": blocks,
            "shares": shares,
            "layers": layers,
            "bands": bands,
            "pieces": pieces,
            "deep": band.deep,
            "rows": band.rows,
            "columns": band.columns,
            "planes": band.planes,
            "slots": np.array(band.slots, np.int64) - column.first,
            "slot_count": len(band.slots),
            "lines": band.lines,
            "length": band.length,
            "pitch": band.pitch,
            "reach": reach,
            "plane_end": depth.count + depth.halo,
            "row_end": row.count + row.halo,
            "column_start": -column.first,
            "column_stop": column.inputs - column.first,
            "column_end": column.count + column.halo,
            **{f"count_{a}": axis.count for a, axis in zip("dhw", axes, strict=True)},
            **{f"stride_{a}": axis.stride for a, axis in zip("dhw", axes, strict=True)},
            **{f"space_{a}": axis.inputs for a, axis in zip("dhw", axes, strict=True)},
            **{f"out_{a}": axis.outputs for a, axis in zip("dhw", axes, strict=True)},
        },
    )

    def run(x: Tensor, y: Tensor) -> None:
        if tasks:
            launch(x.data_ptr(), y.data_ptr())

    return run


METHOD = ConvMethod(
    name="transposed",
    solves=ConvTranspose,
    exact=True,
    repeats=True,
    compiles=True,
    skips=False,
    refuses=refuses,
    cost=cost,
    prepare=prepare,
)
