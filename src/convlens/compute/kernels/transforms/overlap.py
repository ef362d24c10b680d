"""Convolve pairs of tiles by Fourier transforms, each pair as one complex array.

Two real tiles are the real and the imaginary part; a real kernel never mixes them. A tile has
(depth, high, columns) vectors. Its rows are `pitch` and its planes `plane` elements apart, so that
the numbers of a column do not compete for the same cache lines. Butterflies first transform the
columns along all three axes. Then twiddle factors are applied, squares of vectors transposed, and
the lanes transformed. There the data are multiplied by the transform of the kernel, in whatever
order the frequencies are, and all steps are undone. Work within a plane, and within a *strip* of a
few of its rows, is finished before the next begins.

A single signal, a line, is such a tile too, with its vectors in sequence. The passes along the
three axes then form one transform, and the twiddle factors depend on the row (`shift`).
"""

from __future__ import annotations

from convlens.compute.kernels.language.words import (
    LANES,
    WIDTH,
    add,
    below,
    broadcast,
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
    word,
    zero,
)
from convlens.compute.kernels.rows.packing import clear
from convlens.compute.kernels.shapes import Axes
from convlens.compute.kernels.transforms.butterflies import exchange, transform
from convlens.compute.kernels.transforms.doubting import count_doubts
from convlens.compute.kernels.transforms.geometry import DoubtLimit, FourierGeometry
from convlens.compute.kernels.transforms.tiles import origin
from convlens.compute.kernels.transforms.weighing import limit_of, may_doubt, pack_weighed, weigh

__all__ = ["convolve_tiles"]


def depths(re: int, im: int, rows: int, columns: int, backward: int, g: FourierGeometry) -> None:
    """Transform the first `rows` rows and `columns` columns along D."""
    if g.passes.d.count == 0:
        return
    for row in range(rows):
        for column in range(0, columns, g.passes.columns_d):
            at = (row * g.tile.pitch + column * LANES) * WIDTH
            count = min(g.passes.columns_d, columns - column)
            transform(
                re + at, im + at, g.passes.d.schedule, g.passes.d.count, count, LANES,
                row * g.passes.shift, backward,
            )  # fmt: skip


def heights(re: int, im: int, columns: int, backward: int, g: FourierGeometry) -> None:
    """Transform the first `columns` columns of a plane along H."""
    if g.passes.h.count == 0:
        return
    for column in range(0, columns, g.passes.columns_h):
        at = column * LANES * WIDTH
        count = min(g.passes.columns_h, columns - column)
        transform(
            re + at, im + at, g.passes.h.schedule, g.passes.h.count, count, LANES, 0, backward
        )


def widths(re: int, im: int, backward: int, g: FourierGeometry) -> None:
    """Transform the rows of a strip along W."""
    rows, pitch = g.strips.rows, g.tile.pitch
    transform(re, im, g.passes.w.schedule, g.passes.w.count, rows, pitch, 0, backward)


def twist(re: int, im: int, twiddles: int, g: FourierGeometry) -> None:
    """Multiply a group of vectors by the twiddle factors across the lanes."""
    step, advance = g.strips.step, g.strips.advance
    for i in range(LANES):
        at, w = i * step, i * advance * 2 * LANES
        wr, wi = load(twiddles, w), load(twiddles, w + LANES)
        a, b = load(re, at), load(im, at)
        store(re, at, sub(mul(wr, a), mul(wi, b)))
        store(im, at, fma(wr, b, mul(wi, a)))


def multiply(to_re: int, to_im: int, re: int, im: int, kernel: int, g: FourierGeometry) -> int:
    """Write a group of vectors times the transform of the kernel, summed over channels.

    Return the sums of the squares.
    """
    energy, other = zero(), zero()
    step, channel = g.strips.step, 2 * g.tile.elements
    kernels = g.tile.depth * g.strips.count * g.strips.groups * LANES * 2 * LANES
    for i in range(LANES):
        at, k = i * step, i * 2 * LANES
        a, b = load(re, at), load(im, at)
        wr, wi = load(kernel, k), load(kernel, k + LANES)
        real, imaginary = sub(mul(wr, a), mul(wi, b)), fma(wr, b, mul(wi, a))
        for _ in range(1, g.each):
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


