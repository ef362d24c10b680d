"""Promise how close every output is to the exact result, whatever its neighbours hold.

The bound depends on the output's *own* window: S is the sum of |x| |w| over its products, plus
|bias|, and u is half the distance from 1 to the next number. A plain sum of n products, in any
order, is within (n + 2) u S of the exact one; sums in general promise no more. Other methods
promise 8 (4 + sqrt(n)) u S, which is less for large n. For Winograd's methods, S has the largest
weight of each input's channel in place of its own.

Source: Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd edition, section 4.2 (sums).
"""

from __future__ import annotations

from math import prod, sqrt

from convlens.compute.problems import Conv, Problem

__all__ = ["UNITS", "products", "promised", "within"]

UNITS = {"float32": "2^-24", "float64": "2^-53"}
"""u, half the distance from 1 to the next number, by element type."""


def products(problem: Conv) -> int:
    """Return the most products that an output of a convolution sums.

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
    """Return the bound of a method's outputs as a sentence, or None if there is no promise.

    >>> from convlens.windows import Window
    >>> promised(
    ...     Conv(channels=4, space=(9,), channels_out=2, windows=(Window(3),), dtype="float32"),
    ...     "rows",
    ...     True,
    ... )
    "errors are at most 14 x 2^-24 times an output's own sum of |x| |w|"
    """
    unit = UNITS.get(problem.dtype)
    if unit is None or not isinstance(problem, Conv) or problem.gradient:
        return None
    multiple = products(problem) + 2 if exact else within(problem)
    largest = ", with the largest |w| per channel" if method.startswith("winograd") else ""
    own = f"an output's own sum of |x| |w|{largest}"
    return f"errors are at most {multiple:.4g} x {unit} times {own}"
