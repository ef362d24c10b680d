"""Locate tiles of the input, and pack them."""

from __future__ import annotations

from convlens.compute.kernels.language.words import WIDTH, word
from convlens.compute.kernels.rows.packing import clear, pack_row
from convlens.compute.kernels.shapes import Axes
from convlens.compute.kernels.transforms.geometry import FourierGeometry

__all__ = ["origin", "pack_planes", "pack_tile_row"]


def origin(t: int, g: FourierGeometry) -> tuple[int, int, int, int]:
    """Return the image of tile t and its first output: n, d, h, w."""
    row = g.grid.count.w
    plane = g.grid.count.h * row
    whole = g.grid.count.d * plane
    d, h, w = t % whole // plane, t % plane // row, t % row
    return t // whole, d * g.grid.step.d, h * g.grid.step.h, w * g.grid.step.w


def pack_tile_row(
    to: int, image: int, corner: Axes, d: int, h: int, g: FourierGeometry
) -> None:  # fmt: skip
    """Write row h of plane d of the tile at a padded position, including its padding.

    If the tile is a line, every row continues the one before it.
    """
    wide, start, found_d, found_h = g.tile.wide, corner.w, 0, 0
    if g.tile.line != 0:
        start += (d * g.tile.high + h) * wide
    elif corner.d + d < g.inputs.end.d and corner.h + h < g.inputs.end.h:
        found_d = word(g.inputs.planes, corner.d + d)
        found_h = word(g.inputs.rows, corner.h + h)
    else:
        found_d = -1
    place, count = to + (d * g.tile.plane + h * g.tile.pitch) * WIDTH, 0
    if found_d >= 0 and found_h >= 0:
        count = max(0, min(wide, g.inputs.end.w - start))
        row = (found_d * g.inputs.space.h + found_h) * g.inputs.space.w
        pack_row(
            place, image + row * WIDTH, g.inputs.ends, g.inputs.first, g.inputs.last,
            start, 1, count,
        )  # fmt: skip
    clear(place + count * WIDTH, wide - count)


def pack_planes(
    to: int, image: int, corner: Axes, begin: int, end: int, g: FourierGeometry
) -> None:  # fmt: skip
    """Write some planes of the tile at a padded position, including its padding."""
    for d in range(begin, end):
        for h in range(g.tile.high):
            pack_tile_row(to, image, corner, d, h, g)
