"""Convolve kernels of 3 by 3 taps by Winograd's method: fewer products, more sums, some error.

Tiles of m by m outputs take (m + 2)^2 products per channel instead of 9 m^2: 4 times fewer for
m = 4, 2.25 times for m = 2. The factors are transforms of the input's tiles and of the weights. The
products, summed over channels, are transformed back. In between there are (m + 2)^2 matrix
products, computed by `blocks`. Taps of depth of a three-dimensional kernel count as channels.

The products of a window have roundings of everything in its tile; for m = 2, that is only the
window itself. An image is summed directly if it is so uneven that other numbers may drown out a
window's own products. This is judged by the sum of magnitudes over channels, each times its largest
weight. An infinite or NaN input spoils whole tiles, so every result is checked, and `Unfit` is
raised.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import replace
from functools import partial
from math import ceil, prod

import numpy as np
import torch
from torch import Tensor

from convlens.compute.kernels.blocks.shift import best_rows, best_vectors, shift_blocks
from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.launching import Launch, threads
from convlens.compute.kernels.machine import WIDTHS, machine
from convlens.compute.kernels.records import Fixed, Pointer
from convlens.compute.kernels.rows import packing
from convlens.compute.kernels.speed import Estimate
from convlens.compute.methods.method import ConvMethod, Fill
from convlens.compute.methods.promise import within
from convlens.compute.methods.reach import refuses_arrays
from convlens.compute.methods.shift import method as shift
from convlens.compute.methods.winograd.bands import TileBand, TileShape, best_band
from convlens.compute.methods.winograd.tiles import Tile, TileSource, TileTarget, Winograd, drive
from convlens.compute.methods.winograd.transforms import transforms, weight_matrix
from convlens.compute.problems import Conv, Unfit, Unsuited

__all__ = ["F2", "F4", "estimate", "prepare", "refuses"]

ALONE = 0.7
"""The largest share of a window's magnitudes, over all channels, in one of its places."""

UNEVEN = 28.0
"""The most roundings of its tile's largest numbers by which an output of F(4, 3) may be wrong."""

HIDDEN = 0.86
"""The cycles that pass for one of the model; some are hidden behind others."""

FEWEST = 8
"""The input and output channels of a group below which the transforms cost more than they save."""


def refuses(problem: Conv) -> str | None:
    """Return why Winograd's method cannot compute the problem, or None.

    >>> from convlens.windows import Window
    >>> plane = {"space": (56, 56), "dtype": "float32", "channels": 64, "channels_out": 64}
    >>> refuses(Conv(windows=(Window(3),) * 2, **plane))
    >>> refuses(Conv(windows=(Window(5),) * 2, **plane))
    'it computes kernels of 3 by 3 taps, of any depth, with stride and dilation 1'
    """
    if not problem.dtype.startswith("float"):
        return f"its transforms need fractions, which {problem.dtype} cannot hold"
    windows = problem.windows
    plane = all(w.size == 3 and w.stride == w.dilation == 1 for w in windows[-2:])
    if len(windows) < 2 or not plane or any(w.stride != 1 for w in windows):
        return "it computes kernels of 3 by 3 taps, of any depth, with stride and dilation 1"
    if min(problem.channels, problem.channels_out) // problem.groups < FEWEST:
        return f"it needs at least {FEWEST} input and output channels in every group"
    return refuses_arrays(problem)


def estimate(problem: Conv, *, m: int) -> Estimate:
    """Return about what it takes in the bands that will be used.

    >>> from convlens.windows import Window
    >>> plane = {"space": (56, 56), "windows": (Window(3),) * 2, "dtype": "float32"}
    >>> of = lambda channels: Conv(channels=channels, channels_out=64, **plane)
    >>> 2 < estimate(of(64), m=4).cycles / estimate(of(16), m=4).cycles < 5
    True
    """
    shape = TileShape.of(problem, m)
    cycles = best_band(shape, threads(), machine()).cycles
    return Estimate(cycles=HIDDEN * cycles, seconds=8e-6)


def _packed(shape: TileShape, groups: int, weight: Tensor, rows: int) -> Tensor:
    """Return the transformed weights: group, element, block, channel and depth tap, row."""
    g = torch.from_numpy(weight_matrix(shape.m))
    blocks = ceil(shape.out_each / rows)
    values = torch.einsum("ia,kcdab,jb->ijkcd", g, weight.double(), g)
    packed: Tensor = weight.new_zeros(groups, shape.elements, blocks * rows, shape.steps)
    values = values.reshape(shape.elements, groups, shape.out_each, shape.steps)
    packed[:, :, : shape.out_each] = values.transpose(0, 1)
    if not packed.isfinite().all():
        raise Unsuited("a weight, or its transform, is not finite")
    return packed.view(*packed.shape[:2], blocks, rows, -1).transpose(3, 4).contiguous()


def _channel_sizes(weight: Tensor, groups: int) -> Tensor:
    """Return the largest weight of every channel, relative to the largest weight of all."""
    most = weight.detach().abs().reshape(groups, -1, weight.shape[1], prod(weight.shape[2:]))
    return (most.amax((1, 3)) / most.max().clamp(min=torch.finfo(weight.dtype).tiny)).contiguous()


