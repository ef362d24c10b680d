"""`Window` against torch's sizes and autograd's pattern, exhaustively on small cases."""

import functools
import itertools
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from convlens.windows import (
    PADDING_MODES,
    AdaptiveWindow,
    TransposedWindow,
    Window,
    padded_source,
)

AnyWindow = Window | TransposedWindow
SIZES = range(1, 9)


def check_against(window: AnyWindow, n: int, pattern: Tensor | None) -> None:
    """Raise unless the window reads as `pattern` (outputs, inputs) does; None: torch refused."""
    if pattern is None:
        with pytest.raises(ValueError, match=r"`(size|padding)`"):
            window.outputs(n)
        return
    rows = pattern.tolist()
    read = [[i for i, hit in enumerate(row) if hit] for row in rows]
    assert window.outputs(n) == len(rows)
    assert [list(window.reads(o, n)) for o in range(len(rows))] == read
    columns = [[o for o, inputs in enumerate(read) if i in inputs] for i in range(n)]
    assert [list(window.readers(i, n)) for i in range(n)] == columns
    assert list(window.unread(n)) == [i for i in range(n) if not columns[i]]


def linear_pattern(f: Callable[[Tensor], Tensor], n: int) -> Tensor | None:
    """Return which of n inputs each output of a linear f reads: where its gradient is not zero."""
    try:
        count = f(torch.ones(1, 1, n)).shape[-1]
    except RuntimeError:
        return None
    x = torch.ones(count, 1, n, requires_grad=True)
    (gradient,) = torch.autograd.grad(f(x).diagonal(dim1=0, dim2=2).sum(), x)
    return gradient[:, 0] != 0


def maximum_pattern(f: Callable[[Tensor], Tensor], n: int) -> Tensor | None:
    """Return the same for a maximum, whose gradient goes to the one input that is largest."""
    try:
        count = f(torch.ones(1, 1, n)).shape[-1]
    except RuntimeError:
        return None
    x = torch.eye(n).repeat(count, 1)[:, None].requires_grad_()
    picked = f(x)[:, 0].gather(1, torch.arange(count).repeat_interleave(n)[:, None])
    (gradient,) = torch.autograd.grad(picked.sum(), x)
    return gradient[:, 0].reshape(count, n, n).diagonal(dim1=1, dim2=2) != 0


def convolution_windows() -> Iterator[Window]:
    grid = itertools.product(range(1, 5), range(1, 4), range(1, 4), range(4), range(4))
    return itertools.starmap(Window, grid)


def convolution_of(window: Window) -> Callable[[Tensor], Tensor]:
    weight = torch.ones(1, 1, window.size)
    padding = (window.before, window.after)

    def convolve(x: Tensor) -> Tensor:
        return F.conv1d(F.pad(x, padding), weight, stride=window.stride, dilation=window.dilation)

    return convolve


def transposed_of(window: TransposedWindow) -> Callable[[Tensor], Tensor]:
    weight = torch.ones(1, 1, window.size)

    def transpose(x: Tensor) -> Tensor:
        return F.conv_transpose1d(
            x,
            weight,
            stride=window.stride,
            padding=window.before,
            output_padding=window.output_padding,
            dilation=window.dilation,
        )

    return transpose


def max_pool_of(window: Window) -> Callable[[Tensor], Tensor]:
    w = window
    return lambda x: F.max_pool1d(x, w.size, w.stride, w.before, w.dilation, ceil_mode=w.ceil)


def avg_pool_of(window: Window) -> Callable[[Tensor], Tensor]:
    w = window
    return lambda x: F.avg_pool1d(x, w.size, w.stride, w.before, ceil_mode=w.ceil)


def test_convolution_reads_what_autograd_says() -> None:
    for window in convolution_windows():
        for n in SIZES:
            check_against(window, n, linear_pattern(convolution_of(window), n))


