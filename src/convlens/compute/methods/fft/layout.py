"""Lay out tiles in memory for `transforms.overlap`, with their passes and order of frequencies."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, prod
from typing import Any

import numpy as np

from convlens.compute.kernels.transforms.butterflies import RADICES
from convlens.compute.methods.fft.tiles import Tiles

__all__ = ["FourierLayout", "cycles", "radices_of", "smooth"]

Numbers = np.ndarray[Any, Any]
CYCLES = {2: 4.0, 3: 7.0, 4: 6.0, 5: 11.0, 8: 9.0}
"""The cycles per vector of a butterfly of each size, for vectors in the cache."""
STRIP = 128
"""The most vectors of a strip of a line: its two parts take half of the first-level cache."""


@functools.cache
def radices_of(length: int) -> tuple[int, ...]:
    """Return the butterflies with a length as their product that take the fewest cycles.

    >>> radices_of(64), radices_of(48), radices_of(1)
    ((8, 8), (4, 4, 3), ())
    """
    if length == 1:
        return ()
    found = [
        (radix, *radices_of(length // radix)) for radix in reversed(RADICES) if length % radix == 0
    ]
    return min(found, key=cycles)


def cycles(radices: Sequence[int]) -> float:
    """Return the cycles per vector that passes of butterflies take."""
    return sum(CYCLES[radix] for radix in radices)


@functools.cache
def line_radices(vectors: int, lanes: int) -> tuple[int, int, int]:
    """Return the planes, the rows of a plane and the vectors of a row that a line is folded into.

    The vectors of a row are a multiple of the lanes, and few if possible.

    >>> line_radices(512, 16), line_radices(64, 16), line_radices(4096, 16)
    ((1, 4, 128), (1, 1, 64), (4, 8, 128))
    """
    folds = [
        (depth, high, vectors // (depth * high))
        for depth, high in product((1, *RADICES), repeat=2)
        if vectors % (depth * high * lanes) == 0 and (depth == 1 or high > 1)
    ]
    return min(
        folds,
        key=lambda fold: (
            max(fold[2], STRIP),
            cycles([radix for radix in fold[:2] if radix > 1]) + cycles(radices_of(fold[2])),
        ),
    )


@functools.cache
def smooth(limit: int, multiple: int) -> list[int]:
    """Return the multiples of a number, by products of 2, 3 and 5, up to the first at the limit.

    >>> smooth(100, 16)
    [16, 32, 48, 64, 80, 96, 128]
    """
    most = 2 * -(-limit // multiple)
    factors = [
        2**a * 3**b * 5**c
        for a, b, c in product(range(most.bit_length() + 1), range(3), range(2))
        if 2**a * 3**b * 5**c <= most
    ]
    found = sorted(multiple * factor for factor in factors)
    return [length for i, length in enumerate(found) if i == 0 or found[i - 1] < limit]


@dataclass(frozen=True)
class FourierLayout:
    """A tile in memory: (depth, high, columns) vectors of `lanes` elements.

    `radices` are the passes along D, H and M, `across` those across the lanes. With `line`, the
    three axes form one.
    """

    line: bool
    depth: int
    high: int
    columns: int
    lanes: int
    radices: tuple[tuple[int, ...], ...]
    across: tuple[int, ...]

    @classmethod
    def of(cls, tiles: Tiles, lanes: int, turned: Sequence[bool]) -> FourierLayout:
        """Return the layout of tiles; of three axes, only those in `turned` are transformed."""
        across = radices_of(lanes)
        if len(tiles.length) == 1:
            depth, high, columns = line_radices(tiles.length[0] // lanes, lanes)
            outer = [(radix,) if radix > 1 else () for radix in (depth, high)]
            radices = (*outer, radices_of(columns))
            return cls(True, depth, high, columns, lanes, radices, across)
        depth, high, wide = (1,) * (3 - len(tiles.length)) + tiles.length
        lengths = (depth, high, wide // lanes)
        radices = tuple(
            radices_of(length) if turn else () for length, turn in zip(lengths, turned, strict=True)
        )
        return cls(False, depth, high, wide // lanes, lanes, radices, across)

    @property
    def pitch(self) -> int:
        """The elements from one row to the next: an odd number of vectors."""
        return (self.columns | 1) * self.lanes

    @property
    def plane(self) -> int:
        """The elements from one plane to the next: an odd number of vectors, too."""
        return ((self.high * self.pitch // self.lanes) | 1) * self.lanes

    @property
    def tile(self) -> int:
        """The elements of one part of a tile; the other part uses other sets of the cache."""
        vectors = self.depth * self.plane // self.lanes
        return (ceil((vectors - 8) / 16) * 16 + 8) * self.lanes

    @property
    def length(self) -> int:
        """The elements of a tile that windows may read."""
        return self.vectors * self.lanes if self.line else self.tile

    @property
    def area(self) -> int:
        """The same with room for what windows at the end read beyond it."""
        return self.length + 8 * self.lanes

    @property
    def vectors(self) -> int:
        """The number of vectors of one part of a tile."""
        return self.depth * self.high * self.columns

    @property
    def rows(self) -> int:
        """The rows of a strip."""
        return 1 if self.line else self.lanes

    @property
    def strips(self) -> int:
        """The number of strips of a plane."""
        return self.high // self.rows

    @property
    def lane_groups(self) -> int:
        """The number of groups in a strip, each of as many vectors as there are lanes."""
        return self.columns // self.lanes if self.line else self.columns

    def frequencies(self) -> tuple[Numbers, Numbers, Numbers]:
        """Return the frequency at each place along D, H and W, as arrays that broadcast together.

        Their shape is (depth, strips, lane groups, lanes, lanes). A line uses only the last.
        """
        lanes, m = self.lanes, self.columns
        turns = order(self.across).reshape(1, 1, 1, lanes, 1)
        if self.line:
            within = order([r for radices in self.radices for r in radices])
            m = len(within)
            within = within.reshape(self.depth, self.strips, self.lane_groups, 1, lanes)
            nothing = np.zeros((1,) * 5, np.int64)
            return nothing, nothing, within + m * turns
        lengths = (self.depth, self.high, m)
        d, h, w = (
            order(radices) if radices else np.zeros(length, np.int64)
            for radices, length in zip(self.radices, lengths, strict=True)
        )
        across = w.reshape(1, 1, -1, 1, 1) + m * turns
        return d.reshape(-1, 1, 1, 1, 1), h.reshape(1, self.strips, 1, 1, lanes), across

    def twiddles(self) -> Numbers:
        """Return the twiddle factors across the lanes: (vectors, 2, lanes)."""
        radices = [r for each in self.radices for r in each] if self.line else self.radices[2]
        turns = np.outer(order(radices), np.arange(self.lanes)) / (prod(radices) * self.lanes)
        return np.stack([np.cos(2 * np.pi * turns), -np.sin(2 * np.pi * turns)], axis=1)


def order(radices: Sequence[int]) -> Numbers:
    """Return the frequency that the passes leave at each place.

    >>> order((2, 2)).tolist()
    [0, 2, 1, 3]
    """
    if not radices:
        return np.zeros(1, np.int64)
    inner = order(radices[1:])
    return np.concatenate([r + radices[0] * inner for r in range(radices[0])])
