"""The words that the text of a kernel is written in, so that it reads and is checked as Python.

A kernel is a Python function whose text is copied, with the constants and register blocks made for
it, into a module of its own and compiled there (see `compiling`). These words mean something only
there: `emitting` says what instructions they become. All of them take addresses in bytes, as
integers, and count in elements from there:

    LANES, WIDTH                elements in a vector, bytes in an element
    load(p, i), store(p, i, v)  a vector at element i from address p, of any alignment
    load_some(p, i, n)          its first n lanes (n may exceed a vector), the others 0
    store_some(p, i, v, n)      its first n lanes, touching no memory beyond them
    lanes(low, high)            a mask of the lanes from low on, those from high on left out
    load_lanes(p, i, mask, v)   the lanes of a mask, touching no memory of others: these are v's
    broadcast(p, i)             one element in every lane
    splat(s), zero()            a scalar in every lane, nothing in every lane
    get(p, i), put(p, i, s)     one element
    number(s), plus(s, t)       a scalar of the element type, the sum of two
    total(v)                    the sum of all lanes, halves added to halves
    add, sub, mul, div          lane by lane; integers wrap around
    fma(a, b, c)                a * b + c, rounded once where the machine can
    maximum, minimum            lane by lane; not-a-number wins, as in torch
    missing(a, b)               an integer, not 0 where a lane of either is not a number
    magnitude(v), root(v)       of fractions: without their signs, their square roots
    rough_root(v)               the root of the magnitude, or up to 1.061 of it: exact for powers
                                of 4; of 0 it is 3/4 of the root of the least normal number
    larger(a, b), smaller(a, b) of fractions: a where it is that, else b
    below(a, b)                 of fractions: an integer, a bit a lane, 1 unless a >= b there
    evens(a, b), odds(a, b)     every other lane of a, then of b
    low(a, b), high(a, b)       a and b lane by lane in turn: the first halves, the second ones
    word(p, i)                  an integer of 64 bits
    put_word(p, i, n)           writes one
    take(p)                     the integer at p, raised by 1 in the same instant
    combine(a, b)               maximum or add, whichever the kernel is compiled for
    shift_rows(...)             a register block that `blocks` wrote for the kernel
    transform_row(...), transform_columns(...), inverse(...)    what `winograd_tiles` wrote

`@apart` before a function says that it is called, not copied to where it is: what is seldom run
takes no registers from what always is. `@generated` before a function says that a register block
writes its text for each kernel.
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
    """Return the function: to Python the mark means nothing."""
    return function


def generated(function: F) -> F:
    """Return what stands for a function whose text is written for every kernel.

    The function itself has only parameters, by which its calls are checked, and a docstring.
    """

    @functools.wraps(function)
    def stand_in(*_: Any) -> Any:
        name = function.__name__
        raise RuntimeError(f"`{name}` has a meaning only inside a compiled kernel")

    return cast(F, stand_in)


def __getattr__(name: str) -> Any:
    if name not in WORDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def word(*_: Any) -> Any:
        raise RuntimeError(f"`{name}` has a meaning only inside a compiled kernel")

    return word
