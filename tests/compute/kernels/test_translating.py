"""Kernels compute what the same text computes in Python; what they do not support is refused."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlens.compute.kernels.language.compiling import Kernel, address
from convlens.compute.kernels.language.words import LANES, broadcast, load, put_word, store, word
from convlens.compute.kernels.launching import Launch, address_of
from convlens.compute.kernels.records import Fixed

PLACES = 16


def arithmetic(a: int, b: int) -> tuple[int, ...]:
    """Return a result of every operation on integers; `b` is not 0."""
    first, second = a // b, a % b
    found = first * 7 - second + (a << 2) - (b >> 1) + (a & b) + (a | 12) + -a
    ordered = (a < b) + 2 * (a <= b) + 4 * (a == b) + 8 * (a != b) + 16 * (a > b) + 32 * (a >= b)
    between = 1 if 0 <= a < b else 0
    return found, ordered, between, min(a, b, 3), max(a, b, 3)


def loops(a: int, b: int) -> tuple[int, ...]:
    total = 0
    for i in range(a):
        if i == b:
            break
        if (i % 2 == 0 and i % 3 == 0) or not i % 5:
            continue
        total += i
    for i in range(2, a, 3):
        for j in range(i, b):
            total += i * j
    count = 0
    while count < a or (count < 4 and b != 0):
        count += 1
        a -= 1
    late = 0
    if a > 3:
        late = 1
    elif a > 1:
        late = 2
    return total, count, late, first_of(a, b), 0


def first_of(a: int, b: int) -> int:
    for i in range(a):
        if i > b:
            return i
    return -1


def record(y: int, p: int, q: int, r: int, s: int, t: int) -> None:
    put_word(y, 0, p)
    put_word(y, 1, q)
    put_word(y, 2, r)
    put_word(y, 3, s)
    put_word(y, 4, t)


def record_arithmetic(task: int, scratch: int, x: int, y: int) -> None:
    p, q, r, s, t = arithmetic(word(x, 0), word(x, 1))
    record(y, p, q, r, s, t)


def record_loops(task: int, scratch: int, x: int, y: int) -> None:
    p, q, r, s, t = loops(word(x, 0), word(x, 1))
    record(y, p, q, r, s, t)


@pytest.mark.parametrize(
    ("drive", "plain"), [(record_arithmetic, arithmetic), (record_loops, loops)]
)
def test_integers_do_as_in_python(drive: Callable[..., None], plain: Callable[..., Any]) -> None:
    x, y = np.zeros(2, np.int64), np.zeros(PLACES, np.int64)
    launch = Launch(Kernel(drive.__name__, "int64", drive), tasks=1)

    @settings(max_examples=300, deadline=None)
    @given(st.integers(-40, 40), st.integers(-9, 9).filter(bool))
    def check(a: int, b: int) -> None:
        x[:] = a, b
        launch(address_of(x), address_of(y))
        assert tuple(y[:5].tolist()) == tuple(map(int, plain(a, b)))

    check()


def guarded(task: int, scratch: int, x: int, y: int) -> None:
    if x != 0 and word(x, 0) > 0:
        put_word(y, 0, 1)
    if x == 0 or word(x, 0) > 0:
        put_word(y, 1, 1)


def test_what_need_not_be_asked_is_not() -> None:
    y = np.zeros(2, np.int64)
    Launch(Kernel("guarded", "int64", guarded), tasks=1)(0, address_of(y))
    assert y.tolist() == [0, 1]


@dataclass(frozen=True, kw_only=True)
class Choice:
    KNOWN: Fixed


def chosen(task: int, scratch: int, x: int, y: int, a: Choice) -> None:
    if a.KNOWN == 1:
        v = load(x, 0)
    else:
        v = broadcast(x, 1)
    store(y, 0, v)
    store(y, LANES, v)


@pytest.mark.parametrize("known", [0, 1])
def test_a_vector_is_chosen_by_a_constant(known: int) -> None:
    choice = Choice(KNOWN=Fixed(known))
    x, y = np.arange(64.0), np.zeros(64)
    launch = Launch(Kernel.of("chosen", "float64", chosen, choice), choice, tasks=1)
    launch(address_of(x), address_of(y))
    assert y[:2].tolist() == ([0.0, 1.0] if known else [1.0, 1.0])


def powers(task: int, scratch: int, y: int) -> None:
    put_word(y, 0, 2**task)


def indexed(task: int, scratch: int, y: Any) -> None:
    put_word(y, 0, y[0])


def unknown(task: int, scratch: int, y: int) -> None:
    put_word(y, 0, print(3))


def mixed(task: int, scratch: int, y: int) -> None:
    put_word(y, 0, load(y, 0) + 1)


@pytest.mark.parametrize(
    ("drive", "text"),
    [
        (powers, r"`2 \*\* task` in powers"),
        (indexed, r"`y\[0\]` in indexed"),
        (unknown, r"`print\(3\)` in unknown"),
        (mixed, r"`load\(y, 0\) \+ 1` in mixed"),
    ],
)
def test_what_kernels_cannot_say_is_refused(drive: Callable[..., None], text: str) -> None:
    with pytest.raises(NotImplementedError, match=text + " is not supported in kernels"):
        address(Kernel("refused", "float32", drive))
