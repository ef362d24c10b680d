"""Convolve with output channels in the lanes of vectors: long strides, small maps, frames.

Unlike `shift`, it reads inputs one by one, from x in place or from a padded copy of a band. Any
stride and any small number of them will do, because the vectors hold the weights of many output
channels. A task computes a panel of channels for some positions in its own memory, and transposes
it into rows of the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

import numpy as np
from torch import Tensor

from convlens.compute.kernels.blocks.lanes import lane_block, spread_positions
from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import (
    LANES,
    WIDTH,
    load,
    put_word,
    store_some,
    word,
)
from convlens.compute.kernels.launching import Launch, threads
from convlens.compute.kernels.machine import WIDTHS, machine
from convlens.compute.kernels.records import Fixed, Pointer
from convlens.compute.kernels.rows.packing import Packing, pack_band
from convlens.compute.kernels.shapes import ConvShape
from convlens.compute.kernels.speed import Estimate
from convlens.compute.kernels.tasks import place_of
from convlens.compute.kernels.transforms.butterflies import exchange, exchange_text
from convlens.compute.methods.method import ConvMethod, Fill
from convlens.compute.methods.reach import refuses_arrays
from convlens.compute.methods.shape import Shape, Unpadded
from convlens.compute.problems import Conv

__all__ = ["METHOD", "estimate", "prepare", "refuses"]

FEWEST = 12
"""The fewest output channels of a group; with fewer, most lanes would be empty."""
MOST = 512
"""The most positions of a task, so that their inputs stay in the first-level cache."""


def refuses(problem: Conv) -> str | None:
    """Return why this method cannot compute the problem, or None.

    >>> from convlens.windows import Window
    >>> refuses(Conv(space=(4,), channels_out=64, windows=(Window(2),), dtype="float32"))
    >>> refuses(Conv(space=(4,), channels_out=2, windows=(Window(2),), dtype="float32"))
    'it needs at least 12 output channels in every group, not 2'
    """
    reason = refuses_arrays(problem)
    out_each = problem.channels_out // problem.groups
    if reason is None and out_each < FEWEST:
        return f"it needs at least {FEWEST} output channels in every group, not {out_each}"
    return reason


def estimate(problem: Conv) -> Estimate:
    """Return about what it takes: multiply-adds, and transposing the result.

    >>> from convlens.windows import Window
    >>> of = lambda c: Conv(
    ...     channels=c, space=(7, 7), channels_out=512, windows=(Window(3),) * 2, dtype="float32"
    ... )
    >>> 2 < estimate(of(64)).cycles / estimate(of(16)).cycles < 5
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
    cycles = (blocks * (steps * each + 30) + turned) / threads()
    return Estimate(cycles=cycles, seconds=4e-6)


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
    """The size of a task, at one depth: `rows` rows of `columns` positions."""

    rows: int
    columns: int
    planes: int
    lines: int
    length: int


def _band(shape: Shape, dtype: str, tasks_elsewhere: int) -> _Band:
    """Choose the positions of a task: enough to be worth loading weights, and enough tasks."""
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
        row.span(rows),
        column.span(columns),
    )


@dataclass(frozen=True, kw_only=True)
class Lanes:
    """The arguments of `drive`.

    The weights `w` come in `panels` of `VECTORS` vectors for each of `steps` taps, whose inputs are
    at `offsets` in a packed band and at `offsets_there` in the input. `shares` tasks divide the
    panels. A task computes `rows` rows of `columns` positions, `POSITIONS` at a time. Its scratch
    memory has `packed` elements for the band; its results begin at element `results`.
    """

    POSITIONS: Fixed
    VECTORS: Fixed
    w: Pointer
    bias: Pointer
    offsets: Pointer
    offsets_there: Pointer
    groups: int
    steps: int
    panels: int
    shares: int
    bands: int
    pieces: int
    rows: int
    columns: int
    packed: int
    results: int
    unpadded: Unpadded
    packing: Packing
    shape: ConvShape


