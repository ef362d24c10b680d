"""Pooling by rows: the rows of a window combined first, then its columns, many windows at once.

A task combines for a band of output rows the rows of the input under each, straight from where they
lie, into rows of its own whose ends hold what stands in the padding; then it draws the results out
of these. Where windows are large beside their stride, they are *halved* first: once every element
has been combined with the one half a window further on, all windows are half as large. A sum of an
odd number of taps sets the last aside before.
"""

from __future__ import annotations

from math import ceil, prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import LANES, WIDTH, word
from convlens.compute.kernels.launching import Launch, threads
from convlens.compute.kernels.machine import WIDTHS
from convlens.compute.kernels.rows.pooling import (
    combine_rows,
    draw,
    every,
    fill,
    halve,
    mean,
    pick,
    window_at,
)
from convlens.compute.methods.method import Fill, PoolMethod
from convlens.compute.methods.pooling.layout import DRAWN, LARGEST, Band, Layout, steps_of
from convlens.compute.methods.reach import refuses_arrays
from convlens.compute.methods.spans import places, spans
from convlens.compute.problems import DTYPES, AvgPool, Pool

__all__ = ["METHOD", "cost", "prepare", "refuses"]


def refuses(problem: Pool) -> str | None:
    """Return why this method cannot do the problem, or None.

    >>> from convlens.compute.problems import MaxPool
    >>> from convlens.windows import Window
    >>> refuses(MaxPool(space=(4,), windows=(Window(2),), dtype="int32"))
    >>> refuses(AvgPool(space=(4,), windows=(Window(2),), dtype="int32"))
    'an average of integers is no integer'
    """
    if problem.return_indices:
        return "it keeps the largest, not where they lie"
    reason = refuses_arrays(problem)
    if reason is not None:
        return reason
    if isinstance(problem, AvgPool) and "int" in problem.dtype:
        return "an average of integers is no integer"
    layout = Layout.of(problem)
    if layout.bytes(Band(1, 1, 1)) > LARGEST:
        return f"the rows under a window take more than {LARGEST} bytes"
    return None


def cost(problem: Pool) -> float:
    """Return about how long it takes, in seconds: what is moved, and what is combined.

    >>> from convlens.compute.problems import MaxPool
    >>> from convlens.windows import Window
    >>> of = lambda c: MaxPool(
    ...     channels=c, space=(56, 56), windows=(Window(3, 2),) * 2, dtype="float32"
    ... )
    >>> 2 < cost(of(256)) / cost(of(64)) < 5
    True
    """
    layout = Layout.of(problem)
    band = layout.band(threads())
    images = problem.batch * problem.channels
    moved = images * (prod(layout.space) + prod(layout.outputs)) * WIDTHS[problem.dtype]
    vectors = images * prod(layout.outputs) * layout.work(band) / layout.lanes
    lines = images * prod(layout.outputs) / band.columns
    return 3e-6 + max(moved * 3e-11, (vectors * 6e-10 + lines * 2e-8) / threads())


def _drive(
    task: int, scratch: int, x: int, y: int, identity: int, depth_table: int, row_table: int,
    depth_counts: int, row_counts: int, column_counts: int, steps: int, step_count: int,
    every_plane: int, bands: int, pieces: int, planes: int, rows: int, columns: int, lines: int,
    pitch: int, row_step: int, size: int, extent: int, stride: int, dilation: int, before: int,
    depth_dilation: int, row_dilation: int, in_place: int, space_d: int, space_h: int,
    space_w: int, out_d: int, out_h: int, out_w: int,
) -> None:  # fmt: skip
    """Do one band of the output rows of some planes."""
    left = task % pieces * columns
    rest = task // pieces
    top = rest % bands * rows
    first = rest // bands * planes
    planes = min(planes, every_plane - first)
    kept = lines - max(0, top + rows - out_h) * row_step
    rows, columns = min(rows, out_h - top), min(columns, out_w - left)
    # Which of the inputs stand under the columns, and how many places before and behind them.
    start = left * stride - before
    length = (columns - 1) * stride + extent
    begin = min(max(start, 0), space_w)
    count = max(0, min(start + length, space_w) - begin)
    empty = begin - start if count > 0 else length
    whole = (columns + LANES - 1) // LANES * LANES * stride + extent + 4 * LANES
    for p in range(planes):
        image, d = (first + p) // out_d, (first + p) % out_d
        plane = image * space_d + word(depth_table, 2 * d)
        for line in range(kept):
            at = top * row_step + line
            to = scratch + (p * lines + line) * pitch * WIDTH
            source = (plane * space_h + word(row_table, 2 * at)) * space_w + begin
            if in_place != 0 and count == length and source + whole <= in_place:
                continue
            fill(to, identity, empty)
            combine_rows(
                to + empty * WIDTH, x + source * WIDTH, word(depth_table, 2 * d + 1),
                depth_dilation * space_h * space_w, word(row_table, 2 * at + 1),
                row_dilation * space_w, count, identity,
            )  # fmt: skip
            fill(to + (empty + count) * WIDTH, identity, length - empty - count)
    for step in range(step_count):
        for p in range(planes):
            some = scratch + p * lines * pitch * WIDTH
            halve(
                some + word(steps, 4 * step) * WIDTH, some + word(steps, 4 * step + 1) * WIDTH,
                word(steps, 4 * step + 2), word(steps, 4 * step + 3),
            )  # fmt: skip
    for p in range(planes):
        for h in range(rows):
            row = scratch + (p * lines + h * row_step) * pitch * WIDTH
            source = ((first + p) * space_h + top + h) * space_w + begin
            if in_place != 0 and count == length and source + whole <= in_place:
                row = x + source * WIDTH
            result = y + (((first + p) * out_h + top + h) * out_w + left) * WIDTH
            counts, times = column_counts + left * WIDTH, 1
            if MEAN != 0:
                times = word(depth_counts, (first + p) % out_d) * word(row_counts, top + h)
            if STRIDE != 0:
                draw(result, row, size, dilation, columns, counts, times)
            else:
                pick(result, row, stride, columns, counts, times)


