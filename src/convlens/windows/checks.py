"""Check the fields of windows, and the lengths and positions they are asked about."""

from __future__ import annotations

from convlens.integers import integer

__all__ = ["check_fields", "count", "place"]


def check_fields(window: object) -> None:
    """Turn the fields of a frozen window into plain integers and check them.

    Raises TypeError for a field that is not an integer, ValueError for one out of range.
    """
    for name, least in (("size", 1), ("stride", 1), ("dilation", 1), ("before", 0), ("after", 0)):
        value = integer(name, getattr(window, name))
        if value < least:
            rule = "must not be negative" if least == 0 else "must be at least 1"
            cure = "crop the input instead" if least == 0 else "use a positive integer"
            raise ValueError(f"`{name}` (={value}) {rule}; {cure}")
        object.__setattr__(window, name, value)


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
