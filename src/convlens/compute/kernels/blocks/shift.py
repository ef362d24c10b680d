"""Write register blocks for the method `shift`, sized for the registers of a machine.

A *shift block* keeps m rows of v vectors of results in registers. A row is an output channel, a
column an output position. Every step multiplies the m weights of one tap by v vectors of the input.
With stride 1 these are the input itself, shifted by the tap's offset: a matrix product whose second
operand is never formed. Every result is one chain of multiply-adds in the order of the steps,
whatever the shape of the block, so all block shapes give the same bits.
"""

from __future__ import annotations

from convlens.compute.kernels.blocks.texts import written
from convlens.compute.kernels.language.flattening import parameters
from convlens.compute.kernels.language.words import generated
from convlens.compute.kernels.machine import Machine

__all__ = ["best_rows", "best_vectors", "shift_block", "shift_blocks", "shift_rows"]


def best_rows(machine: Machine, count: int) -> int:
    """Return how many rows a block should have if there are `count` in all.

    The time of a block grows with its rows and loads. Few sizes exist, so few kernels compile.

    >>> best_rows(Machine("any", 64, 32, True, 32768, 2**20), 33)
    6
    """
    most = 8 if machine.registers >= 32 else 4
    sizes = [rows for rows in (1, 2, 4, 6, 8) if rows <= most]
    return min(sizes, key=lambda rows: (-(-count // rows) * (rows + 1), -rows))


def best_vectors(machine: Machine, rows: int) -> int:
    """Return how many vectors a row should have in a block of `rows` rows.

    The registers hold rows * v results, v inputs and one weight.

    >>> best_vectors(Machine("any", 64, 32, True, 32768, 2**20), 8)
    3
    """
    return max(1, min(6, (machine.registers - 1) // (rows + 1)))


@generated
def shift_rows(
    w: int, x: int, offsets: int, steps: int, y: int, pitch: int, kept: int, n: int, resumed: int,
    bias: int,
) -> None:  # fmt: skip
    """Compute n columns of up to `rows` rows of results.

    `w` are the weights, (steps, rows). `offsets` has an int64 for each step: the offset from `x` of
    the input of column 0, in elements. Row r of the results is r * `pitch` elements from `y`. The
    first `kept` rows are written, and nothing beyond column n. Each row starts from its `bias`, or
    from the values in `y` if `resumed` is not 0.
    """


ARGUMENTS = ", ".join(parameters(shift_rows))


def shift_blocks(rows: int, vectors: int) -> str:
    """Return the source of `shift_rows`, with blocks of `rows` rows and at most `vectors` vectors.

    Input is read up to `vectors` whole vectors from each step's offset.

    >>> "def shift_rows(" in shift_blocks(2, 2)
    True
    """
    texts = [shift_block(rows, v) for v in range(1, vectors + 1)]
    lines = [
        f"def shift_rows({ARGUMENTS}):",
        "    column = 0",
        f"    while n - column > {vectors - 1} * LANES:",
        *_call(rows, vectors, "        "),
        f"        column += {vectors} * LANES",
    ]
    for v in range(vectors - 1, 0, -1):
        lines += [
            f"    if n - column > {v - 1} * LANES:",
            *_call(rows, v, "        "),
            "        return",
        ]
    return "\n".join([*texts, *lines]) + "\n"


def _call(rows: int, vectors: int, indent: str) -> list[str]:
    return [
        f"{indent}shift_{rows}_{vectors}(w, x + column * WIDTH, offsets, steps, "
        "y + column * WIDTH, pitch, kept, n - column, resumed, bias)"
    ]


def shift_block(rows: int, vectors: int) -> str:
    """Return the source of one block, `shift_<rows>_<vectors>`, with `shift_rows`'s arguments.

    >>> shift_block(1, 1).splitlines()[0]
    'def shift_1_1(w, x, offsets, steps, y, pitch, kept, n, resumed, bias):'
    """
    lines = [f"def shift_{rows}_{vectors}({ARGUMENTS}):"]
    for r in range(rows):
        lines.append(f"    b = broadcast(bias, {r})")
        lines += [f"    a{r}_{v} = b" for v in range(vectors)]
    lines.append("    if resumed != 0:")
    for r in range(rows):
        lines.append(f"        if kept > {r}:")
        lines += [
            f"            a{r}_{v} = load_some(y, {r} * pitch + {v} * LANES, n - {v} * LANES)"
            for v in range(vectors)
        ]
    lines += ["    for step in range(steps):", "        place = x + word(offsets, step) * WIDTH"]
    lines += [f"        x{v} = load(place, {v} * LANES)" for v in range(vectors)]
    lines.append(f"        weights = w + step * {rows} * WIDTH")
    for r in range(rows):
        lines.append(f"        b = broadcast(weights, {r})")
        lines += [f"        a{r}_{v} = fma(b, x{v}, a{r}_{v})" for v in range(vectors)]
    lines += written(rows, vectors, "pitch")
    return "\n".join(lines) + "\n"
