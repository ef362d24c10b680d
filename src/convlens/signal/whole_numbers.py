"""Compute exact sums and means of integers in 64 bits, where float64 cannot hold them."""

from __future__ import annotations

from typing import Any

import numpy as np

from convlens.signal.ndimage_arguments import extend
from convlens.signal.sliding import Ends, Numbers, correlate_along

__all__ = ["beyond_doubles", "is_whole", "whole_means", "whole_sums"]

EXACT = 2**53
"""The limit below which integers, and their sums, are exact in float64."""


def is_whole(value: Any) -> bool:
    """Return whether all numbers are finite integers, of any type.

    >>> is_whole(2.0), is_whole(2.5), is_whole(float("inf"))
    (True, False, False)
    """
    numbers = np.asarray(value)
    if numbers.dtype.kind in "bui":
        return True
    if isinstance(value, int):
        return True
    return bool(np.isfinite(numbers).all() and (numbers == np.rint(numbers)).all())


def beyond_doubles(x: Numbers, kernel: Numbers, border: str, cval: Any) -> bool:
    """Return whether sums of integers may be integers too large to be exact in float64.

    >>> x = np.array([2**53 + 1, 5])
    >>> beyond_doubles(x, np.ones(2), "edge", 0), beyond_doubles(x, np.ones(2) / 2, "edge", 0)
    (True, False)
    """
    if x.dtype.kind not in "bui" or not is_whole(kernel):
        return False
    if border == "constant" and not is_whole(cval):
        return False
    weight = sum(abs(int(w)) for w in kernel.flat)
    beyond = abs(int(cval)) if border == "constant" else 0
    if _limit(x.dtype) * weight < EXACT and beyond * weight < EXACT:
        return False
    largest = max(int(x.max()), -int(x.min()), beyond)
    return largest * weight >= EXACT


def whole_sums(x: Numbers, kernel: Numbers, ends: Ends, border: str, cval: Any) -> Numbers:
    """Return the sums of products of integers, exact modulo 2**64, as int64.

    >>> whole_sums(np.array([2**53 + 1, 0]), np.ones(1, np.int64), {}, "edge", 0).tolist()
    [9007199254740993, 0]
    """
    wide = extend(_wrapped(x), ends, border, int(_wrapped(cval)) if border == "constant" else 0)
    return correlate_along(wide, _wrapped(kernel), dict.fromkeys(ends, (0, 0)))


def whole_means(x: Numbers, box: Numbers, ends: Ends, border: str, cval: Any) -> Numbers:
    """Return the means of integers over a box of ones along one axis, cut towards zero.

    The upper and lower halves of the bits are summed separately, so that no sum overflows 64 bits.

    >>> whole_means(np.array([2**63 - 1] * 2), np.ones(2, int), {0: (0, 1)}, "edge", 0).tolist()
    [9223372036854775807, 9223372036854775807]
    """
    bits = np.iinfo(np.uint64 if x.dtype.kind == "u" else np.int64)
    if border == "constant" and not bits.min <= int(cval) <= bits.max:
        raise ValueError(f"`cval` (={cval!r}) must fit in 64 bits, signed as `input` is")
    wide = extend(x.astype(bits.dtype), ends, border, cval)
    sums = [
        correlate_along(part.astype(np.int64), box, dict.fromkeys(ends, (0, 0)))
        for part in (wide >> 32, wide & 0xFFFFFFFF)
    ]
    quotient, left = np.divmod(sums[0], box.size)
    rest, remainder = np.divmod((left << 32) + sums[1], box.size)
    means = (quotient << 32) + rest
    if wide.dtype.kind == "i":
        means += (means < 0) & (remainder != 0)
    return means.view(wide.dtype)


def _limit(dtype: np.dtype[Any]) -> int:
    return 1 if dtype.kind == "b" else max(int(np.iinfo(dtype).max), -int(np.iinfo(dtype).min))


def _wrapped(value: Any) -> Numbers:
    """Return integers as int64, modulo 2**64."""
    numbers = np.asarray(value)
    if numbers.dtype.kind in "bui":
        return numbers.astype(np.int64)
    wrapped = [(int(w) + 2**63) % 2**64 - 2**63 for w in numbers.flat]
    return np.array(wrapped, np.int64).reshape(numbers.shape)