def _source(shape: TileShape, problem: Conv) -> TileSource:
    """Return the layout of the tiles' inputs."""
    tables = [
        packing.sources(window, n, problem.padding_mode)
        for window, n in zip(problem.windows[:-1], problem.space[:-1], strict=True)
    ]
    flat = len(tables) == 1
    if flat:
        tables.insert(0, np.arange(problem.batch, dtype=np.int64))
    last, n = problem.windows[-1], problem.space[-1]
    first_column, last_column = packing.middle(last, n)
    volume, plane = prod(problem.space), prod(problem.space[-2:])
    return TileSource(
        depth_table=Pointer(tables[0]),
        row_table=Pointer(tables[1]),
        column_ends=Pointer(packing.ends(last, n, problem.padding_mode)),
        row_end=len(tables[1]),
        column_end=packing.covered(last, n),
        column_first=first_column,
        column_last=last_column,
        outer=shape.each * volume,
        channel=volume,
        plane=problem.channels * plane if flat else plane,
        width=n,
    )


def _target(shape: TileShape, problem: Conv) -> TileTarget:
    """Return the layout of the results."""
    volume, plane = prod(problem.outputs), prod(problem.outputs[-2:])
    return TileTarget(
        outer=shape.out_each * volume,
        channel=volume,
        plane=problem.channels_out * plane if len(problem.space) == 2 else plane,
        height=problem.outputs[-2],
        width=problem.outputs[-1],
    )


def _arguments(
    shape: TileShape, band: TileBand, problem: Conv, weight: Tensor, bias: Tensor | None
) -> Winograd:
    """Return the arguments of the kernel."""
    groups, rows = problem.groups, best_rows(machine(), shape.out_each)
    size = weight.shape[1:2] + (1,) * (5 - weight.ndim) + weight.shape[2:]
    starting = weight.new_zeros(problem.channels_out + rows)  # with zeros at its end
    if bias is not None:
        starting[: problem.channels_out] = bias
    depths = np.arange(shape.depth.size) * shape.depth.dilation * band.tall * shape.tiles
    offsets = np.arange(shape.each)[:, None] * band.pitch + depths
    return Winograd(
        ROWS=Fixed(rows),
        w=Pointer(_packed(shape, groups, weight.reshape(-1, *size), rows)),
        bias=Pointer(starting),
        offsets=Pointer(np.ascontiguousarray(offsets, np.int64)),
        channel_sizes=Pointer(_channel_sizes(weight, groups)),
        most_uneven=Pointer(np.array([within(problem) / UNEVEN, ALONE], problem.dtype)),
        groups=groups,
        each=shape.each,
        out_each=shape.out_each,
        steps=shape.steps,
        block_count=ceil(shape.out_each / rows),
        shares=band.shares,
        chunk=band.chunk,
        layers=ceil(shape.planes / band.deep),
        strips=ceil(shape.tile_rows / band.tall),
        deep=band.deep,
        halo=shape.halo,
        tall=band.tall,
        tile_rows=shape.tile_rows,
        tiles=shape.tiles,
        pitch=band.pitch,
        reach=band.reach,
        plane_count=shape.planes,
        flat=int(len(problem.space) == 2),
        tile=Tile(M=Fixed(shape.m)),
        source=_source(shape, problem),
        target=_target(shape, problem),
    )


def _scratch(shape: TileShape, band: TileBand, rows: int, lanes: int) -> int:
    """Return the numbers that a thread keeps: a line, tiles, products and sizes."""
    m, elements = shape.m, shape.elements
    numbers = (shape.tiles + 2 * lanes) * m + elements * (band.pitch + lanes) + 2 * lanes
    numbers += m * m * band.reach + band.chunk * elements * rows * band.reach
    numbers += elements * (shape.each * band.pitch + lanes)
    span = (shape.tiles * m + 2) // lanes * lanes + 4 * lanes
    return numbers + ((band.deep + shape.halo) * (band.tall * m + 2) + 1 + 2 * m) * span + 2 * lanes


def prepare(problem: Conv, weight: Tensor, bias: Tensor | None, *, m: int) -> Fill:
    """Return `run(x, y)`, which fills y (n, k, *outputs) from x (n, c, *space).

    `run` raises Unfit if a result is infinite or NaN; `prepare` raises Unsuited if a weight is.
    """
    shape, here, dtype = TileShape.of(problem, m), machine(), problem.dtype
    rows, band = best_rows(here, shape.out_each), best_band(shape, threads(), here)
    arguments = _arguments(shape, band, problem, weight, bias)
    blocks = shift_blocks(rows, best_vectors(here, rows)) + transforms(m)
    tasks = shape.outer * arguments.layers * arguments.strips * band.shares * (problem.batch > 0)
    launch = Launch(
        Kernel.of(f"winograd_{m}", dtype, drive, arguments, blocks=blocks),
        arguments,
        tasks=tasks,
        scratch=_scratch(shape, band, rows, here.lanes(dtype)) * WIDTHS[dtype],
    )
    one = replace(problem, batch=1)

    @functools.cache
    def directly() -> Fill:
        return shift.prepare(one, weight, bias)

    def run(x: Tensor, y: Tensor) -> None:
        if not tasks:
            return
        lost, uneven = ctypes.c_int64(0), np.zeros(problem.batch, np.int64)
        launch(x.data_ptr(), y.data_ptr(), ctypes.addressof(lost), uneven.ctypes.data)
        if lost.value:
            raise Unfit("a result is not finite; use a method that sums directly")
        for i in np.flatnonzero(uneven).tolist():
            directly()(x[i : i + 1], y[i : i + 1])

    return run


def _method(m: int) -> ConvMethod[Conv]:
    """Return the method for tiles of m by m outputs, F(m x m, 3 x 3)."""
    return ConvMethod(
        name=f"winograd{m}",
        solves=Conv,
        exact=False,
        repeats=True,
        compiles=True,
        skips=False,
        refuses=refuses,
        estimate=partial(estimate, m=m),
        prepare=partial(prepare, m=m),
    )


F2, F4 = _method(2), _method(4)
