"""Register blocks for filters: several rows of one image, each input loaded once for all of them.

A *filter block* keeps m rows of v vectors of the results of one channel in registers. Where kernels
have more than one row, a line of the input belongs to several rows of the result: to the first by
the last tap of a column of taps, to the second by the last but one, and so on. So a *step* is such
a column, `taps` of them, a line apart: m + taps - 1 lines are loaded for m * taps multiply-adds.
Every result is one chain of multiply-adds in the order of the steps, whatever the block's shape.

For columns of few taps the loop over the lines is written out and the weights stay in registers;
for more than `MOST_WRITTEN` there is a loop over those lines that all rows see, and a weight is
loaded for every row, no more than a vector of the input would cost.
"""

from __future__ import annotations

from collections.abc import Sequence

from convlens.compute.kernels.blocks.texts import along_rows, written
from convlens.compute.kernels.language.flattening import parameters
from convlens.compute.kernels.language.words import generated

__all__ = ["MOST_WRITTEN", "across_rows", "down_rows", "filter_blocks", "filter_rows"]

MOST_WRITTEN = 7
"""Columns of more taps are a loop."""


@generated
def filter_rows(
    w: int, x: int, layers: int, layer_count: int, steps: int, counts: int, pitch: int, y: int,
    y_pitch: int, kept: int, n: int, bias: int,
) -> None:  # fmt: skip
    """Compute up to `rows` rows of n results each.

    `w` are the weights in the order in which they are met, `x` is where the first line is. `layers`
    has an int64 for each of `layer_count` layers: how many elements from `x` on it lies. `steps`
    has two for each step: how many elements further its first line lies, and its taps, which fall
    from step to step. `counts` says how many steps have as many taps as each of the kinds that are
    written, in their order. Lines lie `pitch` elements apart, rows of results `y_pitch`. `kept`
    rows are written; all start from `bias`.
    """


across_rows = down_rows = filter_rows
"""The names of the two that one kernel has."""

ARGUMENTS = ", ".join(parameters(filter_rows))


def filter_blocks(
    rows: int, vectors: int, rest: int, taps: Sequence[int], name: str = "filter"
) -> str:
    """Return the text of `filter_rows`, which computes up to `rows` rows of n results each.

    `name` stands before all names in it, so that a kernel can have two.

    Blocks have `vectors` vectors, but the last of a row only `rest`, if those are enough. `taps`
    falls; its first may be 0, which stands for the loop: for steps of `rows` - 1 taps and more.
    Whole vectors of input are read, for all rows.

    >>> filter_blocks(2, 2, 1, [3]).count("def ")
    3
    """
    widths = [vectors] if rest == vectors else [vectors, rest]
    along = along_rows(name, rows, vectors, rest, ARGUMENTS, _moved())
    blocks = [_block(name, rows, width, taps) for width in widths]
    return "\n".join([*blocks, along]) + "\n"


def _moved() -> str:
    """Return the arguments for the columns from `column` on."""
    moved = ARGUMENTS.replace(" x,", " x + column * WIDTH,").replace(" y,", " y + column * WIDTH,")
    return moved.replace(" n,", " n - column,")


def _block(name: str, rows: int, vectors: int, taps: Sequence[int]) -> str:
    lines = [
        f"def {name}_{rows}_{vectors}({ARGUMENTS}):",
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
    """Return the text for one line, which some rows, each with a weight, see."""
    lines = [f"{indent}x{v} = load(p, {v} * LANES)" for v in range(vectors)]
    for r, weight in weights:
        if not weight.startswith("w"):
            lines.append(f"{indent}b = {weight}")
            weight = "b"
        lines += [f"{indent}a{r}_{v} = fma({weight}, x{v}, a{r}_{v})" for v in range(vectors)]
    return [*lines, f"{indent}p += line"]


def _written(rows: int, vectors: int, taps: int) -> list[str]:
    """Return the text of a step of so many taps, all its lines written out."""
    indent = " " * 12
    lines = [f"{indent}w{b} = broadcast(w, {b})" for b in range(taps)]
    for i in range(rows + taps - 1):
        seen = [(r, f"w{i - r}") for r in range(rows) if 0 <= i - r < taps]
        lines += _line(vectors, seen, indent)
    return [*lines, f"{indent}w += {taps} * WIDTH"]


def _loop(rows: int, vectors: int) -> list[str]:
    """Return the text of a step of `rows` - 1 taps or more: the lines that all rows see, a loop."""
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
