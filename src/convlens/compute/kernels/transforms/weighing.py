"""Measure the magnitudes of tiles, bound the errors of transforms, and find the certain results.

It uses sums over *blocks* of some rows and columns, formed while a tile is packed. By the
Cauchy-Schwarz inequality, the numbers a of a block and the taps w that they meet satisfy

    sum |a| |w|  >=  (sum sqrt |a|)^2 / (sum 1 / |w|).

One number per block, and one per place of a block in a window, thus give a lower bound of the
window's products. See `doubting`, and `fft.doubts` for the sums of 1 / |w|.
"""

from __future__ import annotations

from convlens.compute.kernels.language.words import (
    LANES,
    WIDTH,
    add,
    below,
    broadcast,
    evens,
    fma,
    larger,
    load,
    magnitude,
    mul,
    odds,
    root,
    rough_root,
    smaller,
    splat,
    store,
    total,
    word,
    zero,
)
from convlens.compute.kernels.shapes import Axes
from convlens.compute.kernels.transforms.geometry import FourierGeometry
from convlens.compute.kernels.transforms.tiles import pack_tile_row

__all__ = [
    "limit_of",
    "mask_of",
    "may_doubt",
    "pack_weighed",
    "uncertain_blocks",
    "weigh",
]


def weigh_column(row: int, i: int, squares: int, g: FourierGeometry) -> tuple[int, int]:
    """Return a vector of sums of roots over the rows of a block, and the sums of squares."""
    found = zero()
    if i < g.tile.wide:
        for r in range(g.blocks.down):
            v = load(row, i + r * g.tile.pitch)
            squares, found = fma(v, v, squares), add(rough_root(v), found)
    else:
        found = broadcast(g.errors.most, 0)  # outside every window
    return found, squares


def weigh_two(
    row: int, i: int, squares: int, others: int, g: FourierGeometry
) -> tuple[int, int, int]:
    """Return sums of roots over pairs in a row, and the sums of squares of both vectors."""
    a, squares = weigh_column(row, i, squares, g)
    b, others = weigh_column(row, i + LANES, others, g)
    return add(evens(a, b), odds(a, b)), squares, others


def weigh_four(
    row: int, i: int, squares: int, others: int, g: FourierGeometry
) -> tuple[int, int, int]:
    """Return sums of roots over four in a row, and of squares."""
    a, squares, others = weigh_two(row, i, squares, others, g)
    b, squares, others = weigh_two(row, i + 2 * LANES, squares, others, g)
    return add(evens(a, b), odds(a, b)), squares, others


def weigh_eight(
    row: int, i: int, squares: int, others: int, g: FourierGeometry
) -> tuple[int, int, int]:
    """Return sums of roots over eight in a row, and of squares."""
    a, squares, others = weigh_four(row, i, squares, others, g)
    b, squares, others = weigh_four(row, i + 4 * LANES, squares, others, g)
    return add(evens(a, b), odds(a, b)), squares, others


def weigh_rows(
    blocks: int, row: int, squares: int, most: int, least: int, g: FourierGeometry
) -> tuple[int, int, int]:  # fmt: skip
    """Add rows to the sums of squares, the largest partial sum and the smallest block.

    Write the square of the sum of the roots of the magnitudes of every block to `blocks`.
    """
    along, n, found = g.blocks.along, 0, zero()
    for i in range(0, g.tile.wide, along * LANES):
        own, more = zero(), zero()
        if along == 1:
            found, own = weigh_column(row, i, own, g)
        elif along == 2:
            found, own, more = weigh_two(row, i, own, more, g)
        elif along == 4:
            found, own, more = weigh_four(row, i, own, more, g)
        else:
            found, own, more = weigh_eight(row, i, own, more, g)
        squares, most = add(squares, add(own, more)), larger(larger(own, more), most)
        found = mul(found, found)
        store(blocks, n, found)
        least = smaller(found, least)
        n += LANES
    return squares, most, least


