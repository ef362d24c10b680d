"""Line up rows of cells as columns of text, or as a table of HTML."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

__all__ = ["html_table", "table"]

MOST_ROWS = 60
"""The rows of an HTML table that are written; a notebook keeps each of them in its file."""


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


def html_table(
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[int] = (),
    above: str = "",
    below: Sequence[str] = (),
) -> str:
    """Return rows of cells as a table of HTML, the first row as its head; all text is escaped.

    `right`: the columns of numbers. `above` and `below`: lines of text around it. Past 60 rows,
    the middle is left out, and a row says so.

    >>> html_table([("a", "n"), ("<b>", "3")], right=[1], above="x & y").count("&lt;b&gt;")
    1
    """
    head, *body = [list(row) for row in rows]
    if len(body) > MOST_ROWS:
        left = len(body) - MOST_ROWS
        gap = [f"… {left:,} more rows …", *[""] * (len(head) - 1)]
        body = [*body[: MOST_ROWS // 2], gap, *body[-MOST_ROWS // 2 :]]
    lines = [f"<p>{escape(above)}</p>"] if above else []
    lines += ["<table>", f"<thead>{_row(head, 'th', right)}</thead>", "<tbody>"]
    lines += [_row(row, "td", right) for row in body]
    lines += ["</tbody>", "</table>", *(f"<p>{escape(line)}</p>" for line in below)]
    return "\n".join(lines)


def _row(cells: Sequence[str], tag: str, right: Collection[int]) -> str:
    sides = ("right" if column in right else "left" for column in range(len(cells)))
    written = (
        f'<{tag} style="text-align: {side}">{escape(cell)}</{tag}>'
        for cell, side in zip(cells, sides, strict=True)
    )
    return f"<tr>{''.join(written)}</tr>"
