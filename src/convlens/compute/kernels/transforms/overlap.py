"""Two tiles of the input, as the parts of one complex array, convolved by way of their transforms.

A real kernel leaves the two parts apart, so nothing need be done to tell two real tiles apart. A
tile is (DEPTH, HIGH, COLUMNS) vectors; rows lie PITCH and planes PLANE elements apart, so
padded that the numbers of a column do not fall upon each other in the cache. First its columns are
transformed along all three axes by butterflies; then, multiplied by twiddle factors, across the
lanes, for which as many vectors as there are lanes are transposed. There the product with the
transform of the kernel is taken, in whatever order the frequencies lie, and all is undone. What can
be done in one plane, and in it in one *strip* of a few rows, is done there before the next.

A single signal, a LINE, is such a tile too, its vectors one after another; then the passes along
the three axes are those of one transform, and twiddle factors depend on the row (SHIFT).

The functions take `g`, the address of what is constant in a problem, in the order of `GEOMETRY`.
"""

from __future__ import annotations

from convlens.compute.kernels.language.words import (
    LANES,
    WIDTH,
    add,
    below,
    broadcast,
    exchange,
    fma,
    larger,
    load,
    magnitude,
    mul,
    put_word,
    smaller,
    splat,
    store,
    store_some,
    sub,
    total,
    transform,
    word,
    zero,
)
from convlens.compute.kernels.rows.packing import clear
from convlens.compute.kernels.transforms.doubting import DOUBTS, count_doubts
from convlens.compute.kernels.transforms.tiles import (
    ACROSS,
    ADVANCE,
    ALONG_D,
    ALONG_H,
    ALONG_W,
    BATCH,
    BIAS,
    BLOCKS,
    CHANNEL,
    COLUMNS,
    DEPTH,
    EACH,
    GROUPS,
    HIGH,
    JUMP,
    KERNEL,
    LANE_GROUPS,
    LEAP,
    LINE,
    MOST,
    OUT_D,
    OUT_H,
    OUT_W,
    OUTS,
    PAIRS,
    PASSES_D,
    PASSES_H,
    PASSES_W,
    PITCH,
    PLANE,
    ROWS,
    SCALE,
    SHIFT,
    SOME_D,
    SOME_H,
    SPACE_D,
    SPACE_H,
    SPACE_W,
    STEP,
    STEP_D,
    STEP_H,
    STEP_W,
    STRIP,
    STRIPS,
    SWEEP,
    TILE,
    TURNS,
    TWIDDLES,
    WANTED_COLUMNS,
    WANTED_ROWS,
    WIDE,
    origin,
)
from convlens.compute.kernels.transforms.weighing import limit_of, may_doubt, pack_weighed, weigh

__all__ = ["USES", "convolve_tiles"]


def depths(re: int, im: int, rows: int, columns: int, backward: int, g: int) -> None:
    """Transform columns along D, so many rows and columns of them."""
    if word(g, PASSES_D) == 0:
        return
    for row in range(rows):
        for column in range(0, columns, word(g, SOME_D)):
            at = (row * word(g, PITCH) + column * LANES) * WIDTH
            count = min(word(g, SOME_D), columns - column)
            transform(
                re + at, im + at, word(g, ALONG_D), word(g, PASSES_D), count, LANES,
                row * word(g, SHIFT), backward,
            )  # fmt: skip


def heights(re: int, im: int, columns: int, backward: int, g: int) -> None:
    """Transform so many columns of a plane along H."""
    if word(g, PASSES_H) == 0:
        return
    for column in range(0, columns, word(g, SOME_H)):
        at = column * LANES * WIDTH
        count = min(word(g, SOME_H), columns - column)
        transform(re + at, im + at, word(g, ALONG_H), word(g, PASSES_H), count, LANES, 0, backward)


def widths(re: int, im: int, backward: int, g: int) -> None:
    """Transform the rows of a strip along M."""
    rows, pitch = word(g, ROWS), word(g, PITCH)
    transform(re, im, word(g, ALONG_W), word(g, PASSES_W), rows, pitch, 0, backward)


def twist(re: int, im: int, twiddles: int, g: int) -> None:
    """Multiply a group of vectors by the twiddle factors across the lanes."""
    step, advance = word(g, STEP), word(g, ADVANCE)
    for i in range(LANES):
        at, w = i * step, i * advance * 2 * LANES
        wr, wi = load(twiddles, w), load(twiddles, w + LANES)
        a, b = load(re, at), load(im, at)
        store(re, at, sub(mul(wr, a), mul(wi, b)))
        store(im, at, fma(wr, b, mul(wi, a)))


