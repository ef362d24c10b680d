"""The derivative to the weight by a kernel of our own: channels out by taps, summed over places.

A task has some channels in of one group, and all of their taps. It goes through its share of all
places, a band at a time: packs the input that the band's windows see, as `shift_gemm` does, reads
the gradient where it lies, and adds up `kernels.outer_blocks`. Where that makes few tasks, places
are dealt out as well, to sums of their own that are added in a fixed order: bits do not depend on
threads.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from math import ceil

from torch import Tensor

from convlens.compute.kernels.blocks.outer import best_block, outer_blocks
from convlens.compute.kernels.language import compiling
from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import WIDTH, add_products
from convlens.compute.kernels.launching import Launch
from convlens.compute.kernels.machine import WIDTHS, machine
from convlens.compute.kernels.rows.flat import pack_flat
from convlens.compute.methods.reach import refuses_arrays
from convlens.compute.methods.shape import Shape
from convlens.compute.methods.shift import layout as shift_layout
from convlens.compute.methods.shift.layout import Band, laid_out
from convlens.compute.problems import Conv

__all__ = ["at_hand", "prepare", "refuses", "run"]

TASKS = 24
"""Places are dealt out until there are about so many tasks, for any number of threads."""

PLACES = 64
"""Vectors of places in a band, about: many, so that lanes are seldom added up."""

CHANNELS = 16
"""A task has at most so many channels in."""

SLACK = 2
"""Vectors that lie behind a packed band."""


def refuses(problem: Conv) -> str | None:
    """Return why this cannot give the derivative of a convolution, or None."""
    reason = refuses_arrays(problem)
    if reason is None and problem.padding_mode != "zeros":
        return f'its padding is zeros, not "{problem.padding_mode}"'
    return reason


@dataclass(frozen=True)
class _Cut:
    """How the work is cut: the band, and into how many shares channels and places."""

    band: Band
    shares: int
    pieces: int
    places: int
    bands: int
    parts: int


@functools.lru_cache(256)
def _cut(problem: Conv) -> _Cut:
    """Choose bands of some places and channels whose input fits half the cache."""
    shape = Shape.of(problem)
    width, lanes = WIDTHS[problem.dtype], machine().lanes(problem.dtype)
    room, wanted = machine().level2 // 2, PLACES * lanes
    high, wide = shape.outputs[1:]
    rows = min(high, max(1, wanted // max(1, wide)))
    columns = wide if high > 1 else min(wide, wanted)
    channels = max(1, min(shape.each, CHANNELS))

    def fits(channels: int) -> bool:
        band = laid_out(shape, rows, columns, channels)
        return channels * shape.size[0] * band.plane * width <= room

    while channels > 1 and not fits(channels):
        channels = ceil(channels / 2)
    while rows > 1 and not fits(channels):
        rows = ceil(rows / 2)
    if shape.outputs[1] == 1:
        while columns > 4 * lanes and not fits(channels):
            columns = ceil(columns / 2)
    shares = ceil(shape.each / channels)
    bands, parts = ceil(high / rows), ceil(wide / columns)
    places = problem.batch * shape.outputs[0] * bands * parts
    pieces = max(1, min(places, TASKS // (problem.groups * shares)))
    return _Cut(laid_out(shape, rows, columns, channels), shares, pieces, places, bands, parts)


def _drive(
    task: int, scratch: int, x: int, y: int, sums: int, offsets: int, depth_table: int,
    row_table: int, column_ends: int, starts: int, groups: int, each: int, out_each: int,
    taps: int, shares: int, pieces: int, places: int, bands: int, parts: int, rows: int,
    columns: int, channels: int, depth_size: int, depth_stride: int, depth_dilation: int,
    row_stride: int, column_stride: int, depth_end: int, row_end: int, first: int, last: int,
    column_end: int, phases: int, slots: int, lines: int, length: int, space_d: int, space_h: int,
    space_w: int, out_d: int, out_h: int, out_w: int, plain: int,
) -> None:  # fmt: skip
    """Do a share of the places for some channels in of a group."""
    piece = task % pieces
    share = task // pieces % shares
    group = task // pieces // shares
    begin = share * channels
    some = min(channels, each - begin)
    volume = out_d * out_h * out_w
    found = sums + (piece * groups + group) * out_each * each * taps * WIDTH + begin * taps * WIDTH
    for place in range(places * piece // pieces, places * (piece + 1) // pieces):
        part, rest = place % parts, place // parts
        band, rest = rest % bands, rest // bands
        d, n = rest % out_d, rest // out_d
        top, left = band * rows, part * columns
        high, wide = min(rows, out_h - top), min(columns, out_w - left)
        count = (high - 1) * out_w + wide
        source = x + ((n * groups + group) * each + begin) * space_d * space_h * space_w * WIDTH
        given = y + (n * groups + group) * out_each * volume * WIDTH
        given += ((d * out_h + top) * out_w + left) * WIDTH
        if plain != 0:
            source += left * WIDTH
        else:
            pack_flat(
                source, scratch, d * depth_stride, top * row_stride, left * column_stride, some,
                depth_table, row_table, column_ends, starts, depth_size, depth_dilation,
                depth_end, row_stride, column_stride, row_end, first, last, column_end, phases,
                slots, lines, length, space_d, space_h, space_w,
            )  # fmt: skip
            source = scratch
        for k in range(0, out_each, ROWS):
            for tap in range(0, some * taps, TAPS):
                add_products(
                    given + k * volume * WIDTH, volume, source, offsets + tap * 8, count,
                    found + (k * each * taps + tap) * WIDTH, each * taps, out_each - k,
                    some * taps - tap,
                )  # fmt: skip


ROWS, TAPS = 1, 1
"""Stand-ins: each kernel has its own."""


def at_hand(problem: Conv) -> bool:
    """Tell whether the kernel of a problem has been compiled."""
    return compiling.at_hand(_kernel(problem))


@functools.lru_cache(256)
def _kernel(problem: Conv) -> Kernel:
    """Return the kernel that gives the derivative of a problem."""
    shape = Shape.of(problem)
    channels = min(_cut(problem).band.channels, max(1, shape.each))
    rows, taps = best_block(machine(), shape.out_each, channels * shape.taps)
    return Kernel(
        name="outer_products",
        dtype=problem.dtype,
        drive=_drive,
        blocks=outer_blocks(rows, taps),
        constants=(("ROWS", rows), ("TAPS", taps)),
    )


@functools.lru_cache(256)
def prepare(problem: Conv) -> Launch:
    """Return what fills sums (pieces, k, c/groups, *size), zeros before, from x and gradient."""
    shape, cut = Shape.of(problem), _cut(problem)
    band, depth = cut.band, shape.windows[0]
    lanes, width = machine().lanes(problem.dtype), WIDTHS[problem.dtype]
    size = 0 if shape.plain else band.channels * depth.size * band.plane
    return Launch(
        _kernel(problem),
        tasks=cut.pieces * cut.shares * problem.groups if cut.places else 0,
        scratch=(size + SLACK * lanes) * width,
        changing=("x", "y", "sums"),
        fixed={
            "offsets": shift_layout.offsets(shape, band),
            "groups": problem.groups,
            "taps": shape.taps,
            "shares": cut.shares,
            "pieces": cut.pieces,
            "places": cut.places,
            "bands": cut.bands,
            "parts": cut.parts,
            **shift_layout.arguments(shape, band),
            **shape.arguments(problem.padding_mode),
            "plain": int(shape.plain),
        },
    )


def run(problem: Conv, x: Tensor, gradient: Tensor) -> Tensor:
    """Return the sum of x (n, c, *space) times gradient (n, k, *outputs), (k, c/groups, *size)."""
    launch, pieces = prepare(problem), _cut(problem).pieces
    each = problem.channels // problem.groups
    sums = x.new_zeros(pieces, problem.channels_out, each, *problem.size)
    if launch.tasks:
        x, gradient = x.contiguous(), gradient.contiguous()
        launch(x.data_ptr(), gradient.data_ptr(), sums.data_ptr())
    return sums[0] if pieces == 1 else sums.sum(0)
