"""Pooling by small windows read in place: every edge, exactly; infinities and NaN."""

from typing import Any

import pytest
import torch
from hypothesis import assume
from hypothesis import strategies as st

from convlens.compute.kernels.blocks.pools import pool_blocks
from convlens.compute.methods import reference
from convlens.compute.methods.pooling import small as small_pooling
from convlens.compute.problems import Problem
from convlens.compute.reading.options import read_pool
from tests.running.drawn_examples import examples
from tests.running.poisoned_memory import poisoned, whole
from tests.running.same_bits import check_same_bits

FLOATS, INTEGERS = ["float32", "float64"], ["int32", "int64"]


@st.composite
def layers(draw: Any) -> dict[str, Any]:
    axes = draw(st.integers(1, 3))
    wide = draw(st.sampled_from([1, 3, 15, 17, 33, 64, 100]))
    space = [draw(st.integers(1, 9)) for _ in range(axes - 1)] + [wide]
    ends = st.tuples(st.integers(0, 5), st.integers(0, 5))
    depth = {"dilation": [draw(st.integers(1, 2)), 1, 1]} if axes == 3 else {}
    return {
        "shape": (draw(st.integers(1, 2)), draw(st.integers(1, 3)), *space),
        "size": [draw(st.integers(1, small_pooling.LARGEST)) for _ in range(axes)],
        "stride": [*(draw(st.integers(1, 4)) for _ in range(axes - 1)), draw(st.integers(1, 2))],
        "padding": [draw(ends) for _ in range(axes)],
        "ceil_mode": draw(st.booleans()),
        **depth,
    }


def drawn(operation: str, x: torch.Tensor, layer: dict[str, Any]) -> Problem:
    """Return the problem of a drawn layer, if it is one."""
    options = {name: value for name, value in layer.items() if name not in ("shape", "size")}
    try:
        return read_pool(operation, x, layer["size"], **options)
    except ValueError:
        assume(False)
        raise


def check_exactly(problem: Problem, x: torch.Tensor) -> None:
    """Raise unless the method gives the same as the reference, with NaN in the same places."""
    assert small_pooling.METHOD.refused(problem) is None
    expected, _ = reference.run(problem, x, None, None)
    found = poisoned(problem, x, small_pooling.METHOD.ready(problem, None, None))
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


@examples(layers(), st.sampled_from(FLOATS + INTEGERS), st.integers(0, 99), few=12, many=40)
def test_any_largest_is_the_reference(layer: dict[str, Any], dtype: str, seed: int) -> None:
    x = whole(layer["shape"], dtype, seed)
    check_exactly(drawn("max_pool", x, layer), x)


@examples(layers(), st.booleans(), st.sampled_from(FLOATS), st.integers(0, 99), few=12, many=40)
def test_any_mean_is_the_reference(
    layer: dict[str, Any], counted: bool, dtype: str, seed: int
) -> None:
    x = whole(layer["shape"], dtype, seed)
    check_exactly(drawn("avg_pool", x, {**layer, "count_include_pad": counted}), x)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf], ids=str)
@pytest.mark.parametrize("operation", ["max_pool", "avg_pool"])
def test_what_is_not_finite_is_seen_wherever_it_stands(operation: str, bad: float) -> None:
    space = (7, 19)
    x = whole((7 * 19, 1, *space), "float32", 3)
    x.view(7 * 19, -1).fill_diagonal_(bad)
    check_exactly(read_pool(operation, x, 3, stride=(1, 2), padding=((2, 3), (1, 4))), x)
    nothing_else = torch.full((1, 1, 7, 19), bad)
    check_exactly(read_pool(operation, nothing_else, 3, stride=1, padding=3), nothing_else)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_the_least_integer_is_no_less_than_padding(dtype: str) -> None:
    least = torch.iinfo(getattr(torch, dtype)).min
    x = torch.full((1, 1, 6, 20), least, dtype=getattr(torch, dtype))
    x[..., 3] = torch.iinfo(x.dtype).max
    check_exactly(read_pool("max_pool", x, 4, stride=1, padding=3), x)


@pytest.mark.parametrize("operation", ["max_pool", "avg_pool"])
def test_threads_and_batch_change_no_bit(operation: str) -> None:
    x = torch.randn((3, 2, 40, 90), generator=torch.Generator().manual_seed(3))

    def computed(x: torch.Tensor) -> torch.Tensor:
        problem = read_pool(operation, x, 3, stride=2, padding=1)
        y = torch.empty(problem.y_shape)
        small_pooling.METHOD.ready(problem, None, None)(x, y)
        return y

    check_same_bits(computed, x)


def test_a_block_loads_every_line_once_for_all_its_rows() -> None:
    plain = pool_blocks(4, 2, 2, (3, 3), (1, 1), False)
    assert plain.count("load_lanes(") == (4 + 3 - 1) * 3 * 2
    pairs = pool_blocks(4, 2, 2, (3, 3), (2, 2), False)
    assert pairs.count("load_lanes(") == (2 * 3 + 3) * 4 * 2


@pytest.mark.parametrize(
    ("size", "options", "why"),
    [
        (5, {}, "windows of up to 4"),
        (3, {"stride": (1, 3)}, "strides of up to"),
        (3, {"stride": (5, 1)}, "strides of up to"),
        (2, {"dilation": (2, 1)}, "no dilation"),
        (2, {"return_indices": True}, "not their places"),
    ],
)
def test_what_it_refuses(size: int, options: dict[str, Any], why: str) -> None:
    problem = read_pool("max_pool", torch.ones(1, 1, 9, 9), size, **options)
    assert why in str(small_pooling.METHOD.refused(problem))
