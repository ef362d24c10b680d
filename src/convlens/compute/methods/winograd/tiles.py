"""What Winograd's method does with tiles: the transforms, in registers, and the kernel around them.

A lane is a tile. F(m, 3) makes m outputs of m + 2 inputs x by m + 2 products instead of 3 m:
inputs and weights are polynomials, multiplied by way of their values at m + 1 points and infinity.
The points are 0, 1 and -1 for m = 2. For m = 4 they are 0, +-2/3 and +-3/2: two that are each
other's reciprocal spare multiplications, and points near 1 spare digits. Errors measured in float32
on sums over so many channels of random numbers, in millionths of the output's root mean square:

                             64 channels        512 channels
                             rms    largest     rms    largest
    a direct sum             0.43               1.2
    m = 2                    0.26    1.2        0.69    3.3
    m = 4: 0, 1, 2           1.8    24          4.4    84        (of Lavin & Gray)
           0, 1/2, 3/2       0.94   11          2.5    28
           0, 3/4, 5/4       1.1     7.2        2.7    18
           0, 2^-1/2, 2^1/2  0.80    6.2        2.1    18
           0, 2/3, 3/2       0.77    5.9        2.0    18

Sources: Lavin & Gray, arXiv 1509.09308; Barabasz et al., *Error analysis and improving the accuracy
of Winograd convolution for deep neural networks*, arXiv 1803.10986, which finds such points.
"""

from __future__ import annotations

from typing import Any

import numpy as np

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
from convlens.compute.kernels.rows.interleaving import interleave
from convlens.compute.kernels.rows.packing import clear, pack_row

__all__ = [
    "drive",
    "gauge",
    "is_uneven",
    "transform_inputs",
    "transforms",
    "weight_matrix",
    "write_tiles",
]

POINTS = {2: (0.0, 1.0, -1.0), 4: (0.0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)}
"""Where the polynomials are evaluated, infinity apart."""


def weight_matrix(m: int) -> np.ndarray[Any, Any]:
    """Return G (m + 2, 3), which takes three weights to their values at the points.

    >>> weight_matrix(2).tolist()
    [[-1.0, -0.0, -0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]]
    """
    rows = []
    for p in POINTS[m]:
        scale = np.prod([p - q for q in POINTS[m] if q != p])
        rows.append([1 / scale, p / scale, p * p / scale])
    return np.array([*rows, [0.0, 0.0, 1.0]])


def _values(m: int, x: str, v: str) -> list[str]:
    """Return lines that set v0, v1 .. to the values of inputs x0, x1 .."""
    if m == 2:
        return [
            f"{v}0 = sub({x}2, {x}0)",
            f"{v}1 = add({x}2, {x}1)",
            f"{v}2 = sub({x}2, {x}1)",
            f"{v}3 = sub({x}3, {x}1)",
        ]
    lines = [
        f"{v}0 = fma(both, {x}2, add({x}0, {x}4))",
        f"{v}5 = fma(both, {x}3, add({x}1, {x}5))",
    ]
    for i, p, other in ((1, "a", "bb"), (3, "b", "aa")):
        lines += [
            f"even = fma({other}, {x}2, {x}4)",
            f"odd = fma({other}, {x}1, {x}3)",
            f"{v}{i} = fma({p}, odd, even)",
            f"{v}{i + 1} = fma(less_{p}, odd, even)",
        ]
    return lines


def _outputs(m: int, x: str, y: str) -> list[str]:
    """Return lines that set y0, y1 .. to the outputs whose values are x0, x1 .."""
    if m == 2:
        return [
            f"{y}0 = add({x}0, add({x}1, {x}2))",
            f"{y}1 = add(sub({x}1, {x}2), {x}3)",
        ]
    return [
        f"near = add({x}1, {x}2)",
        f"far = add({x}3, {x}4)",
        f"{y}0 = add({x}0, add(near, far))",
        f"{y}2 = fma(a2, near, mul(b2, far))",
        f"near = sub({x}1, {x}2)",
        f"far = sub({x}3, {x}4)",
        f"{y}1 = fma(a, near, mul(b, far))",
        f"{y}3 = fma(a3, near, fma(b3, far, {x}5))",
    ]


def _constants(m: int, **values: float) -> list[str]:
    return [f"{n} = splat(number({v!r}))" for n, v in values.items()] if m == 4 else []


