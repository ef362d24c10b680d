"""Make the records of a transform's kernels from a problem: sizes, tables, passes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from convlens.compute.kernels.machine import WIDTHS, machine
from convlens.compute.kernels.records import Pointer
from convlens.compute.kernels.rows import packing
from convlens.compute.kernels.shapes import Axes
from convlens.compute.kernels.transforms.butterflies import ENTRY
from convlens.compute.kernels.transforms.geometry import (
    AxisPasses,
    FourierGeometry,
    FourierGrid,
    FourierInputs,
    FourierPasses,
    FourierStrips,
    FourierTile,
)
from convlens.compute.methods.fft.doubts import Doubts
from convlens.compute.methods.fft.layout import FourierLayout
from convlens.compute.methods.fft.tiles import Tiles
from convlens.compute.problems import Conv

__all__ = ["geometry_of", "schedules_of"]

Numbers = np.ndarray[Any, Any]


def geometry_of(
    problem: Conv,
    tiles: Tiles,
    layout: FourierLayout,
    *,
    schedules: Sequence[Numbers],
    spectra: Numbers,
    scale: float,
    bias: Numbers,
    doubts: Doubts,
) -> FourierGeometry:
    """Return the record of a problem whose tiles are laid out in memory as `layout`.

    `schedules` come from `schedules_of`. `spectra` are the transforms of the kernels; the results
    are multiplied by `scale`.
    """
    return FourierGeometry(
        tile=_tile(layout),
        inputs=_inputs(problem),
        grid=_grid(problem, tiles),
        each=problem.channels // problem.groups,
        outs=problem.channels_out // problem.groups,
        groups=problem.groups,
        passes=_passes(tiles, layout, schedules),
        strips=_strips(layout, problem.dtype),
        kernel=Pointer(spectra),
        scale=Pointer(np.array([scale], problem.dtype)),
        bias=Pointer(bias.astype(problem.dtype)),
        length=layout.length,
        area=layout.area,
        errors=doubts.errors,
        blocks=doubts.blocks,
        taps=doubts.taps,
        window=doubts.window,
    )


def _three(values: Sequence[int]) -> Axes:
    """Return numbers of the last axes, preceded by 1 for those that are missing."""
    return Axes.of((1,) * (3 - len(values)) + tuple(values))


def _tile(layout: FourierLayout) -> FourierTile:
    """Return the layout of a tile in memory."""
    return FourierTile(
        depth=layout.depth,
        high=layout.high,
        wide=layout.columns * layout.lanes,
        columns=1 if layout.line else layout.columns,
        pitch=layout.pitch,
        plane=layout.plane,
        elements=layout.tile,
        line=int(layout.line),
    )


def _inputs(problem: Conv) -> FourierInputs:
    """Return tables of the input's place at every padded position; for columns, of the ends."""
    windows, mode = problem.windows, problem.padding_mode
    outer = [
        packing.sources(window, n, mode)
        for window, n in zip(windows[:-1], problem.space[:-1], strict=True)
    ]
    planes, rows = [np.zeros(1, np.int64)] * (3 - len(windows)) + outer
    first, last = packing.middle(windows[-1], problem.space[-1])
    end = [
        outputs - 1 + window.extent
        for outputs, window in zip(problem.outputs, windows, strict=True)
    ]
    return FourierInputs(
        space=_three(problem.space),
        planes=Pointer(planes),
        rows=Pointer(rows),
        ends=Pointer(packing.ends(windows[-1], problem.space[-1], mode)),
        end=_three(end),
        first=first,
        last=last,
    )


def _grid(problem: Conv, tiles: Tiles) -> FourierGrid:
    """Return the number of results, and their division into tiles."""
    return FourierGrid(
        out=_three(problem.outputs),
        step=_three(tiles.step),
        count=_three(tiles.count),
        batch=problem.batch,
        pairs=-(-problem.batch * prod(tiles.count) // 2),
    )


def _passes(tiles: Tiles, layout: FourierLayout, schedules: Sequence[Numbers]) -> FourierPasses:
    """Return the passes along the axes, and the part of their results that is needed."""
    line, step = layout.line, _three(tiles.step)
    columns = 1 if line else layout.columns
    d, h, w, across = (
        AxisPasses(schedule=Pointer(schedule), count=len(schedule)) for schedule in schedules
    )
    return FourierPasses(
        d=d,
        h=h,
        w=w,
        across=across,
        columns_d=_at_once(layout.depth, columns),
        columns_h=_at_once(layout.high, columns),
        wanted_columns=columns if line else min(columns, -(-step.w // layout.lanes)),
        wanted_rows=layout.high if line else min(layout.high, step.h),
        shift=layout.columns if line else 0,
    )


def _at_once(length: int, columns: int) -> int:
    """Return how many columns of `length` vectors fit the first-level cache together."""
    return max(1, min(columns, machine().level1 // (4 * machine().vector * length)))


def _strips(layout: FourierLayout, dtype: str) -> FourierStrips:
    """Return the layout of strips in a plane, and their twiddle factors across the lanes."""
    line, lanes = layout.line, layout.lanes
    return FourierStrips(
        count=layout.strips,
        elements=layout.rows * layout.pitch,
        rows=layout.rows,
        groups=layout.lane_groups,
        leap=lanes * (lanes if line else 1),
        step=lanes if line else layout.pitch,
        twiddles=Pointer(layout.twiddles().astype(dtype)),
        sweep=layout.columns if line else 0,
        jump=lanes if line else 1,
        advance=int(line),
    )


def schedules_of(layout: FourierLayout, dtype: str) -> tuple[list[Numbers], Numbers]:
    """Return the passes along D, H, W and across the lanes, and the twiddle factors they point to.

    `transforms.butterflies` describes the entries. They hold only addresses of the factors, so the
    caller must keep these alive.
    """
    lanes = layout.lanes
    entries: list[list[list[int]]] = []
    factors: list[Numbers] = []
    place, vectors = 0, layout.vectors
    strides = (layout.plane, layout.pitch, lanes, lanes if layout.line else layout.pitch)
    for axis, (radices, stride) in enumerate(
        zip((*layout.radices, layout.across), strides, strict=True)
    ):
        passes, groups, rest = [], 1, prod(radices)
        folded = layout.line and axis < 2
        for radix in radices:
            rest //= radix
            vectors //= radix if folded else 1
            factors.append(_twiddles(radix, vectors if folded else rest))
            if folded:
                entry = [1, 0, layout.columns, stride, lanes, place, 1]
            else:
                entry = [groups, radix * rest * stride, rest, rest * stride, stride, place]
                entry.append(int(rest > 1))
            passes.append([radix, *entry])
            place += factors[-1].size
            groups *= radix
        entries.append(passes)
    held = np.concatenate([each.ravel() for each in factors]).astype(dtype)
    tables = [np.array(passes, np.int64).reshape(-1, ENTRY) for passes in entries]
    for table in tables:
        table[:, 6] = held.ctypes.data + table[:, 6] * WIDTHS[dtype]
    return tables, held


def _twiddles(radix: int, span: int) -> Numbers:
    """Return the twiddle factors of a pass of `span` butterflies: (span, radix - 1, 2)."""
    turns = np.outer(np.arange(span), np.arange(1, radix)) / (radix * span)
    return np.stack([np.cos(2 * np.pi * turns), -np.sin(2 * np.pi * turns)], -1)
