"""Pool by small windows, reading the input in place: no rows are copied, no memory is needed.

A task computes some rows of one image, block by block with `pool_rows`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from math import ceil

from convlens.compute.kernels.blocks.pools import PoolTaps, pool_blocks, pool_rows
from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import WIDTH, word
from convlens.compute.kernels.launching import Launch, threads
from convlens.compute.kernels.machine import machine
from convlens.compute.kernels.records import Fixed, Pointer
from convlens.compute.kernels.rows.pooling import PoolCounts, mean
from convlens.compute.kernels.shapes import Axes, PoolShape
from convlens.compute.kernels.speed import Estimate, speed
from convlens.compute.kernels.tasks import band_rows
from convlens.compute.methods.method import Fill, PoolMethod
from convlens.compute.methods.pooling import method as pooling
from convlens.compute.methods.pooling.layout import PoolLayout
from convlens.compute.problems import DTYPES, Pool

__all__ = ["METHOD", "estimate", "prepare", "refuses"]


LARGEST, FARTHEST = 4, 4
"""The most rows and columns of a window, and the largest row stride; `pooling` takes the others."""

WIDEST, TALLEST = 4, 8
"""The most vectors and rows of a block."""

STALLS = 1.25
"""The cycles that pass for one of a block, which sometimes waits."""


def refuses(problem: Pool) -> str | None:
    """Return why this method cannot compute the problem, or None.

    >>> from convlens.compute.problems import MaxPool
    >>> from convlens.windows import Window
    >>> of = lambda *window: MaxPool(space=(9, 9), windows=(Window(*window),) * 2, dtype="int32")
    >>> refuses(of(3, 2))
    >>> refuses(of(5, 2))
    'it computes windows of up to 4 rows and columns'
    """
    reason = pooling.refuses(problem)
    if reason is not None:
        return reason
    row, column = PoolLayout.of(problem).windows[1:]
    if max(row.size, column.size) > LARGEST:
        return f"it computes windows of up to {LARGEST} rows and columns"
    if row.stride > FARTHEST or column.stride > 2:
        return f"it computes strides of up to {FARTHEST} rows and 2 columns"
    if max(row.dilation, column.dilation) > 1:
        return "it computes no dilation of rows and columns"
    if machine().vector < 32:
        return "it needs vectors with masks, of more than 16 bytes"
    return None


def estimate(problem: Pool) -> Estimate:
    """Return about what it takes: steps, loads, and memory.

    >>> from convlens.compute.problems import MaxPool
    >>> from convlens.windows import Window
    >>> of = lambda c: MaxPool(
    ...     channels=c, space=(56, 56), windows=(Window(3, 2),) * 2, dtype="float32"
    ... )
    >>> 2 < estimate(of(256)).cycles / estimate(of(64)).cycles < 5
    True
    """
    layout = PoolLayout.of(problem)
    computed = layout.images * layout.outputs[0] * block_of(layout, speed().load).cycles
    return Estimate(cycles=computed / threads(), bytes=layout.moved, seconds=3e-6)


@dataclass(frozen=True)
class PoolBlock:
    """A block of `rows` x `vectors`, the last of a row `rest`; `cycles` are for one plane."""

    rows: int
    vectors: int
    rest: int
    cycles: float


@functools.lru_cache(512)
def block_of(layout: PoolLayout, load: float) -> PoolBlock:
    """Return the block that takes the least time, by its steps and loads.

    `load` is that of `Speed`.
    """
    high, wide = layout.outputs[1:]
    found = []
    for vectors in range(1, min(WIDEST, max(1, ceil(wide / layout.lanes))) + 1):
        rest = ceil(((wide - 1) % (vectors * layout.lanes) + 1) / layout.lanes)
        for rows in range(1, min(TALLEST, max(1, high)) + 1):
            if rows * vectors + 6 > machine().registers and rows * vectors > 1:
                continue
            whole, last = (_cycles(layout, rows, width, load) for width in (vectors, rest))
            cycles = ceil(high / rows) * ((wide - 1) // (vectors * layout.lanes) * whole + last)
            found.append((cycles, rows, vectors, rest))
    cycles, rows, vectors, rest = min(found)
    return PoolBlock(rows, vectors, rest, cycles * STALLS)


def _cycles(layout: PoolLayout, rows: int, vectors: int, load: float) -> float:
    """Return the cycles of a block: a maximum takes some steps, and a mean ends in a division."""
    depth, row, column = layout.windows
    step = 0.5 if layout.sums else 1.5
    lines = (rows - 1) * min(row.stride, row.size) + row.size
    loads = (load - 0.2) * column.size + (column.size if column.stride == 2 else 0)
    each = lines * (loads + column.size * step) + rows * row.size * step
    done = rows * vectors * (12 if layout.sums else 2)
    return 20 + 6 * column.size * vectors + depth.size * (each * vectors + 2 * lines) + done


@dataclass(frozen=True, kw_only=True)
class SmallPool:
    """The arguments of `drive`.

    The result is divided into `bands` of `rows` rows, of which a block computes `ROWS`. `before` is
    the padding.
    """

    ROWS: Fixed
    bands: int
    rows: int
    depth_stride: int
    row_stride: int
    before: Axes
    taps: PoolTaps
    counts: PoolCounts
    shape: PoolShape


def drive(task: int, scratch: int, x: int, y: int, a: SmallPool) -> None:
    """Compute one band of one plane of an image."""
    space, out, counts = a.shape.space, a.shape.out, a.counts
    band, plane = task % a.bands, task // a.bands
    d, image = plane % out.d, x + plane // out.d * space.d * space.h * space.w * WIDTH
    result = y + plane * out.h * out.w * WIDTH
    end = min(out.h, (band + 1) * a.rows)
    for row in range(band * a.rows, end, a.ROWS):
        pool_rows(
            image,
            result + row * out.w * WIDTH,
            d * a.depth_stride - a.before.d,
            row * a.row_stride - a.before.h,
            -a.before.w,
            end - row,
            out.w,
            counts.w,
            counts.h + row * 8,
            word(counts.d, d),
            a.taps,
            a.shape,
        )


def prepare(problem: Pool) -> Fill:
    """Return `run(x, y)`, which fills y (n, c, *outputs) from x (n, c, *space)."""
    layout = PoolLayout.of(problem)
    depth, row, column = layout.windows
    block = block_of(layout, speed().load)
    planes = layout.images * layout.outputs[0]
    band = band_rows(planes, layout.outputs[1], block.rows, threads())
    bands = ceil(layout.outputs[1] / band)
    identity = pooling.identity_of(layout, DTYPES[problem.dtype])
    arguments = SmallPool(
        ROWS=Fixed(block.rows),
        bands=bands,
        rows=band,
        depth_stride=depth.stride,
        row_stride=row.stride,
        before=Axes.of(window.before for window in layout.windows),
        taps=PoolTaps(
            identity=Pointer(identity),
            outside=Pointer(identity.expand(layout.space[2]).contiguous()),
            depth=depth.size,
            depth_dilation=depth.dilation,
        ),
        counts=pooling.counts_of(layout, problem),
        shape=layout.record(),
    )
    size, stride = (row.size, column.size), (row.stride, column.stride)
    blocks = f"combine = {'add' if layout.sums else 'maximum'}\n"
    blocks += pool_blocks(block.rows, block.vectors, block.rest, size, stride, layout.sums)
    kernel = Kernel.of(
        "small_pooling", problem.dtype, drive, arguments, uses=(mean,), blocks=blocks
    )
    return Launch(kernel, arguments, tasks=planes * bands).fill


METHOD = PoolMethod(
    name="small_pooling",
    solves=Pool,
    exact=True,
    repeats=True,
    compiles=True,
    skips=False,
    refuses=refuses,
    estimate=estimate,
    prepare=prepare,
)
