"""Integers as they are given: read, checked and shown, in the words of whoever asks.

These are the checks beneath `windows`, for messages that name argument, value and rule.
"""

from __future__ import annotations

import operator
from math import gcd
from typing import Any

__all__ = ["count", "in_reach", "integer", "is_one_of", "is_symbol", "meeting", "place", "shown"]

MOST_BITS = 256
"""Of an integer that is taken."""

LONGEST = 80
"""Letters of a value that a message repeats."""


def integer(name: str, value: Any) -> int:
    """Return a plain int for anything that is an integer; True and 1.0 are not."""
    try:
        if type(value) is int or is_symbol(value):
            return value  # type: ignore[no-any-return]
        if not isinstance(value, bool):
            return operator.index(value)
    except TypeError:
        pass
    kind = type(value).__name__
    raise TypeError(f"`{name}` (={shown(value)}) must be an integer, not {kind}")


def is_one_of(value: object, names: tuple[str, ...]) -> bool:
    """Tell whether a value is one of some names; an array, which compares by parts, is none."""
    return isinstance(value, str) and value in names


def in_reach(name: str, value: int) -> int:
    """Return an integer that fits into a sentence; none beyond can be meant."""
    if value.bit_length() > MOST_BITS:
        raise ValueError(
            f"`{name}` (={shown(value)}) must lie between -2**{MOST_BITS} and 2**{MOST_BITS}"
        )
    return value


def shown(value: Any) -> str:
    """Return a value as a message shows it: on one line, and not at any length.

    >>> shown([[1],
    ...     [2]])
    '[[1], [2]]'
    """
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return f"an integer of {value.bit_length()} bits"  # Python does not write it at any length
    try:
        text = " ".join(repr(value).split())
    except Exception:  # whatever somebody's own class does
        text = f"of type {type(value).__name__}"
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def count(name: str, value: int) -> int:
    """Return `value` as a plain int that can be the length of an axis."""
    found = integer(name, value)
    if found < 1:
        raise ValueError(f"`{name}` (={found}) must be at least 1: an empty axis has no windows")
    return found


def place(name: str, value: int, count: int) -> int:
    """Return `value` as a plain int that counts one of `count` things from 0."""
    found = integer(name, value)
    if not 0 <= found < count:
        raise ValueError(f"`{name}` (={found}) must be 0 to {count - 1}: there are {count}")
    return found


def is_symbol(value: object) -> bool:
    """Tell an integer of torch that stands for any, while a network is traced for all sizes."""
    return type(value).__name__ == "SymInt"


def meeting(total: int, a: int, b: int, count_p: int, count_q: int) -> tuple[range, range]:
    """Solve a * p + b * q = total for 0 <= p < count_p and 0 <= q < count_q; p rises, q falls."""
    common = gcd(a, b)
    if total % common:
        return range(0), range(0)
    total, a, b = total // common, a // common, b // common
    low = max(0, -((b * (count_q - 1) - total) // a))
    high = min(count_p - 1, total // a)
    # p is known modulo b, because a * p = total modulo b and a has an inverse there.
    first = low + (total * pow(a, -1, b) - low) % b
    if first > high:
        return range(0), range(0)
    found = (high - first) // b + 1
    start = (total - a * first) // b
    return range(first, high + 1, b), range(start, start - a * found, -a)
