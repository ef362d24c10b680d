"""Threads prepare a limited number of items ahead, in order, and raise in their turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from convlens.learn.sources.prefetching import prefetched


def noted() -> tuple[list[int], Callable[[int], int]]:
    """A list, and a function that notes its arguments in it."""
    begun: list[int] = []

    def begin(number: int) -> int:
        begun.append(number)
        return number

    return begun, begin


def test_only_a_few_are_read_ahead() -> None:
    begun, begin = noted()
    numbers = prefetched(iter(range(100)), begin, ahead=5, workers=2)
    assert [next(numbers) for _ in range(10)] == list(range(10))
    time.sleep(0.2)
    assert len(begun) <= 10 + 5
    numbers.close()


def test_few_are_read_ahead_where_they_weigh_much() -> None:
    begun, begin = noted()
    numbers, weights = iter(range(9)), [4] * 8 + [99]
    heavy = prefetched(numbers, begin, ahead=8, workers=2, weigh=lambda n: weights[n], most=10)
    assert next(heavy) == 0
    time.sleep(0.2)
    assert len(begun) <= 1 + 2
    assert list(heavy) == list(range(1, 9))  # an item that is heavier than the limit comes alone


def test_what_threads_raise_is_raised_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 0
        raise OSError("no more")

    inverses = prefetched(items(), lambda n: 1 / n, ahead=4, workers=2)
    assert next(inverses) == 1
    with pytest.raises(ZeroDivisionError):
        next(inverses)
    found = prefetched(items(), lambda n: n, ahead=4, workers=2)
    assert [next(found), next(found)] == [1, 0]
    with pytest.raises(OSError, match="no more"):
        next(found)
