"""Filter images separably, down and across, in one pass over memory.

A task packs a padded band of one image and filters down it into rows of its own, which stay in the
cache. Then it filters across these into the result. So input and result move once. One axis after
the other would move the image in between twice more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from torch import Tensor

from convlens.compute.kernels.blocks.filters import across_rows, down_rows, filter_blocks
from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import LANES, WIDTH
from convlens.compute.kernels.launching import Launch, threads
from convlens.compute.kernels.machine import WIDTHS, machine
from convlens.compute.kernels.records import Fixed, Pointer
from convlens.compute.kernels.rows.packing import Packing, pack_band
from convlens.compute.kernels.shapes import Axes
from convlens.compute.kernels.speed import speed
from convlens.compute.methods.rows.layout import (
    FilterBand,
    FilterBlock,
    block_of,
    kinds_of,
    offsets,
    steps_of,
)
from convlens.compute.methods.shape import Shape
from convlens.compute.problems import Conv
from convlens.windows import Window

__all__ = ["prepare", "suits"]

WIDE = 2048
"""The most columns of a band, so that the rows in use together fit the first-level cache."""

MORE = 16
"""The vectors that blocks may read or write after the lines of a band."""

TASKS = 4
"""The tasks of every thread, unless bands would become lower than a few blocks."""


def suits(problem: Conv) -> bool:
    """Return whether both filters have a tap for every position, given two axes of space."""
    plain = all(window.stride == window.dilation == 1 for window in problem.windows)
    return plain and len(problem.space) == 2 and min(problem.size) > 1 and problem.outputs[0] > 1


@dataclass(frozen=True)
class PassLayout:
    """One of the two filters, along one axis of a band of a given width."""

    block: FilterBlock
    kinds: list[int]
    counts: np.ndarray[tuple[int], np.dtype[np.int64]]
    steps: np.ndarray[tuple[int], np.dtype[np.int64]]
    order: list[int]

    @classmethod
    def of(
        cls, windows: tuple[Window, Window], high: int, wide: int, pitch: int, dtype: str
    ) -> PassLayout:
        """Return the pass that computes (high, wide) from lines `pitch` elements apart."""
        space = tuple(n + w.size - 1 for n, w in zip((high, wide), windows, strict=True))
        shape = Shape(1, 1, (1, *space), (1, high, wide), (Window(1), *windows))
        block = block_of(shape, dtype, speed().load)
        steps = steps_of(shape, block.fold, block.spread)
        kinds, counts = kinds_of(steps)
        band = FilterBand(1, high, wide, 1, 1, 1, high, pitch)
        order = [tap for step in steps for tap in step.taps]
        return cls(block, kinds, counts, offsets(steps, band, pitch, in_place=True), order)

    def record(self, factor: Tensor) -> FilterPass:
        """Return the arguments for the weights (channels, taps) of this axis."""
        return FilterPass(
            w=Pointer(factor[:, self.order].contiguous()),
            taps=len(self.order),
            steps=Pointer(self.steps),
            counts=Pointer(self.counts),
        )

    def text(self, name: str) -> str:
        """Return the text of its register blocks."""
        block = self.block
        return filter_blocks(block.rows, block.vectors, block.rest, self.kinds, name)


@dataclass(frozen=True, kw_only=True)
class FilterPass:
    """The filter along one axis: `taps` weights per channel, and the steps of its blocks."""

    w: Pointer
    taps: int
    steps: Pointer
    counts: Pointer


@dataclass(frozen=True, kw_only=True)
class SeparableImages:
    """The arguments of `drive`.

    Blocks compute `DOWN` rows of one filter and `ACROSS` rows of the other. The result is divided
    into `bands` of `rows` rows and `pieces` of `columns` columns; every image has `outs` results.
    `layer` is the offset of the only layer, and the filter down starts from `zeros`.
    """

    DOWN: Fixed
    ACROSS: Fixed
    down: FilterPass
    across: FilterPass
    zeros: Pointer
    bias: Pointer
    layer: Pointer
    outs: int
    channels_out: int
    bands: int
    pieces: int
    rows: int
    columns: int
    packing: Packing
    space: Axes
    out: Axes


def drive(task: int, scratch: int, x: int, y: int, a: SeparableImages) -> None:
    """Compute one band of one output channel."""
    down, across, space, out, packing = a.down, a.across, a.space, a.out, a.packing
    piece, rest = task % a.pieces, task // a.pieces
    band, image = rest % a.bands, rest // a.bands
    channel = image % a.channels_out
    top, left = band * a.rows, piece * a.columns
    high, wide = min(a.rows, out.h - top), min(a.columns, out.w - left)
    source = x + image // a.outs * space.h * space.w * WIDTH
    pack_band(source, scratch, 0, top, left, 1, packing, space)
    between = scratch + (packing.lines * packing.length + MORE * LANES) * WIDTH
    row = 0
    while row < high:
        down_rows(
            down.w + channel * down.taps * WIDTH, scratch + row * packing.length * WIDTH, a.layer,
            1, down.steps, down.counts, packing.length, between + row * packing.length * WIDTH,
            packing.length, high - row, wide + across.taps - 1, a.zeros,
        )  # fmt: skip
        row += a.DOWN
    row = 0
    while row < high:
        across_rows(
            across.w + channel * across.taps * WIDTH, between + row * packing.length * WIDTH,
            a.layer, 1, across.steps, across.counts, packing.length,
            y + ((image * out.h + top + row) * out.w + left) * WIDTH, out.w, high - row, wide,
            a.bias + channel * WIDTH,
        )  # fmt: skip
        row += a.ACROSS


def prepare(
    problem: Conv, down: Tensor, across: Tensor, bias: Tensor | None
) -> Callable[[Tensor, Tensor], None]:
    """Return `run(x, y)`, which fills y (n, k, *outputs) from x (n, c, *space).

    `down` and `across` are the factors (k, size) of the weights.
    """
    shape, dtype = Shape.of(problem), problem.dtype
    row, column = shape.windows[1:]
    images = problem.batch * problem.channels_out
    band = _band(shape, dtype, images)
    rows, columns, length = band.rows, band.columns, band.length
    passes = (
        PassLayout.of((row, Window(1)), rows, columns + column.size - 1, length, dtype),
        PassLayout.of((Window(1), column), rows, columns, length, dtype),
    )
    starting = down.new_zeros(problem.channels_out) if bias is None else bias.contiguous()
    arguments = SeparableImages(
        DOWN=Fixed(passes[0].block.rows),
        ACROSS=Fixed(passes[1].block.rows),
        down=passes[0].record(down),
        across=passes[1].record(across),
        zeros=Pointer(down.new_zeros(1)),
        bias=Pointer(starting),
        layer=Pointer(np.zeros(1, np.int64)),
        outs=problem.channels_out // problem.channels,
        channels_out=problem.channels_out,
        bands=ceil(shape.outputs[1] / rows),
        pieces=ceil(shape.outputs[2] / columns),
        rows=rows,
        columns=columns,
        packing=_packing(shape, band, problem.padding_mode),
        space=Axes(d=Fixed(1), h=shape.space[1], w=shape.space[2]),
        out=Axes(d=Fixed(1), h=shape.outputs[1], w=shape.outputs[2]),
    )
    blocks = passes[0].text("down") + passes[1].text("across")
    kernel = Kernel.of("separable_images", dtype, drive, arguments, blocks=blocks)
    size = (band.lines + rows) * length + 2 * MORE * machine().lanes(dtype)
    tasks = images * arguments.bands * arguments.pieces
    return Launch(kernel, arguments, tasks=tasks, scratch=size * WIDTHS[dtype]).fill


def _band(shape: Shape, dtype: str, images: int) -> FilterBand:
    """Return a band that fits half the cache and gives all threads tasks."""
    row, column = shape.windows[1:]
    high, wide = shape.outputs[1:]
    lanes, width = machine().lanes(dtype), WIDTHS[dtype]
    pieces = ceil(wide / WIDE)
    columns = ceil(ceil(wide / pieces) / lanes) * lanes if pieces > 1 else wide
    length = ceil((columns + column.size - 1) / lanes) * lanes
    if length * width % 4096 == 0:  # otherwise lines would share cache sets
        length += lanes
    rows = max(1, (machine().level2 // 2 // (length * width) - row.size) // 2)
    wanted = ceil(images * pieces * high / (TASKS * threads()))
    rows = min(high, rows, max(4 * row.size, wanted))
    return FilterBand(1, rows, columns, 1, 1, 1, rows + row.size - 1, length)


def _packing(shape: Shape, band: FilterBand, mode: str) -> Packing:
    """Return the packing of a band: every row and column of the only plane once."""
    packing = shape.packing(
        mode,
        starts=np.zeros(1, np.int64),
        planes=Fixed(1),
        lines=band.lines,
        length=band.length,
        row_stride=Fixed(1),
        column_stride=Fixed(1),
        depth_dilation=Fixed(1),
        phases=Fixed(1),
        slots=Fixed(1),
    )
    return replace(packing, depth_end=Fixed(1))
