"""The windows of adaptive pooling, which share an axis of any length evenly."""

from __future__ import annotations

from dataclasses import dataclass

from convlens.integers import integer
from convlens.windows.checks import count, place

__all__ = ["AdaptiveWindow"]


@dataclass(frozen=True, slots=True)
class AdaptiveWindow:
    """The windows of adaptive pooling: `count` outputs share an axis of any length evenly.

    Output `o` of n inputs reads positions floor(o n / count) up to, not including,
    ceil((o + 1) n / count). The windows have one or two sizes. Unless `count` divides n, some
    overlap.

    Raises TypeError unless `count` is an integer, ValueError if it is below 1.

    Source: torch's `AdaptiveAvgPool`; He et al., arXiv 1406.4729, section 2.2 (pyramid bins).

    >>> [list(AdaptiveWindow(3).reads(o, 5)) for o in range(3)]
    [[0, 1], [1, 2, 3], [3, 4]]
    """

    count: int

    def __post_init__(self) -> None:
        count = integer("count", self.count)
        if count < 1:
            raise ValueError(f"`count` (={count}) must be at least 1; use a positive integer")
        object.__setattr__(self, "count", count)

    def outputs(self, n: int) -> int:
        """Return how many outputs an axis of `n` inputs gives: `count`, whatever `n`.

        >>> AdaptiveWindow(7).outputs(14)
        7
        """
        count("n", n)
        return self.count

    def reads(self, o: int, n: int) -> range:
        """Return the positions that output `o` reads of `n` inputs.

        >>> AdaptiveWindow(2).reads(1, 3)
        range(1, 3)
        """
        n, o = count("n", n), place("o", o, self.count)
        return range(o * n // self.count, -(-(o + 1) * n // self.count))
