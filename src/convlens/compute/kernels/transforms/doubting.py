"""Which results of a transform may be too far off beside their own windows, and these summed anew.

The error of a transform is spread over its tiles: it is about the same everywhere, and may be too
large where a window's products are small. How large it may be follows from the input's magnitudes
and from the energy of the spectrum (see `fourier_doubts`); `weighing.limit_of` gives the least sum
of products, |x| |w|, beside which it is small enough. A result is beyond doubt if it is that large
itself, which no sum of smaller products can be; or if whole blocks of its window prove that much
(`weighing.uncertain_blocks`); or the products of the largest taps do. The others are summed
directly, by a second kernel, which most inputs never need.

The functions take `g`, the address of what is constant in a problem, in the order of `GEOMETRY`. An
*area* is a tile as the windows see it, on a line all in one row.
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
from convlens.compute.kernels.transforms.tiles import (
    ALONG,
    APART_D,
    APART_H,
    APART_W,
    AREA,
    BATCH,
    BEGIN_D,
    BEGIN_H,
    BEGIN_W,
    BIAS,
    BLOCK_PITCH,
    CHANNEL,
    DEPTH,
    DOWN,
    EACH,
    END_W,
    ENDS_W,
    FIRST,
    GROUPS,
    HIGH,
    LARGEST,
    LAST,
    LENGTH,
    LINE,
    OUT_D,
    OUT_H,
    OUT_W,
    OUTS,
    PACK_TILE,
    PAIRS,
    PITCH,
    PLACES,
    PLANE,
    REACH_D,
    REACH_H,
    REACH_W,
    SIZE,
    SIZE_D,
    SIZE_H,
    SIZE_W,
    SPACE_D,
    SPACE_H,
    SPACE_W,
    STEP_D,
    STEP_H,
    STEP_W,
    TAPS,
    TERMS,
    UNTIL_D,
    UNTIL_H,
    UNTIL_W,
    WEIGHTS,
    origin,
    pack_planes,
)
from convlens.compute.kernels.transforms.weighing import WEIGHING, mask_of, uncertain_blocks

__all__ = ["CONSTANTS", "DOUBTS", "SETTLE", "SPLIT", "count_doubts", "settle_tiles"]

SPLIT = 8
"""The most tasks that share the doubtful results of a pair of tiles."""

AT_HAND = 4
"""The doubtful fours of vectors of a tile that are summed where they are found."""

AT_ONCE = 128
"""The products that are summed in a row, before such sums are summed."""


def pack_area(to: int, image: int, d0: int, h0: int, w0: int, g: int) -> None:
    """Write a tile as the windows see it."""
    if word(g, LINE) == 0:
        pack_planes(to, image, d0, h0, w0, 0, word(g, DEPTH), g)
        return
    count = max(0, min(word(g, LENGTH), word(g, END_W) - w0))
    pack_row(to, image, word(g, ENDS_W), word(g, FIRST), word(g, LAST), w0, 1, count)
    clear(to + count * WIDTH, word(g, LENGTH) - count)


def doubtful_four(
    y: int, count: int, area: int, at: int, limit: int, row: int, bias: int, g: int
) -> int:
    """Tell by an integer other than 0 if any of up to four vectors of results is doubtful.

    Their windows begin at element `at` of the area, which is that of the channel with the largest
    taps.
    """
    b = magnitude(broadcast(bias, 0))
    if count >= 4 * LANES:
        s0, s1, s2, s3 = load(y, 0), load(y, LANES), load(y, 2 * LANES), load(y, 3 * LANES)
    else:
        s0, s1 = load_some(y, 0, count), load_some(y, LANES, count - LANES)
        s2 = load_some(y, 2 * LANES, count - 2 * LANES)
        s3 = load_some(y, 3 * LANES, count - 3 * LANES)
    s0, s1, s2, s3 = magnitude(s0), magnitude(s1), magnitude(s2), magnitude(s3)
    m0, m1 = mask_of(count), mask_of(count - LANES)
    m2, m3 = mask_of(count - 2 * LANES), mask_of(count - 3 * LANES)
    places = word(g, PLACES) + row * word(g, TERMS) * 8
    taps = word(g, LARGEST) + row * word(g, TERMS) * WIDTH
    f0, f1, f2, f3, bits, i = b, b, b, b, 1, 0
    while bits != 0 and i < word(g, TERMS):
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


def reach_out(to: int, areas: int, g: int) -> None:
    """Write for every element the sum of magnitudes from there on, as far as a window is wide.

    Over all channels.
    """
    count = word(g, AREA)
    for i in range(0, count, LANES):
        found = zero()
        for c in range(word(g, EACH)):
            found = add(found, magnitude(load(areas, c * count + i)))
        store(to, i, found)
    span = 1
    while span < word(g, REACH_W):
        further = min(span, word(g, REACH_W) - span)
        for i in range(0, count - further - LANES, LANES):
            store(to, i, add(load(to, i), load(to, i + further)))
        span += further


def stirring_four(reached: int, at: int, count: int, g: int) -> int:
    """Tell by an integer other than 0 if the windows of four vectors hold other than zeros."""
    bits = 0
    for i in range(0, min(count, 4 * LANES), LANES):
        found = zero()
        for d in range(word(g, REACH_D)):
            for h in range(word(g, REACH_H)):
                place = at + i + d * word(g, PLANE) + h * word(g, PITCH)
                found = add(found, load(reached, place))
        bits |= below(zero(), found) & mask_of(count - i)
    return bits


def met(
    position: int, spread: int, size: int, apart: int, begin: int, until: int
) -> tuple[int, int]:  # fmt: skip
    """Return the first of a window's taps along an axis that meet the input, and the first beyond.

    That is of so many windows side by side, from a position of the padded input on.
    """
    first = min(size, max(0, begin - position - spread + apart) // apart)
    return first, max(first, min(size, (until - position + apart - 1) // apart))


def taps_met(
    d: int, h: int, w: int, count: int, g: int
) -> tuple[int, int, int, int, int, int]:  # fmt: skip
    """Return the same of all axes: of `count` windows in a row, the first at (d, h, w)."""
    d0, d1 = met(d, 1, word(g, SIZE_D), word(g, APART_D), word(g, BEGIN_D), word(g, UNTIL_D))
    h0, h1 = met(h, 1, word(g, SIZE_H), word(g, APART_H), word(g, BEGIN_H), word(g, UNTIL_H))
    w0, w1 = met(w, count, word(g, SIZE_W), word(g, APART_W), word(g, BEGIN_W), word(g, UNTIL_W))
    return d0, d1, h0, h1, w0, w1


def sum_directly(
    y: int, count: int, areas: int, at: int, d: int, h: int, w: int, row: int, bias: int, g: int
) -> None:  # fmt: skip
    """Write up to four vectors of results whose windows begin at element `at` of the areas.

    That is position (d, h, w) of the padded input; taps that meet nothing but its zeros are left
    out. So many products are summed at a time, then their sums.
    """
    size, taps = word(g, SIZE), word(g, TAPS)
    d0, d1, h0, h1, w0, w1 = taps_met(d, h, w, min(count, 4 * LANES), g)
    b = broadcast(bias, 0)
    s0, s1, s2, s3 = b, b, b, b
    for c in range(word(g, EACH)):
        area = areas + c * word(g, AREA) * WIDTH
        weights = word(g, WEIGHTS) + (row * word(g, EACH) + c) * size * WIDTH
        for i in range(d0, d1):
            for j in range(h0, h1):
                line = (i * word(g, SIZE_H) + j) * word(g, SIZE_W)
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
    y: int, area: int, at: int, d: int, h: int, w: int, begin: int, end: int, fresh: int,
    limit: int, row: int, bias: int, before: int, settled: int, g: int,
) -> tuple[int, int, int]:  # fmt: skip
    """Return what `count_doubts` does, of a part of a row, and how many are settled then.

    The row begins at position (d, h, w) of the padded input; `before` it so many were doubtful and
    left so.
    """
    doubts, sums = 0, 0
    reached = area + word(g, AREA) * WIDTH
    for j in range(begin, end, 4 * LANES):
        some = doubtful_four(y + j * WIDTH, fresh - j, area, at + j, limit, row, bias, g)
        if some != 0 and word(g, EACH) == 1 and settled < AT_HAND:
            sum_directly(y + j * WIDTH, fresh - j, area, at + j, d, h, w + j, row, bias, g)
            settled += 1
        elif some != 0:
            if before + doubts == 0 and word(g, EACH) == 1:
                reach_out(reached, area, g)
            doubts += 1
            if word(g, EACH) > 1 or stirring_four(reached, at + j, fresh - j, g) != 0:
                d0, d1, h0, h1, w0, w1 = taps_met(d, h, w + j, min(fresh - j, 4 * LANES), g)
                sums += (d1 - d0) * (h1 - h0) * (w1 - w0)
    return doubts, sums, settled


@apart
def count_doubts(
    y: int, image: int, blocks: int, area: int, d0: int, h0: int, w0: int, limit: int, row: int,
    bias: int, g: int,
) -> tuple[int, int]:  # fmt: skip
    """Return how many fours of vectors of a tile's results are doubtful, and the products in these.

    The first few, of one channel, are summed here and now, and not counted. `y` is the plane of
    results, `image` and `blocks` are those of the channel with the largest taps. The area, two of
    them, is written if it is needed.
    """
    packed, whole, doubts, sums, settled = 0, 0, 0, 0, 0
    along, down = word(g, ALONG), word(g, DOWN)
    # A lane of the blocks stands for `along` results: the four vectors of them are looked at one by
    # one where each stands for four vectors of results and more.
    part = 4 * LANES * along
    if along >= 4:
        part = LANES * along
    depth, high = 1, 1
    if word(g, LINE) == 0:
        depth = min(word(g, STEP_D), word(g, OUT_D) - d0)
        high = min(word(g, STEP_H), word(g, OUT_H) - h0)
    fresh = min(word(g, STEP_W), word(g, OUT_W) - w0)
    for d in range(depth):
        for h in range(0, high, down):
            begin = (d * word(g, HIGH) + h) // down * word(g, BLOCK_PITCH)
            for i in range(0, fresh, 4 * LANES * along):
                bits = uncertain_blocks(blocks, begin + i // along, fresh - i, limit, row, g)
                if bits == 0:
                    continue
                if whole == 0 and word(g, LINE) == 0:
                    end = min(d + word(g, REACH_D), word(g, DEPTH))
                    pack_planes(area, image, d0, h0, w0, max(packed, d), end, g)
                    packed = end
                for j in range(i, min(i + 4 * LANES * along, fresh), part):
                    if along >= 4 and (bits >> (j - i) // part * 16) & 65535 == 0:
                        continue
                    for r in range(h, min(h + down, high)):
                        # One row's part has up to two fours; for more than are at hand all is read.
                        if whole == 0 and (word(g, LINE) != 0 or settled > AT_HAND - 2):
                            pack_area(area, image, d0, h0, w0, g)
                            whole = 1
                        to = ((d0 + d) * word(g, OUT_H) + h0 + r) * word(g, OUT_W) + w0
                        own, some, settled = count_row(
                                y + to * WIDTH, area, d * word(g, PLANE) + r * word(g, PITCH),
                                d0 + d, h0 + r, w0, j, min(j + part, fresh), fresh, limit, row,
                                bias, doubts, settled, g,
                            )  # fmt: skip
                        doubts += own
                        sums += some
    return doubts, sums


def settle_four(
    y: int, count: int, areas: int, at: int, d: int, h: int, w: int, limit: int, row: int,
    bias: int, g: int,
) -> None:  # fmt: skip
    """Sum up to four vectors of results directly if any is doubtful; of zeros the sum is 0."""
    channel = areas + word(word(g, CHANNEL), row) * word(g, AREA) * WIDTH
    reached = areas + word(g, EACH) * word(g, AREA) * WIDTH
    if doubtful_four(y, count, channel, at, limit, row, bias, g) == 0:
        return
    if stirring_four(reached, at, count, g) != 0:
        sum_directly(y, count, areas, at, d, h, w, row, bias, g)
        return
    for i in range(0, min(count, 4 * LANES), LANES):
        store_some(y, i, broadcast(bias, 0), count - i)


def settle_part(
    scratch: int, x: int, y: int, limits: int, chunk: int, split: int, tile: int, group: int, g: int
) -> None:  # fmt: skip
    """Settle one of so many shares of a tile's results, of all kernels of a group."""
    line, each, outs = word(g, LINE), word(g, EACH), word(g, OUTS)
    n, d0, h0, w0 = origin(tile, g)
    if n >= word(g, BATCH):
        return
    volume = word(g, SPACE_D) * word(g, SPACE_H) * word(g, SPACE_W)
    for c in range(each):
        image = x + ((n * word(g, GROUPS) + group) * each + c) * volume * WIDTH
        pack_area(scratch + c * word(g, AREA) * WIDTH, image, d0, h0, w0, g)
    reach_out(scratch + each * word(g, AREA) * WIDTH, scratch, g)
    depth, high = 1, 1
    if line == 0:
        depth = min(word(g, STEP_D), word(g, OUT_D) - d0)
        high = min(word(g, STEP_H), word(g, OUT_H) - h0)
    fresh = min(word(g, STEP_W), word(g, OUT_W) - w0)
    plane = word(g, OUT_D) * word(g, OUT_H) * word(g, OUT_W)
    for k in range(outs):
        row = group * outs + k
        limit, unit = broadcast(limits, k), 0
        if below(zero(), limit) != 0:
            for d in range(depth):
                for h in range(high):
                    to = (n * word(g, GROUPS) * outs + row) * plane
                    to += ((d0 + d) * word(g, OUT_H) + h0 + h) * word(g, OUT_W) + w0
                    start = d * word(g, PLANE) + h * word(g, PITCH)
                    for i in range(0, fresh, 4 * LANES):
                        if unit % split == chunk:
                            settle_four(
                                y + (to + i) * WIDTH, fresh - i, scratch, start + i, d0 + d, h0 + h,
                                w0 + i, limit, row, word(g, BIAS) + row * WIDTH, g,
                            )  # fmt: skip
                        unit += 1


