"""Check the fields of augmentations when they are made, not when a picture is changed."""

from __future__ import annotations

import math

__all__ = ["check_range", "check_span"]


def check_range(name: str, value: float, least: float, most: float) -> None:
    """Raise ValueError unless a number lies from `least` to `most`.

    >>> check_range("chance", 2, 0, 1)
    Traceback (most recent call last):
        ...
    ValueError: `chance` (=2) must be from 0 to 1; use such a number
    """
    if not (math.isfinite(value) and least <= value <= most):
        raise ValueError(
            f"`{name}` (={value}) must be from {least:g} to {most:g}; use such a number"
        )


def check_span(name: str, span: tuple[float, float], least: float, most: float) -> None:
    """Raise ValueError unless two numbers lie from `least` to `most`, the smaller first.

    >>> check_span("area", (0.5, 0.2), 0, 1)
    Traceback (most recent call last):
        ...
    ValueError: `area` (=(0.5, 0.2)) must begin with the smaller number; swap the two
    """
    for value in span:
        check_range(name, value, least, most)
    if span[0] > span[1]:
        raise ValueError(f"`{name}` (={span}) must begin with the smaller number; swap the two")
