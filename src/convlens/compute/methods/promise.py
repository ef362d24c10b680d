"""How far from the exact result every output may be, whatever stands beside it.

The yardstick is the output's *own* window: the sum S of |x| |w| over its products, and |bias|. A
plain sum of n products, in any order, is within (n + 2) u S of the exact one, where u is half the
distance from 1 to the next number; no more can be said of sums in general. Methods that are no
plain sum promise 8 (4 + sqrt(n)) u S, which is less wherever n is large. Winograd's promise it with
the window's inputs alone: S has the largest weight of each input's channel in place of its own.

Source: Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd edition, section 4.2 (sums).
"""

from __future__ import annotations

from math import prod, sqrt

from convlens.compute.problems import Conv, Problem

__all__ = ["UNITS", "products", "promised", "within"]

UNITS = {"float32": "2^-24", "float64": "2^-53"}
"""u, half the distance from 1 to the next number, by element type."""


def products(problem: Conv) -> int:
    """Return how many products an output of a convolution is the sum of, at most.

    >>> from convlens.windows import Window
    >>> products(
    ...     Conv(
    ...         channels=4,
    ...         space=(9, 9),
    ...         channels_out=2,
    ...         windows=(Window(3), Window(3)),
    ...         dtype="float32",
    ...     )
    ... )
    36
    """
    return problem.channels // problem.groups * prod(problem.size)


def within(problem: Conv) -> float:
    """Return the multiple of u S that methods other than plain sums promise.

    >>> from convlens.windows import Window
    >>> within(
    ...     Conv(
    ...         channels=4,
    ...         space=(9, 9),
    ...         channels_out=2,
    ...         windows=(Window(3), Window(3)),
    ...         dtype="float32",
    ...     )
    ... )
    80.0
    """
    return 8 * (4 + sqrt(products(problem)))


def promised(problem: Problem, method: str, exact: bool) -> str | None:
    """Return in a sentence how far off a method's outputs may be, or None if that is not said here.

    >>> from convlens.windows import Window
    >>> promised(
    ...     Conv(channels=4, space=(9,), channels_out=2, windows=(Window(3),), dtype="float32"),
    ...     "rows",
    ...     True,
    ... )
    "within 14 x 2^-24 of every output's own |x| |w|, summed"
    """
    unit = UNITS.get(problem.dtype)
    if unit is None or not isinstance(problem, Conv) or problem.gradient:
        return None
    multiple = products(problem) + 2 if exact else within(problem)
    beside = ", of each channel the largest |w|" if method.startswith("winograd") else ""
    return f"within {multiple:.4g} x {unit} of every output's own |x| |w|, summed{beside}"
