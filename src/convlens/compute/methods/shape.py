"""Describe a convolution with three axes of space, and where its taps fall under a stride."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from convlens.compute.kernels.records import Pointer
from convlens.compute.kernels.rows import packing
from convlens.compute.kernels.rows.packing import Packing
from convlens.compute.kernels.shapes import Axes, ConvShape
from convlens.compute.problems import Conv
from convlens.windows import Window

__all__ = ["Shape", "Unpadded", "phase", "phases"]


@dataclass(frozen=True, kw_only=True)
class Unpadded:
    """The padded positions from the first to the last plane and row of the input."""

    depth_first: int
    depth_last: int
    row_first: int
    row_last: int


@dataclass(frozen=True)
class Shape:
    """A convolution with three axes of space; those that the problem lacks come first, of size 1.

    `each` and `out_each` are the channels of a group. If all windows are single points, the axes
    of space are merged into one.
    """

    each: int
    out_each: int
    space: tuple[int, ...]
    outputs: tuple[int, ...]
    windows: tuple[Window, ...]

    @classmethod
    def of(cls, problem: Conv) -> Shape:
        """Return the shape of a convolution.

        >>> Shape.of(
        ...     Conv(
        ...         channels=4,
        ...         space=(9,),
        ...         channels_out=2,
        ...         windows=(Window(3),),
        ...         dtype="float32",
        ...         groups=2,
        ...     )
        ... ).outputs
        (1, 1, 7)
        """
        windows = problem.windows
        space, outputs = problem.space, problem.outputs
        if all(w == Window(1) for w in windows):
            space, outputs, windows = (prod(space),), (prod(outputs),), windows[:1]
        lacking = 3 - len(windows)
        return cls(
            problem.channels // problem.groups,
            problem.channels_out // problem.groups,
            (1,) * lacking + space,
            (1,) * lacking + outputs,
            (Window(1),) * lacking + windows,
        )

    @property
    def size(self) -> tuple[int, ...]:
        """The number of taps along every axis."""
        return tuple(window.size for window in self.windows)

    @property
    def taps(self) -> int:
        """The number of taps of one kernel and channel."""
        return prod(self.size)

    @property
    def plain(self) -> bool:
        """Whether the input can be read in place: one tap, no stride, no padding."""
        return all(window == Window(1) for window in self.windows)

    def record(self) -> ConvShape:
        """Return the sizes as kernels take them."""
        return ConvShape(
            each=self.each,
            out_each=self.out_each,
            stride=Axes.of(window.stride for window in self.windows),
            space=Axes.of(self.space),
            out=Axes.of(self.outputs),
        )

    def packing(
        self,
        mode: str,
        *,
        starts: np.ndarray[Any, Any],
        planes: int,
        lines: int,
        length: int,
        row_stride: int,
        column_stride: int,
        depth_dilation: int,
        phases: int,
        slots: int,
    ) -> Packing:
        """Return the layout in which `pack_band` packs bands of the input for a padding mode."""
        depth, row, column = self.windows
        first, last = packing.middle(column, self.space[2])
        planes_of = packing.sources(depth, self.space[0], mode)
        rows_of = packing.sources(row, self.space[1], mode)
        return Packing(
            depth_table=Pointer(planes_of),
            row_table=Pointer(rows_of),
            column_ends=Pointer(packing.ends_or_none(column, self.space[2], mode)),
            starts=Pointer(starts),
            planes=planes,
            depth_dilation=depth_dilation,
            depth_end=len(planes_of),
            row_stride=row_stride,
            column_stride=column_stride,
            row_end=len(rows_of),
            column_first=first,
            column_last=last,
            column_end=packing.covered(column, self.space[2]),
            phases=phases,
            slots=slots,
            lines=lines,
            length=length,
        )

    def unpadded(self) -> Unpadded:
        """Return the positions of the planes and rows that belong to the input."""
        depth, row = (
            packing.middle(w, n) for w, n in zip(self.windows, self.space[:2], strict=False)
        )
        return Unpadded(
            depth_first=depth[0], depth_last=depth[1], row_first=row[0], row_last=row[1]
        )


def phases(window: Window) -> int:
    """Return the number of positions within a stride that the taps of a window fall on.

    >>> phases(Window(3, stride=2)), phases(Window(3, stride=2, dilation=2))
    (2, 1)
    """
    return 1 if window.dilation % window.stride == 0 else min(window.stride, window.extent)


def phase(window: Window, tap: int) -> tuple[int, int]:
    """Return the one of the `phases` that a tap falls on, and how many strides further it reads.

    >>> phase(Window(3, stride=2), 2)
    (0, 1)
    """
    position = tap * window.dilation
    return position % window.stride if phases(window) > 1 else 0, position // window.stride
