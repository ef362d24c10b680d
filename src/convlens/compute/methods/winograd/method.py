"""Winograd's convolution with 3 by 3 taps: fewer products, for some error and some sums.

Tiles of m by m outputs are made by (m + 2)^2 products a channel instead of 9 m^2: 4 times fewer for
m = 4, 2.25 times for m = 2. What is multiplied are transforms of the input's tiles and of the
weights; the products, summed over channels, are transformed back. Between the transforms stand
(m + 2)^2 matrix products, done by `blocks`. A kernel of 3 dimensions is one of 2 with its taps of
depth as further channels.

The products of a window are off by roundings of whatever else stands in its tile; with m = 2 that
is nothing but the window itself. An image so uneven that a window's own products may be lost beside
others is summed directly. How large numbers are is gathered over channels, each by its largest
weight. An input that is not finite spoils whole tiles: every result is looked
at, and `Unfit` raised.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.compute.kernels.blocks.shift import best_rows, best_vectors, shift_blocks
from convlens.compute.kernels.language.compiling import Kernel
from convlens.compute.kernels.launching import Launch, threads
from convlens.compute.kernels.machine import WIDTHS, Machine, machine
from convlens.compute.kernels.rows import interleaving, packing
from convlens.compute.methods.method import ConvMethod, Fill
from convlens.compute.methods.promise import within
from convlens.compute.methods.reach import refuses_arrays
from convlens.compute.methods.shift import method as shift
from convlens.compute.methods.winograd import tiles as winograd_tiles
from convlens.compute.methods.winograd.tiles import transforms, weight_matrix
from convlens.compute.problems import Conv, Unfit, Unsuited
from convlens.windows import Window

__all__ = ["F2", "F4", "cost", "prepare", "refuses"]

Table = np.ndarray[Any, Any]

ALONE = 0.7
"""The largest share of a window's numbers, over all channels, that one of its places may have."""

UNEVEN = 28.0
"""How many roundings of its tile's largest numbers an output of F(4, 3) may be off."""

FEWEST = 8
"""Channels in and out of a group below which the transforms take longer than what they spare."""


def refuses(problem: Conv) -> str | None:
    """Return why Winograd's method cannot compute the problem, or None.

    >>> plane = {"space": (56, 56), "dtype": "float32", "channels": 64, "channels_out": 64}
    >>> refuses(Conv(windows=(Window(3),) * 2, **plane))
    >>> refuses(Conv(windows=(Window(5),) * 2, **plane))
    'it computes kernels of 3 by 3 taps, of any depth, with stride and dilation 1'
    """
    if not problem.dtype.startswith("float"):
        return f"its transforms need fractions, and {problem.dtype} has none"
    windows = problem.windows
    plane = all(w.size == 3 and w.stride == w.dilation == 1 for w in windows[-2:])
    if len(windows) < 2 or not plane or any(w.stride != 1 for w in windows):
        return "it computes kernels of 3 by 3 taps, of any depth, with stride and dilation 1"
    if min(problem.channels, problem.channels_out) // problem.groups < FEWEST:
        return f"it needs at least {FEWEST} channels in and out, in every group"
    return refuses_arrays(problem)


def cost(problem: Conv, *, m: int) -> float:
    """Return about how many seconds it takes in the bands that will be used.

    >>> plane = {"space": (56, 56), "windows": (Window(3),) * 2, "dtype": "float32"}
    >>> of = lambda channels: Conv(channels=channels, channels_out=64, **plane)
    >>> 2 < cost(of(64), m=4) / cost(of(16), m=4) < 5
    True
    """
    shape = _Shape.of(problem, m)
    return 8e-6 + _best(shape, threads(), machine()).cycles / 3.5e9


@dataclass(frozen=True)
class _Shape:
    """The problem as planes of tiles.

    An *outer* one has `planes` planes of outputs: those of an image of 3 dimensions, or else the
    images of a batch.
    """

    m: int
    dtype: str
    outer: int
    planes: int
    depth: Window
    each: int
    out_each: int
    tile_rows: int
    tiles: int

    @classmethod
    def of(cls, problem: Conv, m: int) -> _Shape:
        groups, (high, wide) = problem.groups, problem.outputs[-2:]
        outer, planes, depth = groups, problem.batch, Window(1)
        if len(problem.space) == 3 and isinstance(problem.windows[0], Window):
            outer, planes, depth = problem.batch * groups, problem.outputs[0], problem.windows[0]
        return cls(
            m,
            problem.dtype,
            outer,
            planes,
            depth,
            problem.channels // groups,
            problem.channels_out // groups,
            ceil(high / m),
            ceil(wide / m),
        )

    @property
    def elements(self) -> int:
        return (self.m + 2) ** 2

    @property
    def halo(self) -> int:
        """Return how many more planes are read than written."""
        return self.depth.extent - 1

    @property
    def steps(self) -> int:
        return self.each * self.depth.size


