"""Filters tap by tap: windows at every position, and what is left out."""

from typing import Any

import pytest
import torch
from hypothesis import assume
from hypothesis import strategies as st

from convlens.compute.methods import reference, taps
from convlens.compute.problems import Conv
from convlens.compute.reading.options import read_conv
from convlens.windows import Window
from tests.running.drawn_examples import examples
from tests.running.poisoned_memory import poisoned, whole


@st.composite
def filters(draw: Any) -> dict[str, Any]:
    axes, small, ends = draw(st.integers(1, 3)), st.integers(1, 4), st.integers(0, 5)
    groups, outs = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    return {
        "x": (draw(st.integers(0, 2)), groups, *(draw(st.integers(1, 9)) for _ in range(axes))),
        "weight": (outs * groups, 1, *(draw(small) for _ in range(axes))),
        "stride": [draw(small) for _ in range(axes)],
        "dilation": [draw(small) for _ in range(axes)],
        "padding": [(draw(ends), draw(ends)) for _ in range(axes)],
        "groups": groups,
    }


@examples(filters(), st.sampled_from(["float64", "int64"]), st.integers(0, 99), few=25, many=200)
def test_any_filter_is_the_reference(options: dict[str, Any], dtype: str, seed: int) -> None:
    shapes = options.pop("x"), options.pop("weight")
    x, weight = (whole(shape, dtype, seed + i) for i, shape in enumerate(shapes))
    bias = whole(weight.shape[:1], dtype, seed + 2)
    try:
        problem = read_conv(x, weight, bias, **options)
    except ValueError:
        assume(False)
    found = poisoned(problem, x, taps.METHOD.ready(problem, weight, bias))
    assert torch.equal(found, reference.run(problem, x, weight, bias)[0])


def test_what_it_refuses() -> None:
    window = (Window(3),)
    assert (
        taps.METHOD.refused(
            Conv(channels=2, space=(9,), channels_out=4, windows=window, dtype="float32", groups=2)
        )
        is None
    )
    assert "channels" in str(
        taps.METHOD.refused(
            Conv(channels=2, space=(9,), channels_out=2, windows=window, dtype="float32")
        )
    )
    padded = Conv(space=(9,), windows=window, dtype="float32", padding_mode="reflect")
    assert "reflect" in str(taps.METHOD.refused(padded))
    assert "float16" in str(taps.METHOD.refused(Conv(space=(9,), windows=window, dtype="float16")))
    with pytest.raises(ValueError, match="`weight` is missing"):
        taps.METHOD.ready(
            Conv(space=(9,), windows=window, dtype="float32"),
            None,
            None,
        )
