"""Write register blocks for small kernels over images that are read in place, without packing.

An *image block* keeps m rows of v vectors of the results of one channel in registers. It processes
the kernel one column of taps at a time. Each line of the input under the block is loaded once,
masked outside the image, and used for all rows of the result that read it. Lines above and below
the image are read from a line of zeros. For layers of nine taps, packing would cost more than the
multiply-adds. With a stride of 2 the columns are processed in pairs: two vectors are loaded at
once, and one column uses their even elements, the other the odd ones.

Every result is one chain of multiply-adds, in an order that the block's shape does not change.
"""

from __future__ import annotations

from dataclasses import dataclass

from convlens.compute.kernels.blocks.texts import along_rows, written
from convlens.compute.kernels.language.flattening import parameters
from convlens.compute.kernels.language.words import generated
from convlens.compute.kernels.records import Pointer
from convlens.compute.kernels.shapes import ConvShape

__all__ = ["ImageTaps", "image_blocks", "image_rows"]


@dataclass(frozen=True, kw_only=True)
class ImageTaps:
    """The sizes of a kernel that its source does not contain: `depth` planes, and dilations.

    `zeros` is a line of zeros as long as a line of the input.
    """

    zeros: Pointer
    depth: int
    depth_dilation: int
    dilation: int


@generated
def image_rows(
    w: int, x: int, y: int, bias: int, front: int, top: int, left: int, kept: int, n: int,
    taps: ImageTaps, shape: ConvShape,
) -> None:  # fmt: skip
    """Compute up to `rows` rows of n results each.

    `w` are the weights of one output channel, column by column. `x` is the address of the first
    plane of its group, `y` that of the first result. All results start from `bias`. The first tap
    is in plane `front`, row `top` and column `left`; outside the input there are zeros. `kept` rows
    are written.
    """


ARGUMENTS = parameters(image_rows)


def image_blocks(
    rows: int, vectors: int, rest: int, size: tuple[int, int], stride: tuple[int, int], apart: int
) -> str:
    """Return the source of `image_rows`, which computes up to `rows` rows of n results each.

    `size` and `stride` are those of rows and columns, `apart` is the dilation of rows. Blocks have
    `vectors` vectors; the last of a row has `rest` if these suffice.

    >>> image_blocks(2, 2, 1, (3, 3), (1, 1), 1).count("def ")
    3
    """
    widths = [vectors] if rest == vectors else [vectors, rest]
    moved = {"left": f"left + column * {stride[1]}", "y": "y + column * WIDTH"}
    along = along_rows("image", rows, vectors, rest, ARGUMENTS, moved)
    blocks = [_block(rows, width, size, stride, apart) for width in widths]
    return "\n".join([*blocks, along]) + "\n"


def _block(
    rows: int, vectors: int, size: tuple[int, int], stride: tuple[int, int], apart: int
) -> str:
    step = min(stride[1], size[1])  # columns of the kernel that are processed together
    lines = [
        f"def image_{rows}_{vectors}({', '.join(ARGUMENTS)}):",
        "    b = broadcast(bias, 0)",
        *(f"    a{r}_{v} = b" for r in range(rows) for v in range(vectors)),
        "    none = zero()",
        "    pitch = shape_space_w * WIDTH",
        "    for layer in range(shape_each * taps_depth):",
        "        plane = front + layer % taps_depth * taps_depth_dilation",
        "        height = shape_space_h if 0 <= plane < shape_space_d else 0",
        "        image = x + (layer // taps_depth * shape_space_d + plane) * shape_space_h * pitch",
        "        column = left",
        f"        for _ in range({size[1] // step}):",
        *_columns(rows, vectors, size[0], stride, apart, step),
    ]
    if size[1] % step:  # the last column has no partner
        lines += [line[4:] for line in _columns(rows, vectors, size[0], stride, apart, 1)]
    lines += written(rows, vectors, "shape_out_w")
    return "\n".join(lines) + "\n"


def _columns(
    rows: int, vectors: int, taps: int, stride: tuple[int, int], apart: int, together: int
) -> list[str]:
    """Return the source for one column of taps, or for two neighbouring ones."""
    indent = " " * 12
    loaded = vectors * stride[1]  # vectors of one line
    lines = [f"{indent}w{e}_{a} = broadcast(w, {e * taps + a})"
             for e in range(together) for a in range(taps)]  # fmt: skip
    for v in range(loaded):
        at = f"(column + {v} * LANES)"
        lines.append(f"{indent}mask{v} = lanes(-{at}, shape_space_w - {at})")
    for i in range((rows - 1) * stride[0] + (taps - 1) * apart + 1):
        met = [(r, a) for r in range(rows) for a in range(taps) if r * stride[0] + a * apart == i]
        if not met:
            continue
        lines.append(
            f"{indent}p = image + (top + {i}) * pitch if 0 <= top + {i} < height else taps_zeros"
        )
        lines += [
            f"{indent}x{v} = load_lanes(p, column + {v} * LANES, mask{v}, none)"
            for v in range(loaded)
        ]
        if stride[1] == 2:
            for e, word in zip(range(together), ("evens", "odds"), strict=False):
                lines += [f"{indent}x{e}_{v} = {word}(x{2 * v}, x{2 * v + 1})"
                          for v in range(vectors)]  # fmt: skip
        for e in range(together):
            named = f"x{e}_" if stride[1] == 2 else "x"
            lines += [f"{indent}a{r}_{v} = fma(w{e}_{a}, {named}{v}, a{r}_{v})"
                      for r, a in met for v in range(vectors)]  # fmt: skip
    return [
        *lines,
        f"{indent}column += {together} * taps_dilation",
        f"{indent}w += {together * taps} * WIDTH",
    ]
