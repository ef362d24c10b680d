"""Run Winograd's method: transform tiles, multiply them, and transform the products back."""

from __future__ import annotations

from dataclasses import dataclass

from convlens.compute.kernels.language.words import (
    LANES,
    WIDTH,
    add,
    below,
    broadcast,
    fma,
    inverse,
    load,
    magnitude,
    maximum,
    mul,
    put_word,
    shift_rows,
    store,
    transform_columns,
    transform_row,
    word,
    zero,
)
from convlens.compute.kernels.records import Fixed, Pointer
from convlens.compute.kernels.rows.interleaving import interleave
from convlens.compute.kernels.rows.packing import clear, pack_row

__all__ = ["Tile", "TileSource", "TileTarget", "Winograd", "drive", "is_uneven"]


@dataclass(frozen=True, kw_only=True)
class Tile:
    """The size of a tile, which makes M by M outputs from M + 2 by M + 2 inputs."""

    M: Fixed


@dataclass(frozen=True, kw_only=True)
class TileSource:
    """The layout of the input, in planes and rows that tiles cover.

    `depth_table` and `row_table` are `packing.sources`, `column_ends` are `packing.ends`. They
    cover the positions before `row_end` and `column_end`; from `column_first` to `column_last` a
    row is copied unchanged. `outer`, `channel` and `plane` are the elements from one of these to
    the next, and a row has `width` elements.
    """

    depth_table: Pointer
    row_table: Pointer
    column_ends: Pointer
    row_end: int
    column_end: int
    column_first: int
    column_last: int
    outer: int
    channel: int
    plane: int
    width: int


@dataclass(frozen=True, kw_only=True)
class TileTarget:
    """The layout of results: elements between outer parts, channels and planes, and the sizes."""

    outer: int
    channel: int
    plane: int
    height: int
    width: int


@dataclass(frozen=True, kw_only=True)
class Winograd:
    """The arguments of `drive`; see `bands` for the sizes.

    The transformed weights `w` come in `block_count` blocks of `ROWS` output channels for every
    group and element; `offsets` has the place of each of `steps` inputs. `channel_sizes` weighs the
    channels for `gauge`, and `most_uneven` holds the two limits of `is_uneven`. If `flat` is 1,
    planes are images.
    """

    ROWS: Fixed
    w: Pointer
    bias: Pointer
    offsets: Pointer
    channel_sizes: Pointer
    most_uneven: Pointer
    groups: int
    each: int
    out_each: int
    steps: int
    block_count: int
    shares: int
    chunk: int
    layers: int
    strips: int
    deep: int
    halo: int
    tall: int
    tile_rows: int
    tiles: int
    pitch: int
    reach: int
    plane_count: int
    flat: int
    tile: Tile
    source: TileSource
    target: TileTarget


def gauge(to: int, line: int, count: int, weight: int) -> None:
    """Add the weighted magnitudes of a padded row of one channel to those of other channels."""
    w = broadcast(weight, 0)
    for i in range(0, count, LANES):
        store(to, i, fma(magnitude(load(line, i)), w, load(to, i)))


def is_uneven(
    sizes: int, span: int, high: int, count: int, wide: int, uneven: int, columns: int, tile: Tile
) -> int:
    """Return a nonzero integer if other numbers may drown out the products of some output.

    There are two conditions, checked for up to M rows of outputs. The largest of the `sizes` that a
    tile reads exceeds `uneven` times the largest that the output's own window reads, wherever tiles
    begin in the row. Or one size in the window exceeds the share of their sum that follows
    `uneven`. `columns` keeps results of whole columns: the largest of a tile's, then the largest
    and the sum of each window's.
    """
    for w in range(0, count, LANES):
        most = zero()
        for i in range(tile.M + 2):
            most = maximum(load(sizes, i * span + w), most)
        store(columns, w, most)
        for row in range(tile.M):
            one, other = load(sizes, row * span + w), load(sizes, (row + 1) * span + w)
            last = load(sizes, (row + 2) * span + w)
            store(columns, (1 + row) * span + w, maximum(maximum(one, other), last))
            store(columns, (1 + tile.M + row) * span + w, add(add(one, other), last))
    bits, factor, share = 0, broadcast(uneven, 0), broadcast(uneven, 1)
    for w in range(0, wide, LANES):
        mask = (1 << min(LANES, wide - w)) - 1
        most = zero()
        if tile.M == 4:  # with M = 2, every output depends on its own window only
            for j in range(1 - tile.M, tile.M + 2):
                most = maximum(load(columns, w + j), most)
        for row in range(high):
            own, whole = zero(), zero()
            for j in range(3):
                own = maximum(load(columns, (1 + row) * span + w + j), own)
                whole = add(whole, load(columns, (1 + tile.M + row) * span + w + j))
            bits |= (below(mul(own, factor), most) | below(mul(whole, share), own)) & mask
    return bits