def transforms(m: int) -> str:
    """Return the text of `transform_row`, `transform_columns` and `inverse` for tiles of m by m.

    >>> "def inverse(" in transforms(2)
    True
    """
    return "\n".join([*_transform_row(m), *_transform_columns(m), *_inverse(m), ""])


def _forward_constants(m: int) -> list[str]:
    _, a, _, b, _ = POINTS[4]
    values = {"a": a, "less_a": -a, "b": b, "less_b": -b, "aa": -a * a, "bb": -b * b}
    return _constants(m, both=-a * a - b * b, **values)


def _transform_row(m: int) -> list[str]:
    """Return `transform_row(line, to, apart, tiles)`: a row of input to m + 2 rows of values.

    The tile in lane i reads elements i * m to i * m + m + 1.
    """
    lines = ["place = line + i * m * WIDTH".replace("m", str(m))]
    for group, first in ((0, 0), (1, m)):
        names = [f"g{group}_{k}" for k in range(m)]
        lines += [f"{n} = load(place, {first} + {k} * LANES)" for k, n in enumerate(names)]
        wanted = range(m) if group == 0 else range(2)
        if m == 2:
            parts = {0: "evens", 1: "odds"}
            lines += [f"x{first + k} = {parts[k]}({', '.join(names)})" for k in wanted]
            continue
        for part in ("evens", "odds"):
            lines += [f"{part}_{k} = {part}({names[2 * k]}, {names[2 * k + 1]})" for k in (0, 1)]
        for k in wanted:
            inner, outer = ("evens", "odds")[k % 2], ("evens", "odds")[k // 2]
            lines.append(f"x{first + k} = {outer}({inner}_0, {inner}_1)")
    lines += _values(m, "x", "v")
    lines += [f"store(to, {k} * apart + i, v{k})" for k in range(m + 2)]
    return [
        "def transform_row(line, to, apart, tiles):",
        *(f"    {line}" for line in _forward_constants(m)),
        "    for i in range(0, tiles, LANES):",
        *(f"        {line}" for line in lines),
    ]


def _transform_columns(m: int) -> list[str]:
    """Return `transform_columns(t, apart, to, between, tiles)`: the same downwards."""
    side = m + 2
    lines = [f"x{k} = load(t, ({k * side} + q) * apart + i)" for k in range(side)]
    lines += _values(m, "x", "v")
    lines += [f"store(to, ({k * side} + q) * between + i, v{k})" for k in range(side)]
    return [
        "def transform_columns(t, apart, to, between, tiles):",
        *(f"    {line}" for line in _forward_constants(m)),
        "    for i in range(0, tiles, LANES):",
        f"        for q in range({side}):",
        *(f"            {line}" for line in lines),
    ]


def _inverse(m: int) -> list[str]:
    """Return `inverse(products, between, to, apart, bias, flag, tiles)`: products to outputs.

    Row i, column j of all tiles goes to row i * m + j of `to`. The word at `flag` becomes 1 where
    an output is not finite: only such a number times 0 is not 0.
    """
    side, (_, a, _, b, _) = m + 2, POINTS[4]
    constants = _constants(m, a=a, b=b, a2=a * a, b2=b * b, a3=a**3, b3=b**3)
    lines = []
    for r in range(side):
        lines += [f"x{q} = load(products, {r * side + q} * between + i)" for q in range(side)]
        lines += _outputs(m, "x", f"r{r}_")
    for j in range(m):
        lines += [f"c{r} = r{r}_{j}" for r in range(side)]
        lines += _outputs(m, "c", "y")
        for i in range(m):
            lines += [
                f"y{i} = add(y{i}, begin)",
                f"lost = fma(y{i}, zero(), lost)",
                f"store(to, {i * m + j} * apart + i, y{i})",
            ]
    return [
        "def inverse(products, between, to, apart, bias, flag, tiles):",
        *(f"    {line}" for line in constants),
        "    begin = broadcast(bias, 0)",
        "    lost = zero()",
        "    for i in range(0, tiles, LANES):",
        *(f"        {line}" for line in lines),
        "    if missing(lost, lost) != 0:",
        "        put_word(flag, 0, 1)",
    ]


M, ROWS = 0, 0
"""Stand-ins, as the register blocks are: each kernel has its own."""


def gauge(to: int, line: int, count: int, weight: int) -> None:
    """Add the magnitudes of a padded row of one channel, weighted, to those of others."""
    w = broadcast(weight, 0)
    for i in range(0, count, LANES):
        store(to, i, fma(magnitude(load(line, i)), w, load(to, i)))


def is_uneven(
    sizes: int, span: int, high: int, count: int, wide: int, uneven: int, columns: int
) -> int:
    """Tell by an integer other than 0 if some output's products may be lost beside other numbers.

    In one of up to M rows of outputs, the largest of the `sizes` that a tile reads is more than
    `uneven` times the largest that the output's own window reads, wherever in the row tiles begin;
    or one of the window's is larger than the share of their sum that follows `uneven`. What is
    known of whole columns is kept in `columns`: the largest of a tile's, then the largest and the
    sum of each window's.
    """
    for w in range(0, count, LANES):
        most = zero()
        for i in range(M + 2):
            most = maximum(load(sizes, i * span + w), most)
        store(columns, w, most)
        for row in range(M):
            one, other = load(sizes, row * span + w), load(sizes, (row + 1) * span + w)
            last = load(sizes, (row + 2) * span + w)
            store(columns, (1 + row) * span + w, maximum(maximum(one, other), last))
            store(columns, (1 + M + row) * span + w, add(add(one, other), last))
    bits, factor, share = 0, broadcast(uneven, 0), broadcast(uneven, 1)
    for w in range(0, wide, LANES):
        mask = (1 << min(LANES, wide - w)) - 1
        most = zero()
        if M == 4:  # with M = 2 every output is made of its own window only
            for j in range(1 - M, M + 2):
                most = maximum(load(columns, w + j), most)
        for row in range(high):
            own, whole = zero(), zero()
            for j in range(3):
                own = maximum(load(columns, (1 + row) * span + w + j), own)
                whole = add(whole, load(columns, (1 + M + row) * span + w + j))
            bits |= (below(mul(own, factor), most) | below(mul(whole, share), own)) & mask
    return bits


def transform_inputs(
    x: int, line: int, t: int, to: int, d: int, top: int, planes: int, rows: int, tall: int,
    tiles: int, each: int, pitch: int, between: int, channel_x: int, plane_x: int, space_w: int,
    depth_table: int, row_table: int, column_ends: int, row_end: int,
    column_end: int, first: int, last: int, sizes: int, span: int, weights: int,
) -> None:  # fmt: skip
    """Transform the tiles of `planes` planes from d on, of tile rows from `top` on.

    Each channel is done by itself, row by row and then column by column, within `t`. How large the
    numbers of all channels are is gathered in `sizes`, unless that is 0.
    """
    side = M + 2
    apart = pitch + LANES
    for c in range(each):
        for p in range(planes):
            plane = word(depth_table, d + p)
            for r in range(rows):
                tile = (p * tall + r) * tiles
                for i in range(side):
                    place = t + (i * side * apart + tile) * WIDTH
                    position = (top + r) * M + i
                    found = -1
                    if plane >= 0 and position < row_end:
                        found = word(row_table, position)
                    if r > 0 and i < 2:  # the last two rows of the tiles above
                        for q in range(side):
                            for k in range(0, tiles, LANES):
                                above = load(place, (M * side + q) * apart - tiles + k)
                                store(place, q * apart + k, above)
                    elif found < 0:
                        for q in range(side):
                            clear(place + q * apart * WIDTH, tiles)
                    else:
                        row = x + (c * channel_x + plane * plane_x + found * space_w) * WIDTH
                        pack_row(line, row, column_ends, first, last, 0, 1, column_end)
                        transform_row(line, place, apart, tiles)
                        if sizes != 0:
                            at = (p * (tall * M + 2) + r * M + i) * span
                            gauge(sizes + at * WIDTH, line, tiles * M + 2, weights + c * WIDTH)
        transform_columns(t, apart, to + c * pitch * WIDTH, between, pitch)


def write_tiles(
    products: int, between: int, z: int, reach: int, y: int, bias: int, flag: int, top: int,
    planes: int, rows: int, tall: int, tiles: int, count: int, plane_y: int, out_h: int,
    out_w: int,
) -> None:  # fmt: skip
    """Turn the products of one output channel into outputs, and write them."""
    inverse(products, between, z, reach, bias, flag, count)
    for p in range(planes):
        for r in range(rows):
            for i in range(min(M, out_h - (top + r) * M)):
                interleave(
                    y + (p * plane_y + ((top + r) * M + i) * out_w) * WIDTH,
                    z + (i * M * reach + (p * tall + r) * tiles) * WIDTH, reach, M, out_w,
                )  # fmt: skip


def drive(
    task: int, scratch: int, x: int, y: int, flag: int, w: int, bias: int, offsets: int,
    depth_table: int, row_table: int, column_ends: int, groups: int, each: int, out_each: int,
    steps: int, block_count: int, shares: int, chunk: int, layers: int, strips: int, deep: int,
    halo: int, tall: int, tile_rows: int, tiles: int, pitch: int, reach: int, outer_x: int,
    channel_x: int, plane_x: int, outer_y: int, channel_y: int, plane_y: int, plane_count: int,
    row_end: int, column_end: int, first: int, last: int, space_w: int,
    out_h: int, out_w: int, uneven: int, flat: int, channel_sizes: int, most_uneven: int,
) -> None:  # fmt: skip
    """Do one band of tiles for a share of the output channels.

    The word of `uneven` that belongs to an image becomes 1 where it holds uneven tiles.
    """
    share = task % shares
    rest = task // shares
    top = rest % strips * tall
    rest = rest // strips
    d = rest % layers * deep
    outer = rest // layers
    side = M + 2
    elements = side * side
    rows, planes = min(tall, tile_rows - top), min(deep, plane_count - d)
    count = ((((planes - 1) * tall + rows) * tiles) + LANES - 1) // LANES * LANES
    between = each * pitch + LANES  # else all elements of a tile fall on one line of the cache
    line = scratch
    t = line + (tiles + 2 * LANES) * M * WIDTH
    z = t + (elements * (pitch + LANES) + LANES) * WIDTH
    products = z + (M * M * reach + LANES) * WIDTH
    values = products + chunk * elements * ROWS * reach * WIDTH
    clear(scratch, (z - scratch) // WIDTH)
    span, high, sizes = (tiles * M + 2) // LANES * LANES + 4 * LANES, tall * M + 2, 0
    if share == 0:
        sizes = values + (elements * between + LANES) * WIDTH
        clear(sizes, ((planes + halo) * high + 1 + 2 * M) * span)
        sizes += LANES * WIDTH
    transform_inputs(
        x + outer * outer_x * WIDTH, line, t, values, d, top, planes + halo, rows, tall, tiles,
        each, pitch, between, channel_x, plane_x, space_w, depth_table, row_table, column_ends,
        row_end, column_end, first, last, sizes, span,
        channel_sizes + outer % groups * each * WIDTH,
    )  # fmt: skip
    if sizes != 0:
        columns = sizes + (planes + halo) * high * span * WIDTH
        for p in range(planes + halo):
            for r in range(rows):
                own, left = sizes + (p * high + r * M) * span * WIDTH, out_h - (top + r) * M
                found = is_uneven(
                    own, span, min(M, left), tiles * M + 2, out_w, most_uneven, columns
                )
                if found != 0:
                    put_word(uneven, d + p if flat != 0 else outer // groups, 1)
    zeros = bias + groups * out_each * WIDTH
    stop = block_count * (share + 1) // shares
    for start in range(block_count * share // shares, stop, chunk):
        end = min(stop, start + chunk)
        for e in range(elements):
            for block in range(start, end):
                at = (outer % groups * elements + e) * block_count + block
                shift_rows(
                    w + at * steps * ROWS * WIDTH, values + e * between * WIDTH, offsets, steps,
                    products + ((block - start) * elements + e) * ROWS * reach * WIDTH, reach,
                    ROWS, count, 0, zeros,
                )  # fmt: skip
        for block in range(start, end):
            for r in range(min(ROWS, out_each - block * ROWS)):
                k = block * ROWS + r
                write_tiles(
                    products + ((block - start) * elements * ROWS + r) * reach * WIDTH,
                    ROWS * reach, z, reach,
                    y + (outer * outer_y + k * channel_y + d * plane_y) * WIDTH,
                    bias + (outer % groups * out_each + k) * WIDTH, flag, top, planes, rows,
                    tall, tiles, count, plane_y, out_h, out_w,
                )  # fmt: skip
