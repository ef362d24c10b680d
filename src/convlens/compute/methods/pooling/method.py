"""Pool by rows: combine the rows of windows first, then their columns, many windows at once.

For each output row of a band, a task combines the input rows of its windows, read in place, into a
row of its own, whose ends hold the padding. From these rows it draws the results. Windows that are
large compared with their stride are *halved* first: once every element has been combined with the
one half a window further on, all windows are half as large. To halve a sum of an odd number of
taps, the last tap is first set aside.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import LANES, WIDTH, word
from convlens.compute.kernels.launching import Launch, threads
from convlens.compute.kernels.records import Fixed, Pointer
from convlens.compute.kernels.rows.pooling import (
    PoolCounts,
    PoolDraw,
    combine_rows,
    draw,
    fill,
    halve,
    pick,
)
from convlens.compute.kernels.shapes import PoolShape
from convlens.compute.kernels.speed import Estimate
from convlens.compute.methods.method import Fill, PoolMethod
from convlens.compute.methods.pooling.layout import DRAWN, LARGEST, PoolBand, PoolLayout, steps_of
from convlens.compute.methods.reach import refuses_arrays
from convlens.compute.methods.spans import places, spans
from convlens.compute.problems import DTYPES, AvgPool, Pool

__all__ = ["METHOD", "estimate", "prepare", "refuses"]


def refuses(problem: Pool) -> str | None:
    """Return why this method cannot compute the problem, or None.

    >>> from convlens.compute.problems import MaxPool
    >>> from convlens.windows import Window
    >>> refuses(MaxPool(space=(4,), windows=(Window(2),), dtype="int32"))
    >>> refuses(AvgPool(space=(4,), windows=(Window(2),), dtype="int32"))
    'an average of integers may be a fraction'
    """
    if problem.return_indices:
        return "it returns the maxima, not their places"
    reason = refuses_arrays(problem)
    if reason is not None:
        return reason
    if isinstance(problem, AvgPool) and "int" in problem.dtype:
        return "an average of integers may be a fraction"
    layout = PoolLayout.of(problem)
    if layout.bytes(PoolBand(1, 1, 1)) > LARGEST:
        return f"the rows of a window take more than {LARGEST} bytes"
    return None


def estimate(problem: Pool) -> Estimate:
    """Return about what it takes: what is moved, and what is combined.

    >>> from convlens.compute.problems import MaxPool
    >>> from convlens.windows import Window
    >>> of = lambda c: MaxPool(
    ...     channels=c, space=(56, 56), windows=(Window(3, 2),) * 2, dtype="float32"
    ... )
    >>> 2 < estimate(of(256)).cycles / estimate(of(64)).cycles < 5
    True
    """
    layout = PoolLayout.of(problem)
    band = layout.band(threads())
    vectors = layout.images * prod(layout.outputs) * layout.work(band) / layout.lanes
    lines = layout.images * prod(layout.outputs) / band.columns
    cycles = (1.8 * vectors + 60 * lines) / threads()
    return Estimate(cycles=cycles, bytes=layout.moved, seconds=3e-6)


@dataclass(frozen=True, kw_only=True)
class PoolRows:
    """The arguments of `drive`.

    A task computes `planes` planes of the results, and of each `rows` rows of `columns`; these come
    in `bands` and `pieces`. In its scratch memory a plane has `lines` lines, `pitch` elements
    apart, and rows of the result are `row_step` lines apart. `depth_table` and `row_table` are
    `places`, and `steps` are `steps_of`. Windows extend over `extent` columns, starting `before`
    the first. Up to element `in_place` of the input, windows may be read there; 0 means never.
    """

    identity: Pointer
    depth_table: Pointer
    row_table: Pointer
    steps: Pointer
    step_count: int
    every_plane: int
    bands: int
    pieces: int
    planes: int
    rows: int
    columns: int
    lines: int
    pitch: int
    row_step: int
    extent: int
    before: int
    depth_dilation: int
    row_dilation: int
    in_place: int
    draws: PoolDraw
    counts: PoolCounts
    shape: PoolShape


def drive(task: int, scratch: int, x: int, y: int, a: PoolRows) -> None:
    """Compute one band of the output rows of some planes."""
    space, out, draws = a.shape.space, a.shape.out, a.draws
    left = task % a.pieces * a.columns
    rest = task // a.pieces
    top = rest % a.bands * a.rows
    first = rest // a.bands * a.planes
    planes = min(a.planes, a.every_plane - first)
    kept = a.lines - max(0, top + a.rows - out.h) * a.row_step
    rows, columns = min(a.rows, out.h - top), min(a.columns, out.w - left)
    # The range of inputs under the columns, and the number of places before and after them.
    start = left * draws.stride - a.before
    length = (columns - 1) * draws.stride + a.extent
    begin = min(max(start, 0), space.w)
    count = max(0, min(start + length, space.w) - begin)
    empty = begin - start if count > 0 else length
    whole = (columns + LANES - 1) // LANES * LANES * draws.stride + a.extent + 4 * LANES
    for p in range(planes):
        image, d = (first + p) // out.d, (first + p) % out.d
        plane = image * space.d + word(a.depth_table, 2 * d)
        for line in range(kept):
            at = top * a.row_step + line
            to = scratch + (p * a.lines + line) * a.pitch * WIDTH
            source = (plane * space.h + word(a.row_table, 2 * at)) * space.w + begin
            if a.in_place != 0 and count == length and source + whole <= a.in_place:
                continue
            fill(to, a.identity, empty)
            combine_rows(
                to + empty * WIDTH, x + source * WIDTH, word(a.depth_table, 2 * d + 1),
                a.depth_dilation * space.h * space.w, word(a.row_table, 2 * at + 1),
                a.row_dilation * space.w, count, a.identity,
            )  # fmt: skip
            fill(to + (empty + count) * WIDTH, a.identity, length - empty - count)
    for step in range(a.step_count):
        for p in range(planes):
            some = scratch + p * a.lines * a.pitch * WIDTH
            halve(
                some + word(a.steps, 4 * step) * WIDTH, some + word(a.steps, 4 * step + 1) * WIDTH,
                word(a.steps, 4 * step + 2), word(a.steps, 4 * step + 3),
            )  # fmt: skip
    for p in range(planes):
        for h in range(rows):
            row = scratch + (p * a.lines + h * a.row_step) * a.pitch * WIDTH
            source = ((first + p) * space.h + top + h) * space.w + begin
            if a.in_place != 0 and count == length and source + whole <= a.in_place:
                row = x + source * WIDTH
            result = y + (((first + p) * out.h + top + h) * out.w + left) * WIDTH
            counts, times = a.counts.w + left * WIDTH, 1
            if draws.MEAN != 0:
                times = word(a.counts.d, (first + p) % out.d) * word(a.counts.h, top + h)
            if draws.STRIDE != 0:
                draw(result, row, columns, counts, times, draws)
            else:
                pick(result, row, columns, counts, times, draws)


def identity_of(layout: PoolLayout, dtype: torch.dtype) -> Tensor:
    """Return the one element that changes nothing when combined."""
    if layout.sums:
        return torch.zeros(1, dtype=dtype)
    lowest = -torch.inf if dtype.is_floating_point else torch.iinfo(dtype).min
    return torch.full((1,), lowest, dtype=dtype)


def counts_of(layout: PoolLayout, problem: Pool) -> PoolCounts:
    """Return the elements that a mean counts along every axis, for all outputs; at least 1."""
    found = [np.ones(n, np.int64) for n in layout.outputs]
    if isinstance(problem, AvgPool):
        along = zip(layout.windows, layout.space, strict=True)
        found = [np.maximum(1, spans(w, n, problem.count_include_pad)[:, 1]) for w, n in along]
    d, h, w = found
    columns = torch.from_numpy(w).to(DTYPES[problem.dtype])
    return PoolCounts(d=Pointer(d), h=Pointer(h), w=Pointer(columns))


def _tables(layout: PoolLayout) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the first input and the count of inputs for every plane and every line of a band."""
    depth, row, _ = layout.windows
    planes = places(depth, layout.space[0])
    if not layout.halves_rows:
        return planes, places(row, layout.space[1])
    positions = np.arange(layout.lines(layout.outputs[1])) - row.before
    inside = (positions >= 0) & (positions < layout.space[1])
    return planes, np.stack([np.where(inside, positions, 0), inside], axis=1).astype(np.int64)


