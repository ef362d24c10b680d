"""Convolution with channels in the lanes: bands at every position, in place and packed."""

from typing import Any

import pytest
import torch
from hypothesis import assume
from hypothesis import strategies as st

from convlens.compute.methods import lanes, reference
from convlens.compute.problems import Conv, MaxPool
from convlens.compute.reading.options import read_conv
from convlens.windows import Window
from tests.running.drawn_examples import examples
from tests.running.poisoned_memory import poisoned, whole
from tests.running.same_bits import check_method


@st.composite
def layers(draw: Any) -> dict[str, Any]:
    axes, small = draw(st.integers(1, 3)), st.integers(1, 3)
    each, groups = draw(st.integers(1, 5)), draw(st.integers(1, 2))
    outs = draw(st.sampled_from([12, 16, 33]))
    space = [draw(st.integers(1, 7)) for _ in range(axes - 1)] + [draw(st.integers(1, 40))]
    ends = st.tuples(st.integers(0, 4), st.integers(0, 4))
    return {
        "x": (draw(st.integers(0, 2)), each * groups, *space),
        "weight": (outs * groups, each, *(draw(st.integers(1, 4)) for _ in range(axes))),
        "stride": [draw(small) for _ in range(axes)],
        "dilation": [draw(small) for _ in range(axes)],
        "padding": [draw(ends) for _ in range(axes)],
        "padding_mode": draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
        "groups": groups,
    }


def check(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, **options: Any) -> None:
    problem = read_conv(x, weight, bias, **options)
    found = poisoned(problem, x, lanes.METHOD.ready(problem, weight, bias))
    assert torch.equal(found, reference.run(problem, x, weight, bias)[0])


@examples(layers(), st.integers(0, 99), few=15, many=60)
def test_any_layer_is_the_reference(layer: dict[str, Any], seed: int) -> None:
    x, weight = whole(layer.pop("x"), "float64", seed), whole(layer.pop("weight"), "float64", 7)
    bias = whole(weight.shape[:1], "float64", seed + 2)
    try:
        read_conv(x, weight, bias, **layer)
    except ValueError:
        assume(False)
    check(x, weight, bias, **layer)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
@pytest.mark.parametrize(
    ("x", "weight", "options"),
    [
        ((1, 1, 3000), (64, 1, 40), {"stride": 16}),
        ((2, 40, 7, 7), (100, 40, 1, 1), {}),
        ((1, 6, 30, 31), (24, 3, 5, 5), {"groups": 2, "stride": 2, "padding": 2}),
        ((1, 2, 5, 9, 20), (40, 2, 3, 3, 3), {"padding": 1, "stride": (1, 2, 2)}),
    ],
)
def test_larger_layers_are_the_reference(
    x: tuple[int, ...], weight: tuple[int, ...], options: dict[str, Any], dtype: str
) -> None:
    check(whole(x, dtype, 0), whole(weight, dtype, 1), whole(weight[:1], dtype, 2), **options)


def test_threads_and_batch_change_no_bit() -> None:
    check_method(lanes.METHOD, (3, 7, 20, 23), (50, 7, 3, 3), padding=1, stride=2)


def test_a_wrong_table_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = lanes._offsets
    monkeypatch.setattr(lanes, "_offsets", lambda *a: right(*a)[::-1].copy())
    x, weight = whole((1, 2, 6, 20), "float64", 1), whole((16, 2, 3, 3), "float64", 2)
    problem = read_conv(x, weight)
    found = poisoned(problem, x, lanes.METHOD.ready(problem, weight, None))
    assert not torch.equal(found, reference.run(problem, x, weight, None)[0])


def test_what_it_refuses() -> None:
    window = (Window(3),)
    assert (
        lanes.METHOD.refused(
            Conv(channels=2, space=(9,), channels_out=12, windows=window, dtype="float32")
        )
        is None
    )
    few = Conv(channels=2, space=(9,), channels_out=22, windows=window, dtype="float32", groups=2)
    assert "12 output channels" in str(lanes.METHOD.refused(few))
    assert "not max_pool" in str(
        lanes.METHOD.refused(MaxPool(channels=2, space=(9,), windows=window, dtype="float32"))
    )
    with pytest.raises(ValueError, match="`weight` is missing"):
        lanes.METHOD.ready(
            Conv(channels=2, space=(9,), channels_out=12, windows=window, dtype="float32"),
            None,
            None,
        )
