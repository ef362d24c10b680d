"""`pack_band` for kernels whose arguments are not yet a record."""

from __future__ import annotations

from convlens.compute.kernels.language.words import WIDTH, word
from convlens.compute.kernels.rows.packing import (
    clear,
    clear_whole,
    pack_line,
    pack_row,
    pack_two,
)

__all__ = ["pack_flat"]


def pack_flat(
    x: int, to: int, d: int, top: int, left: int, channels: int, depth_table: int, row_table: int,
    column_ends: int, starts: int, planes: int, depth_dilation: int, depth_end: int,
    row_stride: int, column_stride: int, row_end: int, first: int, last: int, column_end: int,
    phases: int, slots: int, lines: int, length: int, space_d: int, space_h: int, space_w: int,
) -> None:  # fmt: skip
    """Pack a band of the input: d, top and left are the padded positions where it begins.

    Of every channel, `planes` planes, `depth_dilation` apart; of each plane, for every place within
    a stride of rows and each of the `starts` of columns, `lines` lines of `length` elements. What
    lies behind the ends of the tables is left as it is, and up to a vector behind the last line is
    written. `column_ends` may be 0: see `ends_or_none`.
    """
    for c in range(channels):
        for a in range(planes):
            plane = -1
            if d + a * depth_dilation < depth_end:
                plane = word(depth_table, d + a * depth_dilation)
            for phase in range(phases):
                for slot in range(slots):
                    begin = left + word(starts, slot)
                    whole = (column_end - begin + column_stride - 1) // column_stride
                    count = max(0, min(length, whole))
                    two = (
                        column_ends == 0
                        and column_stride == 2
                        and slots == 2
                        and word(starts, 1) == 1
                    )
                    if two and slot == 1:
                        to += lines * length * WIDTH
                        continue
                    for line in range(lines):
                        position = top + line * row_stride + phase
                        found = -1
                        if position < row_end and plane >= 0:
                            found = word(row_table, position)
                        row = x + ((c * space_d + plane) * space_h + found) * space_w * WIDTH
                        other = to + lines * length * WIDTH
                        more = max(0, min(length, (column_end - begin) // 2))
                        # In the order of memory, so that what is written behind a line is no loss.
                        if found < 0 and two:
                            clear(to, count)
                            clear(other, more)
                        elif found < 0:
                            clear_whole(to, count)
                        elif two:
                            pack_two(to, other, row, first, last, begin, count, more)
                        elif column_ends == 0:
                            pack_line(to, row, first, last, begin, column_stride, count)
                        else:
                            pack_row(to, row, column_ends, first, last, begin, column_stride, count)
                        to += length * WIDTH