def strip_forward(re: int, im: int, twiddles: int, g: FourierGeometry) -> None:
    """Transform a strip along its rows and across the lanes."""
    step = g.strips.step
    widths(re, im, 0, g)
    for group in range(g.strips.groups):
        at = group * g.strips.leap * WIDTH
        a, b = re + at, im + at
        twist(a, b, twiddles + group * g.strips.jump * 2 * LANES * WIDTH, g)
        exchange(a, step)
        exchange(b, step)
        transform(a, b, g.passes.across.schedule, g.passes.across.count, 1, 0, 0, 0)


def strip_backward(
    to_re: int, to_im: int, re: int, im: int, twiddles: int, kernel: int, g: FourierGeometry
) -> int:
    """Multiply a strip by the transform of the kernel and undo `strip_forward`.

    From the product on, the real and the imaginary part are exchanged, which inverts transforms.
    Return the sums of the squares of the product.
    """
    step, energy = g.strips.step, zero()
    for group in range(g.strips.groups):
        at = group * g.strips.leap * WIDTH
        a, b = to_re + at, to_im + at
        own = multiply(a, b, re + at, im + at, kernel + group * 2 * LANES * LANES * WIDTH, g)
        energy = add(energy, own)
        transform(b, a, g.passes.across.schedule, g.passes.across.count, 1, 0, 0, 1)
        exchange(a, step)
        exchange(b, step)
        twist(b, a, twiddles + group * g.strips.jump * 2 * LANES * WIDTH, g)
    widths(to_im, to_re, 1, g)
    result: int = energy
    return result


def write_row(to: int, source: int, n: int, scale: int, bias: int, least: int) -> int:
    """Write n results; return, per lane, the smallest of their magnitudes and `least`."""
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
    to: int, source: int, corner: Axes, bias: int, limit: int, g: FourierGeometry
) -> int:
    """Write the results whose windows lie in a tile; return 0 if none is below the limit."""
    wide, line, least = g.tile.wide, g.tile.line, broadcast(g.errors.most, 0)
    depth, high = g.tile.depth, g.tile.high
    if line == 0:
        depth = min(g.grid.step.d, g.grid.out.d - corner.d)
        high = min(g.grid.step.h, g.grid.out.h - corner.h)
    fresh = min(g.grid.step.w, g.grid.out.w - corner.w)
    for d in range(depth):
        for h in range(high):
            begin = line * (d * high + h) * wide
            at = corner.w + begin
            if line == 0:
                at += ((corner.d + d) * g.grid.out.h + corner.h + h) * g.grid.out.w
            row = source + (d * g.tile.plane + h * g.tile.pitch) * WIDTH
            count = min(wide, fresh - begin)
            if count > 0:
                least = write_row(to + at * WIDTH, row, count, g.scale, bias, least)
    small: int = below(larger(least, magnitude(broadcast(bias, 0))), limit)
    return small


def pack_pair(
    pair: int, group: int, to: int, stats: int, blocks: int, x: int, g: FourierGeometry
) -> None:  # fmt: skip
    """Pack two tiles of every channel of a group as complex numbers and transform them along D.

    Write their magnitudes to `stats` and what their blocks prove to `blocks`.
    """
    each, tile = g.each, g.tile.elements
    volume = g.inputs.space.d * g.inputs.space.h * g.inputs.space.w
    for c in range(each):
        re = to + 2 * c * tile * WIDTH
        squares, most = zero(), zero()
        for part in range(2):
            n, d0, h0, w0 = origin(2 * pair + part, g)
            if n < g.grid.batch:
                channel = (n * g.groups + group) * each + c
                image = x + channel * volume * WIDTH
                own = blocks + (2 * c + part) * g.blocks.elements * WIDTH
                more, larger_ones = pack_weighed(
                    re + part * tile * WIDTH, image, Axes(d=d0, h=h0, w=w0), own, g
                )  # fmt: skip
                squares, most = add(more, squares), larger(larger_ones, most)
            else:
                clear(re + tile * WIDTH, tile)
        weigh(stats + 2 * c * LANES * WIDTH, squares, most, re, g)
        depths(re, re + tile * WIDTH, g.tile.high, g.tile.columns, 0, g)


