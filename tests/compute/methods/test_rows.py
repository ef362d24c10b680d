"""Convolution by rows of one channel: every division of a filter into steps, blocks and bands."""

from typing import Any

import pytest
import torch
from hypothesis import assume
from hypothesis import strategies as st

from convlens.compute.kernels.blocks.filters import filter_blocks
from convlens.compute.kernels.speed import NOMINAL
from convlens.compute.methods import reference
from convlens.compute.methods.rows import method as rows
from convlens.compute.methods.rows.layout import FilterBlock, block_of, choose_band, steps_of
from convlens.compute.methods.shape import Shape
from convlens.compute.problems import Conv
from convlens.compute.reading.options import read_conv
from convlens.windows import Window
from tests.running.broad import broad
from tests.running.drawn_examples import examples
from tests.running.poisoned_memory import poisoned, whole
from tests.running.same_bits import check_method

WIDTHS = [1, 7, 16, 30, 70]


@st.composite
def filters(draw: Any) -> dict[str, Any]:
    axes = draw(st.integers(1, 3))
    small = st.integers(1, 3)
    groups, each, outs = draw(st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 2)))
    space = [draw(st.integers(1, 9)) for _ in range(axes - 1)] + [draw(st.sampled_from(WIDTHS))]
    taps = [draw(st.sampled_from([1, 2, 3, 4, 9])) for _ in range(axes)]
    ends = st.tuples(st.integers(0, 4), st.integers(0, 4))
    return {
        "x": (draw(st.integers(1, 2)), each * groups, *space),
        "weight": (outs * groups, each, *taps),
        "stride": [draw(small) for _ in range(axes)],
        "dilation": [draw(small) for _ in range(axes)],
        "padding": [draw(ends) for _ in range(axes)],
        "padding_mode": draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
        "groups": groups,
    }


def check(x: tuple[int, ...], weight: tuple[int, ...], seed: int = 0, **options: Any) -> None:
    numbers, kernel = whole(x, "float64", seed), whole(weight, "float64", seed + 1)
    bias = whole(weight[:1], "float64", seed + 2)
    problem = read_conv(numbers, kernel, bias, **options)
    found = poisoned(problem, numbers, rows.METHOD.ready(problem, kernel, bias))
    assert torch.equal(found, reference.run(problem, numbers, kernel, bias)[0])


@examples(filters(), st.integers(0, 99), few=10, many=70)
def test_any_filter_is_the_reference(options: dict[str, Any], seed: int) -> None:
    x, weight = options.pop("x"), options.pop("weight")
    try:
        read_conv(torch.ones(x), torch.ones(weight), **options)
    except ValueError:
        assume(False)
    check(x, weight, seed, **options)


LARGER = [
    ((1, 1, 5000), (1, 1, 3), {}),  # read in place
    ((1, 1, 5000), (1, 1, 31), {"padding": 15}),  # its middle, too
    ((2, 3, 700), (3, 1, 400), {"padding": 200, "groups": 3}),  # long columns: a loop
    ((1, 2, 999), (2, 2, 40), {"stride": 3, "padding": 5}),
    ((1, 1, 999), (1, 1, 70), {"dilation": 5}),
    ((1, 1, 90, 90), (1, 1, 31, 3), {"padding": (15, 1)}),
    ((1, 4, 40, 41), (4, 1, 5, 5), {"padding": 2, "stride": 2, "groups": 4}),
    ((1, 2, 60, 45), (2, 1, 4, 3), {"dilation": 3, "groups": 2}),
    ((1, 1, 50, 45), (1, 1, 5, 3), {"dilation": (4, 2), "stride": (6, 2)}),
    ((1, 1, 12, 13, 33), (1, 1, 3, 3, 3), {"padding": 1}),
    ((1, 2, 9, 8, 20), (2, 2, 3, 2, 3), {"stride": (2, 1, 3), "dilation": (2, 3, 1)}),
]
BROADER = ((1, 1, 31), (1, 1, 31, 3), (2, 1, 4, 3), (1, 1, 3, 3, 3))
"""The weights of the larger filters that take longest to compile."""


