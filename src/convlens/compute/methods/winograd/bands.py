"""Divide a problem into bands of tiles for Winograd's method, by a model of the time they take."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from convlens.compute.kernels.blocks.shift import best_rows, best_vectors
from convlens.compute.kernels.machine import WIDTHS, Machine
from convlens.compute.problems import Conv
from convlens.windows import Window

__all__ = ["TileBand", "TileShape", "best_band"]


@dataclass(frozen=True)
class TileShape:
    """A problem as planes of tiles.

    There are `outer` parts with `planes` planes of outputs each. With three axes of space, a part
    is a group of an image; with two, it is a group of the whole batch, and the images are planes.
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
    def of(cls, problem: Conv, m: int) -> TileShape:
        """Return the shape of a problem for tiles of m by m outputs."""
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
        """The number of inputs of a tile, and of its products."""
        return (self.m + 2) ** 2

    @property
    def halo(self) -> int:
        """The number of planes read beyond the number written."""
        return self.depth.extent - 1

    @property
    def steps(self) -> int:
        """The number of products summed for every element: channels times taps of depth."""
        return self.each * self.depth.size


@dataclass(frozen=True)
class TileBand:
    """The size of a task: `tall` rows of tiles in `deep` planes, for a share of the outputs.

    It keeps `pitch` tiles of every channel and `reach` of every output, and computes `chunk` blocks
    of outputs together. `cycles` estimates the whole problem.
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
        cls, shape: TileShape, deep: int, tall: int, shares: int, threads: int, here: Machine
    ) -> TileBand:
        """Return the band of that size, with its estimated cycles."""
        lanes, width = here.lanes(shape.dtype), WIDTHS[shape.dtype]
        rows = best_rows(here, shape.out_each)
        blocks = ceil(shape.out_each / rows)
        plane = tall * shape.tiles
        vectors = ceil(deep * plane / lanes)
        pitch = ceil(shape.halo * plane / lanes + vectors) * lanes
        own = ceil(blocks / shares)
        # Products become outputs before they leave the cache.
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
def best_band(shape: TileShape, threads: int, here: Machine) -> TileBand:
    """Return the band with which all threads finish first, by the model."""
    blocks = ceil(shape.out_each / best_rows(here, shape.out_each))
    shares = [s for s in (1, 2, 3, 4, 6, 8, 16) if s <= min(blocks, 4 * threads)]
    most = 32 * here.lanes(shape.dtype)
    bands = [
        TileBand.of(shape, deep, tall, share, threads, here)
        for tall in _parts(shape.tile_rows)
        for deep in _parts(max(1, shape.planes))
        if tall * deep * shape.tiles <= most or tall * deep == 1
        for share in shares
    ]
    return min(bands, key=lambda band: band.cycles)


def _parts(count: int) -> Iterator[int]:
    """Yield the sizes of the equal parts into which `count` can be divided."""
    size = 0
    for pieces in range(count, 0, -1):
        if ceil(count / pieces) != size:
            size = ceil(count / pieces)
            yield size
