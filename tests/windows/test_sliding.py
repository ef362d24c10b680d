"""`Window` against torch's sizes and autograd's pattern, exhaustively on small cases."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from convlens.windows import (
    TransposedWindow,
    Window,
)
from tests.oracles.reading_patterns import (
    AnyWindow,
    avg_pool_of,
    check_against,
    convolution_of,
    linear_pattern,
    max_pool_of,
    maximum_pattern,
)

SIZES = range(1, 9)


def convolution_windows() -> Iterator[Window]:
    grid = itertools.product(range(1, 5), range(1, 4), range(1, 4), range(4), range(4))
    return itertools.starmap(Window, grid)


def test_convolution_reads_what_autograd_says() -> None:
    for window in convolution_windows():
        for n in SIZES:
            check_against(window, n, linear_pattern(convolution_of(window), n))


@pytest.mark.parametrize("ceil", [False, True])
def test_max_pooling_reads_what_autograd_says(ceil: bool) -> None:
    for k, s, d in itertools.product(range(1, 5), range(1, 4), range(1, 4)):
        for p in range(k // 2 + 1):
            window = Window(k, s, d, p, p, ceil)
            for n in SIZES:
                check_against(window, n, maximum_pattern(max_pool_of(window), n))


@pytest.mark.parametrize("ceil", [False, True])
def test_average_pooling_reads_what_autograd_says(ceil: bool) -> None:
    for k, s in itertools.product(range(1, 5), range(1, 4)):
        for p in range(k // 2 + 1):
            window = Window(k, s, before=p, after=p, ceil=ceil)
            for n in SIZES:
                check_against(window, n, linear_pattern(avg_pool_of(window), n))


@pytest.mark.parametrize(
    "wrong",
    [
        Window(3, 2, 2, before=2, after=1),
        Window(3, 2, 2, before=1, after=3),
        Window(3, 1, 2, before=1, after=1),
        Window(3, 2, 1, before=1, after=1),
        Window(2, 2, 2, before=1, after=1),
    ],
)
def test_the_convolution_oracle_catches_a_wrong_window(wrong: Window) -> None:
    right = Window(3, 2, 2, before=1, after=1)
    pattern = linear_pattern(convolution_of(right), 8)
    check_against(right, 8, pattern)
    with pytest.raises(AssertionError):
        check_against(wrong, 8, pattern)


@pytest.mark.parametrize(
    ("pattern_of", "pool_of"), [(maximum_pattern, max_pool_of), (linear_pattern, avg_pool_of)]
)
def test_the_pooling_oracles_catch_a_wrong_ceil(
    pattern_of: Callable[[Callable[[Tensor], Tensor], int], Tensor | None],
    pool_of: Callable[[Window], Callable[[Tensor], Tensor]],
) -> None:
    right = Window(2, 2, ceil=True)
    pattern = pattern_of(pool_of(right), 5)
    check_against(right, 5, pattern)
    with pytest.raises(AssertionError):
        check_against(replace(right, ceil=False), 5, pattern)


def test_taps_stand_beside_the_positions_they_read() -> None:
    weight = torch.arange(1.0, 4.0)[None, None]
    for s, d, p in itertools.product(range(1, 4), range(1, 4), range(4)):
        matrix = F.conv1d(torch.eye(9)[:, None], weight, stride=s, padding=p, dilation=d)[:, 0].T
        assert table(Window(3, s, d, p, p), 9) == matrix.tolist()
        matrix = F.conv_transpose1d(torch.eye(9)[:, None], weight, stride=s, padding=p, dilation=d)[
            :, 0
        ].T
        assert table(TransposedWindow(3, s, d, p, p), 9) == matrix.tolist()


def table(window: AnyWindow, n: int) -> list[list[float]]:
    """Return the matrix (outputs, inputs) of the window with the weights 1, 2, 3 ..."""
    rows = [[0.0] * n for _ in range(window.outputs(n))]
    for o, row in enumerate(rows):
        for tap, i in zip(window.taps(o, n), window.reads(o, n), strict=True):
            row[i] = tap + 1.0
    return rows


def test_covers_counts_padding_too() -> None:
    window = Window(3, stride=2, dilation=2, before=3)
    assert list(window.covers(0)) == [-3, -1, 1]
    for o in range(window.outputs(8)):
        inside = [position for position in window.covers(o) if 0 <= position < 8]
        assert inside == list(window.reads(o, 8))
    with pytest.raises(ValueError, match="`o` \\(=-1\\) must not be negative"):
        window.covers(-1)


huge = st.integers(1, 2**70)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 2**70), st.integers(1, 9), huge, huge, st.data())
def test_reads_and_readers_agree_on_any_integers(
    n: int, k: int, s: int, d: int, data: st.DataObject
) -> None:
    window = Window(k, s, d, before=d, after=d * k)
    last = window.outputs(n) - 1
    back = window.transposed((n + window.before + window.after - window.extent) % s)
    assert back.outputs(last + 1) == n
    o = data.draw(st.integers(0, last))
    for i in window.reads(o, n):
        assert o in window.readers(i, n)
        assert i in back.readers(o, last + 1)
    i = data.draw(st.integers(0, n - 1))
    for tap in range(k):
        reader, rest = divmod(i + window.before - tap * d, s)
        if rest == 0 and 0 <= reader <= last:
            assert i in window.reads(reader, n)
            assert reader in window.readers(i, n)


def test_a_span_is_what_the_outputs_cover() -> None:
    for window in convolution_windows():
        for outputs in range(1, 6):
            covered = [at for o in range(outputs) for at in window.covers(o)]
            assert window.span(outputs) == max(covered) - min(covered) + 1


def test_huge_integers_cost_nothing() -> None:
    window = Window(2, stride=2**61, dilation=2**62, before=2**62, after=2**62 + 1)
    assert window.reads(0, 5) == range(0, 1)
    assert window.taps(0, 5) == range(1, 2)
    assert window.outputs(2**62) == 5
    assert list(window.readers(0, 2**62)) == [0, 2]


def stack_reads(first: Window, second: Window, o: int, n: int) -> set[int]:
    middle = first.outputs(n)
    return {i for m in second.reads(o, middle) for i in first.reads(m, n)}


def small_stacks() -> Iterator[tuple[Window, Window]]:
    parts = [
        Window(k, s, d, b, a, ceil)
        for k, s, d in itertools.product((1, 2, 3), (1, 2, 3), (1, 2))
        for b, a in ((0, 0), (1, 0), (0, 2), (1, 1))
        for ceil in (False, True)
    ]
    return itertools.product(parts, parts[::3])


def test_a_stack_of_two_is_one_window() -> None:
    n = 31
    for first, second in small_stacks():
        both = first.then(second)
        middle = first.outputs(n)
        assert both.outputs(n) == second.outputs(middle)
        for o in range(both.outputs(n)):
            read = stack_reads(first, second, o, n)
            assert read <= set(both.reads(o, n))
            within = second.covers(o)
            if within[0] < 0 or within[-1] >= middle:
                continue
            covered = [i for m in within for i in first.covers(m)]
            assert (min(covered), max(covered)) == (both.covers(o)[0], both.covers(o)[-1])


def test_a_stack_gives_as_many_outputs_for_every_input() -> None:
    for first, second in small_stacks():
        both = first.then(second)
        for n in (9, 10, 11, 12, 13):
            assert outputs_or_none(both, n) == outputs_or_none(second, first.outputs(n))


def outputs_or_none(window: Window, n: int) -> int | None:
    try:
        return window.outputs(n)
    except ValueError:
        return None


def test_a_stack_is_exact_when_its_taps_leave_no_hole() -> None:
    n = 40
    for d1, d2, k1, k2 in itertools.product((1, 2, 3), (1, 2, 3, 4), (2, 3, 4), (2, 3)):
        first, second = Window(k1, dilation=d1), Window(k2, dilation=d2)
        both = first.then(second)
        sums = {d1 * a + d2 * b for a in range(k1) for b in range(k2)}
        for o in range(both.outputs(n)):
            exact = stack_reads(first, second, o, n) == set(both.reads(o, n))
            assert exact == (len(sums) == both.size)


def test_a_stack_of_pointwise_windows_keeps_the_dilation_of_the_other() -> None:
    dilated = Window(3, dilation=4)
    assert Window(1).then(dilated) == dilated == dilated.then(Window(1))
    assert Window(1).then(Window(1)) == Window(1)
    assert Window(1, stride=2).then(dilated) == Window(3, stride=2, dilation=8)


def test_stacks_do_not_depend_on_where_one_brackets_them() -> None:
    a, b, c = Window(3, 2, before=1), Window(2, 2, ceil=True), Window(3, dilation=2, after=3)
    assert a.then(b).then(c) == a.then(b.then(c))


@pytest.mark.parametrize("change", [{"before": 2}, {"after": 3}, {"stride": 3}, {"size": 8}])
def test_the_stack_test_catches_a_wrong_stack(change: dict[str, Any]) -> None:
    first, second = Window(3, stride=2, before=1), Window(3, before=1)
    right, wrong = first.then(second), replace(first.then(second), **change)
    assert right != wrong

    def truth(window: Window) -> list[Any]:
        counts = [window.outputs(n) for n in range(9, 14)]
        return [counts, [window.covers(o) for o in (1, 2)]]

    middle = [[i for m in second.covers(o) for i in first.covers(m)] for o in (1, 2)]
    expected = [
        [second.outputs(first.outputs(n)) for n in range(9, 14)],
        [range(min(m), max(m) + 1) for m in middle],
    ]
    assert truth(right) == expected
    assert truth(wrong) != expected
