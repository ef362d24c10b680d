"""A tile of the input in memory: what is constant in a problem, where tiles lie, how one is packed.

The functions take `g`, the address of what is constant in a problem, in the order of `GEOMETRY`.
"""

from __future__ import annotations

from convlens.compute.kernels.language.words import WIDTH, word
from convlens.compute.kernels.rows.packing import PACK_ROW, clear, pack_row

__all__ = ["GEOMETRY", "PACK_TILE", "origin", "pack_planes", "pack_tile_row"]

GEOMETRY = (
    # the tile; its real and its imaginary part take TILE elements each
    "DEPTH HIGH WIDE COLUMNS PITCH PLANE TILE LINE "
    # the input, padded: tables of positions and how many there are, where it lies as it is
    "SPACE_D SPACE_H SPACE_W SOURCE_D SOURCE_H ENDS_W END_D END_H END_W FIRST LAST "
    # the results, and those a tile gives; how many tiles, and images, and pairs of tiles
    "OUT_D OUT_H OUT_W STEP_D STEP_H STEP_W COUNT_D COUNT_H COUNT_W BATCH PAIRS "
    # channels in and out of a group, and the groups
    "EACH OUTS GROUPS "
    # schedules and passes of the transforms along the axes and across the lanes; columns at a time
    "ALONG_D PASSES_D ALONG_H PASSES_H ALONG_W PASSES_W ACROSS TURNS SOME_D SOME_H "
    # columns and rows whose results are wanted; the row's part in the twiddle factors along D
    "WANTED_COLUMNS WANTED_ROWS SHIFT "
    # strips of a plane, elements from one to the next, their rows
    "STRIPS STRIP ROWS "
    # groups of LANES vectors in a strip: elements from one to the next and within one; the twiddle
    # factors across the lanes, in vectors from a strip, a group, a vector to the next
    "LANE_GROUPS LEAP STEP TWIDDLES SWEEP JUMP ADVANCE "
    "KERNEL SCALE BIAS "
    # of `doubting`: elements of a tile as the windows see it, and behind it; factors of the error
    "LENGTH AREA MEAN PEAK SPREAD SPECTRAL LEAST MOST FLOOR NEVER "
    # a block: rows, elements of each; elements from a row of blocks to the next, and of all; of
    # blocks in a window what each proves, places, how many, how many are tried first, and the sum
    "DOWN ALONG BLOCK_PITCH BLOCKS FLOORS BLOCK_PLACES FLOOR_COUNT FLOORS_FIRST FLOOR_SUMS "
    # the largest taps of one channel, how many, and which channel; all taps; the reach of a window
    "LARGEST PLACES TERMS CHANNEL WEIGHTS TAPS SIZE REACH_D REACH_H REACH_W "
    # taps along an axis and how far apart they are; where of the padded input other than zeros lie
    "SIZE_D SIZE_H SIZE_W APART_D APART_H APART_W BEGIN_D BEGIN_H BEGIN_W UNTIL_D UNTIL_H UNTIL_W"
).split()
"""What the table of a problem holds."""

(
    DEPTH, HIGH, WIDE, COLUMNS, PITCH, PLANE, TILE, LINE,
    SPACE_D, SPACE_H, SPACE_W, SOURCE_D, SOURCE_H, ENDS_W, END_D, END_H, END_W, FIRST, LAST,
    OUT_D, OUT_H, OUT_W, STEP_D, STEP_H, STEP_W, COUNT_D, COUNT_H, COUNT_W, BATCH, PAIRS,
    EACH, OUTS, GROUPS,
    ALONG_D, PASSES_D, ALONG_H, PASSES_H, ALONG_W, PASSES_W, ACROSS, TURNS, SOME_D, SOME_H,
    WANTED_COLUMNS, WANTED_ROWS, SHIFT, STRIPS, STRIP, ROWS,
    LANE_GROUPS, LEAP, STEP, TWIDDLES, SWEEP, JUMP, ADVANCE, KERNEL, SCALE, BIAS,
    LENGTH, AREA, MEAN, PEAK, SPREAD, SPECTRAL, LEAST, MOST, FLOOR, NEVER,
    DOWN, ALONG, BLOCK_PITCH, BLOCKS, FLOORS, BLOCK_PLACES, FLOOR_COUNT,
    FLOORS_FIRST, FLOOR_SUMS,
    LARGEST, PLACES, TERMS, CHANNEL, WEIGHTS, TAPS, SIZE, REACH_D, REACH_H, REACH_W,
    SIZE_D, SIZE_H, SIZE_W, APART_D, APART_H, APART_W,
    BEGIN_D, BEGIN_H, BEGIN_W, UNTIL_D, UNTIL_H, UNTIL_W,
) = range(len(GEOMETRY))  # fmt: skip


def origin(t: int, g: int) -> tuple[int, int, int, int]:
    """Return the image of tile t, and the output at which it begins: d, h, w."""
    row = word(g, COUNT_W)
    plane = word(g, COUNT_H) * row
    whole = word(g, COUNT_D) * plane
    d, h, w = t % whole // plane, t % plane // row, t % row
    return t // whole, d * word(g, STEP_D), h * word(g, STEP_H), w * word(g, STEP_W)


def pack_tile_row(
    to: int, image: int, d0: int, h0: int, w0: int, d: int, h: int, g: int
) -> None:  # fmt: skip
    """Write row h of plane d of the tile at padded position (d0, h0, w0), its padding included.

    On a line every row goes on where that before it ends.
    """
    wide, start, found_d, found_h = word(g, WIDE), w0, 0, 0
    if word(g, LINE) != 0:
        start += (d * word(g, HIGH) + h) * wide
    elif d0 + d < word(g, END_D) and h0 + h < word(g, END_H):
        found_d = word(word(g, SOURCE_D), d0 + d)
        found_h = word(word(g, SOURCE_H), h0 + h)
    else:
        found_d = -1
    place, count = to + (d * word(g, PLANE) + h * word(g, PITCH)) * WIDTH, 0
    if found_d >= 0 and found_h >= 0:
        count = max(0, min(wide, word(g, END_W) - start))
        row = (found_d * word(g, SPACE_H) + found_h) * word(g, SPACE_W)
        pack_row(
            place, image + row * WIDTH, word(g, ENDS_W), word(g, FIRST), word(g, LAST),
            start, 1, count,
        )  # fmt: skip
    clear(place + count * WIDTH, wide - count)


def pack_planes(
    to: int, image: int, d0: int, h0: int, w0: int, begin: int, end: int, g: int
) -> None:  # fmt: skip
    """Write some planes of the tile at padded position (d0, h0, w0), its padding included."""
    for d in range(begin, end):
        for h in range(word(g, HIGH)):
            pack_tile_row(to, image, d0, h0, w0, d, h, g)


PACK_TILE = (*PACK_ROW, origin, pack_tile_row, pack_planes)
"""What a kernel that packs tiles uses."""
