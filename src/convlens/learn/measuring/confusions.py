"""Show which categories are taken for which, in words and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from convlens.files import printed

__all__ = ["confusion_table", "largest_confusions"]

MOST_CLASSES = 40
"""The most categories of a table that a person can still read."""


def largest_confusions(
    confusion: NDArray[np.int64], classes: Sequence[str], most: int = 8
) -> list[str]:
    """Return the largest numbers beside the diagonal of a matrix (truth, answer), in words.

    >>> largest_confusions(np.array([[3, 1], [0, 2]]), ("cat", "dog"))
    ['cat taken for dog: 1 of 4 (25 %)']
    """
    others = confusion - np.diag(confusion.diagonal())
    order = np.argsort(-others, axis=None, kind="stable")[:most]
    said = []
    for true, answer in zip(*np.unravel_index(order, others.shape), strict=True):
        count, whole = int(others[true, answer]), int(confusion[true].sum())
        if count:
            said.append(
                f"{printed(classes[true])} taken for {printed(classes[answer])}: "
                f"{count:,} of {whole:,} ({100 * count / whole:.0f} %)"
            )
    return said


def confusion_table(confusion: NDArray[np.int64], classes: Sequence[str]) -> str:
    """Return a matrix (truth, answer) as a table of HTML, each cell coloured by its share of a row.

    "" for more than 40 classes.
    """
    if len(classes) > MOST_CLASSES:
        return ""
    names = [escape(printed(name)) for name in classes]
    head = "".join(f'<th scope="col" title="{name}"><span>{name}</span></th>' for name in names)
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    rows = []
    for k, name in enumerate(names):
        cells = (
            _cell(int(confusion[k, j]), float(shares[k, j]), k == j) for j in range(len(names))
        )
        rows.append(f'<tr><th scope="row" title="{name}">{name}</th>{"".join(cells)}</tr>')
    corner = '<th class="corner">truth ↓ answer →</th>'
    return (
        f'<div class="wide"><table class="confusion"><thead><tr>{corner}{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(count: int, share: float, right: bool) -> str:
    kind = ("right" if right else "wrong") + (" much" if share > 0.55 else "")
    shown = _short(count) if count else "·"
    return f'<td class="{kind}" style="--share:{100 * share:.0f}%" title="{count:,}">{shown}</td>'


def _short(count: int) -> str:
    """Return a count in at most five characters.

    >>> _short(950), _short(12_345), _short(3_400_000)
    ('950', '12k', '3.4M')
    """
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if count >= unit:
            size = 1e3 if letter == "k" else unit
            return (
                f"{count / size:.2g}{letter}"
                if count / size < 100
                else f"{count / size:.0f}{letter}"
            )
    return str(count)
