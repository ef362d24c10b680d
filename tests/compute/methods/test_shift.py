"""Convolution as shifted matrix products: every layout of a band, every block of registers."""

from typing import Any

import pytest
import torch
from hypothesis import assume
from hypothesis import strategies as st

from convlens.compute.methods import reference
from convlens.compute.methods.shift import layout as shift_layout
from convlens.compute.methods.shift import method as shift
from convlens.compute.reading.options import read_conv
from tests.running.drawn_examples import examples
from tests.running.poisoned_memory import poisoned, whole

LANES = [1, 3, 15, 16, 17, 31, 33, 60]


@st.composite
def layers(draw: Any) -> dict[str, Any]:
    axes = draw(st.integers(1, 3))
    small = st.integers(1, 3)
    each, out_each, groups = draw(st.tuples(st.integers(1, 9), st.integers(1, 18), small))
    space = [draw(st.integers(1, 7)) for _ in range(axes - 1)] + [draw(st.sampled_from(LANES))]
    ends = st.tuples(st.integers(0, 4), st.integers(0, 4))
    return {
        "x": (draw(st.integers(1, 2)), each * groups, *space),
        "weight": (out_each * groups, each, *(draw(st.integers(1, 4)) for _ in range(axes))),
        "stride": [draw(small) for _ in range(axes)],
        "dilation": [draw(small) for _ in range(axes)],
        "padding": [draw(ends) for _ in range(axes)],
        "padding_mode": draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
        "groups": groups,
    }


@examples(layers(), st.integers(0, 99), few=20, many=120)
def test_any_layer_is_the_reference(layer: dict[str, Any], seed: int) -> None:
    dtype = "float64"
    x, weight = whole(layer.pop("x"), dtype, seed), whole(layer.pop("weight"), dtype, seed + 1)
    bias = whole((len(weight),), dtype, seed + 2)
    try:
        problem = read_conv(x, weight, bias, **layer)
    except ValueError as error:
        assume("`weight` has a kernel" not in str(error))
        raise
    expected, _ = reference.run(problem, x, weight, bias)
    found = poisoned(problem, x, shift.METHOD.ready(problem, weight, bias))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("channels", [600, 1500])
def test_more_channels_than_fit_the_cache_resume_the_same_sums(channels: int, size: int) -> None:
    x, weight = (
        whole((1, channels, 9, 40), "float64", 1),
        whole((9, channels, size, size), "float64", 2),
    )
    problem = read_conv(x, weight)
    expected, _ = reference.run(problem, x, weight, None)
    assert torch.equal(poisoned(problem, x, shift.METHOD.ready(problem, weight, None)), expected)


def test_threads_batch_and_bands_change_no_bit() -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(3, 7, 40, 50, generator=generator)
    weight = torch.randn(19, 7, 3, 3, generator=generator)
    before = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            problem = read_conv(x, weight, padding=1)
            found.append(poisoned(problem, x, shift.METHOD.ready(problem, weight, None)))
            one = read_conv(x[:1], weight, padding=1)
            single = poisoned(one, x[:1], shift.METHOD.ready(one, weight, None))
            assert torch.equal(single, found[0][:1])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_a_wrong_table_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that reading one tap from the next position fails the comparison."""
    right = shift_layout.offsets

    def wrong(*arguments: Any) -> Any:
        offsets = right(*arguments)
        offsets[-1] += 1
        return offsets

    monkeypatch.setattr(shift_layout, "offsets", wrong)
    x, weight = whole((1, 2, 6, 20), "float64", 1), whole((3, 2, 3, 3), "float64", 2)
    problem = read_conv(x, weight)
    expected, _ = reference.run(problem, x, weight, None)
    found = poisoned(problem, x, shift.METHOD.ready(problem, weight, None))
    assert not torch.equal(found, expected)
