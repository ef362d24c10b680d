"""Convolve one channel at a time, several of its rows together: filters and depthwise layers.

A task packs a padded band of one image and group, every stride-th element apart, into its own
memory, which fits the second-level cache. It reads the input in place if windows see it unchanged.
Then `filter_rows` computes each output channel and loads every input once for all rows of a block.
A signal is folded into lines, which makes it an image.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

import numpy as np
from torch import Tensor

from convlens.compute.kernels.blocks.filters import filter_blocks, filter_rows
from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import WIDTH
from convlens.compute.kernels.launching import Launch, threads
from convlens.compute.kernels.machine import WIDTHS, machine
from convlens.compute.kernels.records import Fixed, Pointer
from convlens.compute.kernels.rows.packing import Packing, pack_band
from convlens.compute.kernels.shapes import Axes, ConvShape
from convlens.compute.kernels.speed import Estimate, speed
from convlens.compute.kernels.tasks import place_of
from convlens.compute.methods.method import ConvMethod, Fill
from convlens.compute.methods.reach import refuses_arrays
from convlens.compute.methods.rows.layout import (
    FilterBand,
    FilterBlock,
    FilterStep,
    Numbers,
    block_of,
    choose_band,
    kinds_of,
    offsets,
    steps_of,
)
from convlens.compute.methods.shape import Shape, Unpadded
from convlens.compute.problems import Conv

__all__ = ["METHOD", "estimate", "prepare", "refuses"]


def refuses(problem: Conv) -> str | None:
    """Return why this method cannot compute the problem, or None.

    >>> from convlens.windows import Window
    >>> refuses(Conv(space=(4,), windows=(Window(2),), dtype="float32"))
    """
    return refuses_arrays(problem)


def estimate(problem: Conv) -> Estimate:
    """Return about what it takes: register blocks, packing and memory.

    >>> from convlens.windows import Window
    >>> of = lambda size: Conv(space=(1024, 1024), windows=(Window(size),) * 2, dtype="float32")
    >>> 2 < estimate(of(15)).cycles / estimate(of(7)).cycles < 8
    True
    """
    shape = Shape.of(problem)
    block = block_of(shape, problem.dtype, speed().load)
    computed = problem.batch * problem.channels_out * shape.each * block.cycles
    moved = problem.channels * prod(shape.space) + problem.channels_out * prod(shape.outputs)
    cycles = computed + 0.3 * problem.batch * moved * WIDTHS[problem.dtype]
    return Estimate(cycles=cycles / threads(), seconds=4e-6)


@dataclass(frozen=True, kw_only=True)
class FilterRows:
    """The arguments of `drive`.

    The result is divided into `chunks` of `deep` planes, `bands` of `rows` rows and `pieces` of
    `columns` columns; blocks compute `ROWS` rows, `SPREAD` apart. A signal is folded into lines of
    `FOLD` numbers if that is not 0. `layers` and `steps` are the places of lines in the packed
    input, `layers_there` and `steps_there` those in `x`. If `in_place` is 1, input that windows see
    unchanged is not packed, unless reading up to `farthest` after its first element would leave the
    `total` elements.
    """

    ROWS: Fixed
    FOLD: Fixed
    SPREAD: Fixed
    w: Pointer
    bias: Pointer
    layers: Pointer
    layers_there: Pointer
    layer_count: int
    steps: Pointer
    steps_there: Pointer
    counts: Pointer
    groups: int
    weights: int
    chunks: int
    bands: int
    pieces: int
    deep: int
    rows: int
    columns: int
    plane: int
    in_place: int
    farthest: int
    total: int
    reach: Axes
    unpadded: Unpadded
    packing: Packing
    shape: ConvShape


def _signal(
    kernel: int, source: int, layers: int, steps: int, result: int, wide: int, start: int,
    a: FilterRows,
) -> None:  # fmt: skip
    """Compute `wide` outputs of a signal that is folded into lines."""
    done = 0
    while wide - done >= a.ROWS * a.FOLD:
        filter_rows(
            kernel, source + done * WIDTH, layers, a.layer_count, steps, a.counts, a.FOLD,
            result + done * WIDTH, a.FOLD, a.ROWS, a.FOLD, start,
        )  # fmt: skip
        done += a.ROWS * a.FOLD
    if done > 0 and wide > done:  # recompute part of a block rather than compute a partial one
        done = wide - a.ROWS * a.FOLD
        filter_rows(
            kernel, source + done * WIDTH, layers, a.layer_count, steps, a.counts, a.FOLD,
            result + done * WIDTH, a.FOLD, a.ROWS, a.FOLD, start,
        )  # fmt: skip
        done = wide
    while wide > done:
        count = max(1, (wide - done) // a.FOLD)
        filter_rows(
            kernel, source + done * WIDTH, layers, a.layer_count, steps, a.counts, a.FOLD,
            result + done * WIDTH, a.FOLD, count, min(a.FOLD, wide - done), start,
        )  # fmt: skip
        done += count * a.FOLD


def _image(
    kernel: int, source: int, layers: int, steps: int, result: int, line: int, high: int,
    wide: int, start: int, a: FilterRows,
) -> None:  # fmt: skip
    """Compute `high` rows of `wide` outputs."""
    for residue in range(a.SPREAD):
        row = residue
        while row < high:
            kept = min(a.ROWS, (high - row + a.SPREAD - 1) // a.SPREAD)
            filter_rows(
                kernel, source + row * line * WIDTH, layers, a.layer_count, steps, a.counts,
                a.SPREAD * line, result + row * a.shape.out.w * WIDTH, a.SPREAD * a.shape.out.w,
                kept, wide, start,
            )  # fmt: skip
            row += a.ROWS * a.SPREAD


def drive(task: int, scratch: int, x: int, y: int, a: FilterRows) -> None:
    """Compute one band of one image and group."""
    shape, space, out, stride = a.shape, a.shape.space, a.shape.out, a.shape.stride
    inside, packing = a.unpadded, a.packing
    _, piece, band, chunk, group, n = place_of(task, 1, a.pieces, a.bands, a.chunks, a.groups)
    front, top, left = chunk * a.deep, band * a.rows, piece * a.columns
    thick, high = min(a.deep, out.d - front), min(a.rows, out.h - top)
    wide = min(a.columns, out.w - left)
    area, result_area = space.h * space.w, out.h * out.w
    image = (n * a.groups + group) * shape.each * space.d * area
    at, line, deeper = scratch, packing.length, a.plane
    layers, steps = a.layers, a.steps
    begin = (front * stride.d - inside.depth_first) * area
    begin += (top - inside.row_first) * space.w + left - packing.column_first + image
    seen = (
        front * stride.d >= inside.depth_first
        and top >= inside.row_first
        and left >= packing.column_first
    )
    if (front + thick - 1) * stride.d + a.reach.d >= inside.depth_last:
        seen = False
    if top + high + a.reach.h > inside.row_last or left + wide + a.reach.w > packing.column_last:
        seen = False
    if a.in_place != 0 and seen and begin + a.farthest <= a.total:
        at, line, deeper = x + begin * WIDTH, space.w, area
        layers, steps = a.layers_there, a.steps_there
    else:
        upper, first = top * packing.row_stride, left * packing.column_stride
        pack_band(
            x + image * WIDTH, scratch, front * stride.d, upper, first, shape.each, packing, space
        )
    for d in range(thick):
        source = at + d * stride.d * deeper * WIDTH
        for k in range(shape.out_each):
            channel = group * shape.out_each + k
            kernel = a.w + channel * a.weights * WIDTH
            result = y + (n * a.groups * shape.out_each + channel) * out.d * result_area * WIDTH
            result += ((front + d) * result_area + top * out.w + left) * WIDTH
            start = a.bias + channel * WIDTH
            if a.FOLD != 0:
                _signal(kernel, source, layers, steps, result, wide, start, a)
            else:
                _image(kernel, source, layers, steps, result, line, high, wide, start, a)


def prepare(problem: Conv, weight: Tensor, bias: Tensor | None) -> Fill:
    """Return `run(x, y)`, which fills y (n, k, *outputs) from x (n, c, *space)."""
    shape, groups = Shape.of(problem), problem.groups
    block = block_of(shape, problem.dtype, speed().load)
    steps = steps_of(shape, block.fold, block.spread)
    band = choose_band(shape, block, problem.dtype, problem.batch * groups, threads())
    chunks, bands, pieces = (ceil(n / m) for n, m in zip(shape.outputs, _sizes(band), strict=True))
    kinds, counts = kinds_of(steps)
    order = np.array([tap for step in steps for tap in step.taps])
    tables = _tables(shape, steps, band)
    taken = max(len(step.taps) for step in steps)
    layered = weight.reshape(problem.channels_out, shape.each * shape.size[0], -1)
    starting = weight.new_zeros(problem.channels_out) if bias is None else bias.contiguous()
    _, row, column = shape.windows
    arguments = FilterRows(
        ROWS=Fixed(block.rows),
        FOLD=Fixed(block.fold),
        SPREAD=Fixed(block.spread),
        w=Pointer(layered[:, :, order].contiguous()),
        bias=Pointer(starting),
        layers=Pointer(tables.layers),
        layers_there=Pointer(tables.layers_there),
        layer_count=len(tables.layers),
        steps=Pointer(tables.steps),
        steps_there=Pointer(tables.steps_there),
        counts=Pointer(counts),
        groups=groups,
        weights=len(tables.layers) * len(order),
        chunks=chunks,
        bands=bands,
        pieces=pieces,
        deep=band.deep,
        rows=band.rows,
        columns=band.columns,
        plane=band.plane,
        in_place=int(row.stride == column.stride == 1),
        farthest=_farthest(shape, tables, block, band, taken),
        total=problem.batch * problem.channels * prod(shape.space),
        reach=Axes.of(window.extent - 1 for window in shape.windows),
        unpadded=shape.unpadded(),
        packing=_packing(shape, band, problem.padding_mode),
        shape=shape.record(),
    )
    blocks = filter_blocks(block.rows, block.vectors, block.rest, kinds)
    kernel = Kernel.of("rows", problem.dtype, drive, arguments, blocks=blocks)
    slack = _reach(block, band, block.fold or band.length, taken)
    size = shape.each * band.planes * band.plane + slack + 2 * machine().lanes(problem.dtype)
    tasks = problem.batch * groups * chunks * bands * pieces
    return Launch(kernel, arguments, tasks=tasks, scratch=size * WIDTHS[problem.dtype]).fill


@dataclass(frozen=True)
class FilterTables:
    """The offsets of layers and steps, in elements, in a packed band and in the input."""

    layers: Numbers
    layers_there: Numbers
    steps: Numbers
    steps_there: Numbers


def _tables(shape: Shape, steps: tuple[FilterStep, ...], band: FilterBand) -> FilterTables:
    """Return the offsets of layers and steps."""
    depth = shape.windows[0]
    taps = [(c, a * depth.dilation) for c in range(shape.each) for a in range(depth.size)]
    volume, area = prod(shape.space), prod(shape.space[1:])
    return FilterTables(
        layers=np.array([(c * band.planes + a) * band.plane for c, a in taps], np.int64),
        layers_there=np.array([c * volume + a * area for c, a in taps], np.int64),
        steps=offsets(steps, band, band.length, in_place=False),
        steps_there=offsets(steps, band, shape.space[2], in_place=True),
    )


def _farthest(
    shape: Shape, tables: FilterTables, block: FilterBlock, band: FilterBand, taken: int
) -> int:
    """Return how far after the first element of a band's input blocks may read."""
    farthest = int(tables.layers_there.max() + tables.steps_there[::2].max())
    farthest += (band.deep - 1) * shape.windows[0].stride * prod(shape.space[1:])
    return farthest + _reach(block, band, block.fold or shape.space[2], taken)


def _packing(shape: Shape, band: FilterBand, mode: str) -> Packing:
    """Return the packing of a band, with all planes that it covers."""
    _, row, column = shape.windows
    return shape.packing(
        mode,
        starts=np.arange(band.slots, dtype=np.int64),
        planes=band.planes,
        lines=band.lines,
        length=band.length,
        row_stride=row.stride,
        column_stride=column.stride,
        depth_dilation=Fixed(1),
        phases=band.phases,
        slots=band.slots,
    )


def _sizes(band: FilterBand) -> tuple[int, int, int]:
    """Return the planes, rows and columns of results of a band."""
    return band.deep, band.rows, band.columns


def _reach(block: FilterBlock, band: FilterBand, line: int, taps: int) -> int:
    """Return the most elements after the first of a step that the blocks of a band read."""
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
    estimate=estimate,
    prepare=prepare,
)