MEAN, STRIDE = 0, 0
"""Stand-ins: each kernel has its own."""

USES = (fill, combine_rows, halve, every, window_at, mean, draw, pick)
"""What `_drive` calls, and what that calls."""


def identity(layout: Layout, dtype: torch.dtype) -> Tensor:
    """Return the one element that changes nothing it is combined with."""
    if layout.sums:
        return torch.zeros(1, dtype=dtype)
    lowest = -torch.inf if dtype.is_floating_point else torch.iinfo(dtype).min
    return torch.full((1,), lowest, dtype=dtype)


def counts(layout: Layout, problem: Pool) -> list[np.ndarray[Any, Any]]:
    """Return over how many elements a mean counts along every axis, for all outputs; at least 1."""
    if not isinstance(problem, AvgPool):
        return [np.ones(n, np.int64) for n in layout.outputs]
    along = zip(layout.windows, layout.space, strict=True)
    return [np.maximum(1, spans(w, n, problem.count_include_pad)[:, 1]) for w, n in along]


def prepare(problem: Pool) -> Fill:
    """Return `run(x, y)`, which fills y (n, c, *outputs) from x (n, c, *space)."""
    layout, dtype = Layout.of(problem), DTYPES[problem.dtype]
    band = layout.band(threads())
    depth, row, column = layout.windows
    tables = [places(w, n) for w, n in zip((depth, row), layout.space, strict=False)]
    if layout.halves_rows:
        positions = np.arange(layout.lines(layout.outputs[1])) - row.before
        inside = (positions >= 0) & (positions < layout.space[1])
        tables[1] = np.stack([np.where(inside, positions, 0), inside], axis=1).astype(np.int64)
    counted = counts(layout, problem)
    steps = steps_of(layout, band)
    size = 1 if layout.halves_columns else column.size
    launch = Launch(
        Kernel(
            name="pooling",
            dtype=problem.dtype,
            drive=_drive,
            uses=USES,
            blocks=f"combine = {'add' if layout.sums else 'maximum'}",
            constants=(
                ("MEAN", int(layout.sums)),
                ("SIZE", size if size <= 4 else 0),
                ("STRIDE", layout.stride if layout.stride in DRAWN else 0),
            ),
        ),
        tasks=layout.tasks(band),
        scratch=layout.bytes(band),
        fixed={
            "identity": identity(layout, dtype),
            "depth_table": tables[0],
            "row_table": tables[1],
            "depth_counts": counted[0],
            "row_counts": counted[1],
            "column_counts": torch.from_numpy(counted[2]).to(dtype),
            "steps": steps,
            "step_count": len(steps),
            "every_plane": layout.images * layout.outputs[0],
            "bands": ceil(layout.outputs[1] / band.rows),
            "pieces": ceil(layout.outputs[2] / band.columns),
            "planes": band.planes,
            "rows": band.rows,
            "columns": band.columns,
            "lines": layout.lines(band.rows),
            "pitch": layout.pitch(band.columns),
            "row_step": layout.row_step,
            "size": size,
            "extent": column.extent,
            "stride": layout.stride,
            "dilation": column.dilation,
            "before": column.before,
            "depth_dilation": depth.dilation,
            "row_dilation": 1 if layout.halves_rows else row.dilation,
            "in_place": layout.in_place * layout.images * prod(layout.space),
            **{f"space_{a}": n for a, n in zip("dhw", layout.space, strict=True)},
            **{f"out_{a}": n for a, n in zip("dhw", layout.outputs, strict=True)},
        },
    )

    def run(x: Tensor, y: Tensor) -> None:
        if launch.tasks:
            launch(x.data_ptr(), y.data_ptr())

    return run


METHOD = PoolMethod(
    name="pooling",
    solves=Pool,
    exact=True,
    repeats=True,
    compiles=True,
    skips=False,
    refuses=refuses,
    cost=cost,
    prepare=prepare,
)