def transform_inputs(
    x: int, line: int, t: int, to: int, d: int, top: int, rows: int, sizes: int, span: int,
    weights: int, a: Winograd,
) -> None:  # fmt: skip
    """Transform the tiles of a band: planes from d on, tile rows from `top` on.

    Each channel is transformed separately in `t`, first along rows and then along columns. `sizes`,
    unless it is 0, receives the magnitudes summed over all channels.
    """
    tile, source = a.tile, a.source
    tiles = a.tiles
    side = tile.M + 2
    apart = a.pitch + LANES
    for c in range(a.each):
        for p in range(min(a.deep, a.plane_count - d) + a.halo):
            plane = word(source.depth_table, d + p)
            for r in range(rows):
                at = (p * a.tall + r) * tiles
                for i in range(side):
                    place = t + (i * side * apart + at) * WIDTH
                    position = (top + r) * tile.M + i
                    found = -1
                    if plane >= 0 and position < source.row_end:
                        found = word(source.row_table, position)
                    if r > 0 and i < 2:  # the last two rows of the tiles above
                        for q in range(side):
                            for k in range(0, tiles, LANES):
                                above = load(place, (tile.M * side + q) * apart - tiles + k)
                                store(place, q * apart + k, above)
                    elif found < 0:
                        for q in range(side):
                            clear(place + q * apart * WIDTH, tiles)
                    else:
                        row = plane * source.plane + found * source.width
                        pack_row(
                            line, x + (c * source.channel + row) * WIDTH, source.column_ends,
                            source.column_first, source.column_last, 0, 1, source.column_end,
                        )  # fmt: skip
                        transform_row(line, place, apart, tiles)
                        if sizes != 0:
                            gauged = (p * (a.tall * tile.M + 2) + r * tile.M + i) * span
                            count = tiles * tile.M + 2
                            gauge(sizes + gauged * WIDTH, line, count, weights + c * WIDTH)
        transform_columns(t, apart, to + c * a.pitch * WIDTH, a.each * a.pitch + LANES, a.pitch)


def mark_uneven(
    sizes: int, span: int, d: int, top: int, planes: int, rows: int, uneven: int, image: int,
    a: Winograd,
) -> None:  # fmt: skip
    """Set the word of `uneven` to 1 for each image that holds uneven tiles."""
    tile = a.tile
    high = a.tall * tile.M + 2
    columns = sizes + (planes + a.halo) * high * span * WIDTH
    for p in range(planes + a.halo):
        for r in range(rows):
            own = sizes + (p * high + r * tile.M) * span * WIDTH
            left = a.target.height - (top + r) * tile.M
            found = is_uneven(
                own, span, min(tile.M, left), a.tiles * tile.M + 2, a.target.width, a.most_uneven,
                columns, tile,
            )  # fmt: skip
            if found != 0:
                put_word(uneven, d + p if a.flat != 0 else image, 1)