def pack_weighed(
    to: int, image: int, corner: Axes, blocks: int, g: FourierGeometry
) -> tuple[int, int]:  # fmt: skip
    """Write a tile as `pack_planes` does, and to `blocks` what its blocks prove, then the smallest.

    Return, per lane, the sums of squares and the largest partial sum. The rows are read again while
    they are in the cache.
    """
    squares, most, down, least = zero(), zero(), g.blocks.down, broadcast(g.errors.most, 0)
    for d in range(g.tile.depth):
        for h in range(0, g.tile.high, down):
            for r in range(h, h + down):
                pack_tile_row(to, image, corner, d, r, g)
            row = to + (d * g.tile.plane + h * g.tile.pitch) * WIDTH
            squares, most, least = weigh_rows(blocks, row, squares, most, least, g)
            blocks += g.blocks.pitch * WIDTH
    store(blocks, 0, least)
    least = broadcast(blocks, 0)
    for lane in range(1, LANES):
        least = smaller(broadcast(blocks, lane), least)
    store(blocks, 0, least)
    return squares, most


def holds_zeros(tiles: int, g: FourierGeometry) -> int:
    """Return 1 if two tiles hold only zeros, else 0."""
    most = zero()
    for part in range(2):
        for d in range(g.tile.depth):
            for h in range(g.tile.high):
                row = tiles + (
                    part * g.tile.elements + d * g.tile.plane + h * g.tile.pitch
                ) * WIDTH  # fmt: skip
                for i in range(0, g.tile.wide, LANES):
                    most = larger(magnitude(load(row, i)), most)
    found: int = 0
    if below(zero(), most) == 0:
        found = 1
    return found


def weigh(stats: int, squares: int, most: int, tiles: int, g: FourierGeometry) -> None:
    """Write the share in the error of a channel's pair of tiles, and its largest number.

    The share is the root mean square plus a fraction of the largest number, because the error of a
    single large number is not spread evenly. The largest number is estimated from partial sums of
    squares, never too low. If all squares underflow to 0, no bound is known.
    """
    store(stats, 0, most)
    most = broadcast(stats, 0)
    for lane in range(1, LANES):
        most = larger(broadcast(stats, lane), most)
    most = root(most)
    mean = mul(splat(total(squares)), broadcast(g.errors.mean, 0))
    if below(zero(), mean) == 0 and holds_zeros(tiles, g) == 0:
        most = broadcast(g.errors.never, 0)
    store(stats, 0, fma(most, broadcast(g.errors.peak, 0), root(mean)))
    store(stats, LANES, most)


def limit_of(stats: int, row: int, energy: int, g: FourierGeometry) -> int:
    """Return, in every lane, the smallest sum of products that makes a kernel's result certain.

    `energy` is the sum of the squares of the convolved spectrum of both tiles. If numbers are too
    large or too small for a bound, the limit is NaN, and no result is certain.
    """
    found = mul(root(energy), broadcast(g.errors.spectral, 0))
    most = zero()
    for c in range(g.each):
        part = broadcast(g.errors.spread, row * g.each + c)
        found = fma(load(stats, 2 * c * LANES), part, found)
        most = larger(load(stats, (2 * c + 1) * LANES), most)
    some = below(zero(), most)
    small = below(most, broadcast(g.errors.least, 0)) | below(found, broadcast(g.errors.floor, 0))
    if below(broadcast(g.errors.most, 0), most) != 0 or (some != 0 and small != 0):
        found = broadcast(g.errors.never, 0)
    result: int = fma(found, zero(), found)  # turns an infinite limit into NaN
    return result


def mask_of(count: int) -> int:
    """Return a mask with a bit for each lane that holds one of `count` results."""
    held: int = max(0, min(LANES, count))
    return (1 << held) - 1


