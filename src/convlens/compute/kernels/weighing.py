"""How large tiles are, how far off their transforms may be, and which results are beyond doubt.

All by sums of magnitudes, taken as a tile is packed: those of *blocks* of some vectors, lane by
lane. Every number of a block that lies in a window meets a tap there that is no smaller than the
least it could meet, so the blocks say how large a window's products are, at least. See `doubting`.
"""

from __future__ import annotations

from convlens.compute.kernels.tiles import (
    ALONG,
    BLOCK_PLACES,
    BLOCKS,
    DEPTH,
    DOWN,
    EACH,
    FLOOR,
    FLOOR_COUNT,
    FLOOR_SUMS,
    FLOORS,
    FLOORS_FIRST,
    HIGH,
    LEAST,
    MEAN,
    MEMBERS,
    MOST,
    NEVER,
    PEAK,
    PITCH,
    PLANE,
    SPECTRAL,
    SPREAD,
    STRIDE,
    WIDE,
    pack_tile_row,
)
from convlens.compute.kernels.words import (
    LANES,
    WIDTH,
    add,
    below,
    broadcast,
    fma,
    larger,
    load,
    magnitude,
    minimum,
    mul,
    root,
    splat,
    store,
    total,
    word,
    zero,
)

__all__ = [
    "WEIGHING",
    "limit_of",
    "mask_of",
    "may_doubt",
    "pack_weighed",
    "uncertain_blocks",
    "weigh",
]


def weigh_rows(
    blocks: int, row: int, squares: int, most: int, least: int, g: int
) -> tuple[int, int, int]:  # fmt: skip
    """Return sums of squares, the largest magnitudes and the least sums, with those of some rows.

    Write to `blocks` the sums of the magnitudes of every block, lane by lane.
    """
    members, stride, n = word(g, MEMBERS), word(g, STRIDE), 0
    odd = members % 2
    others, more = zero(), zero()
    for i in range(0, word(g, WIDE), word(g, ALONG) * LANES):
        found = zero()
        for k in range(0, members - odd, 2):
            p = i + k * stride
            a, b = magnitude(load(row, p)), magnitude(load(row, p + stride))
            squares, others = fma(a, a, squares), fma(b, b, others)
            most, more = larger(a, most), larger(b, more)
            found = add(add(a, b), found)
        if odd != 0:
            a = magnitude(load(row, i + (members - 1) * stride))
            squares, most, found = fma(a, a, squares), larger(a, most), add(a, found)
        store(blocks, n, found)
        least = minimum(found, least)
        n += LANES
    return add(squares, others), larger(most, more), least


def pack_weighed(
    to: int, image: int, d0: int, h0: int, w0: int, blocks: int, g: int
) -> tuple[int, int]:  # fmt: skip
    """Write a tile, as `pack_tile` does, and to `blocks` the sums of its blocks, then the least.

    Return the sums of squares and the largest magnitudes, lane by lane. What was just written is
    read while it is near.
    """
    squares, most, down, least = zero(), zero(), word(g, DOWN), broadcast(word(g, MOST), 0)
    for d in range(word(g, DEPTH)):
        for h in range(0, word(g, HIGH), down):
            for r in range(h, h + down):
                pack_tile_row(to, image, d0, h0, w0, d, r, g)
            row = to + (d * word(g, PLANE) + h * word(g, PITCH)) * WIDTH
            squares, most, least = weigh_rows(blocks, row, squares, most, least, g)
            blocks += word(g, WIDE) // word(g, ALONG) * WIDTH
    store(blocks, 0, least)
    least = broadcast(blocks, 0)
    for lane in range(1, LANES):
        least = minimum(broadcast(blocks, lane), least)
    store(blocks, 0, least)
    return squares, most


def weigh(stats: int, squares: int, most: int, g: int) -> None:
    """Write how large a channel's pair of tiles is: its part in the error, and the largest number.

    The part is the root mean square and a share of the largest: the error of a lone number is not
    spread evenly.
    """
    store(stats, 0, most)
    most = broadcast(stats, 0)
    for lane in range(1, LANES):
        most = larger(broadcast(stats, lane), most)
    mean = mul(splat(total(squares)), broadcast(word(g, MEAN), 0))
    store(stats, 0, fma(most, broadcast(word(g, PEAK), 0), root(mean)))
    store(stats, LANES, most)


