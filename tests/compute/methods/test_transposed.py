"""Transposed convolution by phases: every stride and band, exactly; no access out of bounds."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume
from hypothesis import strategies as st

from convlens.compute.kernels.machine import Machine, machine
from convlens.compute.methods import reference
from convlens.compute.methods.transposed import method as transposed
from convlens.compute.methods.transposed.layout import steps_of
from convlens.compute.problems import ConvTranspose, Problem
from convlens.compute.reading.options import read_conv_transpose
from convlens.windows import TransposedWindow
from tests.cases.methods import LARGER
from tests.cases.problems import CASES, Case
from tests.oracles.compute import arrays_of, check_sum
from tests.running.drawn_examples import examples
from tests.running.poisoned_memory import poisoned, whole

TRANSPOSED = [case for case in [*CASES, *LARGER] if case.operation == "conv_transpose"]
LANES = [1, 3, 15, 16, 17, 31, 33, 100]


def problem_of(case: Case, dtype: str, seed: int | None = None) -> tuple[Problem, Any]:
    """Return a problem and its x (n, c, *space), weight and bias: whole numbers, or random ones."""
    parts = arrays_of(case)
    if seed is not None:
        rng = np.random.default_rng(seed)
        parts = tuple(rng.standard_normal(p.shape) for p in parts)  # type: ignore[assignment]
    x, weight, bias = (torch.from_numpy(part).to(getattr(torch, dtype)) for part in parts)
    problem = read_conv_transpose(x, weight, bias, **case.options)
    return problem, (x.reshape(problem.batch, problem.channels, *problem.space), weight, bias)


WHOLE = [(case, "float32") for case in TRANSPOSED]
# Every type has its own kernels, which take seconds to compile, so each integer gets one case.
WHOLE += [(c, t) for c in TRANSPOSED if c.weight[1] == 2 for t in ("int32", "int64")]


@pytest.mark.parametrize(("case", "dtype"), WHOLE, ids=str)
def test_whole_numbers_are_exact(case: Case, dtype: str) -> None:
    problem, (x, weight, bias) = problem_of(case, dtype)
    assert transposed.METHOD.refused(problem) is None
    expected, _ = reference.run(problem, x, weight, bias)
    found = poisoned(problem, x, transposed.METHOD.ready(problem, weight, bias))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("case", TRANSPOSED, ids=str)
def test_sums_keep_their_bound(case: Case) -> None:
    problem, parts = problem_of(case, "float32", seed=4)
    found = poisoned(problem, parts[0], transposed.METHOD.ready(problem, parts[1], parts[2]))
    wide, sizes = [p.double() for p in parts], [p.double().abs() for p in parts]
    exact, _ = reference.run(problem_of(case, "float64")[0], *wide)
    total, _ = reference.run(problem_of(case, "float64")[0], *sizes)
    terms = int(np.prod(case.weight)) // case.weight[1] + 1
    check_sum(found.numpy(), exact.numpy(), total.numpy(), terms, "float32")


@st.composite
def layers(draw: Any) -> dict[str, Any]:
    axes = draw(st.integers(1, 3))
    each, out_each = draw(st.integers(1, 7)), draw(st.sampled_from([1, 7, 8, 17]))
    groups = draw(st.integers(1, 3))
    space = [draw(st.integers(1, 6)) for _ in range(axes - 1)] + [draw(st.sampled_from(LANES))]
    steps = st.integers(1, 5)
    stride, dilation = [draw(steps) for _ in range(axes)], [draw(steps) for _ in range(axes)]
    largest = [max(s, d) - 1 for s, d in zip(stride, dilation, strict=True)]
    ends = st.tuples(st.integers(0, 4), st.integers(0, 4))
    return {
        "x": (draw(st.integers(0, 2)), each * groups, *space),
        "weight": (each * groups, out_each, *(draw(st.integers(1, 5)) for _ in range(axes))),
        "stride": stride,
        "dilation": dilation,
        "padding": [draw(ends) for _ in range(axes)],
        "output_padding": [draw(st.integers(0, most)) for most in largest],
        "groups": groups,
    }


@examples(layers(), st.integers(0, 99), few=25, many=150)
def test_any_layer_is_the_reference(layer: dict[str, Any], seed: int) -> None:
    x = whole(layer.pop("x"), "float64", seed)
    weight = whole(layer.pop("weight"), "float64", seed + 1)
    bias = whole((weight.shape[1] * layer["groups"],), "float64", seed + 2)
    try:
        problem = read_conv_transpose(x, weight, bias, **layer)
    except ValueError as error:
        assume("`padding`" not in str(error))
        raise
    expected, _ = reference.run(problem, x, weight, bias)
    found = poisoned(problem, x, transposed.METHOD.ready(problem, weight, bias))
    assert torch.equal(found, expected)


def test_taps_that_meet_no_input_cost_nothing() -> None:
    x, weight = whole((1, 2, 5), "float64", 1), whole((2, 2, 2), "float64", 2)
    options: dict[str, Any] = {"dilation": 2**40, "padding": ((2, 2**40),)}
    problem = read_conv_transpose(x, weight, **options)
    expected, _ = reference.run(problem, x, weight, None)
    found = poisoned(problem, x, transposed.METHOD.ready(problem, weight, None))
    assert torch.equal(found, expected)
    assert problem.outputs == (3,)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("shape", [(2, 9, 5, 6, 7), (2, 9, 33, 40), (2, 9, 700)], ids=str)
def test_threads_batch_and_bands_change_no_bit(shape: tuple[int, ...], count: int) -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(shape, generator=generator)
    weight = torch.randn(9, 24, *[4] * (len(shape) - 2), generator=generator)
    before = torch.get_num_threads()
    problem = read_conv_transpose(x, weight, stride=2, padding=1)
    one = read_conv_transpose(x[1:], weight, stride=2, padding=1)
    try:
        torch.set_num_threads(1)
        alone = poisoned(problem, x, transposed.METHOD.ready(problem, weight, None))
        torch.set_num_threads(count)
        together = poisoned(problem, x, transposed.METHOD.ready(problem, weight, None))
        single = poisoned(one, x[1:], transposed.METHOD.ready(one, weight, None))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(alone, together)
    assert torch.equal(alone[1:], single)


@pytest.mark.parametrize("level2", [2**13, 2**16])
def test_bands_of_any_size_give_the_same(level2: int, monkeypatch: pytest.MonkeyPatch) -> None:
    here = machine()
    small = Machine(here.name, here.vector, here.registers, here.fused, here.level1, level2)
    x, weight = whole((1, 30, 9, 200), "float64", 1), whole((30, 17, 3, 4), "float64", 2)
    problem = read_conv_transpose(x, weight, stride=(2, 3))
    expected, _ = reference.run(problem, x, weight, None)
    monkeypatch.setattr(transposed, "machine", lambda: small)
    found = poisoned(problem, x, transposed.METHOD.ready(problem, weight, None))
    assert torch.equal(found, expected)


def test_what_it_refuses() -> None:
    window = (TransposedWindow(2),)
    for field, value in (("dtype", "float16"), ("device", "cuda:0"), ("gradient", True)):
        options: dict[str, Any] = {"dtype": "float32", field: value}
        problem = ConvTranspose(space=(4,), windows=window, **options)
        assert transposed.METHOD.refused(problem) is not None


def test_a_wrong_shift_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that reading one tap from the next position fails the comparison."""
    right = steps_of

    def wrong(*arguments: Any) -> Any:
        phases, offsets, weights = right(*arguments)
        offsets[-1] += 1
        return phases, offsets, weights

    monkeypatch.setattr(transposed, "steps_of", wrong)
    problem, (x, weight, bias) = problem_of(TRANSPOSED[1], "float64")
    expected, _ = reference.run(problem, x, weight, bias)
    found = poisoned(problem, x, transposed.METHOD.ready(problem, weight, bias))
    assert not torch.equal(found, expected)