def settle_tiles(
    task: int, scratch: int, x: int, y: int, limits: int, split: int, g: int
) -> None:  # fmt: skip
    """Sum one of so many shares of the doubtful results of a pair of tiles directly.

    `limits` holds for every pair of tiles and every kernel the limit where something is doubtful,
    or 0.
    """
    chunk, rest = task % split, task // split
    if rest >= word(g, PAIRS) * word(g, GROUPS):
        return
    pair, group = rest % word(g, PAIRS), rest // word(g, PAIRS)
    own = limits + rest * word(g, OUTS) * WIDTH
    found = 0
    for k in range(word(g, OUTS)):
        found |= below(zero(), broadcast(own, k))
    if found != 0:
        for part in range(2):
            settle_part(scratch, x, y, own, chunk, split, 2 * pair + part, group, g)


DOUBTS = (
    *PACK_TILE, *WEIGHING, pack_area, doubtful_four, reach_out, stirring_four, met, taps_met,
    sum_directly, count_row, count_doubts,
)  # fmt: skip
"""What a kernel that counts doubtful results uses."""

SETTLE = (*DOUBTS, settle_four, settle_part)
"""What `settle_tiles` calls."""

CONSTANTS = (("AT_HAND", AT_HAND), ("AT_ONCE", AT_ONCE))
"""The numbers that these functions read by name."""
