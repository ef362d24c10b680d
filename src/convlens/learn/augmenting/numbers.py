"""Draw random numbers from the place of a sample alone, whatever batch or process it is in."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["draws", "mix", "permutation", "stream"]

Words = NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def draws(
    seed: int | Words, epoch: int, index: int | NDArray[np.integer], count: int
) -> NDArray[np.float64]:
    """Return `count` numbers for each place, from 0 up to 1, in a new last dimension.

    `seed` and `index` may be arrays, which broadcast. The number at a place depends on nothing
    else: not on the rest of the batch, nor on `count`.

    Source: Steele, Lea & Flood, *Fast Splittable Pseudorandom Number Generators* (OOPSLA 2014,
    figure 17), as a hash of (seed, epoch, index, number).

    >>> batch = draws(seed=0, epoch=3, index=np.arange(100), count=4)
    >>> batch.shape, bool((batch[7] == draws(0, 3, 7, 4)).all())
    ((100, 4), True)
    """
    key = _keys(seed, epoch, index)
    numbers = np.arange(1, count + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        bits = _mixed(key[..., None] + numbers * _STEP)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(seed: int, epoch: int, n: int) -> NDArray[np.intp]:
    """Return the order of n samples in an epoch: all numbers below n, each once.

    >>> sorted(permutation(seed=0, epoch=1, n=4).tolist())
    [0, 1, 2, 3]
    """
    return np.argsort(_mixed(_keys(stream(seed, "order"), epoch, np.arange(n))), kind="stable")


def mix(seed: int, *parts: int) -> int:
    """Return a seed below 2**32 for a place, such as (seed, step, rank).

    torch's generator on the CPU reads only the low 32 bits of a seed, so that there are no more.

    >>> mix(0, 1, 2) == mix(0, 1, 2), mix(0, 1, 2) == mix(0, 2, 1)
    (True, False)
    """
    return _hashed(seed, *parts) >> 32


@cache
def stream(seed: int, name: str) -> int:
    """Return the seed, below 2**64, of the numbers that go by a name.

    >>> stream(0, "mirror") == stream(0, "crop")
    False
    """
    return _hashed(seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little"))


def _hashed(seed: int, *parts: int) -> int:
    """Return 64 bits that depend on all parts and their order."""
    key = _start(_word(seed))
    with np.errstate(over="ignore"):
        for part in parts:
            key = _mixed(_mixed(key) + _word(part) * _STEP)
        return int(_mixed(key + _STEP))


def _keys(seed: int | Words, epoch: int, index: int | NDArray[np.integer]) -> Words:
    places = np.asarray(index).astype(np.uint64)
    with np.errstate(over="ignore"):
        key = _start(_word(seed) if isinstance(seed, int) else seed) + _word(epoch)
        return _mixed(_mixed(key) + places * _STEP)


def _start(seed: Words) -> Words:
    with np.errstate(over="ignore"):
        return _mixed(seed * _STEP + np.uint64(1))


def _word(number: int) -> Words:
    """Return the low 64 bits of an integer, as an array, which may overflow without a warning."""
    return np.array(number & (2**64 - 1), np.uint64)


def _mixed(z: Words) -> Words:
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * _FIRST
        z = (z ^ (z >> np.uint64(27))) * _SECOND
        return z ^ (z >> np.uint64(31))