def convolve_plane(
    to: int, scratch: int, plane: int, kernel: int, first: int, g: FourierGeometry
) -> int:
    """Transform a plane, multiply and transform back, for one output channel.

    Only the `first` needs the forward transform. Return the convolved spectrum's sums of squares.
    """
    energy = zero()
    each, tile = g.each, g.tile.elements * WIDTH
    size = g.strips.groups * LANES * 2 * LANES
    at = plane * g.tile.plane * WIDTH
    for c in range(each * first):
        re = scratch + at + 2 * c * tile
        heights(re, re + tile, g.tile.columns, 0, g)
    for s in range(g.strips.count):
        number_s = plane * g.strips.count + s
        twiddles = g.strips.twiddles + number_s * g.strips.sweep * 2 * LANES * WIDTH
        place = at + s * g.strips.elements * WIDTH
        for c in range(each * first):
            re = scratch + place + 2 * c * tile
            strip_forward(re, re + tile, twiddles, g)
        re, to_re = scratch + place, to + place
        spectrum = kernel + number_s * size * WIDTH
        own = strip_backward(to_re, to_re + tile, re, re + tile, twiddles, spectrum, g)
        energy = add(energy, own)
    heights(to + at + tile, to + at, g.passes.wanted_columns, 1, g)
    result: int = energy
    return result


def convolve_tiles(
    task: int, scratch: int, x: int, y: int, limits: int, counts: int, g: FourierGeometry
) -> None:
    """Convolve two tiles of one group of channels.

    If some results are doubtful, write the limit of their kernel to `limits`. Write the number of
    products to be summed directly to `counts`.
    """
    pair, group = task % g.grid.pairs, task // g.grid.pairs
    each, outs, tile = g.each, g.outs, g.tile.elements * WIDTH
    volume = g.grid.out.d * g.grid.out.h * g.grid.out.w
    space = g.inputs.space.d * g.inputs.space.h * g.inputs.space.w
    size = g.tile.depth * g.strips.count * g.strips.groups * LANES * 2 * LANES
    stats = scratch + 2 * each * tile
    if outs > 1:
        stats += 2 * tile
    blocks = stats + 2 * each * LANES * WIDTH
    area = blocks + (2 * each * g.blocks.elements + 16 * LANES) * WIDTH
    pack_pair(pair, group, scratch, stats, blocks, x, g)
    sums = 0
    for k in range(outs):
        # The last output channel may overwrite the transformed input, which is not needed again.
        to = scratch
        if k < outs - 1:
            to += 2 * each * tile
        row, energy = group * outs + k, zero()
        kernel = g.kernel + row * each * size * WIDTH
        for plane in range(g.tile.depth):
            own = convolve_plane(to, scratch, plane, kernel, 1 if k == 0 else 0, g)
            energy = add(energy, own)
        depths(to + tile, to, g.passes.wanted_rows, g.passes.wanted_columns, 1, g)
        limit, doubts = limit_of(stats, row, splat(total(energy)), g), 0
        for part in range(2):
            n, d0, h0, w0 = origin(2 * pair + part, g)
            if n < g.grid.batch:
                result = y + (n * g.groups * outs + row) * volume * WIDTH
                bias = g.bias + row * WIDTH
                small = write_tile(result, to + part * tile, Axes(d=d0, h=h0, w=w0), bias, limit, g)
                own_channel = word(g.taps.channel, row)
                own_blocks = blocks + (2 * own_channel + part) * g.blocks.elements * WIDTH
                if small != 0 and may_doubt(own_blocks, limit, row, g) != 0:
                    channel = (n * g.groups + group) * each + own_channel
                    image = x + channel * space * WIDTH
                    found, some = count_doubts(
                        result, image, own_blocks, area, Axes(d=d0, h=h0, w=w0),
                        DoubtLimit(limit=limit, row=row, bias=bias), g,
                    )  # fmt: skip
                    doubts += found
                    sums += some
        if doubts != 0:
            store_some(limits, task * outs + k, limit, 1)
    put_word(counts, task, sums)