@pytest.mark.parametrize(
    ("x", "weight", "options"), broad(LARGER, lambda x, weight, options: weight not in BROADER)
)
def test_larger_filters_are_the_reference(
    x: tuple[int, ...], weight: tuple[int, ...], options: dict[str, Any]
) -> None:
    check(x, weight, **options)


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
def test_every_type_is_computed(dtype: str) -> None:
    x, weight = whole((1, 2, 30, 50), dtype, 0), whole((2, 1, 3, 3), dtype, 1)
    problem = read_conv(x, weight, groups=2, padding=1)
    found = poisoned(problem, x, rows.METHOD.ready(problem, weight, None))
    assert torch.equal(found, reference.run(problem, x, weight, None)[0])


@pytest.mark.parametrize("at", [0, 39, 1234])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_bad_number_spoils_the_windows_over_it_alone(bad: float, at: int) -> None:
    x, weight = whole((1, 1, 2000), "float32", 0), whole((1, 1, 40), "float32", 1)
    x[0, 0, at] = bad
    problem = read_conv(x, weight, padding=20)
    found = poisoned(problem, x, rows.METHOD.ready(problem, weight, None))
    expected = torch.nn.functional.conv1d(x.double(), weight.double(), padding=20)
    spoiled = ~expected.isfinite()
    assert torch.equal(~found.isfinite(), spoiled)
    assert 1 <= int(spoiled.sum()) <= 40
    assert torch.equal(found[~spoiled].double(), expected[~spoiled])


@pytest.mark.parametrize(
    ("x", "weight", "options"),
    [
        ((3, 2, 3000), (2, 1, 25), {"groups": 2, "padding": 12}),
        ((3, 2, 70, 90), (2, 1, 5, 5), {"groups": 2, "padding": 2}),
        ((2, 1, 9, 30, 40), (1, 1, 3, 3, 3), {"padding": 1}),
    ],
)
def test_threads_and_batch_change_no_bit(
    x: tuple[int, ...], weight: tuple[int, ...], options: dict[str, Any]
) -> None:
    check_method(rows.METHOD, x, weight, **options)


def test_a_block_reads_and_writes_as_often_as_it_must() -> None:
    """For m rows of a column of t taps there are m + t - 1 loads and m * t multiply-adds."""
    written = filter_blocks(4, 2, 2, [3])
    assert written.count("load(p,") == (4 + 3 - 1) * 2
    assert written.count("fma(") == 4 * 3 * 2
    looped = filter_blocks(4, 2, 2, [0])
    assert looped.count("fma(") == 4 * 4 * 2  # 3 rows at each end, in parts, and one line between


def test_a_signal_is_laid_on_lines() -> None:
    shape = Shape(1, 1, (1, 1, 1000), (1, 1, 950), (Window(1), Window(1), Window(51)))
    steps = steps_of(shape, 16, 1)
    assert sorted(tap for step in steps for tap in step.taps) == list(range(51))
    assert [len(step.taps) for step in steps] == [4] * 3 + [3] * 13
    assert steps[0].taps == (0, 16, 32, 48)


def test_blocks_fit_the_registers_and_bands_the_cache() -> None:
    windows = (Window(1), Window(5, before=2, after=2), Window(5, before=2, after=2))
    shape = Shape(1, 1, (1, 2000, 3000), (1, 2000, 3000), windows)
    block = block_of(shape, "float32", NOMINAL.load)
    assert block.rows * block.vectors + block.vectors + 5 <= 32
    band = choose_band(shape, block, "float32", 1, 2)
    assert band.planes * band.plane * 4 < 1.2e6
    assert isinstance(block, FilterBlock)


def test_what_it_refuses() -> None:
    problem = Conv(space=(9,), windows=(Window(3),), dtype="float16")
    assert "float16" in str(rows.METHOD.refused(problem))
    with pytest.raises(ValueError, match="`weight` is missing"):
        rows.METHOD.ready(
            Conv(space=(9,), windows=(Window(3),), dtype="float32"),
            None,
            None,
        )
