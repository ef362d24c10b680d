"""Write register blocks for pooling with small windows over images that are read in place.

A *pool block* keeps m rows of v vectors of the results of one image in registers, like an image
block of a convolution (see `blocks/images`). Each line of the input under the block is loaded once
and masked outside the image. Its columns are combined, and the result is combined into all rows
that read the line. With a stride of 2, vectors are loaded in pairs and split into even and odd
elements.
"""

from __future__ import annotations

from dataclasses import dataclass

from convlens.compute.kernels.blocks.texts import along_rows
from convlens.compute.kernels.language.flattening import parameters
from convlens.compute.kernels.language.words import generated
from convlens.compute.kernels.records import Pointer
from convlens.compute.kernels.shapes import PoolShape

__all__ = ["PoolTaps", "pool_blocks", "pool_rows"]


@dataclass(frozen=True, kw_only=True)
class PoolTaps:
    """The sizes of a window that its source does not contain: `depth` planes, their dilation.

    Combining with `identity` changes nothing; `outside` is a line of the input filled with it.
    """

    identity: Pointer
    outside: Pointer
    depth: int
    depth_dilation: int


@generated
def pool_rows(
    x: int, y: int, front: int, top: int, left: int, kept: int, n: int, counts: int,
    row_counts: int, times: int, taps: PoolTaps, shape: PoolShape,
) -> None:  # fmt: skip
    """Compute up to `rows` rows of n results each.

    `x` is the address of the first plane of the image, `y` that of the first result. The first tap
    is in plane `front`, row `top` and column `left`. `kept` rows are written. A mean is divided by
    `times`, by its row's int64 in `row_counts` and by its column's element in `counts`.
    """


ARGUMENTS = parameters(pool_rows)


def pool_blocks(
    rows: int, vectors: int, rest: int, size: tuple[int, int], stride: tuple[int, int], mean: bool
) -> str:
    """Return the source of `pool_rows`, which computes up to `rows` rows of n results each.

    `size` and `stride` are those of rows and columns. Blocks have `vectors` vectors; the last of a
    row has `rest` if these suffice.

    >>> pool_blocks(2, 2, 1, (3, 3), (1, 1), False).count("def ")
    3
    """
    widths = [vectors] if rest == vectors else [vectors, rest]
    moved = {"left": f"left + column * {stride[1]}"}
    moved |= {name: f"{name} + column * WIDTH" for name in ("y", "counts")}
    along = along_rows("pool", rows, vectors, rest, ARGUMENTS, moved)
    blocks = [_block(rows, width, size, stride, mean) for width in widths]
    return "\n".join([*blocks, along]) + "\n"


def _block(
    rows: int, vectors: int, size: tuple[int, int], stride: tuple[int, int], mean: bool
) -> str:
    indent = " " * 12
    lines = [
        f"def pool_{rows}_{vectors}({', '.join(ARGUMENTS)}):",
        "    b = broadcast(taps_identity, 0)",
        *(f"    a{r}_{v} = b" for r in range(rows) for v in range(vectors)),
        "    pitch = shape_space_w * WIDTH",
    ]
    for e in range(0, size[1], stride[1]):
        for v in range(vectors * stride[1]):
            at = f"(left + {e} + {v} * LANES)"
            lines.append(f"    mask{e}_{v} = lanes(-{at}, shape_space_w - {at})")
    lines += [
        "    for tap in range(taps_depth):",
        "        plane = front + tap * taps_depth_dilation",
        "        if 0 <= plane < shape_space_d:",
        f"{indent}image = x + plane * shape_space_h * pitch",
    ]
    for i in range((rows - 1) * stride[0] + size[0]):
        met = [r for r in range(rows) if 0 <= i - r * stride[0] < size[0]]
        if not met:
            continue
        lines.append(
            f"{indent}p = image + (top + {i}) * pitch "
            f"if 0 <= top + {i} < shape_space_h else taps_outside"
        )
        for v in range(vectors):
            lines += [indent + line for line in _across(v, size[1], stride[1])]
            lines += [f"{indent}a{r}_{v} = combine(a{r}_{v}, c)" for r in met]
    for r in range(rows):
        lines.append(f"    if kept > {r}:")
        if mean:
            lines.append(f"        part = times * word(row_counts, {r})")
        for v in range(vectors):
            lines += [f"        {line}" for line in _result(r, v, mean)]
    return "\n".join(lines) + "\n"


def _across(v: int, size: int, stride: int) -> list[str]:
    """Return the source that combines the columns of vector v of one line into `c`."""
    lines = []
    for e in range(0, size, stride):
        loaded = [f"load_lanes(p, left + {e} + {stride * v + i} * LANES, mask{e}_{stride * v + i},"
                  " b)" for i in range(stride)]  # fmt: skip
        if stride == 1:
            parts = loaded
        else:
            lines.append(f"s, t = {loaded[0]}, {loaded[1]}")
            parts = ["evens(s, t)", "odds(s, t)"][: size - e]
        for part in parts:
            lines.append(f"c = combine(c, {part})" if len(lines) > stride - 1 else f"c = {part}")
    return lines


def _result(r: int, v: int, mean: bool) -> list[str]:
    """Return the source that writes vector v of row r."""
    at, left = f"{r} * shape_out_w + {v} * LANES", f"n - {v} * LANES"
    if not mean:
        return [f"store_some(y, {at}, a{r}_{v}, {left})"]
    some = f"load_some(counts, {v} * LANES, {left})"
    return [f"store_some(y, {at}, mean(a{r}_{v}, {some}, part), {left})"]
