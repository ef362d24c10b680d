"""Which part of a problem a task is: its number, taken apart."""

from __future__ import annotations

__all__ = ["place_of"]


def place_of(
    task: int, shares: int, pieces: int, bands: int, planes: int, groups: int
) -> tuple[int, int, int, int, int, int]:
    """Return the share, piece, band, plane, group and image of a task; the share goes fastest.

    >>> place_of(23, 2, 1, 3, 1, 2)
    (1, 0, 2, 0, 1, 1)
    """
    share, rest = task % shares, task // shares
    piece, rest = rest % pieces, rest // pieces
    band, rest = rest % bands, rest // bands
    plane, rest = rest % planes, rest // planes
    return share, piece, band, plane, rest % groups, rest // groups
