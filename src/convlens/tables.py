"""Line up rows of cells as columns of text."""

from __future__ import annotations

from collections.abc import Collection, Sequence

__all__ = ["table"]


def table(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> str:
    """Return rows of cells as lines of text, two spaces between columns.

    `right`: the columns whose cells end below each other, as those of numbers do; the cells of
    all others begin below each other. Every row must have as many cells as the first.

    >>> print(table([("network", "size"), ("resnet18", "45 MB")], right=[1]))
    network    size
    resnet18  45 MB
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
