"""Convolution as a matrix product whose second operand is the input itself, shifted: any layer.

The results of one output channel over a band of output rows are one long row; every tap of every
channel in adds its weight times the input, shifted, to it. `blocks` holds eight such rows by three
vectors in registers. A task packs the band of the input it needs, padded and with every
stride-th element drawn out, into memory of its own that fits the second-level cache, and runs all
output channels over it; a kernel of one tap is read where it lies.
"""

from __future__ import annotations

from math import ceil, prod

import numpy as np
from torch import Tensor

from convlens.compute.kernels.blocks.shift import best_vectors, shift_blocks
from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import LANES, WIDTH, shift_rows
from convlens.compute.kernels.launching import Launch, threads
from convlens.compute.kernels.machine import WIDTHS, machine
from convlens.compute.kernels.rows.flat import pack_flat
from convlens.compute.kernels.rows.packing import copy
from convlens.compute.kernels.tasks import place_of
from convlens.compute.methods.method import ConvMethod, Fill
from convlens.compute.methods.reach import refuses_arrays
from convlens.compute.methods.shape import Shape
from convlens.compute.methods.shift import layout as shift_layout
from convlens.compute.methods.shift.layout import Band, laid_out
from convlens.compute.problems import Conv

__all__ = ["METHOD", "cost", "prepare", "refuses"]

SLACK = 8
"""Vectors that a block may read behind the last column it needs."""


def refuses(problem: Conv) -> str | None:
    """Return why this method cannot do the problem, or None.

    >>> from convlens.windows import Window
    >>> refuses(Conv(space=(4,), windows=(Window(2),), dtype="float32"))
    >>> refuses(Conv(space=(4,), windows=(Window(2),), dtype="float16"))
    'its kernels compute in float32, float64, int32, int64, not in float16'
    """
    return refuses_arrays(problem)


def cost(problem: Conv) -> float:
    """Return about how long it takes, in seconds: multiply-adds in full blocks, and packing.

    >>> from convlens.windows import Window
    >>> of = lambda c: Conv(
    ...     channels=c, space=(56, 56), channels_out=64, windows=(Window(3),) * 2, dtype="float32"
    ... )
    >>> 2 < cost(of(64)) / cost(of(16)) < 5
    True
    """
    shape = Shape.of(problem)
    rows, vectors = _block(shape.out_each, problem.dtype)
    lanes = machine().lanes(problem.dtype)
    columns = ceil(prod(shape.outputs) / lanes) * lanes
    used = rows * vectors / (rows * vectors + 0.6 * (rows + vectors) * (rows * vectors < 20))
    blocks = ceil(shape.out_each / rows) * rows * problem.groups
    steps = shape.each * prod(shape.size)
    seconds = problem.batch * columns * blocks * steps / (lanes * 3.0e9 * used)
    packed = problem.batch * problem.channels * prod(shape.outputs) * shape.size[2] * 1.5e-10
    return 3e-6 + (seconds + packed * shape.size[0]) / threads()


def _block(out_each: int, dtype: str) -> tuple[int, int]:
    """Return the rows and vectors of the register block for so many output channels a group."""
    here = machine()
    most = 8 if here.registers >= 32 else 4
    rows = min(
        [r for r in (1, 2, 4, 6, 8) if r <= min(most, out_each)],
        key=lambda r: (ceil(out_each / r) * (r * 6 + 6) / 6, -r),
    )
    return rows, best_vectors(here, rows)


def _band(shape: Shape, dtype: str, tasks_elsewhere: int) -> Band:
    """Choose how much a task does: a band that fits half the cache, and enough tasks."""
    lanes, width = machine().lanes(dtype), WIDTHS[dtype]
    room = machine().level2 // 2
    depth = shape.windows[0]

    def fits(band: Band) -> bool:
        return band.channels * depth.size * band.plane * width <= room

    wide, high = shape.outputs[2], shape.outputs[1]
    wanted = 32 * lanes  # columns of results in one run: long enough to start a block seldom
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


