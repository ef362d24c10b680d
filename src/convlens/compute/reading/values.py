"""Read options that are a single value: a flag or a tolerance."""

from __future__ import annotations

from typing import Any

import numpy as np

from convlens.integers import shown

__all__ = ["read_flag", "read_tolerance"]


def read_flag(name: str, value: Any) -> bool:
    """Return True or False; raise TypeError for anything else.

    >>> read_flag("ceil_mode", np.True_)
    True
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"`{name}` (={shown(value)}) must be True or False")
    return bool(value)


def read_tolerance(tolerance: Any) -> float:
    """Return a tolerance of 0 or more as a float; raise TypeError or ValueError for anything else.

    >>> read_tolerance(1e-5)
    1e-05
    """
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float | np.floating):
        raise TypeError(f"`tolerance` (={shown(tolerance)}) must be a number, such as 1e-5")
    if not 0 <= tolerance < 1e300:
        raise ValueError(
            f"`tolerance` (={shown(tolerance)}) must be 0 or more and below 1e300; use 1e-5"
        )
    return float(tolerance)