def _draws(layout: PoolLayout) -> PoolDraw:
    """Return how windows are read; they have one tap if their columns are halved before."""
    column, stride = layout.windows[2], layout.stride
    size = 1 if layout.halves_columns else column.size
    return PoolDraw(
        MEAN=Fixed(layout.sums),
        SIZE=Fixed(size if size <= 4 else 0),
        STRIDE=Fixed(stride if stride in DRAWN else 0),
        size=size,
        stride=stride,
        dilation=column.dilation,
    )


def prepare(problem: Pool) -> Fill:
    """Return `run(x, y)`, which fills y (n, c, *outputs) from x (n, c, *space)."""
    layout = PoolLayout.of(problem)
    band = layout.band(threads())
    depth, row, column = layout.windows
    depth_table, row_table = _tables(layout)
    steps = steps_of(layout, band)
    arguments = PoolRows(
        identity=Pointer(identity_of(layout, DTYPES[problem.dtype])),
        depth_table=Pointer(depth_table),
        row_table=Pointer(row_table),
        steps=Pointer(steps),
        step_count=len(steps),
        every_plane=layout.images * layout.outputs[0],
        bands=ceil(layout.outputs[1] / band.rows),
        pieces=ceil(layout.outputs[2] / band.columns),
        planes=band.planes,
        rows=band.rows,
        columns=band.columns,
        lines=layout.lines(band.rows),
        pitch=layout.pitch(band.columns),
        row_step=layout.row_step,
        extent=column.extent,
        before=column.before,
        depth_dilation=depth.dilation,
        row_dilation=1 if layout.halves_rows else row.dilation,
        in_place=layout.in_place * layout.images * prod(layout.space),
        draws=_draws(layout),
        counts=counts_of(layout, problem),
        shape=layout.record(),
    )
    blocks = f"combine = {'add' if layout.sums else 'maximum'}"
    kernel = Kernel.of("pooling", problem.dtype, drive, arguments, blocks=blocks)
    return Launch(kernel, arguments, tasks=layout.tasks(band), scratch=layout.bytes(band)).fill


METHOD = PoolMethod(
    name="pooling",
    solves=Pool,
    exact=True,
    repeats=True,
    compiles=True,
    skips=False,
    refuses=refuses,
    estimate=estimate,
    prepare=prepare,
)
