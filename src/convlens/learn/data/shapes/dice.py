"""Draw random numbers from a seed and a place, the same for ever and in any order of places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Dice"]

_FRACTION = 2.0**-53
_SPREAD = float(np.sqrt(4 * (256**2 - 1) / 12))
"""The deviation of the sum of four bytes."""


class Dice:
    """Random numbers of one sample, from (seed, place) alone.

    They are made of the raw bits of Philox (Salmon et al., *Parallel Random Numbers*, SC 2011,
    section 3.3), which numpy never changes (NEP 19).

    >>> Dice(0, 7).whole(10) == Dice(0, 7).whole(10)
    True
    """

    def __init__(self, seed: int, place: int) -> None:
        self._bits = np.random.Philox(key=np.array([seed % 2**64, place], np.uint64))

    def uniform(self, low: float, high: float) -> float:
        """Return a number from `low` up to `high`."""
        return low + (high - low) * float(self._bits.random_raw() >> 11) * _FRACTION

    def vector(self, low: float, high: float, count: int) -> NDArray[np.float64]:
        """Return `count` numbers from `low` up to `high`."""
        raw = self._bits.random_raw(count) >> np.uint64(11)
        return low + (high - low) * _FRACTION * raw.astype(np.float64)

    def whole(self, count: int) -> int:
        """Return a whole number from 0 to `count` - 1."""
        return int(self.uniform(0, count))

    def noise(self, *shape: int) -> NDArray[np.float32]:
        """Return numbers of mean 0 and deviation 1, nearly normal: each is a sum of four bytes."""
        count = int(np.prod(shape))
        octets = self._bits.random_raw(-(-count // 2)).view(np.uint8)[: 4 * count]
        # Two at a time, so that a sum of bytes costs less than the bytes.
        pairs = octets.view(np.uint16)
        halves = (pairs & 255) + (pairs >> 8)
        sums = halves[::2] + halves[1::2]
        numbers: NDArray[np.float32] = (sums.astype(np.float32) - 510) * np.float32(1 / _SPREAD)
        return numbers.reshape(shape)