def limit_of(stats: int, row: int, energy: int, g: int) -> int:
    """Return in every lane the least sum of products that makes a result of a kernel certain.

    `energy` is the sum of the squares of the spectrum of both tiles, once convolved. Where numbers
    are too large or too small for that to be known, the limit is not a number: nothing is certain.
    """
    found = mul(root(energy), broadcast(word(g, SPECTRAL), 0))
    most = zero()
    for c in range(word(g, EACH)):
        part = broadcast(word(g, SPREAD), row * word(g, EACH) + c)
        found = fma(load(stats, 2 * c * LANES), part, found)
        most = larger(load(stats, (2 * c + 1) * LANES), most)
    some = below(zero(), most)
    small = below(most, broadcast(word(g, LEAST), 0)) | below(found, broadcast(word(g, FLOOR), 0))
    if below(broadcast(word(g, MOST), 0), most) != 0 or (some != 0 and small != 0):
        found = broadcast(word(g, NEVER), 0)
    result: int = fma(found, zero(), found)  # what is infinite is no limit either
    return result


def mask_of(count: int) -> int:
    """Return a bit for each of the lanes that hold one of `count` results."""
    held: int = max(0, min(LANES, count))
    return (1 << held) - 1


def add_blocks(
    blocks: int, at: int, places: int, floors: int, n: int, f0: int, f1: int, f2: int, f3: int
) -> tuple[int, int, int, int]:
    """Return sums for four vectors, with four more blocks each times the least taps they meet."""
    w, v = broadcast(floors, n), broadcast(floors, n + 1)
    a, b = at + word(places, n), at + word(places, n + 1)
    g0, g1 = mul(load(blocks, a), w), mul(load(blocks, a + LANES), w)
    g2, g3 = mul(load(blocks, a + 2 * LANES), w), mul(load(blocks, a + 3 * LANES), w)
    f0, f1 = fma(load(blocks, b), v, f0), fma(load(blocks, b + LANES), v, f1)
    f2 = fma(load(blocks, b + 2 * LANES), v, f2)
    f3 = fma(load(blocks, b + 3 * LANES), v, f3)
    w, v = broadcast(floors, n + 2), broadcast(floors, n + 3)
    a, b = at + word(places, n + 2), at + word(places, n + 3)
    g0, g1 = fma(load(blocks, a), w, g0), fma(load(blocks, a + LANES), w, g1)
    g2 = fma(load(blocks, a + 2 * LANES), w, g2)
    g3 = fma(load(blocks, a + 3 * LANES), w, g3)
    g0, g1 = fma(load(blocks, b), v, g0), fma(load(blocks, b + LANES), v, g1)
    g2 = fma(load(blocks, b + 2 * LANES), v, g2)
    g3 = fma(load(blocks, b + 3 * LANES), v, g3)
    return add(f0, g0), add(f1, g1), add(f2, g2), add(f3, g3)


def uncertain_blocks(blocks: int, at: int, left: int, limit: int, row: int, g: int) -> int:
    """Tell by an integer other than 0 if the blocks leave any result of four vectors uncertain.

    A lane stands for the results whose windows begin in that lane of a block, of which `left` are
    to come in a row. Every number of another block stands in the window of each of these, and meets
    a tap there that is no smaller than one that is known. `blocks` are those of the channel with
    the largest taps, the four vectors of them from element `at` on as far along as the results.
    """
    unit = word(g, ALONG) * LANES
    m0, m1 = mask_of(left), mask_of(left - unit)
    m2, m3 = mask_of(left - 2 * unit), mask_of(left - 3 * unit)
    places = word(g, BLOCK_PLACES) + row * word(g, FLOOR_COUNT) * 8
    floors = word(g, FLOORS) + row * word(g, FLOOR_COUNT) * WIDTH
    f0, f1, f2, f3, bits, n = zero(), zero(), zero(), zero(), 1, 0
    for first in range(0, word(g, FLOORS_FIRST), 4):
        f0, f1, f2, f3 = add_blocks(blocks, at, places, floors, first, f0, f1, f2, f3)
    n = word(g, FLOORS_FIRST)
    while bits != 0:
        bits = (below(f0, limit) & m0) | (below(f1, limit) & m1)
        bits |= (below(f2, limit) & m2) | (below(f3, limit) & m3)
        if bits != 0:
            if n == word(g, FLOOR_COUNT):
                break
            f0, f1, f2, f3 = add_blocks(blocks, at, places, floors, n, f0, f1, f2, f3)
            n += 4
    return bits


def may_doubt(blocks: int, limit: int, row: int, g: int) -> int:
    """Tell by an integer other than 0 if blocks as small as the least leave results uncertain."""
    found = mul(load(blocks, word(g, BLOCKS) - LANES), broadcast(word(g, FLOOR_SUMS), row))
    bits: int = below(found, limit)
    return bits


WEIGHING = (
    weigh_rows, pack_weighed, weigh, limit_of, mask_of, add_blocks, uncertain_blocks, may_doubt,
)  # fmt: skip
"""What a kernel that weighs tiles uses."""