def test_transposed_convolution_reads_what_autograd_says() -> None:
    for k, s, d, p in itertools.product(range(1, 5), range(1, 4), range(1, 4), range(4)):
        for added in range(max(s, d)):
            window = TransposedWindow(k, s, d, p, p, added)
            for n in SIZES:
                check_against(window, n, linear_pattern(transposed_of(window), n))


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


def test_adaptive_pooling_reads_what_autograd_says() -> None:
    for count, n in itertools.product(range(1, 10), SIZES):
        window = AdaptiveWindow(count)
        mean = functools.partial(F.adaptive_avg_pool1d, output_size=count)
        largest = functools.partial(F.adaptive_max_pool1d, output_size=count)
        for pattern in (linear_pattern(mean, n), maximum_pattern(largest, n)):
            assert pattern is not None
            assert window.outputs(n) == len(pattern)
            read = [list(window.reads(o, n)) for o in range(count)]
            assert read == [[i for i, hit in enumerate(row) if hit] for row in pattern.tolist()]


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


@pytest.mark.parametrize("change", [{"output_padding": 0}, {"before": 0}, {"stride": 2}])
def test_the_transposed_oracle_catches_a_wrong_window(change: dict[str, Any]) -> None:
    right = TransposedWindow(3, 3, 1, 1, 1, output_padding=1)
    pattern = linear_pattern(transposed_of(right), 5)
    check_against(right, 5, pattern)
    with pytest.raises(AssertionError):
        check_against(replace(right, **change), 5, pattern)


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


def test_paddings_by_name_are_those_of_torch_and_numpy() -> None:
    for k, d, n in itertools.product(range(1, 7), range(1, 4), (1, 5, 8)):
        x, weight = torch.eye(n)[:, None], torch.arange(1.0, k + 1)[None, None]
        same = F.conv1d(
            F.pad(x, padding_of(Window.padded("same", k, dilation=d))), weight, dilation=d
        )
        assert torch.equal(same, quiet_same(x, weight, d))
        full = np.convolve(np.ones(n), dilated(np.ones(k), d), "full")
        assert Window.padded("full", k, dilation=d).outputs(n) == len(full)
    assert Window.padded("valid", 3, 2, 2) == Window(3, 2, 2)
    assert Window.padded("full", 3, 2, 2) == Window(3, 2, 2, 4, 4)


def padding_of(window: Window) -> tuple[int, int]:
    return window.before, window.after


