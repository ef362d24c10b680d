"""Find the results of a transform that may be too inaccurate for their windows, and sum them again.

The error of a transform is about the same everywhere in a tile. It may be too large for a window
whose products are small. A bound of it follows from the input's magnitudes and the energy of the
spectrum (see `fft.doubts`). `weighing.limit_of` returns the smallest sum of products |x| |w|
that justifies it. A result is certain if it is that large itself, because smaller products
cannot add up to it. It is also certain if whole blocks of its window prove that much
(`weighing.uncertain_blocks`), or if the products of the largest taps do. The other results are
summed directly, most of them by a second kernel that few inputs ever need.

An *area* is a tile as the windows read it; of a line it is a single row.
"""

from __future__ import annotations

from convlens.compute.kernels.language.words import (
    LANES,
    WIDTH,
    add,
    apart,
    below,
    broadcast,
    fma,
    larger,
    load,
    load_some,
    magnitude,
    store,
    store_some,
    word,
    zero,
)
from convlens.compute.kernels.rows.packing import clear, pack_row
from convlens.compute.kernels.shapes import Axes
from convlens.compute.kernels.transforms.geometry import DoubtLimit, FourierGeometry
from convlens.compute.kernels.transforms.tiles import origin, pack_planes
from convlens.compute.kernels.transforms.weighing import mask_of, uncertain_blocks

__all__ = ["SPLIT", "count_doubts", "settle_tiles"]

SPLIT = 8
"""The most tasks among which the doubtful results of a pair of tiles are divided."""

AT_HAND = 4
"""The number of doubtful groups of four vectors per tile that are summed at once."""

AT_ONCE = 128
"""The number of products that are summed in sequence, before these sums are summed."""


def pack_area(to: int, image: int, corner: Axes, g: FourierGeometry) -> None:
    """Write a tile as the windows read it."""
    if g.tile.line == 0:
        pack_planes(to, image, corner, 0, g.tile.depth, g)
        return
    count = max(0, min(g.length, g.inputs.end.w - corner.w))
    pack_row(to, image, g.inputs.ends, g.inputs.first, g.inputs.last, corner.w, 1, count)
    clear(to + count * WIDTH, g.length - count)


def doubtful_four(
    y: int, count: int, area: int, at: int, doubt: DoubtLimit, g: FourierGeometry
) -> int:
    """Return a nonzero integer if any of up to four vectors of results is doubtful.

    Their windows begin at element `at` of the area, which is that of the channel with the largest
    taps.
    """
    b, limit, row = magnitude(broadcast(doubt.bias, 0)), doubt.limit, doubt.row
    if count >= 4 * LANES:
        s0, s1, s2, s3 = load(y, 0), load(y, LANES), load(y, 2 * LANES), load(y, 3 * LANES)
    else:
        s0, s1 = load_some(y, 0, count), load_some(y, LANES, count - LANES)
        s2 = load_some(y, 2 * LANES, count - 2 * LANES)
        s3 = load_some(y, 3 * LANES, count - 3 * LANES)
    s0, s1, s2, s3 = magnitude(s0), magnitude(s1), magnitude(s2), magnitude(s3)
    m0, m1 = mask_of(count), mask_of(count - LANES)
    m2, m3 = mask_of(count - 2 * LANES), mask_of(count - 3 * LANES)
    places = g.taps.places + row * g.taps.terms * 8
    taps = g.taps.largest + row * g.taps.terms * WIDTH
    f0, f1, f2, f3, bits, i = b, b, b, b, 1, 0
    while bits != 0 and i < g.taps.terms:
        for j in range(i, i + 8):
            w, p = broadcast(taps, j), at + word(places, j)
            f0 = fma(magnitude(load(area, p)), w, f0)
            f1 = fma(magnitude(load(area, p + LANES)), w, f1)
            f2 = fma(magnitude(load(area, p + 2 * LANES)), w, f2)
            f3 = fma(magnitude(load(area, p + 3 * LANES)), w, f3)
        bits = (below(larger(s0, f0), limit) & m0) | (below(larger(s1, f1), limit) & m1)
        bits |= (below(larger(s2, f2), limit) & m2) | (below(larger(s3, f3), limit) & m3)
        i += 8
    return bits


