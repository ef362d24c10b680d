"""Convolution one channel at a time, several rows of it together: filters and depthwise layers.

A task packs a band of one image and group, padded, with every stride-th element drawn out, into
memory of its own that fits the second-level cache; or it reads the input where it lies, if that is
what the windows see. Then each channel out is computed by `kernels.filter_blocks`, every input
loaded once for all rows of a block. A signal is laid on lines, by which it is an image.
"""

from __future__ import annotations

from math import ceil, prod

import numpy as np
from torch import Tensor

from convlens.compute.kernels.blocks.filters import filter_blocks
from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import WIDTH, filter_rows
from convlens.compute.kernels.launching import Launch, threads
from convlens.compute.kernels.machine import WIDTHS, machine
from convlens.compute.kernels.rows.flat import pack_flat
from convlens.compute.kernels.tasks import place_of
from convlens.compute.methods.method import ConvMethod, Fill
from convlens.compute.methods.reach import refuses_arrays
from convlens.compute.methods.rows.layout import (
    Band,
    Block,
    block_of,
    choose_band,
    kinds_of,
    offsets,
    steps_of,
)
from convlens.compute.methods.shape import Shape
from convlens.compute.problems import Conv

__all__ = ["METHOD", "cost", "prepare", "refuses"]


def refuses(problem: Conv) -> str | None:
    """Return why this method cannot do the problem, or None.

    >>> from convlens.windows import Window
    >>> refuses(Conv(space=(4,), windows=(Window(2),), dtype="float32"))
    """
    return refuses_arrays(problem)


def cost(problem: Conv) -> float:
    """Return about how long it takes, in seconds: register blocks, packing and memory.

    >>> from convlens.windows import Window
    >>> of = lambda size: Conv(space=(1024, 1024), windows=(Window(size),) * 2, dtype="float32")
    >>> 2 < cost(of(15)) / cost(of(7)) < 8
    True
    """
    shape = Shape.of(problem)
    block = block_of(shape, problem.dtype)
    computed = problem.batch * problem.channels_out * shape.each * block.seconds
    moved = problem.channels * prod(shape.space) + problem.channels_out * prod(shape.outputs)
    return 4e-6 + (computed + problem.batch * moved * WIDTHS[problem.dtype] * 1e-10) / threads()


