"""Write register blocks for filters, which load each input once for several rows of one image.

A *filter block* keeps m rows of v vectors of the results of one channel in registers. If kernels
have more than one row, several rows of the result read the same line of the input: the first with
the last tap of a column of taps, the second with the last but one, and so on. A *step* is such a
column of `taps` taps, one line apart; it loads m + taps - 1 lines for m * taps multiply-adds. Every
result is one chain of multiply-adds in the order of the steps, whatever the shape of the block.

For columns of up to `MOST_WRITTEN` taps, the loop over the lines is unrolled and the weights stay
in registers. For longer columns there is a loop over the lines that all rows read. It loads a
weight for every row, which costs no more than loading a vector of the input.
"""

from __future__ import annotations

from collections.abc import Sequence

from convlens.compute.kernels.blocks.texts import along_rows, written
from convlens.compute.kernels.language.flattening import parameters
from convlens.compute.kernels.language.words import generated

__all__ = ["MOST_WRITTEN", "across_rows", "down_rows", "filter_blocks", "filter_rows"]

MOST_WRITTEN = 7
"""The most taps of a column whose lines are unrolled."""


@generated
def filter_rows(
    w: int, x: int, layers: int, layer_count: int, steps: int, counts: int, pitch: int, y: int,
    y_pitch: int, kept: int, n: int, bias: int,
) -> None:  # fmt: skip
    """Compute up to `rows` rows of n results each.

    `w` are the weights in the order of use, `x` is the address of the first line. `layers` has an
    int64 for each of `layer_count` layers: its offset from `x` in elements. `steps` has two for
    each step: the further offset of its first line, and its number of taps, which never rises.
    `counts` says how many steps there are of each number of taps, in the order of the source. Lines
    are `pitch` elements apart, rows of results `y_pitch`. `kept` rows are written; all start from
    `bias`.
    """


across_rows = down_rows = filter_rows
"""The two versions of it that one kernel has."""

ARGUMENTS = parameters(filter_rows)


def filter_blocks(
    rows: int, vectors: int, rest: int, taps: Sequence[int], name: str = "filter"
) -> str:
    """Return the source of `filter_rows`, which computes up to `rows` rows of n results each.

    All its names start with `name`, so that a kernel can have two versions. Blocks have `vectors`
    vectors; the last of a row has `rest` if these suffice. `taps` lists the numbers of taps,
    falling. A 0 in front adds the loop, for steps of at least `rows` - 1 taps. Whole vectors of
    input are read, for all rows.

    >>> filter_blocks(2, 2, 1, [3]).count("def ")
    3
    """
    widths = [vectors] if rest == vectors else [vectors, rest]
    moved = {one: f"{one} + column * WIDTH" for one in ("x", "y")}
    along = along_rows(name, rows, vectors, rest, ARGUMENTS, moved)
    blocks = [_block(name, rows, width, taps) for width in widths]
    return "\n".join([*blocks, along]) + "\n"


def _block(name: str, rows: int, vectors: int, taps: Sequence[int]) -> str:
    lines = [
        f"def {name}_{rows}_{vectors}({', '.join(ARGUMENTS)}):",
        "    b = broadcast(bias, 0)",
    ]
    lines += [f"    a{r}_{v} = b" for r in range(rows) for v in range(vectors)]
    lines += [
        "    line = pitch * WIDTH",
        "    for layer in range(layer_count):",
        "        start = x + word(layers, layer) * WIDTH",
        "        step = steps",
    ]
    for i, count in enumerate(taps):
        lines += [
            f"        for _ in range(word(counts, {i})):",
            "            p = start + word(step, 0) * WIDTH",
            *(_loop(rows, vectors) if count == 0 else _written(rows, vectors, count)),
            "            step += 16",
        ]
    lines += written(rows, vectors, "y_pitch")
    return "\n".join(lines) + "\n"


def _line(vectors: int, weights: Sequence[tuple[int, str]], indent: str) -> list[str]:
    """Return the source for one line, which some rows read, each with its own weight."""
    lines = [f"{indent}x{v} = load(p, {v} * LANES)" for v in range(vectors)]
    for r, weight in weights:
        if not weight.startswith("w"):
            lines.append(f"{indent}b = {weight}")
            weight = "b"
        lines += [f"{indent}a{r}_{v} = fma({weight}, x{v}, a{r}_{v})" for v in range(vectors)]
    return [*lines, f"{indent}p += line"]


def _written(rows: int, vectors: int, taps: int) -> list[str]:
    """Return the source of a step of `taps` taps with all its lines unrolled."""
    indent = " " * 12
    lines = [f"{indent}w{b} = broadcast(w, {b})" for b in range(taps)]
    for i in range(rows + taps - 1):
        seen = [(r, f"w{i - r}") for r in range(rows) if 0 <= i - r < taps]
        lines += _line(vectors, seen, indent)
    return [*lines, f"{indent}w += {taps} * WIDTH"]


def _loop(rows: int, vectors: int) -> list[str]:
    """Return the source of a step of any taps from `rows` - 1 on: a loop over the shared lines."""
    indent = " " * 12
    lines = [f"{indent}taps = word(step, 1)"]
    for i in range(rows - 1):
        lines += _line(vectors, [(r, f"broadcast(w, {i - r})") for r in range(i + 1)], indent)
    lines += [
        f"{indent}for tap in range(taps - {rows - 1}):",
        f"{indent}    last = w + (tap + {rows - 1}) * WIDTH",
        *_line(vectors, [(r, f"broadcast(last, {-r})") for r in range(rows)], indent + "    "),
        f"{indent}w += taps * WIDTH",
    ]
    for i in range(rows - 1):
        rest = [(r, f"broadcast(w, {i - r})") for r in range(i + 1, rows)]
        lines += _line(vectors, rest, indent)
    return lines
