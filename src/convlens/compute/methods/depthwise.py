"""Apply small kernels to one or a few channels, reading the input in place: depthwise layers.

A task computes some rows of one image and group, block by block with `image_rows`. Nothing is
packed and no memory is needed, because elements outside the image are masked.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from math import ceil, prod

import torch
from torch import Tensor

from convlens.compute.kernels.blocks.images import ImageTaps, image_blocks, image_rows
from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.language.words import WIDTH
from convlens.compute.kernels.launching import Launch, threads
from convlens.compute.kernels.machine import WIDTHS, machine
from convlens.compute.kernels.records import Fixed, Pointer
from convlens.compute.kernels.shapes import Axes, ConvShape
from convlens.compute.kernels.speed import Estimate, speed
from convlens.compute.kernels.tasks import band_rows, place_of
from convlens.compute.methods.method import ConvMethod, Fill
from convlens.compute.methods.reach import refuses_arrays
from convlens.compute.methods.shape import Shape
from convlens.compute.problems import DTYPES, Conv

__all__ = ["METHOD", "estimate", "prepare", "refuses"]


MOST_TAPS, MOST_STRIDE = 7, 4
"""The most taps of a column and the largest row stride, beyond which kernels would be too long."""

WIDEST, TALLEST = 6, 14
"""The most vectors and rows of a block."""

FAR, FLAT = 2**24, 3
"""Input and result of more than `FAR` bytes come from memory, which prefers line by line access.
Their blocks have at most `FLAT` rows: 96 channels of 112 x 112, batch 8, take 2.8 ms in blocks of
2 x 5 and 7.5 ms in blocks of 10 x 2."""

STALLS = 1.25
"""The cycles that pass for one of a block, which sometimes waits."""

ALIASED = 1.7
"""The factor by which lines a multiple of 4,096 bytes apart, which share cache sets, are slower."""


def refuses(problem: Conv) -> str | None:
    """Return why this method cannot compute the problem, or None.

    >>> from convlens.windows import Window
    >>> of = lambda *window: Conv(space=(9, 9), windows=(Window(*window),) * 2, dtype="float32")
    >>> refuses(of(3))
    >>> refuses(of(9))
    'it computes kernels of up to 7 rows'
    """
    reason = refuses_arrays(problem)
    if reason is not None:
        return reason
    if problem.padding_mode != "zeros":
        return f'its padding is zeros, not "{problem.padding_mode}"'
    row, column = Shape.of(problem).windows[1:]
    if row.size > MOST_TAPS:
        return f"it computes kernels of up to {MOST_TAPS} rows"
    if column.stride > 2 or row.stride > MOST_STRIDE:
        return f"it computes strides of up to {MOST_STRIDE} rows and 2 columns"
    if column.stride == 2 and column.dilation > 1:
        return "it computes no dilation of columns with a stride"
    if machine().vector < 32:
        return "it needs vectors with masks, of more than 16 bytes"
    return None


def estimate(problem: Conv) -> Estimate:
    """Return about what it takes: multiply-adds, loads, and memory.

    >>> from convlens.windows import Window
    >>> of = lambda c: Conv(
    ...     channels=c,
    ...     space=(56, 56),
    ...     channels_out=c,
    ...     windows=(Window(3),) * 2,
    ...     dtype="float32",
    ...     groups=c,
    ... )
    >>> 2 < estimate(of(256)).cycles / estimate(of(64)).cycles < 5
    True
    """
    shape = Shape.of(problem)
    moved = _moved(problem)
    block = block_of(shape, problem.dtype, moved > FAR, speed().load)
    computed = problem.batch * problem.channels_out * block.cycles
    return Estimate(cycles=(computed + 0.15 * moved) / threads(), seconds=3e-6)


def _moved(problem: Conv) -> int:
    """Return the bytes of input and result."""
    return (prod(problem.x_shape) + prod(problem.y_shape)) * WIDTHS[problem.dtype]


@dataclass(frozen=True)
class Block:
    """A block of `rows` x `vectors`, the last of a row `rest`; `cycles` for one output channel."""

    rows: int
    vectors: int
    rest: int
    cycles: float


@functools.lru_cache(512)
def block_of(shape: Shape, dtype: str, far: bool, load: float) -> Block:
    """Return the block that takes the least time, by its multiply-adds and loads.

    `far` says that input and result do not fit the caches; `load` is that of `Speed`.
    """
    registers, lanes = machine().registers, machine().lanes(dtype)
    row, column = shape.windows[1:]
    high, wide = shape.outputs[1:]
    pairs = min(column.stride, column.size)
    found = []
    for vectors in range(1, min(WIDEST, ceil(wide / lanes)) + 1):
        rest = ceil(((wide - 1) % (vectors * lanes) + 1) / lanes)
        for rows in range(1, min(FLAT if far else TALLEST, max(1, high)) + 1):
            used = rows * vectors + (vectors + 1) * column.stride + pairs * row.size
            if used > registers and rows * vectors > 1:
                continue
            whole, last = (_cycles(shape, rows, width, load) for width in (vectors, rest))
            cycles = ceil(high / rows) * ((wide - 1) // (vectors * lanes) * whole + last)
            found.append((cycles, rows, vectors, rest))
    cycles, rows, vectors, rest = min(found)
    if shape.space[1] > 1 and shape.space[2] * WIDTHS[dtype] % 4096 == 0:
        cycles *= ALIASED
    layers = shape.outputs[0] * shape.windows[0].size * shape.each
    return Block(rows, vectors, rest, cycles * layers * STALLS)


def _cycles(shape: Shape, rows: int, vectors: int, load: float) -> float:
    """Return the cycles of one layer of a block; some of its loads are aligned."""
    row, column = shape.windows[1:]
    lines = {r * row.stride + a * row.dilation for r in range(rows) for a in range(row.size)}
    times = ceil(column.size / column.stride)
    loads = len(lines) * (vectors * column.stride * (load - 0.2) + 2)
    products = rows * row.size * vectors * column.size / times
    return 12.0 + rows * vectors + times * (max(loads, products) + 6)


@dataclass(frozen=True, kw_only=True)
class Depthwise:
    """The arguments of `drive`.

    The result is divided into `bands` of `rows` rows, of which a block computes `ROWS`. `before` is
    the padding, and an output channel has `weights` weights.
    """

    ROWS: Fixed
    w: Pointer
    bias: Pointer
    bands: int
    rows: int
    groups: int
    weights: int
    before: Axes
    taps: ImageTaps
    shape: ConvShape


def drive(task: int, scratch: int, x: int, y: int, a: Depthwise) -> None:
    """Compute one band of one plane of an image and group."""
    shape, space, out = a.shape, a.shape.space, a.shape.out
    _, _, band, d, group, n = place_of(task, 1, 1, a.bands, out.d, a.groups)
    end = min(out.h, (band + 1) * a.rows)
    image = x + (n * a.groups + group) * shape.each * space.d * space.h * space.w * WIDTH
    for k in range(shape.out_each):
        channel = group * shape.out_each + k
        result = y + ((n * a.groups * shape.out_each + channel) * out.d + d) * out.h * out.w * WIDTH
        for row in range(band * a.rows, end, a.ROWS):
            image_rows(
                a.w + channel * a.weights * WIDTH,
                image,
                result + row * out.w * WIDTH,
                a.bias + channel * WIDTH,
                d * shape.stride.d - a.before.d,
                row * shape.stride.h - a.before.h,
                -a.before.w,
                end - row,
                out.w,
                a.taps,
                shape,
            )


def prepare(problem: Conv, weight: Tensor, bias: Tensor | None) -> Fill:
    """Return `run(x, y)`, which fills y (n, k, *outputs) from x (n, c, *space)."""
    shape, groups = Shape.of(problem), problem.groups
    depth, row, column = shape.windows
    block = block_of(shape, problem.dtype, _moved(problem) > FAR, speed().load)
    images = problem.batch * groups * shape.outputs[0]
    band = band_rows(images, shape.outputs[1], block.rows, threads())
    bands = ceil(shape.outputs[1] / band)
    size = row.size, column.size
    columns = weight.reshape(problem.channels_out, -1, *size).transpose(2, 3).contiguous()
    starting = weight.new_zeros(problem.channels_out) if bias is None else bias.contiguous()
    arguments = Depthwise(
        ROWS=Fixed(block.rows),
        w=Pointer(columns),
        bias=Pointer(starting),
        bands=bands,
        rows=band,
        groups=groups,
        weights=shape.each * shape.taps,
        before=Axes.of(window.before for window in shape.windows),
        taps=ImageTaps(
            zeros=Pointer(torch.zeros(shape.space[2], dtype=DTYPES[problem.dtype])),
            depth=depth.size,
            depth_dilation=depth.dilation,
            dilation=column.dilation,
        ),
        shape=shape.record(),
    )
    stride = row.stride, column.stride
    blocks = image_blocks(block.rows, block.vectors, block.rest, size, stride, row.dilation)
    kernel = Kernel.of("depthwise", problem.dtype, drive, arguments, blocks=blocks)
    return Launch(kernel, arguments, tasks=images * bands).fill


METHOD = ConvMethod(
    name="depthwise",
    solves=Conv,
    exact=True,
    repeats=True,
    compiles=True,
    skips=False,
    refuses=refuses,
    estimate=estimate,
    prepare=prepare,
)
