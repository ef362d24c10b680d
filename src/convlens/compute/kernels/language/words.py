"""Define the words that kernels are written in, so that they are read and checked as Python.

A kernel is a Python function. Its source is combined with constants and register blocks in a module
of its own and compiled there (see `compiling`). These words work only there, as the instructions
that `emitting` defines. They take addresses in bytes, as integers, and count in elements:

- LANES, WIDTH                elements in a vector, bytes in an element
- load(p, i), store(p, i, v)  a vector at element i from address p, of any alignment
- load_some(p, i, n)          its first n lanes (n may exceed a vector), the others 0
- store_some(p, i, v, n)      its first n lanes, touching no memory beyond them
- lanes(low, high)            a mask of the lanes low to high - 1
- load_lanes(p, i, mask, v)   the lanes of a mask, touching no other memory; the rest from v
- broadcast(p, i)             one element in every lane
- splat(s), zero()            a scalar in every lane, a zero in every lane
- get(p, i), put(p, i, s)     one element
- number(s), plus(s, t)       a scalar of the element type, the sum of two
- total(v)                    the sum of all lanes, adding halves pairwise
- add, sub, mul, div          lane by lane; integers wrap around
- fma(a, b, c)                a * b + c, rounded once where the machine can
- maximum, minimum            lane by lane; NaN wins, as in torch
- missing(a, b)               an integer, not 0 if any lane of a or b is NaN
- magnitude(v), root(v)       of floats: the absolute values, the square roots
- rough_root(v)               the root of the magnitude, or up to 1.061 of it: exact for powers
                                of 4; of 0 it is 3/4 of the root of the least normal number
- larger(a, b), smaller(a, b) of floats: a if it is larger (smaller), else b
- below(a, b)                 of floats: an integer with a bit per lane, 1 unless a >= b there
- evens(a, b), odds(a, b)     every other lane of a, then of b
- low(a, b), high(a, b)       lanes of a and b in turn: of their first halves, of their second
- word(p, i)                  an integer of 64 bits
- put_word(p, i, n)           writes one
- take(p)                     the integer at p, incremented atomically
- combine(a, b)               maximum or add, whichever the kernel is compiled for
- shift_rows(...)             a register block that `blocks` wrote for the kernel
- transform_row(...), transform_columns(...), inverse(...)    written by `winograd.tiles`

The decorator `@apart` makes a function a real call instead of inlining it, so that code that rarely
runs takes no registers from the rest. `@generated` marks a function whose source a register block
writes for each kernel.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

__all__ = ["WORDS", "apart", "generated"]

F = TypeVar("F", bound=Callable[..., Any])

WORDS = (
    "LANES WIDTH load store load_some store_some lanes load_lanes broadcast splat zero get put "
    "number plus total add sub mul div fma maximum minimum missing magnitude root "
    "rough_root larger smaller below "
    "evens odds low high word "
    "put_word take shift_rows "
    "transform_row transform_columns inverse combine"
).split()


def apart(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function unchanged; only the translation reads this mark."""
    return function


def generated(function: F) -> F:
    """Return a stand-in for a function whose source is written for every kernel.

    The function itself has only parameters, against which calls are checked, and a docstring.
    """

    @functools.wraps(function)
    def stand_in(*_: Any) -> Any:
        name = function.__name__
        raise RuntimeError(f"`{name}` works only inside a compiled kernel")

    return cast(F, stand_in)


def __getattr__(name: str) -> Any:
    if name not in WORDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def word(*_: Any) -> Any:
        raise RuntimeError(f"`{name}` works only inside a compiled kernel")

    return word
