"""Compute the derivative to the weight with a compiled kernel of outer products.

A task has some input channels of one group, and all of their taps. It works through its share of
the places band by band. For each band it packs the input that the windows read, as the method
`shift` does, reads the gradient in place and adds blocks of products, output channels by taps. If
there are few tasks, the places are divided as well. Each piece then has its own sums, which are
added in a fixed order, so that the bits do not depend on the threads.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from math import ceil

from torch import Tensor

from convlens.compute.kernels.blocks.outer import add_products, best_block, outer_blocks
from convlens.compute.kernels.language import compiling
from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import WIDTH
from convlens.compute.kernels.launching import Launch
from convlens.compute.kernels.machine import WIDTHS, machine
from convlens.compute.kernels.records import Fixed, Pointer
from convlens.compute.kernels.rows.packing import Packing, pack_band
from convlens.compute.kernels.shapes import ConvShape
from convlens.compute.methods.reach import refuses_arrays
from convlens.compute.methods.shape import Shape
from convlens.compute.methods.shift import layout as shift_layout
from convlens.compute.methods.shift.layout import ShiftBand, laid_out
from convlens.compute.problems import Conv

__all__ = ["at_hand", "prepare", "refuses", "run"]

TASKS = 24
"""The number of tasks that dividing the places aims at, for any number of threads."""

PLACES = 64
"""The rough number of vectors of places in a band; the more, the rarer are sums over lanes."""

CHANNELS = 16
"""The most input channels of a task."""

SLACK = 2
"""The vectors of memory after a packed band."""


def refuses(problem: Conv) -> str | None:
    """Return why this kernel cannot compute the derivative of a convolution, or None."""
    reason = refuses_arrays(problem)
    if reason is None and problem.padding_mode != "zeros":
        return f'it pads with zeros, not "{problem.padding_mode}"'
    return reason


@dataclass(frozen=True)
class PlaceCut:
    """A division of the work: the band, and the shares of channels and pieces of places."""

    band: ShiftBand
    shares: int
    pieces: int
    places: int
    bands: int
    parts: int


@functools.lru_cache(256)
def _cut(problem: Conv) -> PlaceCut:
    """Choose bands of places and channels whose input fits half the level-2 cache."""
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
    return PlaceCut(laid_out(shape, rows, columns, channels), shares, pieces, places, bands, parts)


@dataclass(frozen=True, kw_only=True)
class OuterProducts:
    """The arguments of `drive`.

    The input channels of a group are divided into `shares` of `channels`, and all `places` into
    `pieces`. A place is a band of `rows` rows and `columns` columns of results; a plane has `bands`
    times `parts` of them. `plain` is 1 if the input is read in place, without packing.
    """

    ROWS: Fixed
    TAPS: Fixed
    offsets: Pointer
    groups: int
    taps: int
    shares: int
    pieces: int
    places: int
    bands: int
    parts: int
    rows: int
    columns: int
    channels: int
    plain: int
    packing: Packing
    shape: ConvShape


def drive(task: int, scratch: int, x: int, y: int, sums: int, a: OuterProducts) -> None:
    """Sum over one piece of the places for one share of a group's input channels."""
    shape, space, out, packing = a.shape, a.shape.space, a.shape.out, a.packing
    piece = task % a.pieces
    share = task // a.pieces % a.shares
    group = task // a.pieces // a.shares
    begin = share * a.channels
    some = min(a.channels, shape.each - begin)
    volume = out.d * out.h * out.w
    first = (piece * a.groups + group) * shape.out_each * shape.each * a.taps * WIDTH
    found = sums + first + begin * a.taps * WIDTH
    for place in range(a.places * piece // a.pieces, a.places * (piece + 1) // a.pieces):
        part, rest = place % a.parts, place // a.parts
        band, rest = rest % a.bands, rest // a.bands
        d, n = rest % out.d, rest // out.d
        top, left = band * a.rows, part * a.columns
        high, wide = min(a.rows, out.h - top), min(a.columns, out.w - left)
        count = (high - 1) * out.w + wide
        channel = (n * a.groups + group) * shape.each + begin
        source = x + channel * space.d * space.h * space.w * WIDTH
        given = y + (n * a.groups + group) * shape.out_each * volume * WIDTH
        given += ((d * out.h + top) * out.w + left) * WIDTH
        if a.plain != 0:
            source += left * WIDTH
        else:
            front, upper = d * shape.stride.d, top * packing.row_stride
            pack_band(
                source, scratch, front, upper, left * packing.column_stride, some, packing, space
            )
            source = scratch
        for k in range(0, shape.out_each, a.ROWS):
            for tap in range(0, some * a.taps, a.TAPS):
                add_products(
                    given + k * volume * WIDTH, volume, source, a.offsets + tap * 8, count,
                    found + (k * shape.each * a.taps + tap) * WIDTH, shape.each * a.taps,
                    shape.out_each - k, some * a.taps - tap,
                )  # fmt: skip


def at_hand(problem: Conv) -> bool:
    """Return whether the kernel of a problem has been compiled."""
    return compiling.at_hand(_kernel(problem))


@functools.lru_cache(256)
def _arguments(problem: Conv) -> OuterProducts:
    """Return the arguments of the kernel for a problem."""
    shape, cut = Shape.of(problem), _cut(problem)
    band = cut.band
    channels = min(band.channels, max(1, shape.each))
    rows, taps = best_block(machine(), shape.out_each, channels * shape.taps)
    return OuterProducts(
        ROWS=Fixed(rows),
        TAPS=Fixed(taps),
        offsets=Pointer(shift_layout.offsets(shape, band)),
        groups=problem.groups,
        taps=shape.taps,
        shares=cut.shares,
        pieces=cut.pieces,
        places=cut.places,
        bands=cut.bands,
        parts=cut.parts,
        rows=band.rows,
        columns=band.columns,
        channels=band.channels,
        plain=int(shape.plain),
        packing=shift_layout.packing(shape, band, problem.padding_mode),
        shape=shape.record(),
    )


@functools.lru_cache(256)
def _kernel(problem: Conv) -> Kernel:
    """Return the kernel that computes the derivative of a problem."""
    arguments = _arguments(problem)
    blocks = outer_blocks(int(arguments.ROWS), int(arguments.TAPS))
    return Kernel.of("outer_products", problem.dtype, drive, arguments, blocks=blocks)


@functools.lru_cache(256)
def prepare(problem: Conv) -> Launch:
    """Return the launch that adds to zeroed sums (pieces, k, c/groups, *size)."""
    shape, cut = Shape.of(problem), _cut(problem)
    lanes, width = machine().lanes(problem.dtype), WIDTHS[problem.dtype]
    size = 0 if shape.plain else cut.band.channels * shape.size[0] * cut.band.plane
    return Launch(
        _kernel(problem),
        _arguments(problem),
        tasks=cut.pieces * cut.shares * problem.groups if cut.places else 0,
        scratch=(size + SLACK * lanes) * width,
    )


def run(problem: Conv, x: Tensor, gradient: Tensor) -> Tensor:
    """Sum x (n, c, *space) times gradient (n, k, *outputs) to (k, c/groups, *size)."""
    launch, pieces = prepare(problem), _cut(problem).pieces
    each = problem.channels // problem.groups
    sums = x.new_zeros(pieces, problem.channels_out, each, *problem.size)
    if launch.tasks:
        x, gradient = x.contiguous(), gradient.contiguous()
        launch(x.data_ptr(), gradient.data_ptr(), sums.data_ptr())
    return sums[0] if pieces == 1 else sums.sum(0)
