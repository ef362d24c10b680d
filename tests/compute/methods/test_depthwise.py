"""Small kernels over images read in place, with windows that extend beyond every side."""

from typing import Any

import pytest
import torch
from hypothesis import assume
from hypothesis import strategies as st

from convlens.compute.kernels.blocks.images import image_blocks
from convlens.compute.kernels.speed import NOMINAL
from convlens.compute.methods import depthwise, reference
from convlens.compute.methods.depthwise import FLAT, block_of
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
def images(draw: Any) -> dict[str, Any]:
    axes = draw(st.integers(1, 3))
    groups, each, outs = draw(st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 2)))
    space = [draw(st.integers(1, 9)) for _ in range(axes - 1)] + [draw(st.sampled_from(WIDTHS))]
    ends = st.tuples(st.integers(0, 4), st.integers(0, 4))
    column_stride = draw(st.integers(1, 2))
    column_dilation = draw(st.integers(1, 3)) if column_stride == 1 else 1
    return {
        "x": (draw(st.integers(1, 2)), each * groups, *space),
        "weight": (outs * groups, each, *(draw(st.integers(1, 5)) for _ in range(axes))),
        "stride": [*(draw(st.integers(1, 3)) for _ in range(axes - 1)), column_stride],
        "dilation": [*(draw(st.integers(1, 3)) for _ in range(axes - 1)), column_dilation],
        "padding": [draw(ends) for _ in range(axes)],
        "groups": groups,
    }


def check(
    x: tuple[int, ...],
    weight: tuple[int, ...],
    seed: int,
    dtypes: tuple[str, ...] = ("float64",),
    **options: Any,
) -> None:
    """Compare with the reference, which gives the same whole numbers for every type."""
    expected = None
    for dtype in dtypes:
        numbers, kernel = whole(x, dtype, seed), whole(weight, dtype, seed + 1)
        bias = whole(weight[:1], dtype, seed + 2)
        problem = read_conv(numbers, kernel, bias, **options)
        assert depthwise.METHOD.refused(problem) is None
        if expected is None:
            expected = reference.run(problem, numbers, kernel, bias)[0].double()
        found = poisoned(problem, numbers, depthwise.METHOD.ready(problem, kernel, bias))
        assert torch.equal(found.double(), expected)


@examples(images(), st.integers(0, 99), few=10, many=70)
def test_any_image_is_the_reference(options: dict[str, Any], seed: int) -> None:
    x, weight = options.pop("x"), options.pop("weight")
    try:
        read_conv(torch.ones(x), torch.ones(weight), **options)
    except ValueError:
        assume(False)
    check(x, weight, seed, **options)


LAYERS = [
    ((1, 40, 14, 14), (40, 1, 5, 5), {"padding": 2, "groups": 40}),
    ((2, 3, 112, 111), (3, 1, 3, 3), {"padding": 1, "stride": 2, "groups": 3}),
    ((1, 1, 200, 150), (2, 1, 7, 7), {"padding": 3}),  # cut into bands
    ((1, 2, 9, 40, 37), (2, 1, 3, 3, 3), {"padding": 1, "groups": 2}),
    ((1, 1, 30, 50), (1, 1, 3, 9), {"padding": (40, 60)}),  # whole blocks of padding
]


@pytest.mark.parametrize(
    ("x", "weight", "options", "dtypes"),
    broad(
        [
            (*layer, dtypes)
            for layer in LAYERS
            for dtypes in (("float64", "float32"), ("int64", "int32"))
        ],
        lambda x, weight, options, dtypes: dtypes[1] == "float32" or x[0] == 2,
    ),
)
def test_layers_are_the_reference(
    x: tuple[int, ...],
    weight: tuple[int, ...],
    options: dict[str, Any],
    dtypes: tuple[str, ...],
) -> None:
    check(x, weight, 0, dtypes, **options)


def test_what_lies_in_memory_or_in_caches_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"padding": 1, "groups": 3}
    monkeypatch.setattr(depthwise, "FAR", 0)
    check((1, 3, 40, 90), (3, 1, 3, 3), 0, **options)
    windows = (Window(1), Window(3), Window(3))
    shape = Shape(1, 1, (1, 40, 90), (1, 38, 88), windows)
    far, near = (block_of(shape, "float32", far, NOMINAL.load) for far in (True, False))
    assert far.rows <= FLAT < near.rows


@pytest.mark.parametrize("at", [(0, 0), (3, 39), (29, 17)])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_bad_number_spoils_the_windows_over_it_alone(bad: float, at: tuple[int, int]) -> None:
    x, weight = whole((1, 1, 30, 40), "float32", 0), whole((1, 1, 3, 3), "float32", 1)
    weight[weight == 0] = 1
    x[(0, 0, *at)] = bad
    problem = read_conv(x, weight, padding=1)
    found = poisoned(problem, x, depthwise.METHOD.ready(problem, weight, None))
    expected = torch.nn.functional.conv2d(x.double(), weight.double(), padding=1)
    spoiled = ~expected.isfinite()
    assert torch.equal(~found.isfinite(), spoiled)
    assert 4 <= int(spoiled.sum()) <= 9
    assert torch.equal(found[~spoiled].double(), expected[~spoiled])


@pytest.mark.parametrize(
    ("x", "weight", "options"),
    [
        ((3, 2, 70, 90), (2, 1, 5, 5), {"groups": 2, "padding": 2}),
        ((2, 2, 70, 90), (2, 1, 3, 3), {"groups": 2, "padding": 1, "stride": 2}),
    ],
)
def test_threads_and_batch_change_no_bit(
    x: tuple[int, ...], weight: tuple[int, ...], options: dict[str, Any]
) -> None:
    check_method(depthwise.METHOD, x, weight, **options)


def test_a_block_loads_every_line_once_for_all_its_rows() -> None:
    """A column of m rows and kernels of (t, u) loads m + t - 1 lines; in pairs for stride 2."""
    plain = image_blocks(4, 2, 2, (3, 3), (1, 1), 1)
    assert plain.count("load_lanes(") == (4 + 3 - 1) * 2
    assert plain.count("fma(") == 4 * 3 * 2
    pairs = image_blocks(4, 2, 2, (3, 3), (2, 2), 1)
    assert pairs.count("load_lanes(") == 2 * (3 * 2 + 3) * 4  # a pair of columns, then the third
    assert pairs.count("fma(") == 3 * 4 * 3 * 2


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"stride": (1, 3)}, "strides of up to 4 rows and 2 columns"),
        ({"stride": (5, 1)}, "strides of up to 4 rows and 2 columns"),
        ({"stride": (1, 2), "dilation": (1, 2)}, "no dilation of columns"),
        ({"padding_mode": "reflect", "padding": 1}, 'not "reflect"'),
    ],
)
def test_what_it_refuses(options: dict[str, Any], why: str) -> None:
    problem = read_conv(torch.ones(1, 1, 9, 9), torch.ones(1, 1, 3, 3), **options)
    assert why in str(depthwise.METHOD.refused(problem))


def test_it_wants_a_weight() -> None:
    with pytest.raises(ValueError, match="`weight` is missing"):
        depthwise.METHOD.ready(
            Conv(space=(9,), windows=(Window(3),), dtype="float32"),
            None,
            None,
        )
