"""Check integers as they are given, and show values in the messages of those checks."""

from __future__ import annotations

import operator
from typing import Any

__all__ = ["in_reach", "integer", "is_one_of", "is_symbol", "shown"]

MOST_BITS = 256
"""The most bits of an integer that is accepted."""

LONGEST = 80
"""The most characters of a value that a message repeats."""


def integer(name: str, value: Any) -> int:
    """Return a plain int for any integer type; reject booleans and floats, even 1.0."""
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
    """Return whether a value is one of some names, False for an array, which compares by parts."""
    return isinstance(value, str) and value in names


def in_reach(name: str, value: int) -> int:
    """Return an integer of at most `MOST_BITS` bits; a larger one would not fit a message."""
    if value.bit_length() > MOST_BITS:
        raise ValueError(
            f"`{name}` (={shown(value)}) must lie between -2**{MOST_BITS} and 2**{MOST_BITS}"
        )
    return value


def shown(value: Any) -> str:
    """Return a value as messages show it: on one line of limited length.

    >>> shown([[1], [2]])
    '[[1], [2]]'
    """
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return f"an integer of {value.bit_length()} bits"  # Python refuses to write very long ones
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a class of the user may raise anything
        text = f"of type {type(value).__name__}"
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def is_symbol(value: object) -> bool:
    """Return whether an integer of torch stands for any size, as in a trace for all sizes."""
    return type(value).__name__ == "SymInt"
