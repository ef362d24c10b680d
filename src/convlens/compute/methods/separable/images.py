"""Separable filters of images, down and across in one trip to memory.

A task packs a band of one image, padded, runs the filter down it into rows of its own, which stay
in the cache, and the filter across these into the result. So input and result are moved once, where
an axis after the other would move the image between them twice more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import numpy as np
from torch import Tensor

from convlens.compute.kernels.blocks.filters import filter_blocks
from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import LANES, WIDTH, across_rows, down_rows
from convlens.compute.kernels.launching import Launch, threads
from convlens.compute.kernels.machine import WIDTHS, machine
from convlens.compute.kernels.rows.flat import pack_flat
from convlens.compute.methods.rows.layout import Band, Block, block_of, kinds_of, offsets, steps_of
from convlens.compute.methods.shape import Shape
from convlens.compute.problems import Conv
from convlens.windows import Window

__all__ = ["prepare", "suits"]

WIDE = 2048
"""Columns of a band, at most: rows of it that are in use together fit the first-level cache."""

MORE = 16
"""Vectors that blocks may read or write behind the lines of a band."""

TASKS = 4
"""Every thread has so many tasks, where bands do not become lower than a few blocks for it."""


def suits(problem: Conv) -> bool:
    """Tell whether the filter down and the filter across have a tap for every position.

    The problem has two axes of space.
    """
    plain = all(window.stride == window.dilation == 1 for window in problem.windows)
    return plain and len(problem.space) == 2 and min(problem.size) > 1 and problem.outputs[0] > 1


@dataclass(frozen=True)
class _Pass:
    """One filter of the two, along one axis of a band of so many columns."""

    block: Block
    kinds: list[int]
    counts: np.ndarray[tuple[int], np.dtype[np.int64]]
    steps: np.ndarray[tuple[int], np.dtype[np.int64]]
    order: list[int]

    @classmethod
    def of(
        cls, windows: tuple[Window, Window], high: int, wide: int, pitch: int, dtype: str
    ) -> _Pass:
        """Return the pass that makes (high, wide) of lines `pitch` elements apart."""
        space = tuple(n + w.size - 1 for n, w in zip((high, wide), windows, strict=True))
        shape = Shape(1, 1, (1, *space), (1, high, wide), (Window(1), *windows))
        block = block_of(shape, dtype)
        steps = steps_of(shape, block.fold, block.spread)
        kinds, counts = kinds_of(steps)
        band = Band(1, high, wide, 1, 1, 1, high, pitch)
        order = [tap for step in steps for tap in step.taps]
        return cls(block, kinds, counts, offsets(steps, band, pitch, in_place=True), order)

    def text(self, name: str) -> str:
        """Return the text of its register blocks."""
        block = self.block
        return filter_blocks(block.rows, block.vectors, block.rest, self.kinds, name)


def _drive(
    task: int, scratch: int, x: int, y: int, down: int, across: int, zeros: int, bias: int,
    layer: int, down_steps: int, down_counts: int, across_steps: int, across_counts: int,
    depth_table: int, row_table: int, column_ends: int, starts: int, outs: int, down_taps: int,
    across_taps: int, bands: int, pieces: int, rows: int, columns: int, lines: int, length: int,
    row_end: int, first: int, last: int, column_end: int, space_h: int, space_w: int, out_h: int,
    out_w: int, channels_out: int,
) -> None:  # fmt: skip
    """Do one band of one channel out."""
    piece, rest = task % pieces, task // pieces
    band, image = rest % bands, rest // bands
    channel = image % channels_out
    top, left = band * rows, piece * columns
    high, wide = min(rows, out_h - top), min(columns, out_w - left)
    pack_flat(
        x + image // outs * space_h * space_w * WIDTH, scratch, 0, top, left, 1, depth_table,
        row_table, column_ends, starts, 1, 1, 1, 1, 1, row_end, first, last, column_end, 1, 1,
        lines, length, 1, space_h, space_w,
    )  # fmt: skip
    between = scratch + (lines * length + MORE * LANES) * WIDTH
    row = 0
    while row < high:
        down_rows(
            down + channel * down_taps * WIDTH, scratch + row * length * WIDTH, layer, 1,
            down_steps, down_counts, length, between + row * length * WIDTH, length, high - row,
            wide + across_taps - 1, zeros,
        )  # fmt: skip
        row += DOWN
    row = 0
    while row < high:
        across_rows(
            across + channel * across_taps * WIDTH, between + row * length * WIDTH, layer, 1,
            across_steps, across_counts, length,
            y + ((image * out_h + top + row) * out_w + left) * WIDTH, out_w, high - row, wide,
            bias + channel * WIDTH,
        )  # fmt: skip
        row += ACROSS


DOWN, ACROSS = 1, 1
"""Stand-ins: each kernel has its own."""


def prepare(
    problem: Conv, down: Tensor, across: Tensor, bias: Tensor | None
) -> Callable[[Tensor, Tensor], None]:
    """Return `run(x, y)`, which fills y (n, k, *outputs) from x (n, c, *space).

    `down` and `across` are the factors (k, size) of the weights.
    """
    shape, dtype = Shape.of(problem), problem.dtype
    row, column = shape.windows[1:]
    high, wide = shape.outputs[1:]
    images = problem.batch * problem.channels_out
    lanes, width = machine().lanes(dtype), WIDTHS[dtype]
    pieces = ceil(wide / WIDE)
    columns = ceil(ceil(wide / pieces) / lanes) * lanes if pieces > 1 else wide
    length = ceil((columns + column.size - 1) / lanes) * lanes
    if length * width % 4096 == 0:  # or lines would meet in the same place of the cache
        length += lanes
    rows = max(1, (machine().level2 // 2 // (length * width) - row.size) // 2)
    wanted = ceil(images * pieces * high / (TASKS * threads()))
    rows = min(high, rows, max(4 * row.size, wanted))
    passes = (
        _Pass.of((row, Window(1)), rows, columns + column.size - 1, length, dtype),
        _Pass.of((Window(1), column), rows, columns, length, dtype),
    )
    kernel = Kernel(
        name="separable_images",
        dtype=dtype,
        drive=_drive,
        blocks=passes[0].text("down") + passes[1].text("across"),
        constants=(
            ("DOWN", passes[0].block.rows),
            ("ACROSS", passes[1].block.rows),
            ("MORE", MORE),
        ),
    )
    arguments = shape.arguments(problem.padding_mode)
    bands, lines = ceil(high / rows), rows + row.size - 1
    launch = Launch(
        kernel,
        tasks=images * bands * pieces,
        scratch=((lines + rows) * length + 2 * MORE * lanes) * width,
        fixed={
            "down": down[:, passes[0].order].contiguous(),
            "across": across[:, passes[1].order].contiguous(),
            "zeros": down.new_zeros(1),
            "bias": down.new_zeros(problem.channels_out) if bias is None else bias.contiguous(),
            "layer": np.zeros(1, np.int64),
            "down_steps": passes[0].steps,
            "down_counts": passes[0].counts,
            "across_steps": passes[1].steps,
            "across_counts": passes[1].counts,
            "starts": np.zeros(1, np.int64),
            "outs": problem.channels_out // problem.channels,
            "down_taps": row.size,
            "across_taps": column.size,
            "bands": bands,
            "pieces": pieces,
            "rows": rows,
            "columns": columns,
            "lines": lines,
            "length": length,
            "channels_out": problem.channels_out,
            **{name: arguments[name] for name in kernel.parameters if name in arguments},
        },
    )

    def run(x: Tensor, y: Tensor) -> None:
        if launch.tasks:
            launch(x.data_ptr(), y.data_ptr())

    return run
