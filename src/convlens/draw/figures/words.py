"""Write numbers and places as the lab's page does: four figures that count, two in a cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal

__all__ = ["place_in_words", "plural", "short", "spans_in_words", "tight"]

AXES = {0: (), 1: ("place",), 2: ("row", "column"), 3: ("frame", "row", "column")}
"""The names of a map's axes, by how many it has."""


def short(x: float) -> str:
    """Return a number with four figures and a real minus sign.

    >>> short(1.6772), short(0.5), short(-0.0844), short(0.0000123), short(float("nan"))
    ('1.677', '0.5000', '−0.08440', '1.23e−5', 'NaN')
    """
    if x == 0:
        return "0"
    if not math.isfinite(x):
        return "NaN" if math.isnan(x) else "∞" if x > 0 else "−∞"
    size = abs(x)
    if x == int(x) and size < 1e6:
        return _minus(str(int(x)))
    if size >= 1e5 or size < 1e-3:
        mantissa, exponent = f"{_figures(x, 3):.2e}".split("e")
        return _minus(f"{mantissa}e{int(exponent)}")
    figures = _figures(x, 4)
    return _minus(_decimals(figures, max(3 - figures.adjusted(), 0)))


def tight(x: float) -> str:
    """Return a number as small as a cell is, at most five signs.

    >>> [tight(x) for x in (0.807, 0.625, -0.0001, 1.234, 12.3, 250.4, 3.0)]
    ['.81', '.63', '−~0', '1.23', '12.3', '250', '3']
    """
    if x == 0 or not math.isfinite(x):
        return short(x)
    size, sign = abs(x), "−" if x < 0 else ""
    if size >= 9999.5:
        mantissa, exponent = f"{_figures(size, 1):.0e}".split("e")
        return f"{sign}{mantissa}e{int(exponent)}"
    if size >= 99.5 or size == int(size):
        return sign + _decimals(size, 0)
    if size >= 0.9995:
        return sign + _decimals(size, 1 if size >= 9.995 else 2)
    if size < 0.0005:
        return f"{sign}~0"
    return sign + _decimals(size, 3 if size < 0.005 else 2).removeprefix("0")


def plural(count: int, noun: str) -> str:
    """Return a count and its noun.

    >>> plural(1, "product"), plural(2048, "product")
    ('1 product', '2,048 products')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def place_in_words(index: Sequence[int], axes: int, channel: bool = True) -> str:
    """Return where an element lies: its map, and its place on a map of `axes` axes.

    A sample other than the first is named, too.

    >>> place_in_words((0, 5, 6, 4), 2), place_in_words((2, 7), 0)
    ('map 5, row 6, column 4', 'sample 2, number 7')
    """
    lead, place = list(index[: len(index) - axes]), index[len(index) - axes :]
    words = []
    if lead:
        last = lead.pop()
        words = [f"{'map' if axes else 'number'} {last}"] if channel else []
    if lead and any(lead):
        words.insert(0, f"sample {lead[0]}")
    return ", ".join([*words, *(f"{n} {i}" for n, i in zip(AXES[axes], place, strict=True))])


def spans_in_words(low: Sequence[int], high: Sequence[int]) -> str:
    """Return the places from `low` to `high` on a map, both counted in.

    >>> spans_in_words((5, 3), (7, 3))
    'rows 5–7, column 3'
    """
    names = AXES[len(low)]
    return ", ".join(
        f"{name} {_minus(str(a))}" if a == b else f"{name}s {_minus(f'{a}{_to(a)}{b}')}"
        for name, a, b in zip(names, low, high, strict=True)
    )


def _to(low: int) -> str:
    return " to " if low < 0 else "–"


def _figures(x: float, count: int) -> Decimal:
    """Return a number rounded to `count` figures, halves away from zero, as JavaScript rounds."""
    return Context(prec=count, rounding=ROUND_HALF_UP).create_decimal(Decimal(x))


def _decimals(x: float | Decimal, count: int) -> str:
    return str(Decimal(x).quantize(Decimal(1).scaleb(-count), ROUND_HALF_UP))


def _minus(text: str) -> str:
    return text.replace("-", "−")
