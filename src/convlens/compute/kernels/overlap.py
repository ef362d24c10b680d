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

from convlens.compute.kernels.packing import PACK_ROW, clear, pack_row
from convlens.compute.kernels.words import (
    LANES,
    WIDTH,
    broadcast,
    exchange,
    fma,
    load,
    load_some,
    missing,
    mul,
    number,
    put,
    store,
    store_some,
    sub,
    transform,
    word,
    zero,
)

__all__ = ["GEOMETRY", "USES", "convolve_tiles"]

GEOMETRY = (
    # the tile; its real and its imaginary part take TILE elements each
    "DEPTH HIGH WIDE COLUMNS PITCH PLANE TILE LINE "
    # the input, padded: tables of positions and how many there are, where it lies as it is
    "SPACE_D SPACE_H SPACE_W SOURCE_D SOURCE_H ENDS_W END_D END_H END_W FIRST LAST "
    # the results, and those a tile gives; how many tiles, and images, and pairs of tiles
    "OUT_D OUT_H OUT_W STEP_D STEP_H STEP_W COUNT_D COUNT_H COUNT_W BATCH PAIRS "
    # channels in and out of a group, and the groups
    "EACH OUTS GROUPS "
    # schedules and passes of the transforms along the axes and across the lanes; columns at a time
    "ALONG_D PASSES_D ALONG_H PASSES_H ALONG_W PASSES_W ACROSS TURNS SOME_D SOME_H "
    # columns and rows whose results are wanted; the row's part in the twiddle factors along D
    "WANTED_COLUMNS WANTED_ROWS SHIFT "
    # strips of a plane, elements from one to the next, their rows
    "STRIPS STRIP ROWS "
    # groups of LANES vectors in a strip: elements from one to the next and within one; the twiddle
    # factors across the lanes, in vectors from a strip, a group, a vector to the next
    "LANE_GROUPS LEAP STEP TWIDDLES SWEEP JUMP ADVANCE "
    "KERNEL SCALE BIAS"
).split()
"""What the table of a problem holds."""

(
    DEPTH, HIGH, WIDE, COLUMNS, PITCH, PLANE, TILE, LINE,
    SPACE_D, SPACE_H, SPACE_W, SOURCE_D, SOURCE_H, ENDS_W, END_D, END_H, END_W, FIRST, LAST,
    OUT_D, OUT_H, OUT_W, STEP_D, STEP_H, STEP_W, COUNT_D, COUNT_H, COUNT_W, BATCH, PAIRS,
    EACH, OUTS, GROUPS,
    ALONG_D, PASSES_D, ALONG_H, PASSES_H, ALONG_W, PASSES_W, ACROSS, TURNS, SOME_D, SOME_H,
    WANTED_COLUMNS, WANTED_ROWS, SHIFT, STRIPS, STRIP, ROWS,
    LANE_GROUPS, LEAP, STEP, TWIDDLES, SWEEP, JUMP, ADVANCE, KERNEL, SCALE, BIAS,
) = range(len(GEOMETRY))  # fmt: skip


def origin(t: int, g: int) -> tuple[int, int, int, int]:
    """Return the image of tile t, and the output at which it begins: d, h, w."""
    row = word(g, COUNT_W)
    plane = word(g, COUNT_H) * row
    whole = word(g, COUNT_D) * plane
    d, h, w = t % whole // plane, t % plane // row, t % row
    return t // whole, d * word(g, STEP_D), h * word(g, STEP_H), w * word(g, STEP_W)


def pack_tile(to: int, image: int, d0: int, h0: int, w0: int, g: int) -> None:
    """Write a tile, its padding included: what lies at padded position (d0, h0, w0) and after.

    On a line every row goes on where that before it ends.
    """
    high, wide, line = word(g, HIGH), word(g, WIDE), word(g, LINE)
    for d in range(word(g, DEPTH)):
        for h in range(high):
            place = to + (d * word(g, PLANE) + h * word(g, PITCH)) * WIDTH
            start, found_d, found_h = w0, 0, 0
            if line != 0:
                start += (d * high + h) * wide
            elif d0 + d < word(g, END_D) and h0 + h < word(g, END_H):
                found_d = word(word(g, SOURCE_D), d0 + d)
                found_h = word(word(g, SOURCE_H), h0 + h)
            else:
                found_d = -1
            count = 0
            if found_d >= 0 and found_h >= 0:
                count = max(0, min(wide, word(g, END_W) - start))
                row = (found_d * word(g, SPACE_H) + found_h) * word(g, SPACE_W)
                pack_row(
                    place, image + row * WIDTH, word(g, ENDS_W), word(g, FIRST), word(g, LAST),
                    start, 1, count,
                )  # fmt: skip
            clear(place + count * WIDTH, wide - count)


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


