"""Divide a problem into tasks, and find the part that a task computes."""

from __future__ import annotations

from math import ceil

__all__ = ["band_rows", "place_of"]

TASKS = 16
"""The tasks per thread that dividing images into bands aims at."""


def band_rows(images: int, high: int, block: int, threads: int) -> int:
    """Return how many of an image's `high` rows, in whole blocks, a task computes.

    >>> band_rows(1, 1024, 4, 2), band_rows(96, 112, 4, 2)
    (32, 112)
    """
    cuts = max(1, TASKS * threads // max(1, images))
    return max(1, ceil(ceil(high / cuts) / block) * block)


def place_of(
    task: int, shares: int, pieces: int, bands: int, planes: int, groups: int
) -> tuple[int, int, int, int, int, int]:
    """Return the share, piece, band, plane, group and image of a task; the share varies fastest.

    >>> place_of(23, 2, 1, 3, 1, 2)
    (1, 0, 2, 0, 1, 1)
    """
    share, rest = task % shares, task // shares
    piece, rest = rest % pieces, rest // pieces
    band, rest = rest % bands, rest // bands
    plane, rest = rest % planes, rest // planes
    return share, piece, band, plane, rest % groups, rest // groups
