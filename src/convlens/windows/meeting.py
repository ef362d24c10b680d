"""Find the outputs and taps that meet at one position: a linear equation solved in integers."""

from __future__ import annotations

from math import gcd

__all__ = ["meet"]


def meet(total: int, a: int, b: int, count_p: int, count_q: int) -> tuple[range, range]:
    """Solve a * p + b * q = total for 0 <= p < count_p and 0 <= q < count_q.

    Return all p, rising, and the q that belong to them, falling.

    >>> meet(7, 2, 1, 4, 8)
    (range(0, 4), range(7, -1, -2))
    """
    common = gcd(a, b)
    if total % common:
        return range(0), range(0)
    total, a, b = total // common, a // common, b // common
    low = max(0, -((b * (count_q - 1) - total) // a))
    high = min(count_p - 1, total // a)
    # p is known modulo b, because a * p = total modulo b and a has an inverse there.
    first = low + (total * pow(a, -1, b) - low) % b
    if first > high:
        return range(0), range(0)
    found = (high - first) // b + 1
    start = (total - a * first) // b
    return range(first, high + 1, b), range(start, start - a * found, -a)