def multiply(to_re: int, to_im: int, re: int, im: int, kernel: int, g: int) -> None:
    """Write the sum over channels of a group of vectors times the transform of the kernel."""
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
) -> None:
    """Multiply a strip by the transform of the kernel and undo `strip_forward`.

    The real and the imaginary part are exchanged from the product on, so forward is backward.
    """
    step = word(g, STEP)
    for group in range(word(g, LANE_GROUPS)):
        at = group * word(g, LEAP) * WIDTH
        a, b = to_re + at, to_im + at
        multiply(a, b, re + at, im + at, kernel + group * 2 * LANES * LANES * WIDTH, g)
        transform(b, a, word(g, ACROSS), word(g, TURNS), 1, 0, 0, 1)
        exchange(a, step)
        exchange(b, step)
        twist(b, a, twiddles + group * word(g, JUMP) * 2 * LANES * WIDTH, g)
    widths(to_im, to_re, 1, g)


def write_row(to: int, source: int, n: int, scale: int, bias: int) -> int:
    """Write n results; return 0 if they are finite."""
    s, b, lost = broadcast(scale, 0), broadcast(bias, 0), zero()
    i = 0
    while i + LANES <= n:
        v = load(source, i)
        store(to, i, fma(v, s, b))
        lost = fma(v, zero(), lost)
        i += LANES
    if i < n:
        v = load_some(source, i, n - i)
        store_some(to, i, fma(v, s, b), n - i)
        lost = fma(v, zero(), lost)
    seen: int = missing(lost, lost)
    return seen


def write_tile(to: int, source: int, d0: int, h0: int, w0: int, bias: int, g: int) -> int:
    """Write the results of a tile whose windows lie in it; return 0 if they are finite."""
    lost, wide, line = 0, word(g, WIDE), word(g, LINE)
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
                lost |= write_row(to + at * WIDTH, row, count, word(g, SCALE), bias)
    return lost


def pack_pair(pair: int, group: int, to: int, x: int, g: int) -> None:
    """Write two tiles of every channel of a group, as real and imaginary parts, and go along D."""
    each, tile = word(g, EACH), word(g, TILE)
    volume = word(g, SPACE_D) * word(g, SPACE_H) * word(g, SPACE_W)
    for c in range(each):
        re = to + 2 * c * tile * WIDTH
        for part in range(2):
            n, d0, h0, w0 = origin(2 * pair + part, g)
            if n < word(g, BATCH):
                channel = (n * word(g, GROUPS) + group) * each + c
                image = x + channel * volume * WIDTH
                pack_tile(re + part * tile * WIDTH, image, d0, h0, w0, g)
            else:
                clear(re + tile * WIDTH, tile)
        depths(re, re + tile * WIDTH, word(g, HIGH), word(g, COLUMNS), 0, g)


def convolve_plane(to: int, scratch: int, plane: int, kernel: int, first: int, g: int) -> None:
    """Take a plane through all else and back, for one channel out; forward if it is the first."""
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
        strip_backward(to_re, to_re + tile, re, re + tile, twiddles, spectrum, g)
    heights(to + at + tile, to + at, word(g, WANTED_COLUMNS), 1, g)


USES = (
    *PACK_ROW, origin, pack_tile, depths, heights, widths, twist, multiply,
    strip_forward, strip_backward, write_row, write_tile, pack_pair, convolve_plane,
)  # fmt: skip
"""What `convolve_tiles` calls, in an order in which each finds those before it."""


def convolve_tiles(task: int, scratch: int, x: int, y: int, lost: int, g: int) -> None:
    """Do two tiles of one group of channels; write a 1 to `lost` if a result is not finite."""
    pair, group = task % word(g, PAIRS), task // word(g, PAIRS)
    each, outs, tile = word(g, EACH), word(g, OUTS), word(g, TILE) * WIDTH
    volume = word(g, OUT_D) * word(g, OUT_H) * word(g, OUT_W)
    size = word(g, DEPTH) * word(g, STRIPS) * word(g, LANE_GROUPS) * LANES * 2 * LANES
    pack_pair(pair, group, scratch, x, g)
    for k in range(outs):
        # The last channel out may overwrite what no other needs any more.
        to = scratch
        if k < outs - 1:
            to += 2 * each * tile
        kernel = word(g, KERNEL) + (group * outs + k) * each * size * WIDTH
        for plane in range(word(g, DEPTH)):
            convolve_plane(to, scratch, plane, kernel, 1 if k == 0 else 0, g)
        depths(to + tile, to, word(g, WANTED_ROWS), word(g, WANTED_COLUMNS), 1, g)
        for part in range(2):
            n, d0, h0, w0 = origin(2 * pair + part, g)
            if n < word(g, BATCH):
                channel = group * outs + k
                result = y + (n * word(g, GROUPS) * outs + channel) * volume * WIDTH
                bias = word(g, BIAS) + channel * WIDTH
                if write_tile(result, to + part * tile, d0, h0, w0, bias, g) != 0:
                    put(lost, 0, number(1))