def drive(task: int, scratch: int, x: int, y: int, a: Lanes) -> None:
    """Compute some positions of one image and group for a share of the panels."""
    shape, space, out, stride = a.shape, a.shape.space, a.shape.out, a.shape.stride
    inside, packing = a.unpadded, a.packing
    share, piece, band, d, group, n = place_of(task, a.shares, a.pieces, a.bands, out.d, a.groups)
    top, left = band * a.rows, piece * a.columns
    high, wide = min(a.rows, out.h - top), min(a.columns, out.w - left)
    count = high * wide
    image = x + (n * a.groups + group) * shape.each * space.d * space.h * space.w * WIDTH
    at, line, table = scratch, packing.length, a.offsets
    seen = d * stride.d >= inside.depth_first and top * stride.h >= inside.row_first
    seen = seen and left * stride.w >= packing.column_first
    seen = seen and d * stride.d + packing.planes <= inside.depth_last
    last_row = (top + high - 1) * stride.h + packing.lines - (a.rows - 1) * stride.h
    seen = seen and last_row <= inside.row_last
    reach = packing.length - (a.columns - 1) * stride.w
    if seen and (left + wide - 1) * stride.w + reach <= packing.column_last:
        begin = (d * stride.d - inside.depth_first) * space.h + top * stride.h - inside.row_first
        at = image + (begin * space.w + left * stride.w - packing.column_first) * WIDTH
        line, table = space.w, a.offsets_there
    else:
        front, upper, first = d * stride.d, top * stride.h, left * stride.w
        pack_band(image, scratch, front, upper, first, shape.each, packing, space)
    places = scratch + a.packed * WIDTH
    block = scratch + a.results * WIDTH
    q = 0
    for row in range(high):
        for column in range(wide):
            put_word(places, q, row * stride.h * line + column * stride.w)
            q += 1
    for more in range(a.POSITIONS):  # the last block repeats the last position
        put_word(places, q + more, word(places, q - 1))
    wide_panel = a.VECTORS * LANES
    for panel in range(a.panels * share // a.shares, a.panels * (share + 1) // a.shares):
        weights = a.w + (group * a.panels + panel) * a.steps * wide_panel * WIDTH
        start = a.bias + (group * a.panels + panel) * wide_panel * WIDTH
        q = 0
        while q < count:
            to = block + q * wide_panel * WIDTH
            spread_positions(at, places + q * 8, table, a.steps, weights, start, to)
            q += a.POSITIONS
        kept = min(wide_panel, shape.out_each - panel * wide_panel)
        channel = (n * a.groups + group) * shape.out_each + panel * wide_panel
        result = y + channel * out.d * out.h * out.w * WIDTH
        result += ((d * out.h + top) * out.w + left) * WIDTH
        for q in range(0, count, LANES):
            for v in range(a.VECTORS):
                corner = block + (q * a.VECTORS + v) * LANES * WIDTH
                exchange(corner, wide_panel)
                for k in range(min(LANES, kept - v * LANES)):
                    place = result + ((v * LANES + k) * out.d * out.h * out.w + q) * WIDTH
                    store_some(place, 0, load(corner, k * wide_panel), count - q)


def prepare(problem: Conv, weight: Tensor, bias: Tensor | None) -> Fill:
    """Return `run(x, y)`, which fills y (n, k, *outputs) from x (n, c, *space)."""
    shape, groups = Shape.of(problem), problem.groups
    positions, vectors = _block(shape, problem.dtype)
    lanes, width = machine().lanes(problem.dtype), WIDTHS[problem.dtype]
    wide = vectors * lanes
    panels, steps = ceil(shape.out_each / wide), shape.each * shape.taps
    band = _band(shape, problem.dtype, problem.batch * groups * shape.outputs[0])
    bands, pieces = ceil(shape.outputs[1] / band.rows), ceil(shape.outputs[2] / band.columns)
    tasks = problem.batch * groups * shape.outputs[0] * bands * pieces
    shares = min(panels, max(1, ceil(4 * threads() / max(tasks, 1))))
    arranged, starting = _arranged(shape, weight, bias, panels, wide)
    count = band.rows * band.columns
    rounded = ceil(count / positions) * positions
    turned = ceil(rounded / lanes) * lanes + lanes
    packed = ceil((shape.each * band.planes * band.lines * band.length + 2 * lanes) / lanes) * lanes
    places = ceil((count + positions + 1) * 8 / width / lanes) * lanes
    arguments = Lanes(
        POSITIONS=Fixed(positions),
        VECTORS=Fixed(vectors),
        w=Pointer(arranged),
        bias=Pointer(starting),
        offsets=Pointer(_offsets(shape, band.planes, band.lines, band.length)),
        offsets_there=Pointer(_offsets(shape, *shape.space)),
        groups=groups,
        steps=steps,
        panels=panels,
        shares=shares,
        bands=bands,
        pieces=pieces,
        rows=band.rows,
        columns=band.columns,
        packed=packed,
        results=packed + places,
        unpadded=shape.unpadded(),
        packing=_packing(shape, band, problem.padding_mode),
        shape=shape.record(),
    )
    blocks = lane_block(positions, vectors) + exchange_text(lanes)
    kernel = Kernel.of("lanes", problem.dtype, drive, arguments, blocks=blocks)
    scratch = (packed + places + turned * wide) * width
    return Launch(kernel, arguments, tasks=tasks * shares, scratch=scratch).fill


def _packing(shape: Shape, band: _Band, mode: str) -> Packing:
    """Return the packing of a band: every row and column once."""
    return shape.packing(
        mode,
        starts=np.zeros(1, np.int64),
        planes=band.planes,
        lines=band.lines,
        length=band.length,
        row_stride=Fixed(1),
        column_stride=Fixed(1),
        depth_dilation=Fixed(1),
        phases=Fixed(1),
        slots=Fixed(1),
    )


def _arranged(
    shape: Shape, weight: Tensor, bias: Tensor | None, panels: int, wide: int
) -> tuple[Tensor, Tensor]:
    """Return weights (groups, panels, steps, wide) and biases (groups, panels * wide)."""
    steps = shape.each * shape.taps
    groups = len(weight) // shape.out_each
    arranged = weight.new_zeros(groups, steps, panels * wide)
    arranged[..., : shape.out_each] = weight.reshape(groups, shape.out_each, steps).transpose(1, 2)
    arranged = arranged.reshape(groups, steps, panels, wide).transpose(1, 2).contiguous()
    starting = weight.new_zeros(groups, panels * wide)
    if bias is not None:
        starting[:, : shape.out_each] = bias.reshape(groups, shape.out_each)
    return arranged, starting


def _offsets(
    shape: Shape, planes: int, lines: int, length: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the offset of every step's input in planes of `lines` lines of `length` elements."""
    channels = np.arange(shape.each)
    a, b, e = (np.arange(window.size) * window.dilation for window in shape.windows)
    grid = ((channels[:, None] * planes + a)[..., None] * lines + b)[..., None] * length + e
    return grid.reshape(-1).astype(np.int64)


METHOD = ConvMethod(
    name="lanes",
    solves=Conv,
    exact=True,
    repeats=True,
    compiles=True,
    skips=False,
    refuses=refuses,
    estimate=estimate,
    prepare=prepare,
)