def multiply(
    values: int, products: int, start: int, end: int, count: int, group: int, a: Winograd
) -> None:
    """Multiply the values of all tiles by the weights of some blocks, and sum over the steps."""
    elements = (a.tile.M + 2) * (a.tile.M + 2)
    between = a.each * a.pitch + LANES
    for e in range(elements):
        for block in range(start, end):
            at = (group * elements + e) * a.block_count + block
            shift_rows(
                a.w + at * a.steps * a.ROWS * WIDTH, values + e * between * WIDTH, a.offsets,
                a.steps, products + ((block - start) * elements + e) * a.ROWS * a.reach * WIDTH,
                a.reach, a.ROWS, count, 0, a.bias + a.groups * a.out_each * WIDTH,
            )  # fmt: skip


def write_tiles(
    products: int, z: int, y: int, bias: int, flag: int, top: int, planes: int, rows: int,
    count: int, a: Winograd,
) -> None:  # fmt: skip
    """Turn the products of one output channel into outputs and write them."""
    tile, target = a.tile, a.target
    inverse(products, a.ROWS * a.reach, z, a.reach, bias, flag, count)
    for p in range(planes):
        for r in range(rows):
            for i in range(min(tile.M, target.height - (top + r) * tile.M)):
                row = p * target.plane + ((top + r) * tile.M + i) * target.width
                interleave(
                    y + row * WIDTH,
                    z + (i * tile.M * a.reach + (p * a.tall + r) * a.tiles) * WIDTH,
                    a.reach, tile.M, target.width,
                )  # fmt: skip


def drive(task: int, scratch: int, x: int, y: int, flag: int, uneven: int, a: Winograd) -> None:
    """Compute one band of tiles for a share of the output channels.

    The word at `flag` becomes 1 if a result is infinite or NaN, and the word of `uneven` that
    belongs to an image becomes 1 if it holds uneven tiles.
    """
    tile = a.tile
    tiles = a.tiles
    share = task % a.shares
    rest = task // a.shares
    top = rest % a.strips * a.tall
    rest = rest // a.strips
    d = rest % a.layers * a.deep
    outer = rest // a.layers
    elements = (tile.M + 2) * (tile.M + 2)
    rows, planes = min(a.tall, a.tile_rows - top), min(a.deep, a.plane_count - d)
    count = ((((planes - 1) * a.tall + rows) * tiles) + LANES - 1) // LANES * LANES
    between = a.each * a.pitch + LANES  # otherwise all elements of a tile share one cache line
    t = scratch + (tiles + 2 * LANES) * tile.M * WIDTH
    z = t + (elements * (a.pitch + LANES) + LANES) * WIDTH
    products = z + (tile.M * tile.M * a.reach + LANES) * WIDTH
    values = products + a.chunk * elements * a.ROWS * a.reach * WIDTH
    clear(scratch, (z - scratch) // WIDTH)
    span, sizes = (tiles * tile.M + 2) // LANES * LANES + 4 * LANES, 0
    if share == 0:
        sizes = values + (elements * between + LANES) * WIDTH
        clear(sizes, ((planes + a.halo) * (a.tall * tile.M + 2) + 1 + 2 * tile.M) * span)
        sizes += LANES * WIDTH
    transform_inputs(
        x + outer * a.source.outer * WIDTH, scratch, t, values, d, top, rows, sizes, span,
        a.channel_sizes + outer % a.groups * a.each * WIDTH, a,
    )  # fmt: skip
    if sizes != 0:
        mark_uneven(sizes, span, d, top, planes, rows, uneven, outer // a.groups, a)
    first = (outer * a.target.outer + d * a.target.plane) * WIDTH
    stop = a.block_count * (share + 1) // a.shares
    for start in range(a.block_count * share // a.shares, stop, a.chunk):
        end = min(stop, start + a.chunk)
        multiply(values, products, start, end, count, outer % a.groups, a)
        for block in range(start, end):
            for r in range(min(a.ROWS, a.out_each - block * a.ROWS)):
                k = block * a.ROWS + r
                write_tiles(
                    products + ((block - start) * elements * a.ROWS + r) * a.reach * WIDTH, z,
                    y + first + k * a.target.channel * WIDTH,
                    a.bias + (outer % a.groups * a.out_each + k) * WIDTH, flag, top, planes, rows,
                    count, a,
                )  # fmt: skip
