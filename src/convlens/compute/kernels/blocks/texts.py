"""Write the source that several register blocks share: the loop along a row, and the stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["along_rows", "written"]


def along_rows(
    name: str,
    rows: int,
    vectors: int,
    rest: int,
    arguments: Sequence[str],
    moved: Mapping[str, str],
) -> str:
    """Return the source of `NAME_rows(arguments)`, which computes n columns block by block.

    Blocks have `vectors` vectors; the last of a row has `rest` if these suffice. `moved` says
    which arguments change from column `column` on, and how; n is `n - column`.

    >>> print(along_rows("filter", 2, 3, 1, ("y", "n"), {"y": "y + column * WIDTH"}))
    def filter_rows(y, n):
        column = 0
        while n - column > 1 * LANES:
            filter_2_3(y + column * WIDTH, n - column)
            column += 3 * LANES
        if n > column:
            filter_2_1(y + column * WIDTH, n - column)
    """
    moved = {**moved, "n": "n - column"}
    given = ", ".join(moved.get(argument, argument) for argument in arguments)
    lines = [
        f"def {name}_rows({', '.join(arguments)}):",
        "    column = 0",
        f"    while n - column > {rest} * LANES:",
        f"        {name}_{rows}_{vectors}({given})",
        f"        column += {vectors} * LANES",
        "    if n > column:",
        f"        {name}_{rows}_{rest}({given})",
    ]
    return "\n".join(lines)


def written(rows: int, vectors: int, pitch: str) -> list[str]:
    """Return the source that writes n elements of each of the first `kept` rows, `pitch` apart."""
    lines = [f"    if n >= {vectors} * LANES:"]
    for r in range(rows):
        lines.append(f"        if kept > {r}:")
        lines += [
            f"            store(y, {r} * {pitch} + {v} * LANES, a{r}_{v})" for v in range(vectors)
        ]
    lines.append("    else:")
    for r in range(rows):
        lines.append(f"        if kept > {r}:")
        lines += [
            f"            store_some(y, {r} * {pitch} + {v} * LANES, a{r}_{v}, n - {v} * LANES)"
            for v in range(vectors)
        ]
    return lines