@dataclass(frozen=True)
class _Band:
    """How much a task does: `deep` planes, of each `tall` rows of tiles, for a share of outputs.

    It keeps `pitch` tiles of every channel, and `reach` of every output. `chunk` blocks of outputs
    are done together; `cycles` is about what everything takes.
    """

    deep: int
    tall: int
    shares: int
    pitch: int
    reach: int
    chunk: int
    cycles: float

    @classmethod
    def of(
        cls, shape: _Shape, deep: int, tall: int, shares: int, threads: int, here: Machine
    ) -> _Band:
        lanes, width = here.lanes(shape.dtype), WIDTHS[shape.dtype]
        rows = best_rows(here, shape.out_each)
        blocks = ceil(shape.out_each / rows)
        plane = tall * shape.tiles
        vectors = ceil(deep * plane / lanes)
        pitch = ceil(shape.halo * plane / lanes + vectors) * lanes
        own = ceil(blocks / shares)
        # Products are turned into outputs before they leave the cache.
        block_bytes = shape.elements * rows * vectors * lanes * width
        chunk = max(1, min(own, here.level2 // 3 // block_bytes))
        tasks = shape.outer * ceil(shape.planes / deep) * ceil(shape.tile_rows / tall) * shares
        sums = (shape.m + 2) ** 2 * (1.5 if shape.m == 2 else 2.5)
        lines = (deep + shape.halo) * tall * (shape.m + 2) * ceil(shape.tiles / lanes)
        forward = shape.each * (lines * 8 * shape.m + pitch / lanes * sums)
        whole, rest = divmod(vectors, best_vectors(here, rows))
        block = rows * vectors + 1.5 * (rest > 0)
        products = own * shape.elements * (shape.steps * block + 40 * (whole + 1))
        weights = own * rows * shape.elements * shape.steps * width
        values = shape.elements * shape.each * pitch * width
        written = own * rows * vectors * lanes * shape.m**2 * width
        moved = values * (1 + ceil(own / chunk)) * (values > here.level2 // 2)
        backward = own * rows * vectors * 2 * sums
        task = forward + max(products, weights / 4) + moved / 12 + backward + written / 4 + 3000
        cycles = ceil(tasks / threads) * task
        return cls(deep, tall, shares, pitch, vectors * lanes, chunk, cycles)


@functools.lru_cache(1024)
def _best(shape: _Shape, threads: int, here: Machine) -> _Band:
    """Return the band for which the model says that all threads are done soonest."""
    blocks = ceil(shape.out_each / best_rows(here, shape.out_each))
    shares = [s for s in (1, 2, 3, 4, 6, 8, 16) if s <= min(blocks, 4 * threads)]
    most = 32 * here.lanes(shape.dtype)
    bands = [
        _Band.of(shape, deep, tall, share, threads, here)
        for tall in _parts(shape.tile_rows)
        for deep in _parts(max(1, shape.planes))
        if tall * deep * shape.tiles <= most or tall * deep == 1
        for share in shares
    ]
    return min(bands, key=lambda band: band.cycles)


def _parts(count: int) -> Iterator[int]:
    """Yield the sizes of equal parts that `count` can be cut into."""
    size = 0
    for pieces in range(count, 0, -1):
        if ceil(count / pieces) != size:
            size = ceil(count / pieces)
            yield size


def _packed(shape: _Shape, groups: int, weight: Tensor, rows: int) -> Tensor:
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
    """Return the largest weight of every channel of every group beside the largest of all."""
    most = weight.detach().abs().reshape(groups, -1, weight.shape[1], prod(weight.shape[2:]))
    return (most.amax((1, 3)) / most.max().clamp(min=torch.finfo(weight.dtype).tiny)).contiguous()


def _kernel(shape: _Shape, rows: int) -> Kernel:
    return Kernel(
        name=f"winograd_{shape.m}",
        dtype=shape.dtype,
        drive=winograd_tiles.drive,
        uses=(
            *packing.PACK_ROW,
            interleaving.interleave_2,
            interleaving.interleave_4,
            interleaving.interleave,
            winograd_tiles.gauge,
            winograd_tiles.is_uneven,
            winograd_tiles.transform_inputs,
            winograd_tiles.write_tiles,
        ),
        blocks=shift_blocks(rows, best_vectors(machine(), rows)) + transforms(shape.m),
        constants=(("M", shape.m), ("ROWS", rows)),
    )


def _tables(problem: Conv) -> tuple[list[Table], tuple[int, int, int]]:
    """Return of every plane and row that tiles cover which of the input it is.

    And of the columns before and behind those where the input lies as it is; where these begin and
    end, and how many columns there are.
    """
    windows = problem.windows
    found = [
        packing.sources(window, n, problem.padding_mode)
        for window, n in zip(windows[:-1], problem.space[:-1], strict=True)
    ]
    if len(found) == 1:
        found.insert(0, np.arange(problem.batch, dtype=np.int64))
    last, n = windows[-1], problem.space[-1]
    found.append(packing.ends(last, n, problem.padding_mode))
    return found, (*packing.middle(last, n), packing.covered(last, n))


def prepare(problem: Conv, weight: Tensor, bias: Tensor | None, *, m: int) -> Fill:
    """Return `run(x, y)`, which fills y (n, k, *outputs) from x (n, c, *space).

    It raises Unfit if a result is not finite, and this Unsuited if a weight is not.
    """
    shape, groups = _Shape.of(problem, m), problem.groups
    rows, here = best_rows(machine(), shape.out_each), machine()
    band = _best(shape, threads(), here)
    layers, strips = ceil(shape.planes / band.deep), ceil(shape.tile_rows / band.tall)
    blocks, lanes = ceil(shape.out_each / rows), here.lanes(problem.dtype)
    size = weight.shape[1:2] + (1,) * (5 - weight.ndim) + weight.shape[2:]
    packed = _packed(shape, groups, weight.reshape(-1, *size), rows)
    starting = weight.new_zeros(problem.channels_out + rows)  # at the end of it only zeros
    if bias is not None:
        starting[: problem.channels_out] = bias
    plane = band.tall * shape.tiles
    depths = np.arange(shape.depth.size) * shape.depth.dilation * plane
    offsets = np.arange(shape.each)[:, None] * band.pitch + depths
    (depth_table, row_table, column_ends), (first, last, columns) = _tables(problem)
    volume_x, volume_y = prod(problem.space), prod(problem.outputs)
    plane_x, plane_y = prod(problem.space[-2:]), prod(problem.outputs[-2:])
    flat = len(problem.space) == 2
    elements = shape.elements
    numbers = (shape.tiles + 2 * lanes) * m + elements * (band.pitch + lanes) + 2 * lanes
    numbers += m * m * band.reach + band.chunk * elements * rows * band.reach
    numbers += elements * (shape.each * band.pitch + lanes)
    span = (shape.tiles * m + 2) // lanes * lanes + 4 * lanes
    numbers += ((band.deep + shape.halo) * (band.tall * m + 2) + 1 + 2 * m) * span + 2 * lanes
    tasks = shape.outer * layers * strips * band.shares * (problem.batch > 0)
    launch = Launch(
        _kernel(shape, rows),
        tasks=tasks,
        scratch=numbers * WIDTHS[problem.dtype],
        changing=("x", "y", "flag", "uneven"),
        fixed={
            "w": packed,
            "bias": starting,
            "offsets": np.ascontiguousarray(offsets, np.int64),
            "depth_table": depth_table,
            "row_table": row_table,
            "column_ends": column_ends,
            "groups": groups,
            "each": shape.each,
            "out_each": shape.out_each,
            "steps": shape.steps,
            "block_count": blocks,
            "shares": band.shares,
            "chunk": band.chunk,
            "layers": layers,
            "strips": strips,
            "deep": band.deep,
            "halo": shape.halo,
            "tall": band.tall,
            "tile_rows": shape.tile_rows,
            "tiles": shape.tiles,
            "pitch": band.pitch,
            "reach": band.reach,
            "outer_x": shape.each * volume_x,
            "channel_x": volume_x,
            "plane_x": problem.channels * plane_x if flat else plane_x,
            "outer_y": shape.out_each * volume_y,
            "channel_y": volume_y,
            "plane_y": problem.channels_out * plane_y if flat else plane_y,
            "plane_count": shape.planes,
            "row_end": len(row_table),
            "column_end": columns,
            "first": first,
            "last": last,
            "space_w": problem.space[-1],
            "out_h": problem.outputs[-2],
            "out_w": problem.outputs[-1],
            "flat": int(flat),
            "channel_sizes": _channel_sizes(weight, groups),
            "most_uneven": np.array([within(problem) / UNEVEN, ALONE], problem.dtype),
        },
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
            raise Unfit("a result is not finite; a method that sums directly is right")
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
        cost=partial(cost, m=m),
        prepare=partial(prepare, m=m),
    )


F2, F4 = _method(2), _method(4)
