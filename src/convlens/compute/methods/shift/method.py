"""Convolve any layer as a matrix product whose second operand is the input itself, shifted.

The results of one output channel over a band of output rows are one long row. Every tap of every
input channel adds its weight times the shifted input to it. `blocks` holds eight such rows by three
vectors in registers. A task packs the padded band of input that it needs, every stride-th element
apart, into its own memory, which fits the second-level cache. It computes all output channels from
this. For kernels of one tap, the input is read in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

import numpy as np
from torch import Tensor

from convlens.compute.kernels.blocks.shift import best_vectors, shift_blocks, shift_rows
from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import LANES, WIDTH
from convlens.compute.kernels.launching import Launch, threads
from convlens.compute.kernels.machine import WIDTHS, machine
from convlens.compute.kernels.records import Fixed, Pointer
from convlens.compute.kernels.rows.packing import Packing, copy, pack_band
from convlens.compute.kernels.shapes import ConvShape
from convlens.compute.kernels.speed import Estimate
from convlens.compute.kernels.tasks import place_of
from convlens.compute.methods.method import ConvMethod, Fill
from convlens.compute.methods.reach import refuses_arrays
from convlens.compute.methods.shape import Shape
from convlens.compute.methods.shift import layout as shift_layout
from convlens.compute.methods.shift.layout import ShiftBand, laid_out
from convlens.compute.problems import Conv

__all__ = ["METHOD", "estimate", "prepare", "refuses"]

SLACK = 8
"""The vectors that a block may read after the last column it needs."""


def refuses(problem: Conv) -> str | None:
    """Return why this method cannot compute the problem, or None.

    >>> from convlens.windows import Window
    >>> refuses(Conv(space=(4,), windows=(Window(2),), dtype="float32"))
    >>> refuses(Conv(space=(4,), windows=(Window(2),), dtype="float16"))
    'its kernels compute in float32, float64, int32, int64, not in float16'
    """
    return refuses_arrays(problem)


def estimate(problem: Conv) -> Estimate:
    """Return about what it takes: multiply-adds in full blocks, and packing.

    >>> from convlens.windows import Window
    >>> of = lambda c: Conv(
    ...     channels=c, space=(56, 56), channels_out=64, windows=(Window(3),) * 2, dtype="float32"
    ... )
    >>> 2 < estimate(of(64)).cycles / estimate(of(16)).cycles < 5
    True
    """
    shape = Shape.of(problem)
    rows, vectors = _block(shape.out_each, problem.dtype)
    lanes = machine().lanes(problem.dtype)
    columns = ceil(prod(shape.outputs) / lanes) * lanes
    used = rows * vectors / (rows * vectors + 0.6 * (rows + vectors) * (rows * vectors < 20))
    blocks = ceil(shape.out_each / rows) * rows * problem.groups
    steps = shape.each * prod(shape.size)
    cycles = problem.batch * columns * blocks * steps / (lanes * used)
    packed = problem.batch * problem.channels * prod(shape.outputs) * shape.size[2] * 0.45
    return Estimate(cycles=(cycles + packed * shape.size[0]) / threads(), seconds=3e-6)


def _block(out_each: int, dtype: str) -> tuple[int, int]:
    """Return the rows and vectors of the register block for `out_each` channels of a group."""
    here = machine()
    most = 8 if here.registers >= 32 else 4
    rows = min(
        [r for r in (1, 2, 4, 6, 8) if r <= min(most, out_each)],
        key=lambda r: (ceil(out_each / r) * (r * 6 + 6) / 6, -r),
    )
    return rows, best_vectors(here, rows)


def _band(shape: Shape, dtype: str, tasks_elsewhere: int) -> ShiftBand:
    """Choose a band that fits half the cache and leaves enough tasks."""
    lanes, width = machine().lanes(dtype), WIDTHS[dtype]
    room = machine().level2 // 2
    depth = shape.windows[0]

    def fits(band: ShiftBand) -> bool:
        return band.channels * depth.size * band.plane * width <= room

    wide, high = shape.outputs[2], shape.outputs[1]
    wanted = 32 * lanes  # columns of results in one run: long enough to start few blocks
    if high == 1:
        rows, columns = 1, min(wide, max(wanted, 1))
    else:
        rows, columns = min(high, max(1, ceil(wanted / wide))), wide
    fewest = 4 * threads()
    while rows > 1 and tasks_elsewhere * ceil(high / rows) < fewest and rows * wide > 12 * lanes:
        rows = ceil(rows / 2)
    while high == 1 and columns > 12 * lanes and tasks_elsewhere * ceil(wide / columns) < fewest:
        columns = ceil(columns / 2 / lanes) * lanes
    least = 12 * lanes
    while (
        not fits(laid_out(shape, rows, columns, shape.each)) and rows > 1 and rows * columns > least
    ):
        rows = ceil(rows / 2)
    while not fits(laid_out(shape, rows, columns, shape.each)) and rows == 1 and columns > least:
        if high > 1:
            break
        columns = ceil(columns / 2 / lanes) * lanes
    channels = shape.each
    while not fits(laid_out(shape, rows, columns, channels)) and channels > 1:
        channels = ceil(channels / 2)
    return laid_out(shape, rows, columns, channels)


@dataclass(frozen=True, kw_only=True)
class Shift:
    """The arguments of `drive`.

    The output channels of a group are divided into `block_count` blocks of `ROWS`, in `shares`; the
    results into `bands` of `rows` rows and `pieces` of `columns` columns. A task reads `channels`
    input channels at a time. If `plain` is 1, they are read in place, except the last columns,
    which are packed `padded` elements apart; `offsets` has the packed ones last.
    """

    ROWS: Fixed
    VECTORS: Fixed
    w: Pointer
    bias: Pointer
    offsets: Pointer
    groups: int
    taps: int
    block_count: int
    shares: int
    bands: int
    pieces: int
    rows: int
    columns: int
    channels: int
    plain: int
    padded: int
    packing: Packing
    shape: ConvShape


def drive(task: int, scratch: int, x: int, y: int, a: Shift) -> None:
    """Compute one band of one image, group and output depth, for a share of the output channels."""
    shape, space, out, packing = a.shape, a.shape.space, a.shape.out, a.packing
    share, piece, band, d, group, n = place_of(task, a.shares, a.pieces, a.bands, out.d, a.groups)
    top, left = band * a.rows, piece * a.columns
    high, wide = min(a.rows, out.h - top), min(a.columns, out.w - left)
    count = (high - 1) * out.w + wide
    volume = out.d * out.h * out.w
    image = x + (n * a.groups + group) * shape.each * space.d * space.h * space.w * WIDTH
    result = y + (n * a.groups + group) * shape.out_each * volume * WIDTH
    result += ((d * out.h + top) * out.w + left) * WIDTH
    low, stop = a.block_count * share // a.shares, a.block_count * (share + 1) // a.shares
    in_place = 0
    if a.plain != 0:
        in_place = count // (a.VECTORS * LANES) * (a.VECTORS * LANES)
        if in_place > 0:
            for block in range(low, stop):
                weights = a.w + (group * a.block_count + block) * shape.each * a.ROWS * WIDTH
                shift_rows(
                    weights, image + left * WIDTH, a.offsets, shape.each, result
                    + block * a.ROWS * volume * WIDTH, volume, shape.out_each - block * a.ROWS,
                    in_place, 0, a.bias + (group * a.block_count + block) * a.ROWS * WIDTH,
                )  # fmt: skip
        left += in_place
        result += in_place * WIDTH
        count -= in_place
        if count == 0:
            return
    at = 0
    while at < shape.each:
        some = min(a.channels, shape.each - at)
        source = image + at * space.d * space.h * space.w * WIDTH
        if a.plain != 0:
            for c in range(some):
                copy(scratch + c * a.padded * WIDTH, source + (c * space.w + left) * WIDTH, count)
        else:
            front, upper = d * shape.stride.d, top * packing.row_stride
            pack_band(
                source, scratch, front, upper, left * packing.column_stride, some, packing, space
            )
        for block in range(low, stop):
            weights = (
                a.w + ((group * a.block_count + block) * shape.each + at) * a.taps * a.ROWS * WIDTH
            )
            shift_rows(
                weights, scratch, a.offsets + a.plain * shape.each * 8, some * a.taps,
                result + block * a.ROWS * volume * WIDTH, volume, shape.out_each - block * a.ROWS,
                count, at, a.bias + (group * a.block_count + block) * a.ROWS * WIDTH,
            )  # fmt: skip
        at += some


def prepare(problem: Conv, weight: Tensor, bias: Tensor | None) -> Fill:
    """Return `run(x, y)`, which fills y (n, k, *outputs) from x (n, c, *space)."""
    shape, groups = Shape.of(problem), problem.groups
    rows, vectors = _block(shape.out_each, problem.dtype)
    lanes, width = machine().lanes(problem.dtype), WIDTHS[problem.dtype]
    band = _band(shape, problem.dtype, problem.batch * groups * shape.outputs[0])
    block_count = ceil(shape.out_each / rows)
    bands, pieces = ceil(shape.outputs[1] / band.rows), ceil(shape.outputs[2] / band.columns)
    tasks = problem.batch * groups * shape.outputs[0] * bands * pieces
    shares = min(block_count, max(1, ceil(4 * threads() / max(tasks, 1))))
    padded = -(-band.columns // lanes) * lanes if shape.plain else 0
    arranged, starting = _arranged(shape, weight, bias, block_count, rows)
    offsets = shift_layout.offsets(shape, band)
    if shape.plain:
        offsets = np.concatenate([offsets, np.arange(band.channels, dtype=np.int64) * padded])
    arguments = Shift(
        ROWS=Fixed(rows),
        VECTORS=Fixed(vectors),
        w=Pointer(arranged),
        bias=Pointer(starting),
        offsets=Pointer(offsets),
        groups=groups,
        taps=shape.taps,
        block_count=block_count,
        shares=shares,
        bands=bands,
        pieces=pieces,
        rows=band.rows,
        columns=band.columns,
        channels=band.channels,
        plain=int(shape.plain),
        padded=padded,
        packing=shift_layout.packing(shape, band, problem.padding_mode),
        shape=shape.record(),
    )
    blocks = shift_blocks(rows, vectors)
    kernel = Kernel.of("shift_gemm", problem.dtype, drive, arguments, blocks=blocks)
    size = band.channels * (padded if shape.plain else shape.size[0] * band.plane)
    scratch = (size + SLACK * lanes) * width
    return Launch(kernel, arguments, tasks=tasks * shares, scratch=scratch).fill


def _arranged(
    shape: Shape, weight: Tensor, bias: Tensor | None, block_count: int, rows: int
) -> tuple[Tensor, Tensor]:
    """Return weights (groups, blocks, steps, rows) and biases (groups, blocks * rows)."""
    steps = shape.each * shape.taps
    groups = len(weight) // shape.out_each
    arranged = weight.new_zeros(groups, block_count * rows, steps)
    arranged[:, : shape.out_each] = weight.reshape(groups, shape.out_each, steps)
    arranged = arranged.reshape(groups, block_count, rows, steps).transpose(2, 3).contiguous()
    starting = weight.new_zeros(groups, block_count * rows)
    if bias is not None:
        starting[:, : shape.out_each] = bias.reshape(groups, shape.out_each)
    return arranged, starting


METHOD = ConvMethod(
    name="shift",
    solves=Conv,
    exact=True,
    repeats=True,
    compiles=True,
    skips=False,
    refuses=refuses,
    estimate=estimate,
    prepare=prepare,
)
