"""The paddings that have a name, and what stands at a padded position."""

from __future__ import annotations

from convlens.integers import integer, is_one_of, shown
from convlens.windows.checks import count

__all__ = ["PADDINGS", "PADDING_MODES", "padded_source", "split_evenly"]

PADDINGS = ("valid", "same", "same_upper", "same_lower", "full")
"""The paddings that have a name, see `Window.padded`."""

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")
"""What stands in the padding, see `padded_source`."""


def padded_source(position: int, n: int, mode: str = "zeros") -> int | None:
    """Return which of `n` inputs stands at `position` of the padded axis; None for a zero.

    Positions are counted as in `Window.covers`: 0 to n - 1 is the input itself. "reflect" mirrors
    without repeating the end, "replicate" repeats the end, "circular" goes round. A long padding
    does so several times. Raises ValueError for another mode.

    Source: `numpy.pad`, modes "constant", "reflect", "edge" and "wrap".

    >>> [padded_source(p, 3, "reflect") for p in range(-2, 5)]
    [2, 1, 0, 1, 2, 1, 0]
    """
    if not is_one_of(mode, PADDING_MODES):
        names = ", ".join(f'"{name}"' for name in PADDING_MODES)
        raise ValueError(f"`mode` (={shown(mode)}) must be one of {names}")
    n, position = count("n", n), integer("position", position)
    if 0 <= position < n:
        return position
    if mode == "zeros":
        return None
    if mode == "replicate":
        return 0 if position < 0 else n - 1
    if mode == "circular":
        return position % n
    around = position % max(2 * n - 2, 1)
    return min(around, 2 * n - 2 - around)


def split_evenly(padding: str, total: int) -> tuple[int, int]:
    """Return how many of `total` positions lie before and after the input.

    The odd one lies after it with "same_upper", before it with "same_lower".

    >>> split_evenly("same_upper", 3), split_evenly("same_lower", 3)
    ((1, 2), (2, 1))
    """
    # Written like this, torch can prove of symbolic sizes that neither half is negative.
    less, more = total // 2, (total + 1) // 2
    return (less, more) if padding == "same_upper" else (more, less)
