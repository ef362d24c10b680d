"""Pooling by small windows, the input read where it lies: no rows of its own, no memory taken.

A task does some rows of one image, every block of rows by `kernels.pool_blocks`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from math import ceil, prod

import torch
from torch import Tensor

from convlens.compute.kernels.blocks.pools import pool_blocks
from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import WIDTH, pool_rows, word
from convlens.compute.kernels.launching import Launch, threads
from convlens.compute.kernels.machine import machine
from convlens.compute.kernels.rows.pooling import mean
from convlens.compute.kernels.tasks import band_rows
from convlens.compute.methods.method import Fill, PoolMethod
from convlens.compute.methods.pooling import method as pooling
from convlens.compute.methods.pooling.layout import Layout
from convlens.compute.problems import DTYPES, Pool

__all__ = ["METHOD", "cost", "prepare", "refuses"]


LARGEST, FARTHEST = 4, 4
"""Windows of more rows or columns, and rows further apart, are for `pooling`."""

WIDEST, TALLEST = 4, 8
"""Blocks are of at most so many vectors and rows."""

CLOCK = 2.4e9
"""Cycles in a second, some lost to what blocks wait for."""


def refuses(problem: Pool) -> str | None:
    """Return why this method cannot do the problem, or None.

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
    row, column = Layout.of(problem).windows[1:]
    if max(row.size, column.size) > LARGEST:
        return f"it computes windows of up to {LARGEST} rows and columns"
    if row.stride > FARTHEST or column.stride > 2:
        return f"it computes strides of up to {FARTHEST} rows and 2 columns"
    if max(row.dilation, column.dilation) > 1:
        return "it computes no dilation of rows and columns"
    if machine().vector < 32:
        return "vectors of 16 bytes have no masks here"
    return None


def cost(problem: Pool) -> float:
    """Return about how long it takes, in seconds: what is combined, loads, and memory.

    >>> from convlens.compute.problems import MaxPool
    >>> from convlens.windows import Window
    >>> of = lambda c: MaxPool(
    ...     channels=c, space=(56, 56), windows=(Window(3, 2),) * 2, dtype="float32"
    ... )
    >>> 2 < cost(of(256)) / cost(of(64)) < 5
    True
    """
    layout = Layout.of(problem)
    moved = layout.images * (prod(layout.space) + prod(layout.outputs)) * layout.width
    computed = layout.images * layout.outputs[0] * block_of(layout).seconds
    return 3e-6 + max(moved * 3e-11, computed / threads())


@dataclass(frozen=True)
class Block:
    """A block of `rows` x `vectors`, the last of a row `rest`; `seconds` for one plane out."""

    rows: int
    vectors: int
    rest: int
    seconds: float


@functools.lru_cache(512)
def block_of(layout: Layout) -> Block:
    """Return the block that takes the least time, by the steps and loads it is made of."""
    high, wide = layout.outputs[1:]
    found = []
    for vectors in range(1, min(WIDEST, max(1, ceil(wide / layout.lanes))) + 1):
        rest = ceil(((wide - 1) % (vectors * layout.lanes) + 1) / layout.lanes)
        for rows in range(1, min(TALLEST, max(1, high)) + 1):
            if rows * vectors + 6 > machine().registers and rows * vectors > 1:
                continue
            whole, last = (_cycles(layout, rows, width) for width in (vectors, rest))
            cycles = ceil(high / rows) * ((wide - 1) // (vectors * layout.lanes) * whole + last)
            found.append((cycles, rows, vectors, rest))
    cycles, rows, vectors, rest = min(found)
    return Block(rows, vectors, rest, cycles / CLOCK)


def _cycles(layout: Layout, rows: int, vectors: int) -> float:
    """Return the cycles of a block: a maximum is some steps, a mean ends in a division."""
    depth, row, column = layout.windows
    step = 0.5 if layout.sums else 1.5
    lines = (rows - 1) * min(row.stride, row.size) + row.size
    loads = 1.5 * column.size + (column.size if column.stride == 2 else 0)
    each = lines * (loads + column.size * step) + rows * row.size * step
    done = rows * vectors * (12 if layout.sums else 2)
    return 20 + 6 * column.size * vectors + depth.size * (each * vectors + 2 * lines) + done


def _drive(
    task: int, scratch: int, x: int, y: int, identity: int, outside: int, depth_counts: int,
    row_counts: int, counts: int, bands: int, rows: int, depth: int, depth_stride: int,
    depth_before: int, depth_dilation: int, row_stride: int, row_before: int, column_before: int,
    space_d: int, space_h: int, space_w: int, out_d: int, out_h: int, out_w: int,
) -> None:  # fmt: skip
    """Do one band of one plane of an image."""
    band, plane = task % bands, task // bands
    d, image = plane % out_d, x + plane // out_d * space_d * space_h * space_w * WIDTH
    result = y + plane * out_h * out_w * WIDTH
    end = min(out_h, (band + 1) * rows)
    for row in range(band * rows, end, ROWS):
        pool_rows(
            image, outside, identity, depth, d * depth_stride - depth_before, depth_dilation,
            space_d, row * row_stride - row_before, space_h, space_w, -column_before,
            result + row * out_w * WIDTH, out_w, end - row, out_w, counts, row_counts + row * 8,
            word(depth_counts, d),
        )  # fmt: skip


ROWS = 1
"""Stands for the rows of a block: each kernel has its own."""


def prepare(problem: Pool) -> Fill:
    """Return `run(x, y)`, which fills y (n, c, *outputs) from x (n, c, *space)."""
    layout, dtype = Layout.of(problem), DTYPES[problem.dtype]
    depth, row, column = layout.windows
    block = block_of(layout)
    planes = layout.images * layout.outputs[0]
    band = band_rows(planes, layout.outputs[1], block.rows, threads())
    identity = pooling.identity(layout, dtype)
    counts = pooling.counts(layout, problem)
    kernel = Kernel(
        name="small_pooling",
        dtype=problem.dtype,
        drive=_drive,
        uses=(mean,),
        blocks=f"combine = {'add' if layout.sums else 'maximum'}\n"
        + pool_blocks(
            block.rows,
            block.vectors,
            block.rest,
            (row.size, column.size),
            (row.stride, column.stride),
            layout.sums,
        ),
        constants=(("ROWS", block.rows),),
    )
    launch = Launch(
        kernel,
        tasks=planes * ceil(layout.outputs[1] / band),
        scratch=0,
        fixed={
            "identity": identity,
            "outside": identity.expand(layout.space[2]).contiguous(),
            "depth_counts": counts[0],
            "row_counts": counts[1],
            "counts": torch.from_numpy(counts[2]).to(dtype),
            "bands": ceil(layout.outputs[1] / band),
            "rows": band,
            "depth": depth.size,
            "depth_stride": depth.stride,
            "depth_before": depth.before,
            "depth_dilation": depth.dilation,
            "row_stride": row.stride,
            "row_before": row.before,
            "column_before": column.before,
            **{f"space_{a}": n for a, n in zip("dhw", layout.space, strict=True)},
            **{f"out_{a}": n for a, n in zip("dhw", layout.outputs, strict=True)},
        },
    )

    def run(x: Tensor, y: Tensor) -> None:
        if launch.tasks:
            launch(x.data_ptr(), y.data_ptr())

    return run


METHOD = PoolMethod(
    name="small_pooling",
    solves=Pool,
    exact=True,
    repeats=True,
    compiles=True,
    skips=False,
    refuses=refuses,
    cost=cost,
    prepare=prepare,
)