def _drive(
    task: int, scratch: int, x: int, y: int, w: int, bias: int, layers: int, layers_there: int,
    layer_count: int, steps: int, steps_there: int, counts: int, depth_table: int,
    row_table: int, column_ends: int, starts: int, groups: int, each: int, out_each: int,
    weights: int, chunks: int, bands: int, pieces: int, deep: int, rows: int, columns: int,
    planes: int, plane: int, in_place: int, reach: int, total: int, depth_stride: int,
    depth_first: int, depth_last: int, row_stride: int, row_first: int, row_last: int,
    column_stride: int, first: int, last: int, depth_end: int, row_end: int, column_end: int,
    depth_reach: int, row_reach: int, column_reach: int, phases: int, slots: int, lines: int,
    length: int, space_d: int, space_h: int, space_w: int, out_d: int, out_h: int, out_w: int,
) -> None:  # fmt: skip
    """Do one band of one image and group."""
    _, piece, band, chunk, group, n = place_of(task, 1, pieces, bands, chunks, groups)
    front, top, left = chunk * deep, band * rows, piece * columns
    thick, high, wide = min(deep, out_d - front), min(rows, out_h - top), min(columns, out_w - left)
    area, result_area = space_h * space_w, out_h * out_w
    image = (n * groups + group) * each * space_d * area
    at, line, deeper = scratch, length, plane
    layer_table, step_table = layers, steps
    begin = (front * depth_stride - depth_first) * area
    begin += (top - row_first) * space_w + left - first + image
    seen = front * depth_stride >= depth_first and top >= row_first and left >= first
    if (front + thick - 1) * depth_stride + depth_reach >= depth_last:
        seen = False
    if top + high + row_reach > row_last or left + wide + column_reach > last:
        seen = False
    if in_place != 0 and seen and begin + reach <= total:
        at, line, deeper = x + begin * WIDTH, space_w, area
        layer_table, step_table = layers_there, steps_there
    else:
        pack_flat(
            x + image * WIDTH, scratch, front * depth_stride, top * row_stride,
            left * column_stride, each, depth_table, row_table, column_ends, starts, planes, 1,
            depth_end, row_stride, column_stride, row_end, first, last, column_end, phases, slots,
            lines, length, space_d, space_h, space_w,
        )  # fmt: skip
    for d in range(thick):
        source = at + d * depth_stride * deeper * WIDTH
        for k in range(out_each):
            channel = group * out_each + k
            kernel = w + channel * weights * WIDTH
            result = y + (n * groups * out_each + channel) * out_d * result_area * WIDTH
            result += ((front + d) * result_area + top * out_w + left) * WIDTH
            start = bias + channel * WIDTH
            if FOLD != 0:
                done = 0
                while wide - done >= ROWS * FOLD:
                    filter_rows(
                        kernel, source + done * WIDTH, layer_table, layer_count, step_table,
                        counts, FOLD, result + done * WIDTH, FOLD, ROWS, FOLD, start,
                    )  # fmt: skip
                    done += ROWS * FOLD
                if done > 0 and wide > done:  # a whole block again rather than a part of one
                    done = wide - ROWS * FOLD
                    filter_rows(
                        kernel, source + done * WIDTH, layer_table, layer_count, step_table,
                        counts, FOLD, result + done * WIDTH, FOLD, ROWS, FOLD, start,
                    )  # fmt: skip
                    done = wide
                while wide > done:
                    count = max(1, (wide - done) // FOLD)
                    filter_rows(
                        kernel, source + done * WIDTH, layer_table, layer_count, step_table,
                        counts, FOLD, result + done * WIDTH, FOLD, count, min(FOLD, wide - done),
                        start,
                    )  # fmt: skip
                    done += count * FOLD
            else:
                for residue in range(SPREAD):
                    row = residue
                    while row < high:
                        kept = min(ROWS, (high - row + SPREAD - 1) // SPREAD)
                        filter_rows(
                            kernel, source + row * line * WIDTH, layer_table, layer_count,
                            step_table, counts, SPREAD * line, result + row * out_w * WIDTH,
                            SPREAD * out_w, kept, wide, start,
                        )  # fmt: skip
                        row += ROWS * SPREAD


ROWS, FOLD, SPREAD = 0, 0, 0
"""Stand-ins, as `filter_rows` is: each kernel has its own."""


def prepare(problem: Conv, weight: Tensor, bias: Tensor | None) -> Fill:
    """Return `run(x, y)`, which fills y (n, k, *outputs) from x (n, c, *space)."""
    shape, groups = Shape.of(problem), problem.groups
    block = block_of(shape, problem.dtype)
    steps = steps_of(shape, block.fold, block.spread)
    band = choose_band(shape, block, problem.dtype, problem.batch * groups, threads())
    counted = [ceil(n / m) for n, m in zip(shape.outputs, _sizes(band), strict=True)]
    tasks = problem.batch * groups * prod(counted)
    kinds, counts = kinds_of(steps)
    kernel = Kernel(
        name="rows",
        dtype=problem.dtype,
        drive=_drive,
        blocks=filter_blocks(block.rows, block.vectors, block.rest, kinds),
        constants=(("ROWS", block.rows), ("FOLD", block.fold), ("SPREAD", block.spread)),
    )
    order = np.array([tap for step in steps for tap in step.taps])
    depth, row, column = shape.windows
    layered = weight.reshape(problem.channels_out, shape.each * depth.size, -1)
    taps = [(c, a * depth.dilation) for c in range(shape.each) for a in range(depth.size)]
    volume, area = prod(shape.space), prod(shape.space[1:])
    layers = np.array([(c * band.planes + a) * band.plane for c, a in taps], np.int64)
    layers_there = np.array([c * volume + a * area for c, a in taps], np.int64)
    line, line_there = block.fold or band.length, block.fold or shape.space[2]
    steps_packed = offsets(steps, band, band.length, in_place=False)
    steps_there = offsets(steps, band, shape.space[2], in_place=True)
    taken = max(len(step.taps) for step in steps)
    # How far behind the first element that a band needs whole blocks may read, packed or not.
    slack = _reach(block, band, line, taken)
    slack_there = _reach(block, band, line_there, taken)
    lanes, width = machine().lanes(problem.dtype), WIDTHS[problem.dtype]
    launch = Launch(
        kernel,
        tasks=tasks,
        scratch=(shape.each * band.planes * band.plane + slack + 2 * lanes) * width,
        fixed={
            "w": layered[:, :, order].contiguous(),
            "bias": weight.new_zeros(problem.channels_out) if bias is None else bias.contiguous(),
            "layers": layers,
            "layers_there": layers_there,
            "layer_count": len(taps),
            "steps": steps_packed,
            "steps_there": steps_there,
            "counts": counts,
            "starts": np.arange(band.slots, dtype=np.int64),
            "groups": groups,
            "weights": len(taps) * len(order),
            "chunks": counted[0],
            "bands": counted[1],
            "pieces": counted[2],
            "deep": band.deep,
            "rows": band.rows,
            "columns": band.columns,
            "planes": band.planes,
            "plane": band.plane,
            "in_place": int(row.stride == column.stride == 1),
            "reach": int(layers_there.max() + steps_there[::2].max())
            + (band.deep - 1) * depth.stride * area
            + slack_there,
            "total": problem.batch * problem.channels * volume,
            "depth_reach": depth.extent - 1,
            "row_reach": row.extent - 1,
            "column_reach": column.extent - 1,
            "phases": band.phases,
            "slots": band.slots,
            "lines": band.lines,
            "length": band.length,
            **shape.arguments(problem.padding_mode),
            **shape.inside(),
        },
    )

    def run(x: Tensor, y: Tensor) -> None:
        if tasks:
            launch(x.data_ptr(), y.data_ptr())

    return run


def _sizes(band: Band) -> tuple[int, int, int]:
    return band.deep, band.rows, band.columns


def _reach(block: Block, band: Band, line: int, taps: int) -> int:
    """Return how many elements behind the first of a step the blocks of a band read, at most."""
    lanes_more = block.vectors * 64
    if block.fold:
        return band.columns + (block.rows + taps) * block.fold + lanes_more
    return (band.rows + block.high + taps * block.spread) * line + band.columns + lanes_more


METHOD = ConvMethod(
    name="rows",
    solves=Conv,
    exact=True,
    repeats=True,
    compiles=True,
    skips=False,
    refuses=refuses,
    cost=cost,
    prepare=prepare,
)