def _drive(
    task: int, scratch: int, x: int, y: int, w: int, bias: int, offsets: int, depth_table: int,
    row_table: int, column_ends: int, starts: int, groups: int, each: int, out_each: int,
    taps: int, block_count: int, shares: int, bands: int, pieces: int, rows: int, columns: int,
    channels: int, depth_size: int, depth_stride: int, depth_dilation: int, row_stride: int,
    column_stride: int, depth_end: int, row_end: int, first: int, last: int, column_end: int,
    phases: int, slots: int, lines: int, length: int, space_d: int, space_h: int, space_w: int,
    out_d: int, out_h: int, out_w: int, plain: int, padded: int,
) -> None:  # fmt: skip
    """Do one band of one image, group and output depth, for a share of the output channels."""
    share, piece, band, d, group, n = place_of(task, shares, pieces, bands, out_d, groups)
    top, left = band * rows, piece * columns
    high, wide = min(rows, out_h - top), min(columns, out_w - left)
    count = (high - 1) * out_w + wide
    volume = out_d * out_h * out_w
    image = x + (n * groups + group) * each * space_d * space_h * space_w * WIDTH
    result = y + (n * groups + group) * out_each * volume * WIDTH
    result += ((d * out_h + top) * out_w + left) * WIDTH
    low, stop = block_count * share // shares, block_count * (share + 1) // shares
    in_place = 0
    if plain != 0:
        in_place = count // (VECTORS * LANES) * (VECTORS * LANES)
        if in_place > 0:
            for block in range(low, stop):
                weights = w + (group * block_count + block) * each * ROWS * WIDTH
                shift_rows(
                    weights, image + left * WIDTH, offsets, each, result
                    + block * ROWS * volume * WIDTH, volume, out_each - block * ROWS, in_place, 0,
                    bias + (group * block_count + block) * ROWS * WIDTH,
                )  # fmt: skip
        left += in_place
        result += in_place * WIDTH
        count -= in_place
        if count == 0:
            return
    at = 0
    while at < each:
        some = min(channels, each - at)
        source = image + at * space_d * space_h * space_w * WIDTH
        if plain != 0:
            for c in range(some):
                copy(scratch + c * padded * WIDTH, source + (c * space_w + left) * WIDTH, count)
        else:
            pack_flat(
                source, scratch, d * depth_stride, top * row_stride, left * column_stride, some,
                depth_table, row_table, column_ends, starts, depth_size, depth_dilation,
                depth_end, row_stride, column_stride, row_end, first, last, column_end, phases,
                slots, lines, length, space_d, space_h, space_w,
            )  # fmt: skip
        for block in range(low, stop):
            weights = w + ((group * block_count + block) * each + at) * taps * ROWS * WIDTH
            shift_rows(
                weights, scratch, offsets + plain * each * 8, some * taps,
                result + block * ROWS * volume * WIDTH, volume, out_each - block * ROWS, count,
                at, bias + (group * block_count + block) * ROWS * WIDTH,
            )  # fmt: skip
        at += some


ROWS, VECTORS = 0, 0
"""Stand-ins, as `shift_rows` is: each kernel has its own."""


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
    kernel = Kernel(
        name="shift_gemm",
        dtype=problem.dtype,
        drive=_drive,
        blocks=shift_blocks(rows, vectors),
        constants=(("ROWS", rows), ("VECTORS", vectors)),
    )
    steps = shape.each * shape.taps
    arranged = weight.new_zeros(groups, block_count * rows, steps)
    arranged[:, : shape.out_each] = weight.reshape(groups, shape.out_each, steps)
    arranged = arranged.reshape(groups, block_count, rows, steps).transpose(2, 3).contiguous()
    starting = weight.new_zeros(groups, block_count * rows)
    if bias is not None:
        starting[:, : shape.out_each] = bias.reshape(groups, shape.out_each)
    offsets = shift_layout.offsets(shape, band)
    if shape.plain:
        offsets = np.concatenate([offsets, np.arange(band.channels, dtype=np.int64) * padded])
    depth = shape.windows[0]
    size = band.channels * (padded if shape.plain else depth.size * band.plane)
    launch = Launch(
        kernel,
        tasks=tasks * shares,
        scratch=(size + SLACK * lanes) * width,
        fixed={
            "w": arranged,
            "bias": starting,
            "offsets": offsets,
            "groups": groups,
            "taps": shape.taps,
            "block_count": block_count,
            "shares": shares,
            "bands": bands,
            "pieces": pieces,
            **shift_layout.arguments(shape, band),
            **shape.arguments(problem.padding_mode),
            "plain": int(shape.plain),
            "padded": padded,
        },
    )

    def run(x: Tensor, y: Tensor) -> None:
        if tasks:
            launch(x.data_ptr(), y.data_ptr())

    return run


METHOD = ConvMethod(
    name="shift",
    solves=Conv,
    exact=True,
    repeats=True,
    compiles=True,
    skips=False,
    refuses=refuses,
    cost=cost,
    prepare=prepare,
)