def multiply(to_re: int, to_im: int, re: int, im: int, kernel: int, g: int) -> int:
    """Write the sum over channels of a group of vectors times the transform of the kernel.

    Return the sums of the squares.
    """
    energy, other = zero(), zero()
    step, channel = word(g, STEP), 2 * word(g, TILE)
    kernels = word(g, DEPTH) * word(g, STRIPS) * word(g, LANE_GROUPS) * LANES * 2 * LANES
    for i in range(LANES):
        at, k = i * step, i * 2 * LANES
        a, b = load(re, at), load(im, at)
        wr, wi = load(kernel, k), load(kernel, k + LANES)
        real, imaginary = sub(mul(wr, a), mul(wi, b)), fma(wr, b, mul(wi, a))
        for _ in range(1, word(g, EACH)):
            at += channel
            k += kernels
            a, b = load(re, at), load(im, at)
            wr, wi = load(kernel, k), load(kernel, k + LANES)
            real = sub(fma(wr, a, real), mul(wi, b))
            imaginary = fma(wr, b, fma(wi, a, imaginary))
        store(to_re, i * step, real)
        store(to_im, i * step, imaginary)
        energy, other = fma(real, real, energy), fma(imaginary, imaginary, other)
    result: int = add(energy, other)
    return result


def strip_forward(re: int, im: int, twiddles: int, g: int) -> None:
    """Transform a strip along its rows and across the lanes."""
    step = word(g, STEP)
    widths(re, im, 0, g)
    for group in range(word(g, LANE_GROUPS)):
        at = group * word(g, LEAP) * WIDTH
        a, b = re + at, im + at
        twist(a, b, twiddles + group * word(g, JUMP) * 2 * LANES * WIDTH, g)
        exchange(a, step)
        exchange(b, step)
        transform(a, b, word(g, ACROSS), word(g, TURNS), 1, 0, 0, 0)


def strip_backward(
    to_re: int, to_im: int, re: int, im: int, twiddles: int, kernel: int, g: int
) -> int:
    """Multiply a strip by the transform of the kernel and undo `strip_forward`.

    The real and the imaginary part are exchanged from the product on, so forward is backward.
    Return the sums of the squares of the product.
    """
    step, energy = word(g, STEP), zero()
    for group in range(word(g, LANE_GROUPS)):
        at = group * word(g, LEAP) * WIDTH
        a, b = to_re + at, to_im + at
        own = multiply(a, b, re + at, im + at, kernel + group * 2 * LANES * LANES * WIDTH, g)
        energy = add(energy, own)
        transform(b, a, word(g, ACROSS), word(g, TURNS), 1, 0, 0, 1)
        exchange(a, step)
        exchange(b, step)
        twist(b, a, twiddles + group * word(g, JUMP) * 2 * LANES * WIDTH, g)
    widths(to_im, to_re, 1, g)
    result: int = energy
    return result


def write_row(to: int, source: int, n: int, scale: int, bias: int, least: int) -> int:
    """Write n results; return in every lane the least magnitude there, or `least`."""
    s, b, i = broadcast(scale, 0), broadcast(bias, 0), 0
    while i + LANES <= n:
        v = fma(load(source, i), s, b)
        store(to, i, v)
        least = smaller(magnitude(v), least)
        i += LANES
    if i < n:
        v = fma(load(source, i), s, b)
        store_some(to, i, v, n - i)
        least = smaller(magnitude(v), least)
    return least


def write_tile(
    to: int, source: int, d0: int, h0: int, w0: int, bias: int, limit: int, g: int
) -> int:
    """Write the results of a tile whose windows lie in it; 0: none of them is below the limit."""
    wide, line, least = word(g, WIDE), word(g, LINE), broadcast(word(g, MOST), 0)
    depth, high = word(g, DEPTH), word(g, HIGH)
    if line == 0:
        depth = min(word(g, STEP_D), word(g, OUT_D) - d0)
        high = min(word(g, STEP_H), word(g, OUT_H) - h0)
    fresh = min(word(g, STEP_W), word(g, OUT_W) - w0)
    for d in range(depth):
        for h in range(high):
            begin = line * (d * high + h) * wide
            at = w0 + begin
            if line == 0:
                at += ((d0 + d) * word(g, OUT_H) + h0 + h) * word(g, OUT_W)
            row = source + (d * word(g, PLANE) + h * word(g, PITCH)) * WIDTH
            count = min(wide, fresh - begin)
            if count > 0:
                least = write_row(to + at * WIDTH, row, count, word(g, SCALE), bias, least)
    small: int = below(larger(least, magnitude(broadcast(bias, 0))), limit)
    return small


def pack_pair(
    pair: int, group: int, to: int, stats: int, blocks: int, x: int, g: int
) -> None:  # fmt: skip
    """Write two tiles of every channel of a group, as real and imaginary parts, and go along D.

    And how large they are, to `stats`, and their blocks.
    """
    each, tile = word(g, EACH), word(g, TILE)
    volume = word(g, SPACE_D) * word(g, SPACE_H) * word(g, SPACE_W)
    for c in range(each):
        re = to + 2 * c * tile * WIDTH
        squares, most = zero(), zero()
        for part in range(2):
            n, d0, h0, w0 = origin(2 * pair + part, g)
            if n < word(g, BATCH):
                channel = (n * word(g, GROUPS) + group) * each + c
                image = x + channel * volume * WIDTH
                own = blocks + (2 * c + part) * word(g, BLOCKS) * WIDTH
                more, larger_ones = pack_weighed(
                    re + part * tile * WIDTH, image, d0, h0, w0, own, g
                )  # fmt: skip
                squares, most = add(more, squares), larger(larger_ones, most)
            else:
                clear(re + tile * WIDTH, tile)
        weigh(stats + 2 * c * LANES * WIDTH, squares, most, re, g)
        depths(re, re + tile * WIDTH, word(g, HIGH), word(g, COLUMNS), 0, g)


