"""Convolve transposed as one convolution of stride 1 for every position within a stride.

Outputs a stride apart meet the same taps, each one input further on. Those of one *phase* are a
convolution with some of the taps, which multiplies no zeros between inputs. A task packs the inputs
of a band of rows and computes all phases from them, row by row of `blocks`. It interleaves those of
the last axis into rows of the result. Every output is one chain of multiply-adds over the channels,
and within a channel over the taps in rising order.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

from torch import Tensor

from convlens.compute.kernels.blocks.shift import best_rows, best_vectors, shift_blocks
from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import LANES, WIDTH, shift_rows, word
from convlens.compute.kernels.launching import Launch, threads
from convlens.compute.kernels.machine import WIDTHS, machine
from convlens.compute.kernels.records import Fixed, Pointer
from convlens.compute.kernels.rows.interleaving import interleave
from convlens.compute.kernels.rows.packing import clear, pack_row
from convlens.compute.kernels.shapes import Axes, ConvShape
from convlens.compute.kernels.speed import Estimate
from convlens.compute.kernels.tasks import place_of
from convlens.compute.methods.borders import is_finite
from convlens.compute.methods.method import ConvMethod, Fill
from convlens.compute.methods.reach import refuses_arrays
from convlens.compute.methods.transposed.layout import (
    PhaseAxis,
    PhasePacking,
    axes_of,
    band_of,
    packing_of,
    steps_of,
)
from convlens.compute.problems import ConvTranspose, Unsuited

__all__ = ["METHOD", "estimate", "prepare", "refuses"]

SLACK = 8
"""The vectors that a block may read after the last column it needs."""


def refuses(problem: ConvTranspose) -> str | None:
    """Return why this method cannot compute the problem, or None.

    >>> from convlens.windows import TransposedWindow
    >>> refuses(ConvTranspose(space=(4,), windows=(TransposedWindow(2),), dtype="int32"))
    """
    return refuses_arrays(problem)


def estimate(problem: ConvTranspose) -> Estimate:
    """Return about what it takes: multiply-adds in full blocks, and the result.

    >>> from convlens.windows import TransposedWindow
    >>> window = TransposedWindow(4, stride=2, before=1, after=1)
    >>> of = lambda c: ConvTranspose(
    ...     channels=c, space=(64, 64), channels_out=32, windows=(window,) * 2, dtype="float32"
    ... )
    >>> 2 < estimate(of(64)).cycles / estimate(of(16)).cycles < 5
    True
    """
    lanes, out_each = machine().lanes(problem.dtype), problem.channels_out // problem.groups
    rows = best_rows(machine(), out_each)
    vectors = best_vectors(machine(), rows)
    used = rows * vectors / (rows * vectors + 0.6 * (rows + vectors) * (rows * vectors < 20))
    filled = ceil(out_each / rows) * rows / out_each
    columns = problem.space[-1]
    filled *= (columns + 2) / columns if prod(problem.space[:-1]) > 1 else 1
    cycles = problem.steps * filled / (lanes * used)
    written = problem.batch * problem.channels_out * prod(problem.outputs)
    tasks = problem.batch * problem.groups * prod(problem.space[:-1])
    return Estimate(cycles=(cycles + 0.9 * written + 300 * tasks) / threads(), seconds=5e-6)


@dataclass(frozen=True, kw_only=True)
class Transposed:
    """The arguments of `drive`.

    The weights `w` come in `block_count` blocks of `ROWS` channels for every group and phase.
    `phases` and `offsets` are `steps_of`; `offsets_in_place` are for an input that is read in
    place, in whole vectors up to element `in_place`. `shares` tasks divide the blocks. A task
    computes `deep` planes of `rows` rows of `columns` of every phase; the axes have `count` of
    each. Its results are `reach` elements apart.
    """

    ROWS: Fixed
    w: Pointer
    bias: Pointer
    phases: Pointer
    offsets: Pointer
    offsets_in_place: Pointer
    in_place: int
    groups: int
    block_count: int
    shares: int
    layers: int
    bands: int
    pieces: int
    deep: int
    rows: int
    columns: int
    reach: int
    count: Axes
    packing: PhasePacking
    shape: ConvShape


def _pack(x: int, to: int, d: int, top: int, left: int, a: PhasePacking, shape: ConvShape) -> None:
    """Pack a band of the input: d, top and left are the positions where it begins."""
    space = shape.space
    for c in range(shape.each):
        for plane in range(min(a.planes, a.plane_end - d)):
            found_d = word(a.depth_table, d + plane)
            for line in range(min(a.lines, a.row_end - top)):
                found = word(a.row_table, top + line)
                row = x + ((c * space.d + found_d) * space.h + found) * space.w * WIDTH
                at = c * a.pitch + (plane * a.slot_count * a.lines + line) * a.length
                place = to + at * WIDTH
                for slot in range(a.slot_count):
                    start = left + word(a.slots, slot)
                    count = min(a.length, a.column_end - start)
                    if found_d < 0 or found < 0:
                        clear(place, count)
                    else:
                        first, last = a.column_start, a.column_stop
                        pack_row(place, row, a.column_ends, first, last, start, 1, count)
                    place += a.lines * a.length * WIDTH


def _phases(
    source: int, results: int, y: int, d: int, top: int, left: int, at: int, kept: int,
    offsets: int, a: Transposed,
) -> None:  # fmt: skip
    """Compute all phases of a plane's band for block number `at` of the output channels."""
    out, stride, count_of = a.shape.out, a.shape.stride, a.count
    reach, length = a.reach, a.packing.length
    lines = min(a.rows, count_of.h - top)
    count = (lines - 1) * length + min(a.columns, count_of.w - left)
    bottom = min(lines * stride.h, out.h - top * stride.h)
    wide = min(a.columns * stride.w, out.w - left * stride.w)
    for o in range(d * stride.d, min((d + 1) * stride.d, out.d)):
        first = y + ((o * out.h + top * stride.h) * out.w + left * stride.w) * WIDTH
        for phase in range(stride.h * stride.w):
            f = a.phases + ((o - d * stride.d) * stride.h * stride.w + phase) * 24
            steps = word(f, 0)
            shift_rows(
                a.w + (word(f, 2) + at * steps * a.ROWS) * WIDTH, source, offsets + word(f, 1) * 8,
                steps, results + phase * a.ROWS * reach * WIDTH, reach, kept, count, 0,
                a.bias + at * a.ROWS * WIDTH,
            )  # fmt: skip
        for r in range(kept):
            for line in range(lines):
                row = first + (r * out.d * out.h + line * stride.h) * out.w * WIDTH
                place = results + (r * reach + line * length) * WIDTH
                for _ in range(min(stride.h, bottom - line * stride.h)):
                    interleave(row, place, a.ROWS * reach, stride.w, wide)
                    row += out.w * WIDTH
                    place += stride.w * a.ROWS * reach * WIDTH