def reach_out(to: int, areas: int, g: FourierGeometry) -> None:
    """Write, for every element, the sum of magnitudes over a window's width from there on.

    The sum is over all channels.
    """
    count = g.area
    for i in range(0, count, LANES):
        found = zero()
        for c in range(g.each):
            found = add(found, magnitude(load(areas, c * count + i)))
        store(to, i, found)
    span = 1
    while span < g.taps.reach.w:
        further = min(span, g.taps.reach.w - span)
        for i in range(0, count - further - LANES, LANES):
            store(to, i, add(load(to, i), load(to, i + further)))
        span += further


def stirring_four(reached: int, at: int, count: int, g: FourierGeometry) -> int:
    """Return a nonzero integer if the windows of four vectors hold anything but zeros."""
    bits = 0
    for i in range(0, min(count, 4 * LANES), LANES):
        found = zero()
        for d in range(g.taps.reach.d):
            for h in range(g.taps.reach.h):
                place = at + i + d * g.tile.plane + h * g.tile.pitch
                found = add(found, load(reached, place))
        bits |= below(zero(), found) & mask_of(count - i)
    return bits


def met(
    position: int, spread: int, size: int, apart: int, begin: int, until: int
) -> tuple[int, int]:  # fmt: skip
    """Return the range of taps along an axis with which windows meet the input.

    These are `spread` neighbouring windows, the first at a position of the padded input.
    """
    first = min(size, max(0, begin - position - spread + apart) // apart)
    return first, max(first, min(size, (until - position + apart - 1) // apart))


def taps_met(position: Axes, count: int, g: FourierGeometry) -> tuple[int, int, int, int, int, int]:
    """Return the ranges of `met` for all axes, for `count` windows in a row from a position on."""
    d, h, w = position.d, position.h, position.w
    d0, d1 = met(d, 1, g.window.size.d, g.window.apart.d, g.window.begin.d, g.window.until.d)
    h0, h1 = met(h, 1, g.window.size.h, g.window.apart.h, g.window.begin.h, g.window.until.h)
    w0, w1 = met(w, count, g.window.size.w, g.window.apart.w, g.window.begin.w, g.window.until.w)
    return d0, d1, h0, h1, w0, w1


def sum_directly(
    y: int, count: int, areas: int, at: int, position: Axes, row: int, bias: int, g: FourierGeometry
) -> None:  # fmt: skip
    """Write up to four vectors of results, summed directly.

    Their windows begin at element `at` of the areas, at `position` of the padded input. Taps that
    meet only its zeros are left out. `AT_ONCE` products are summed at a time, then their sums.
    """
    size, taps = g.taps.size, g.taps.offsets
    d0, d1, h0, h1, w0, w1 = taps_met(position, min(count, 4 * LANES), g)
    b = broadcast(bias, 0)
    s0, s1, s2, s3 = b, b, b, b
    for c in range(g.each):
        area = areas + c * g.area * WIDTH
        weights = g.taps.weights + (row * g.each + c) * size * WIDTH
        for i in range(d0, d1):
            for j in range(h0, h1):
                line = (i * g.window.size.h + j) * g.window.size.w
                for begin in range(line + w0, line + w1, AT_ONCE):
                    a0, a1, a2, a3 = zero(), zero(), zero(), zero()
                    for n in range(begin, min(begin + AT_ONCE, line + w1)):
                        v, p = broadcast(weights, n), at + word(taps, n)
                        a0, a1 = fma(v, load(area, p), a0), fma(v, load(area, p + LANES), a1)
                        a2 = fma(v, load(area, p + 2 * LANES), a2)
                        a3 = fma(v, load(area, p + 3 * LANES), a3)
                    s0, s1, s2, s3 = add(s0, a0), add(s1, a1), add(s2, a2), add(s3, a3)
    store_some(y, 0, s0, count)
    store_some(y, LANES, s1, count - LANES)
    store_some(y, 2 * LANES, s2, count - 2 * LANES)
    store_some(y, 3 * LANES, s3, count - 3 * LANES)


def count_row(
    y: int, area: int, at: int, position: Axes, begin: int, end: int, fresh: int,
    doubt: DoubtLimit, before: int, settled: int, g: FourierGeometry,
) -> tuple[int, int, int]:  # fmt: skip
    """Return what `count_doubts` returns, for part of a row, and how many groups are settled.

    The row begins at `position` of the padded input. Before it, `before` groups of four vectors
    were left doubtful.
    """
    d, h, w = position.d, position.h, position.w
    doubts, sums = 0, 0
    reached = area + g.area * WIDTH
    for j in range(begin, end, 4 * LANES):
        some = doubtful_four(y + j * WIDTH, fresh - j, area, at + j, doubt, g)
        if some != 0 and g.each == 1 and settled < AT_HAND:
            sum_directly(
                y + j * WIDTH, fresh - j, area, at + j, Axes(d=d, h=h, w=w + j), doubt.row,
                doubt.bias, g,
            )  # fmt: skip
            settled += 1
        elif some != 0:
            if before + doubts == 0 and g.each == 1:
                reach_out(reached, area, g)
            doubts += 1
            if g.each > 1 or stirring_four(reached, at + j, fresh - j, g) != 0:
                d0, d1, h0, h1, w0, w1 = taps_met(
                    Axes(d=d, h=h, w=w + j), min(fresh - j, 4 * LANES), g
                )
                sums += (d1 - d0) * (h1 - h0) * (w1 - w0)
    return doubts, sums, settled


@apart
def count_doubts(
    y: int, image: int, blocks: int, area: int, corner: Axes, doubt: DoubtLimit, g: FourierGeometry
) -> tuple[int, int]:
    """Return how many groups of four vectors of results are doubtful, and the products in these.

    If there is one channel, the first few are summed at once and not counted. `y` is the plane of
    results; `image` and `blocks` are those of the channel with the largest taps. The area, with
    room for two, is written if it is needed.
    """
    packed, whole, doubts, sums, settled = 0, 0, 0, 0, 0
    d0, h0, w0 = corner.d, corner.h, corner.w
    along, down = g.blocks.along, g.blocks.down
    # A lane of the blocks stands for `along` results. The four vectors of blocks are examined one
    # by one if each stands for at least four vectors of results.
    part = 4 * LANES * along
    if along >= 4:
        part = LANES * along
    depth, high = 1, 1
    if g.tile.line == 0:
        depth = min(g.grid.step.d, g.grid.out.d - d0)
        high = min(g.grid.step.h, g.grid.out.h - h0)
    fresh = min(g.grid.step.w, g.grid.out.w - w0)
    for d in range(depth):
        for h in range(0, high, down):
            begin = (d * g.tile.high + h) // down * g.blocks.pitch
            for i in range(0, fresh, 4 * LANES * along):
                bits = uncertain_blocks(
                    blocks, begin + i // along, fresh - i, doubt.limit, doubt.row, g
                )
                if bits == 0:
                    continue
                if whole == 0 and g.tile.line == 0:
                    end = min(d + g.taps.reach.d, g.tile.depth)
                    pack_planes(area, image, corner, max(packed, d), end, g)
                    packed = end
                for j in range(i, min(i + 4 * LANES * along, fresh), part):
                    if along >= 4 and (bits >> (j - i) // part * 16) & 65535 == 0:
                        continue
                    for r in range(h, min(h + down, high)):
                        # A row's part has up to two groups; beyond `AT_HAND` all is packed.
                        if whole == 0 and (g.tile.line != 0 or settled > AT_HAND - 2):
                            pack_area(area, image, corner, g)
                            whole = 1
                        to = ((d0 + d) * g.grid.out.h + h0 + r) * g.grid.out.w + w0
                        own, some, settled = count_row(
                                y + to * WIDTH, area, d * g.tile.plane + r * g.tile.pitch,
                                Axes(d=d0 + d, h=h0 + r, w=w0), j, min(j + part, fresh), fresh,
                                doubt, doubts, settled, g,
                            )  # fmt: skip
                        doubts += own
                        sums += some
    return doubts, sums


def settle_four(
    y: int, count: int, areas: int, at: int, position: Axes, doubt: DoubtLimit, g: FourierGeometry
) -> None:
    """Sum up to four vectors of results directly if any is doubtful; zeros need no sum."""
    channel = areas + word(g.taps.channel, doubt.row) * g.area * WIDTH
    reached = areas + g.each * g.area * WIDTH
    if doubtful_four(y, count, channel, at, doubt, g) == 0:
        return
    if stirring_four(reached, at, count, g) != 0:
        sum_directly(y, count, areas, at, position, doubt.row, doubt.bias, g)
        return
    for i in range(0, min(count, 4 * LANES), LANES):
        store_some(y, i, broadcast(doubt.bias, 0), count - i)


def settle_part(
    scratch: int, x: int, y: int, limits: int, chunk: int, split: int, tile: int, group: int,
    g: FourierGeometry,
) -> None:  # fmt: skip
    """Settle share `chunk` of `split` of a tile's doubtful results, for all kernels of a group."""
    line, each, outs = g.tile.line, g.each, g.outs
    n, d0, h0, w0 = origin(tile, g)
    if n >= g.grid.batch:
        return
    volume = g.inputs.space.d * g.inputs.space.h * g.inputs.space.w
    for c in range(each):
        image = x + ((n * g.groups + group) * each + c) * volume * WIDTH
        pack_area(scratch + c * g.area * WIDTH, image, Axes(d=d0, h=h0, w=w0), g)
    reach_out(scratch + each * g.area * WIDTH, scratch, g)
    depth, high = 1, 1
    if line == 0:
        depth = min(g.grid.step.d, g.grid.out.d - d0)
        high = min(g.grid.step.h, g.grid.out.h - h0)
    fresh = min(g.grid.step.w, g.grid.out.w - w0)
    plane = g.grid.out.d * g.grid.out.h * g.grid.out.w
    for k in range(outs):
        row = group * outs + k
        limit, unit = broadcast(limits, k), 0
        if below(zero(), limit) != 0:
            for d in range(depth):
                for h in range(high):
                    to = (n * g.groups * outs + row) * plane
                    to += ((d0 + d) * g.grid.out.h + h0 + h) * g.grid.out.w + w0
                    start = d * g.tile.plane + h * g.tile.pitch
                    for i in range(0, fresh, 4 * LANES):
                        if unit % split == chunk:
                            settle_four(
                                y + (to + i) * WIDTH, fresh - i, scratch, start + i,
                                Axes(d=d0 + d, h=h0 + h, w=w0 + i),
                                DoubtLimit(limit=limit, row=row, bias=g.bias + row * WIDTH), g,
                            )  # fmt: skip
                        unit += 1


def settle_tiles(
    task: int, scratch: int, x: int, y: int, limits: int, split: int, g: FourierGeometry
) -> None:  # fmt: skip
    """Sum one of `split` shares of the doubtful results of a pair of tiles directly.

    `limits` holds, for every pair of tiles and every kernel, the limit if anything is doubtful,
    else 0.
    """
    chunk, rest = task % split, task // split
    if rest >= g.grid.pairs * g.groups:
        return
    pair, group = rest % g.grid.pairs, rest // g.grid.pairs
    own = limits + rest * g.outs * WIDTH
    found = 0
    for k in range(g.outs):
        found |= below(zero(), broadcast(own, k))
    if found != 0:
        for part in range(2):
            settle_part(scratch, x, y, own, chunk, split, 2 * pair + part, group, g)
