"""Convolution with the channels out in the lanes of vectors: long strides, small maps, frames.

The other way round than `shift_gemm`: inputs are read one by one from where they lie, in x itself
or in a padded copy of the band, whatever the stride and however few they are; the weights of many
channels out are the vectors. A task computes a panel of channels for some positions, in memory of
its own, and turns it over into rows of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, prod

import numpy as np
from torch import Tensor

from convlens.compute.kernels.blocks.lanes import lane_block
from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import (
    LANES,
    WIDTH,
    exchange,
    load,
    put_word,
    spread_positions,
    store_some,
    word,
)
from convlens.compute.kernels.launching import Launch, threads
from convlens.compute.kernels.machine import WIDTHS, machine
from convlens.compute.kernels.rows import packing
from convlens.compute.kernels.rows.packing import pack_band
from convlens.compute.kernels.tasks import place_of
from convlens.compute.kernels.transforms import butterflies
from convlens.compute.methods.reach import refuses_convolution
from convlens.compute.methods.shape import Shape
from convlens.compute.problems import Problem

__all__ = ["COMPILES", "EXACT", "cost", "prepare", "refuses"]

EXACT = True
COMPILES = True
FEWEST = 12
"""Channels out of a group, at least: fewer leave most lanes empty."""
MOST = 512
"""Positions of a task, at most: their inputs stay in the first cache while panels go by."""


def refuses(problem: Problem) -> str | None:
    """Return why this method cannot do the problem, or None.

    >>> from convlens.windows import Window
    >>> refuses(Problem("conv", 1, 1, (4,), 64, (Window(2),), "float32"))
    >>> refuses(Problem("conv", 1, 1, (4,), 2, (Window(2),), "float32"))
    'it wants 12 channels out of a group and more, not 2'
    """
    reason = refuses_convolution(problem)
    out_each = problem.channels_out // problem.groups
    if reason is None and out_each < FEWEST:
        return f"it wants {FEWEST} channels out of a group and more, not {out_each}"
    return reason


def cost(problem: Problem) -> float:
    """Return about how long it takes, in seconds: multiply-adds, and turning the result over.

    >>> from convlens.windows import Window
    >>> of = lambda c: Problem("conv", 1, c, (7, 7), 512, (Window(3),) * 2, "float32")
    >>> 2 < cost(of(64)) / cost(of(16)) < 5
    True
    """
    shape = Shape.of(problem)
    positions, vectors = _block(shape, problem.dtype)
    lanes = machine().lanes(problem.dtype)
    panels = ceil(shape.out_each / (vectors * lanes))
    blocks = problem.batch * problem.groups * panels * ceil(prod(shape.outputs) / positions)
    steps = shape.each * shape.taps
    held = steps * vectors * machine().vector
    each = max(positions * vectors, vectors + positions) * (1.1 if held > machine().level2 else 1)
    turned = blocks * positions * vectors * lanes * 1.5
    return 4e-6 + (blocks * (steps * each + 30) + turned) / 3.0e9 / threads()


def _block(shape: Shape, dtype: str) -> tuple[int, int]:
    """Return the positions and vectors of the block that leaves the fewest lanes empty."""
    here, lanes = machine(), machine().lanes(dtype)
    count = prod(shape.outputs)

    def price(block: tuple[int, int]) -> tuple[float, int]:
        positions, vectors = block
        done = ceil(count / positions) * ceil(shape.out_each / (vectors * lanes))
        loads = vectors + positions
        return done * max(positions * vectors, 1.2 * loads, 8), -positions * vectors

    blocks = [
        (positions, vectors)
        for positions in range(1, 11)
        for vectors in range(1, 5)
        if positions * vectors + vectors + 1 <= here.registers
    ]
    return min(blocks, key=price)


@dataclass(frozen=True)
class _Band:
    """How much a task does, of one depth: `rows` rows of `columns` positions."""

    rows: int
    columns: int
    planes: int
    lines: int
    length: int


def _band(shape: Shape, dtype: str, tasks_elsewhere: int) -> _Band:
    """Choose the positions of a task: so many that weights are worth loading, that all have one."""
    depth, row, column = shape.windows
    high, wide = shape.outputs[1:]
    columns = min(wide, MOST)
    rows = max(1, min(high, MOST // columns))
    while (
        rows * columns > 64
        and tasks_elsewhere * ceil(high / rows) * ceil(wide / columns) < 3 * threads()
    ):
        if rows > 1:
            rows = ceil(rows / 2)
        else:
            columns = ceil(columns / 2)
    return _Band(
        rows,
        columns,
        depth.extent,
        (rows - 1) * row.stride + row.extent,
        (columns - 1) * column.stride + column.extent,
    )


def _drive(
    task: int, scratch: int, x: int, y: int, w: int, bias: int, offsets: int, offsets_there: int,
    depth_table: int, row_table: int, column_ends: int, starts: int, groups: int, each: int,
    out_each: int, steps: int, panels: int, shares: int, bands: int, pieces: int, rows: int,
    columns: int, planes: int, lines: int, length: int, packed: int, results: int,
    depth_stride: int, depth_first: int, depth_last: int, row_stride: int,
    row_first: int, row_last: int, column_stride: int, first: int, last: int, depth_end: int,
    row_end: int, column_end: int, space_d: int, space_h: int, space_w: int, out_d: int,
    out_h: int, out_w: int,
) -> None:  # fmt: skip
    """Do some positions of one image and group for a share of the panels."""
    share, piece, band, d, group, n = place_of(task, shares, pieces, bands, out_d, groups)
    top, left = band * rows, piece * columns
    high, wide = min(rows, out_h - top), min(columns, out_w - left)
    count = high * wide
    image = x + (n * groups + group) * each * space_d * space_h * space_w * WIDTH
    at, line, table = scratch, length, offsets
    seen = d * depth_stride >= depth_first and top * row_stride >= row_first
    seen = seen and left * column_stride >= first
    seen = seen and d * depth_stride + planes <= depth_last
    seen = seen and (top + high - 1) * row_stride + lines - (rows - 1) * row_stride <= row_last
    reach = length - (columns - 1) * column_stride
    if seen and (left + wide - 1) * column_stride + reach <= last:
        begin = (d * depth_stride - depth_first) * space_h + top * row_stride - row_first
        at = image + (begin * space_w + left * column_stride - first) * WIDTH
        line, table = space_w, offsets_there
    else:
        pack_band(
            image, scratch, d * depth_stride, top * row_stride, left * column_stride, each,
            depth_table, row_table, column_ends, starts, planes, 1, depth_end, 1, 1, row_end,
            first, last, column_end, 1, 1, lines, length, space_d, space_h, space_w,
        )  # fmt: skip
    places = scratch + packed * WIDTH
    block = scratch + results * WIDTH
    q = 0
    for row in range(high):
        for column in range(wide):
            put_word(places, q, row * row_stride * line + column * column_stride)
            q += 1
    for more in range(POSITIONS):  # the last block goes on with the last position
        put_word(places, q + more, word(places, q - 1))
    wide_panel = VECTORS * LANES
    for panel in range(panels * share // shares, panels * (share + 1) // shares):
        weights = w + (group * panels + panel) * steps * wide_panel * WIDTH
        start = bias + (group * panels + panel) * wide_panel * WIDTH
        q = 0
        while q < count:
            spread_positions(
                at, places + q * 8, table, steps, weights, start, block + q * wide_panel * WIDTH
            )
            q += POSITIONS
        kept = min(wide_panel, out_each - panel * wide_panel)
        result = (
            y
            + ((n * groups + group) * out_each + panel * wide_panel) * out_d * out_h * out_w * WIDTH
        )
        result += ((d * out_h + top) * out_w + left) * WIDTH
        for q in range(0, count, LANES):
            for v in range(VECTORS):
                corner = block + (q * VECTORS + v) * LANES * WIDTH
                exchange(corner, wide_panel)
                for k in range(min(LANES, kept - v * LANES)):
                    store_some(
                        result + ((v * LANES + k) * out_d * out_h * out_w + q) * WIDTH, 0,
                        load(corner, k * wide_panel), count - q,
                    )  # fmt: skip


POSITIONS, VECTORS = 0, 0
"""Stand-ins, as `spread_positions` is: each kernel has its own."""


def prepare(
    problem: Problem, weight: Tensor | None, bias: Tensor | None
) -> Callable[[Tensor, Tensor], None]:
    """Return `run(x, y)`, which fills y (n, k, *outputs) from x (n, c, *space)."""
    if weight is None:
        raise ValueError("`weight` is missing; a convolution needs one")
    shape, groups = Shape.of(problem), problem.groups
    positions, vectors = _block(shape, problem.dtype)
    lanes, width = machine().lanes(problem.dtype), WIDTHS[problem.dtype]
    wide = vectors * lanes
    panels, steps = ceil(shape.out_each / wide), shape.each * shape.taps
    band = _band(shape, problem.dtype, problem.batch * groups * shape.outputs[0])
    bands, pieces = ceil(shape.outputs[1] / band.rows), ceil(shape.outputs[2] / band.columns)
    tasks = problem.batch * groups * shape.outputs[0] * bands * pieces
    shares = min(panels, max(1, ceil(4 * threads() / max(tasks, 1))))
    arranged = weight.new_zeros(groups, steps, panels * wide)
    arranged[..., : shape.out_each] = weight.reshape(groups, shape.out_each, steps).transpose(1, 2)
    arranged = arranged.reshape(groups, steps, panels, wide).transpose(1, 2).contiguous()
    starting = weight.new_zeros(groups, panels * wide)
    if bias is not None:
        starting[:, : shape.out_each] = bias.reshape(groups, shape.out_each)
    count = band.rows * band.columns
    rounded = ceil(count / positions) * positions
    turned = ceil(rounded / lanes) * lanes + lanes
    packed = ceil((shape.each * band.planes * band.lines * band.length + 2 * lanes) / lanes) * lanes
    places = ceil((count + positions + 1) * 8 / width / lanes) * lanes
    launch = Launch(
        Kernel(
            name="channel_lanes",
            dtype=problem.dtype,
            drive=_drive,
            uses=(*packing.PACK_BAND, place_of),
            blocks=lane_block(positions, vectors) + butterflies.exchange(lanes),
            constants=(("POSITIONS", positions), ("VECTORS", vectors)),
        ),
        tasks=tasks * shares,
        scratch=(packed + places + turned * wide) * width,
        fixed={
            "w": arranged,
            "bias": starting,
            "offsets": _offsets(shape, band.planes, band.lines, band.length),
            "offsets_there": _offsets(shape, *shape.space),
            "starts": np.zeros(1, np.int64),
            "groups": groups,
            "steps": steps,
            "panels": panels,
            "shares": shares,
            "bands": bands,
            "pieces": pieces,
            "rows": band.rows,
            "columns": band.columns,
            "planes": band.planes,
            "lines": band.lines,
            "length": band.length,
            "packed": packed,
            "results": packed + places,
            **shape.arguments(problem.padding_mode),
            **shape.inside(),
        },
    )

    def run(x: Tensor, y: Tensor) -> None:
        if tasks:
            launch(x.data_ptr(), y.data_ptr())

    return run


def _offsets(
    shape: Shape, planes: int, lines: int, length: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return for every step where its input lies in planes of lines of so many elements."""
    channels = np.arange(shape.each)
    a, b, e = (np.arange(window.size) * window.dilation for window in shape.windows)
    grid = ((channels[:, None] * planes + a)[..., None] * lines + b)[..., None] * length + e
    return grid.reshape(-1).astype(np.int64)