def drive(task: int, scratch: int, x: int, y: int, a: Transposed) -> None:
    """Compute one band of one image and group for a share of the output channels."""
    shape, space, out, packing = a.shape, a.shape.space, a.shape.out, a.packing
    offsets = a.offsets
    share, piece, band, layer, _, image = place_of(task, a.shares, a.pieces, a.bands, a.layers, 1)
    first, top, left = layer * a.deep, band * a.rows, piece * a.columns
    volume = space.d * space.h * space.w
    source, plane = scratch, packing.slot_count * packing.lines * packing.length * WIDTH
    begin = ((image * shape.each * space.d + first) * space.h + top) * space.w + left
    read = (a.rows * a.columns + LANES - 1) // LANES * LANES  # in whole vectors
    if begin + (shape.each - 1) * volume + read <= a.in_place:
        source, offsets = x + begin * WIDTH, a.offsets_in_place
    else:
        start = x + image * shape.each * volume * WIDTH
        _pack(start, scratch, first, top, left, packing, shape)
    count, results = a.block_count, scratch + shape.each * packing.pitch * WIDTH
    for block in range(count * share // a.shares, count * (share + 1) // a.shares):
        k = image * shape.out_each + block * a.ROWS
        for d in range(first, min(first + a.deep, a.count.d)):
            _phases(
                source + (d - first) * plane,
                results,
                y + k * out.d * out.h * out.w * WIDTH,
                d,
                top,
                left,
                image % a.groups * count + block,
                min(a.ROWS, shape.out_each - block * a.ROWS),
                offsets,
                a,
            )


def _shape(problem: ConvTranspose, axes: list[PhaseAxis]) -> ConvShape:
    """Return the sizes in the form that kernels take."""
    return ConvShape(
        each=problem.channels // problem.groups,
        out_each=problem.channels_out // problem.groups,
        stride=Axes.of(axis.stride for axis in axes),
        space=Axes.of(axis.inputs for axis in axes),
        out=Axes.of(axis.outputs for axis in axes),
    )


def _read_in_place(problem: ConvTranspose, axes: list[PhaseAxis]) -> int:
    """Return the number of elements of x that may be read in place in whole vectors: all or 0."""
    whole = all(axis.halo == 0 and axis.first == 0 and axis.count == axis.inputs for axis in axes)
    return whole * problem.batch * problem.channels * prod(problem.space)


def _starting(problem: ConvTranspose, weight: Tensor, bias: Tensor | None, wide: int) -> Tensor:
    """Return the biases (groups, wide), followed by zeros, or zeros if there are none."""
    starting = weight.new_zeros(problem.groups, wide)
    if bias is not None:
        each = problem.channels_out // problem.groups
        starting[:, :each] = bias.reshape(problem.groups, each)
    return starting


def prepare(problem: ConvTranspose, weight: Tensor, bias: Tensor | None) -> Fill:
    """Return `run(x, y)`, which fills y (n, k, *outputs) from x (n, c, *space)."""
    if not is_finite(weight):
        raise Unsuited("a weight is not finite, and would be multiplied by zeros around the input")
    axes, groups = axes_of(problem), problem.groups
    depth, row, column = axes
    shape = _shape(problem, axes)
    each, out_each = shape.each, shape.out_each
    rows = best_rows(machine(), out_each)
    lanes, width = machine().lanes(problem.dtype), WIDTHS[problem.dtype]
    band = band_of(axes, each, problem.dtype, problem.batch * groups)
    blocks, layers = ceil(out_each / rows), ceil(depth.count / band.deep)
    bands, pieces = ceil(row.count / band.rows), ceil(column.count / band.columns)
    tasks = problem.batch * groups * layers * bands * pieces
    shares = min(blocks, max(1, ceil(4 * threads() / max(tasks, 1))))
    reach = (ceil(band.rows * band.length / lanes) + 1) * lanes
    size = (1,) * (3 - len(problem.size)) + problem.size
    shaped = weight.reshape(groups, each, out_each, *size).transpose(1, 2)
    phases, offsets, weights = steps_of(axes, band, shaped, rows)
    arguments = Transposed(
        ROWS=Fixed(rows),
        w=Pointer(weights),
        bias=Pointer(_starting(problem, weight, bias, blocks * rows)),
        phases=Pointer(phases),
        offsets=Pointer(offsets),
        offsets_in_place=Pointer(offsets // band.pitch * prod(problem.space)),
        in_place=_read_in_place(problem, axes),
        groups=groups,
        block_count=blocks,
        shares=shares,
        layers=layers,
        bands=bands,
        pieces=pieces,
        deep=band.deep,
        rows=band.rows,
        columns=band.columns,
        reach=reach,
        count=Axes.of(axis.count for axis in axes),
        packing=packing_of(axes, band),
        shape=shape,
    )
    text = shift_blocks(rows, best_vectors(machine(), rows))
    kernel = Kernel.of("transposed", problem.dtype, drive, arguments, blocks=text)
    numbers = each * band.pitch + row.stride * column.stride * rows * reach + SLACK * lanes
    return Launch(kernel, arguments, tasks=tasks * shares, scratch=numbers * width).fill


METHOD = ConvMethod(
    name="transposed",
    solves=ConvTranspose,
    exact=True,
    repeats=True,
    compiles=True,
    skips=False,
    refuses=refuses,
    estimate=estimate,
    prepare=prepare,
)