def quiet_same(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """Let torch pad, which warns that an even kernel costs it a copy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return F.conv1d(x, weight, padding="same", dilation=dilation)


def dilated(kernel: np.ndarray[Any, Any], dilation: int) -> np.ndarray[Any, Any]:
    whole = np.zeros(dilation * (len(kernel) - 1) + 1)
    whole[::dilation] = kernel
    return whole


NUMPY_MODES: dict[str, Any] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@pytest.mark.parametrize("mode", NUMPY_MODES)
def test_what_stands_in_the_padding_is_what_numpy_puts_there(mode: str) -> None:
    for n, before, after in itertools.product(range(1, 6), range(12), range(12)):
        expected = np.pad(np.arange(n), (before, after), mode=NUMPY_MODES[mode])
        found = [padded_source(p, n, mode) for p in range(-before, n + after)]
        assert found == expected.tolist()


def test_the_modes_differ_so_a_swap_would_be_caught() -> None:
    seen = {tuple(padded_source(p, 4, mode) for p in range(-3, 7)) for mode in PADDING_MODES}
    assert len(seen) == len(PADDING_MODES)
    assert [padded_source(p, 2) for p in (-1, 0, 1, 2)] == [None, 0, 1, None]


BAD: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: Window(0), ValueError, "`size` (=0) must be at least 1; use a positive integer"),
    (lambda: Window(3, stride=0), ValueError, "`stride` (=0) must be at least 1"),
    (lambda: Window(3, stride=-2), ValueError, "`stride` (=-2) must be at least 1"),
    (lambda: Window(3, dilation=0), ValueError, "`dilation` (=0) must be at least 1"),
    (lambda: Window(3, before=-1), ValueError, "`before` (=-1) must not be negative; crop"),
    (lambda: TransposedWindow(3, after=-1), ValueError, "`after` (=-1) must not be negative"),
    (lambda: Window(3.0), TypeError, "`size` (=3.0) must be an integer, not float"),  # type: ignore[arg-type]
    (lambda: Window("3"), TypeError, "`size` (='3') must be an integer, not str"),  # type: ignore[arg-type]
    (lambda: Window(True), TypeError, "`size` (=True) must be an integer, not bool"),
    (lambda: Window(3, ceil=1), TypeError, "`ceil` (=1) must be True or False"),  # type: ignore[arg-type]
    (lambda: Window(5).outputs(4), ValueError, "`size` (=5) with dilation 1 spans 5 positions"),
    (lambda: Window(3, dilation=2**62).outputs(9), ValueError, "or use a smaller size or dilation"),
    (lambda: Window(1).outputs(0), ValueError, "`n` (=0) must be at least 1"),
    (lambda: Window(1).reads(4, 4), ValueError, "`o` (=4) must be 0 to 3"),
    (lambda: Window(1).taps(-1, 4), ValueError, "`o` (=-1) must be 0 to 3"),
    (lambda: Window(1).readers(4, 4), ValueError, "`i` (=4) must be 0 to 3"),
    (lambda: Window(1).unread(-1), ValueError, "`n` (=-1) must be at least 1"),
    (lambda: Window(2, ceil=True).transposed(), ValueError, "`ceil` (=True) has no transpose"),
    (lambda: Window(3, 2).transposed(2), ValueError, "`output_padding` (=2) must be 0 to 1"),
    (lambda: Window(3, 2).transposed(-1), ValueError, "`output_padding` (=-1) must be 0 to 1"),
    (lambda: TransposedWindow(2, before=1, after=1).outputs(1), ValueError, "use at most 1 in all"),
    (lambda: TransposedWindow(2).reads(5, 4), ValueError, "`o` (=5) must be 0 to 4"),
    (lambda: TransposedWindow(2).readers(4, 4), ValueError, "`i` (=4) must be 0 to 3"),
    (lambda: Window.padded("half", 3), ValueError, "`padding` (='half') must be integers or one"),
    (lambda: Window.padded("same", 3, stride=2), ValueError, '`padding` "same" needs stride 1'),
    (lambda: AdaptiveWindow(0), ValueError, "`count` (=0) must be at least 1"),
    (lambda: AdaptiveWindow(2.0), TypeError, "`count` (=2.0) must be an integer"),  # type: ignore[arg-type]
    (lambda: AdaptiveWindow(3).reads(3, 9), ValueError, "`o` (=3) must be 0 to 2"),
    (lambda: padded_source(0, 3, "mirror"), ValueError, "`mode` (='mirror') must be one"),
    (lambda: padded_source(0, 0), ValueError, "`n` (=0) must be at least 1"),
]


@pytest.mark.parametrize(("call", "kind", "text"), BAD)
def test_bad_input_is_named_with_value_and_cure(
    call: Callable[[], object], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind) as raised:
        call()
    assert text in str(raised.value)
    assert "\n" not in str(raised.value)


def test_integers_of_numpy_become_plain_integers() -> None:
    window = Window(np.int64(3), stride=np.uint8(2))  # type: ignore[arg-type]
    assert window == Window(3, 2)
    assert type(window.size) is type(window.stride) is int
    with pytest.raises(TypeError, match="`size`"):
        Window(torch.ones(2))  # type: ignore[arg-type]


def test_the_ground_floor_loads_neither_torch_nor_numpy() -> None:
    code = "import sys, convlens.windows; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
