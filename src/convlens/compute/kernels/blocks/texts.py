"""Write the source that several register blocks share: the loop along a row, and the stores."""

from __future__ import annotations

__all__ = ["along_rows", "written"]


def along_rows(name: str, rows: int, vectors: int, rest: int, arguments: str, moved: str) -> str:
    """Return the source of `NAME_rows(arguments)`, which computes n columns block by block.

    Blocks have `vectors` vectors; the last of a row has `rest` if these suffice. `moved` are the
    arguments for the columns from `column` on.

    >>> print(along_rows("filter", 2, 3, 1, "y, n", "y + column * WIDTH, n - column"))
    def filter_rows(y, n):
        column = 0
        while n - column > 1 * LANES:
            filter_2_3(y + column * WIDTH, n - column)
            column += 3 * LANES
        if n > column:
            filter_2_1(y + column * WIDTH, n - column)
    """
    lines = [
        f"def {name}_rows({arguments}):",
        "    column = 0",
        f"    while n - column > {rest} * LANES:",
        f"        {name}_{rows}_{vectors}({moved})",
        f"        column += {vectors} * LANES",
        "    if n > column:",
        f"        {name}_{rows}_{rest}({moved})",
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