def convolve_plane(to: int, scratch: int, plane: int, kernel: int, first: int, g: int) -> int:
    """Take a plane through all else and back, for one channel out; forward if it is the first.

    Return the sums of the squares of its spectrum, once convolved.
    """
    energy = zero()
    each, tile = word(g, EACH), word(g, TILE) * WIDTH
    size = word(g, LANE_GROUPS) * LANES * 2 * LANES
    at = plane * word(g, PLANE) * WIDTH
    for c in range(each * first):
        re = scratch + at + 2 * c * tile
        heights(re, re + tile, word(g, COLUMNS), 0, g)
    for s in range(word(g, STRIPS)):
        number_s = plane * word(g, STRIPS) + s
        twiddles = word(g, TWIDDLES) + number_s * word(g, SWEEP) * 2 * LANES * WIDTH
        place = at + s * word(g, STRIP) * WIDTH
        for c in range(each * first):
            re = scratch + place + 2 * c * tile
            strip_forward(re, re + tile, twiddles, g)
        re, to_re = scratch + place, to + place
        spectrum = kernel + number_s * size * WIDTH
        own = strip_backward(to_re, to_re + tile, re, re + tile, twiddles, spectrum, g)
        energy = add(energy, own)
    heights(to + at + tile, to + at, word(g, WANTED_COLUMNS), 1, g)
    result: int = energy
    return result


USES = (
    *DOUBTS, depths, heights, widths, twist, multiply, strip_forward, strip_backward, write_row,
    write_tile, pack_pair, convolve_plane,
)  # fmt: skip
"""What `convolve_tiles` calls, in an order in which each finds those before it."""


def convolve_tiles(
    task: int, scratch: int, x: int, y: int, limits: int, counts: int, g: int
) -> None:
    """Do two tiles of one group of channels.

    Where some of their results are doubtful, write the limit of each kernel to `limits`, and how
    many vectors must be summed directly to `counts`.
    """
    pair, group = task % word(g, PAIRS), task // word(g, PAIRS)
    each, outs, tile = word(g, EACH), word(g, OUTS), word(g, TILE) * WIDTH
    volume = word(g, OUT_D) * word(g, OUT_H) * word(g, OUT_W)
    space = word(g, SPACE_D) * word(g, SPACE_H) * word(g, SPACE_W)
    size = word(g, DEPTH) * word(g, STRIPS) * word(g, LANE_GROUPS) * LANES * 2 * LANES
    stats = scratch + 2 * each * tile
    if outs > 1:
        stats += 2 * tile
    blocks = stats + 2 * each * LANES * WIDTH
    area = blocks + (2 * each * word(g, BLOCKS) + 16 * LANES) * WIDTH
    pack_pair(pair, group, scratch, stats, blocks, x, g)
    sums = 0
    for k in range(outs):
        # The last channel out may overwrite what no other needs any more.
        to = scratch
        if k < outs - 1:
            to += 2 * each * tile
        row, energy = group * outs + k, zero()
        kernel = word(g, KERNEL) + row * each * size * WIDTH
        for plane in range(word(g, DEPTH)):
            own = convolve_plane(to, scratch, plane, kernel, 1 if k == 0 else 0, g)
            energy = add(energy, own)
        depths(to + tile, to, word(g, WANTED_ROWS), word(g, WANTED_COLUMNS), 1, g)
        limit, doubts = limit_of(stats, row, splat(total(energy)), g), 0
        for part in range(2):
            n, d0, h0, w0 = origin(2 * pair + part, g)
            if n < word(g, BATCH):
                result = y + (n * word(g, GROUPS) * outs + row) * volume * WIDTH
                bias = word(g, BIAS) + row * WIDTH
                small = write_tile(result, to + part * tile, d0, h0, w0, bias, limit, g)
                own_channel = word(word(g, CHANNEL), row)
                own_blocks = blocks + (2 * own_channel + part) * word(g, BLOCKS) * WIDTH
                if small != 0 and may_doubt(own_blocks, limit, row, g) != 0:
                    channel = (n * word(g, GROUPS) + group) * each + own_channel
                    image = x + channel * space * WIDTH
                    found, some = count_doubts(
                        result, image, own_blocks, area, d0, h0, w0, limit, row, bias, g
                    )  # fmt: skip
                    doubts += found
                    sums += some
        if doubts != 0:
            store_some(limits, task * outs + k, limit, 1)
    put_word(counts, task, sums)
