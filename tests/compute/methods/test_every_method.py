"""Every method against the reference: bounds, random problems, layouts, gradients."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume
from hypothesis import strategies as st

from convlens.compute import conv, conv_transpose, max_pool, plan
from convlens.compute.planning import plan_pool
from convlens.compute.problems import DTYPES
from tests.cases.problems import BY_NAME, CASES, Case
from tests.oracles.compute import (
    ORACLES,
    Numbers,
    arrays_of,
    check_sum,
    computed_of,
    expected_of,
    methods_of,
)
from tests.running.broad import broad
from tests.running.drawn_examples import examples

FLOATS = ["float16", "bfloat16", "float32", "float64", "complex64", "complex128"]
OF_EVERY_TYPE = (
    *("a signal without batch", "depthwise", "reflected", "a layer", "doubling"),
    *("transposed, dilated", "the mean, padded", "the mean of a volume"),
)
"""Cases that the ordinary suite computes in every type."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_quick_method_equals_the_reference_on_whole_numbers(case: Case) -> None:
    x, weight, bias = arrays_of(case)
    options: dict[str, Any] = {"measure": False, **case.options}
    planned = (
        plan_pool(case.operation, x, case.size, **options)
        if not case.weight
        else plan(x, weight, bias, transposed=case.operation == "conv_transpose", **options)
    )
    if "torch" in planned.refused:
        assert "more than once" in case.name
        return
    expected = computed_of(case, x, weight, bias, "reference")
    for dtype in ("float32", "float64"):
        parts = [part.astype(dtype) for part in (x, weight, bias)]
        found = computed_of(case, parts[0], parts[1], parts[2], "torch")
        assert found.dtype == dtype
        if case.operation == "avg_pool":
            np.testing.assert_allclose(found, expected, rtol=4 * float(np.finfo(dtype).eps))
        else:
            np.testing.assert_array_equal(found, expected)