def add_two(
    blocks: int, at: int, places: int, floors: int, n: int, f0: int, f1: int
) -> tuple[int, int]:  # fmt: skip
    """Return the bounds of two vectors after adding what four more blocks prove."""
    w, v = broadcast(floors, n), broadcast(floors, n + 1)
    a, b = at + word(places, n), at + word(places, n + 1)
    g0, g1 = mul(load(blocks, a), w), mul(load(blocks, a + LANES), w)
    f0, f1 = fma(load(blocks, b), v, f0), fma(load(blocks, b + LANES), v, f1)
    w, v = broadcast(floors, n + 2), broadcast(floors, n + 3)
    a, b = at + word(places, n + 2), at + word(places, n + 3)
    g0, g1 = fma(load(blocks, a), w, g0), fma(load(blocks, a + LANES), w, g1)
    f0, f1 = fma(load(blocks, b), v, f0), fma(load(blocks, b + LANES), v, f1)
    return add(f0, g0), add(f1, g1)


def add_four(
    blocks: int, at: int, places: int, floors: int, n: int, f0: int, f1: int, f2: int, f3: int
) -> tuple[int, int, int, int]:
    """Return the bounds of four vectors after adding what four more blocks prove."""
    f0, f1 = add_two(blocks, at, places, floors, n, f0, f1)
    f2, f3 = add_two(blocks, at + 2 * LANES, places, floors, n, f2, f3)
    return f0, f1, f2, f3


def uncertain_two(
    blocks: int, at: int, held: int, limit: int, places: int, floors: int, g: FourierGeometry
) -> int:  # fmt: skip
    """Return what `uncertain_blocks` returns, for `held` lanes of two vectors."""
    m0, m1 = mask_of(held), mask_of(held - LANES)
    f0, f1, bits, n = zero(), zero(), 1, g.blocks.first
    for first in range(0, n, 4):
        f0, f1 = add_two(blocks, at, places, floors, first, f0, f1)
    while bits != 0:
        bits = (below(f0, limit) & m0) | (below(f1, limit) & m1) << 16
        if bits != 0:
            if n == g.blocks.count:
                break
            f0, f1 = add_two(blocks, at, places, floors, n, f0, f1)
            n += 4
    return bits


def uncertain_blocks(
    blocks: int, at: int, left: int, limit: int, row: int, g: FourierGeometry
) -> int:
    """Return which lanes of four vectors of blocks leave a result uncertain, 16 bits per vector.

    A lane stands for the results whose windows begin in its block; `left` results remain in the
    row. The other blocks used lie entirely in all of these windows. `blocks` are those of the
    channel with the largest taps, the four vectors from element `at` on.
    """
    held = (left + g.blocks.along - 1) // g.blocks.along
    places = g.blocks.places + row * g.blocks.count * 8
    floors = g.blocks.floors + row * g.blocks.count * WIDTH
    if held <= 2 * LANES:
        two: int = uncertain_two(blocks, at, held, limit, places, floors, g)
        return two
    m0, m1 = mask_of(held), mask_of(held - LANES)
    m2, m3 = mask_of(held - 2 * LANES), mask_of(held - 3 * LANES)
    f0, f1, f2, f3, bits, n = zero(), zero(), zero(), zero(), 1, g.blocks.first
    for first in range(0, n, 4):
        f0, f1, f2, f3 = add_four(blocks, at, places, floors, first, f0, f1, f2, f3)
    while bits != 0:
        bits = (below(f0, limit) & m0) | (below(f1, limit) & m1) << 16
        bits |= (below(f2, limit) & m2) << 32 | (below(f3, limit) & m3) << 48
        if bits != 0:
            if n == g.blocks.count:
                break
            f0, f1, f2, f3 = add_four(blocks, at, places, floors, n, f0, f1, f2, f3)
            n += 4
    return bits


def may_doubt(blocks: int, limit: int, row: int, g: FourierGeometry) -> int:
    """Return a nonzero integer if blocks as small as the smallest would leave results uncertain."""
    found = mul(load(blocks, g.blocks.elements - LANES), broadcast(g.blocks.sums, row))
    bits: int = below(found, limit)
    return bits