def random_numbers(
    shape: tuple[int, ...], dtype: str, rng: np.random.Generator
) -> tuple[torch.Tensor, Numbers]:
    """Return random numbers of a type, and the same exactly in float64 or complex128."""
    if "complex" in dtype:
        values = torch.from_numpy(rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
        tensor = values.to(DTYPES[dtype])
        return tensor, tensor.to(torch.complex128).numpy()
    spread = rng.standard_normal(shape) * 2.0 ** rng.integers(-6, 7, shape)
    tensor = torch.from_numpy(spread).to(DTYPES[dtype])
    return tensor, tensor.double().numpy()


def check_case(case: Case, dtype: str, method: str, seed: int = 0) -> None:
    """Raise unless a method stays within the bound of `check_sum` on random numbers of a type."""
    rng = np.random.default_rng(seed)
    shapes = [part.shape for part in arrays_of(case)]
    given, exact = zip(*(random_numbers(shape, dtype, rng) for shape in shapes), strict=True)
    found = computed_of(case, given[0], given[1], given[2], method)
    assert str(found.dtype) == f"torch.{dtype}"
    values = found.to(torch.complex128 if "complex" in dtype else torch.float64).numpy()
    expected = computed_of(case, exact[0], exact[1], exact[2], "reference")
    sizes = [np.abs(part) for part in exact]
    total = computed_of(case, sizes[0], sizes[1], sizes[2], "reference")
    if case.weight:
        terms = int(np.prod(case.weight[1:])) + 1
    else:
        terms = int(
            np.prod(plan_pool(case.operation, exact[0], case.size, **case.options).problem.size)
        )
    check_sum(values, expected, total, terms, dtype)


@pytest.mark.parametrize(
    ("case", "dtype"),
    broad(
        itertools.product((c for c in CASES if c.operation != "max_pool"), FLOATS),
        lambda case, dtype: dtype == "float32" or case.name in OF_EVERY_TYPE,
    ),
    ids=str,
)
def test_sums_keep_their_bound(case: Case, dtype: str) -> None:
    methods = methods_of(case, dtype)
    assert "reference" in methods
    for method in methods:
        check_case(case, dtype, method)


def test_the_bound_is_narrow_enough_to_catch_half_precision_sums() -> None:
    """Some builds of torch sum transposed convolutions in float16, which must not pass."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 64, 6, 6, generator=generator).half()
    weight = torch.randn(64, 8, 3, 3, generator=generator).half()
    parts = x.double().numpy(), weight.double().numpy()
    expected = conv_transpose(*parts, method="reference")
    total = conv_transpose(*(np.abs(part) for part in parts), method="reference")
    terms = 64 * 9
    check_sum(conv_transpose(x, weight).double().numpy(), expected, total, terms, "float16")
    y = torch.zeros(1, 8, 8, 8).half()
    for c, a, b in itertools.product(range(64), range(3), range(3)):
        y[0, :, a : a + 6, b : b + 6] += weight[c, :, a, b, None, None] * x[0, c]
    with pytest.raises(AssertionError, match="expected"):
        check_sum(y.double().numpy(), expected, total, terms, "float16")


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_bound_catches_a_weight_one_part_in_a_thousand_off(dtype: str) -> None:
    x, exact_x = random_numbers((1, 2, 8), dtype, np.random.default_rng(1))
    weight, exact_weight = random_numbers((1, 2, 3), dtype, np.random.default_rng(2))
    expected = conv(exact_x, exact_weight)
    total = conv(np.abs(exact_x), np.abs(exact_weight))
    wide = torch.complex128 if "complex" in dtype else torch.float64
    check_sum(conv(x, weight).to(wide).numpy(), expected, total, 6, dtype)
    step = 1.001 if dtype not in ("float16", "bfloat16") else 1.02
    wrong = conv(x, weight * step).to(wide).numpy()
    with pytest.raises(AssertionError, match="expected"):
        check_sum(wrong, expected, total, 6, dtype)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("name", ["a layer", "doubling", "dilated", "circular", "the mean, uneven"])
def test_infinity_and_not_a_number_stay_in_their_windows(name: str, bad: float, dtype: str) -> None:
    case = BY_NAME[name]
    x, weight, bias = (torch.from_numpy(part).to(DTYPES[dtype]) for part in arrays_of(case))
    x[(0, 0, *(n // 2 for n in case.x[2:]))] = bad
    weight = weight.abs() + 1
    found = computed_of(case, x, weight, bias, "torch").double().numpy()
    expected = computed_of(case, x, weight, bias, "reference").double().numpy()
    finite = np.isfinite(expected)
    assert 0 < np.sum(~finite) < expected.size
    np.testing.assert_array_equal(found[~finite], expected[~finite])
    np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-2)


@st.composite
def problems(draw: st.DrawFn) -> Case:
    """Draw a problem with any options, small enough for the reference."""
    axes = draw(st.integers(1, 3))
    most = {1: 9, 2: 6, 3: 4}[axes]
    space = draw(st.tuples(*[st.integers(1, most)] * axes))
    size = draw(st.tuples(*[st.integers(1, 3)] * axes))
    n, operation = (
        draw(st.integers(1, 2)),
        draw(st.sampled_from([*ORACLES, "max_pool", "avg_pool"])),
    )
    ends = st.integers(0, 3)
    options: dict[str, Any] = {
        "stride": draw(st.tuples(*[st.integers(1, 3)] * axes)),
        "dilation": draw(st.tuples(*[st.integers(1, 2)] * axes)),
        "padding": draw(st.tuples(*[st.tuples(ends, ends) | ends] * axes)),
    }
    if operation in ORACLES:
        groups, c, k = draw(st.tuples(*[st.integers(1, 2)] * 3))
        options["groups"] = groups
        channels, weight = c * groups, (k * groups, c, *size)
        if operation == "conv":
            options["padding_mode"] = draw(
                st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"])
            )
            options["padding"] = draw(
                st.just(options["padding"]) | st.sampled_from(["valid", "full"])
            )
        else:
            weight = (c * groups, k, *size)
            options["output_padding"] = draw(
                st.sampled_from([0, 0, tuple(s - 1 for s in options["stride"])])
            )
        return Case("drawn", operation, (n, channels, *space), weight, options=options)
    options["ceil_mode"] = draw(st.booleans())
    if operation == "avg_pool":
        options["count_include_pad"] = draw(st.booleans())
    return Case(
        "drawn", operation, (n, draw(st.integers(1, 3)), *space), size=size, options=options
    )


@examples(problems(), few=25, many=150)
def test_any_drawn_problem_has_three_equal_answers(case: Case) -> None:
    x, weight, bias = arrays_of(case)
    try:
        found = computed_of(case, x, weight, bias, "reference")
    except ValueError as error:
        assume("`size`" not in str(error) and "`padding`" not in str(error))
        raise
    expected = expected_of(case, x, weight, bias)
    quick = computed_of(case, x, weight, bias)
    np.testing.assert_allclose(found, expected, rtol=2**-50)
    np.testing.assert_allclose(quick, expected, rtol=2**-50)


@examples(problems(), st.sampled_from(FLOATS), st.integers(0, 2**32), few=25, many=100)
def test_any_drawn_problem_keeps_its_bound(case: Case, dtype: str, seed: int) -> None:
    assume(case.operation != "max_pool")
    try:
        check_case(case, dtype, "auto", seed)
    except ValueError as error:
        assume("`size`" not in str(error) and "`padding`" not in str(error))
        raise


LAYOUTS: dict[str, Callable[[Numbers], Numbers]] = {
    "as it is": lambda x: x,
    "Fortran": np.asfortranarray,
    "reversed": lambda x: np.flip(np.flip(x).copy()),
    "every second": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "channels last": lambda x: np.moveaxis(np.moveaxis(x, 0, -1).copy(), -1, 0),
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "not aligned": lambda x: np.frombuffer(b"." + x.tobytes(), x.dtype, x.size, 1).reshape(x.shape),
    "a field of records": lambda x: np.rec.fromarrays([np.zeros(x.shape, "i1"), x]).f1,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["a layer", "doubling", "the mean, padded", "the largest, padded"])
def test_layout_changes_nothing(name: str, layout: str) -> None:
    case = BY_NAME[name]
    parts = [part.astype(np.float32) for part in arrays_of(case)]
    expected = computed_of(case, parts[0], parts[1], parts[2])
    x, weight = (LAYOUTS[layout](part) for part in parts[:2])
    x.flags.writeable = weight.flags.writeable = False
    before = x.tobytes(), weight.tobytes()
    found = computed_of(case, x, weight, parts[2])
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == x.dtype
    assert (x.tobytes(), weight.tobytes()) == before


@pytest.mark.parametrize("name", ["a layer", "doubling", "the mean, uneven", "the largest, padded"])
def test_layout_changes_nothing_for_tensors(name: str) -> None:
    case = BY_NAME[name]
    x, weight, bias = (torch.from_numpy(part) for part in arrays_of(case))
    layouts = [
        x.to(memory_format=torch.channels_last),
        x.repeat_interleave(2, 0)[::2],
        x.mT.contiguous().mT,
        torch.complex(x, x).imag,
        torch.complex(x, -x).conj().imag,
    ]
    for laid_out in layouts:
        for method in methods_of(case, exact=False):
            expected = computed_of(case, x, weight, bias, method)
            assert torch.equal(computed_of(case, laid_out, weight, bias, method), expected)


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if not ("more than once" in c.name or "mostly padding" in c.name)],
    ids=str,
)
def test_gradients_are_those_of_finite_differences(case: Case) -> None:
    generator = torch.Generator().manual_seed(3)
    parts = [
        torch.randn(part.shape, dtype=torch.float64, generator=generator, requires_grad=True)
        for part in (arrays_of(case) if case.weight else arrays_of(case)[:1])
    ]

    def compute(x: Any, weight: Any = None, bias: Any = None) -> Any:
        return computed_of(case, x, weight, bias)

    assert torch.autograd.gradcheck(compute, parts, fast_mode=True)


def test_a_window_of_padding_alone_passes_no_gradient() -> None:
    x = torch.arange(4.0)[None, None].requires_grad_()
    y = max_pool(x, 2, padding=((5, 3),))
    assert torch.isneginf(y).tolist() == [[[True, True, False, False, False, True]]]
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert gradient.tolist() == [[[1.0, 0.0, 1.0, 1.0]]]
