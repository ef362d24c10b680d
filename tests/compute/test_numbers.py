"""Any problem of any element type by every method, and unusual numbers."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from convlens.compute import plan
from convlens.compute.problems import DTYPES
from convlens.windows import PADDING_MODES
from tests.cases.methods import (
    LARGER,
    check_near,
    computed_of,
    exact_methods_of,
    is_exact,
    largest_sum,
    methods_of,
    planned_of,
    tensor_of,
    widened,
)
from tests.cases.problems import BY_NAME, Case, avg_pool, conv, conv_transpose, max_pool
from tests.oracles.compute import Numbers, arrays_of, expected_of
from tests.running.broad import broad
from tests.running.drawn_examples import examples

FLOATS = [name for name in DTYPES if "int" not in name]
REALS = [name for name in FLOATS if "complex" not in name]
SUMS = ["conv", "conv", "conv_transpose"]
INTEGERS = [name for name in DTYPES if "int" in name]
WIDE = {"complex64": np.complex128, "complex128": np.complex128}
OF_EVERY_TYPE = ("a dense layer", "a volume decoder", "the mean of many")
"""Larger cases that the ordinary suite computes in every type."""

LARGEST = {name: torch.finfo(DTYPES[name]).max for name in REALS}
LEAST = {"float16": 2.0**-24, "bfloat16": 2.0**-133, "float32": 2.0**-149, "float64": 2.0**-1074}


def axis_of(draw: st.DrawFn, axes: int, transposed: bool) -> tuple[int, ...]:
    """Draw n, size, stride, dilation, low and high so that there is an output."""
    most = {1: 12, 2: 7, 3: 4}[axes]
    n = draw(st.sampled_from([1, 2, 3]) | st.integers(1, most))
    size = draw(st.integers(1, 3) | st.integers(1, most))
    stride, dilation = draw(st.integers(1, 3) | st.integers(1, most + 2)), draw(st.integers(1, 3))
    extent = dilation * (size - 1) + 1
    low, high = draw(st.integers(0, 2) | st.integers(0, most)), draw(st.integers(0, 2))
    if transposed:
        whole = (n - 1) * stride + extent
        low = min(low, whole - 1)
        return n, size, stride, dilation, low, min(high, whole - 1 - low)
    return n, size, stride, dilation, low, max(high, extent - n - low)


@st.composite
def problems(draw: st.DrawFn, operations: list[str]) -> Case:
    """Draw a problem with any options that has a result, even an empty batch or none."""
    operation = draw(st.sampled_from(operations))
    axes = draw(st.integers(1, 3))
    drawn = [axis_of(draw, axes, operation == "conv_transpose") for _ in range(axes)]
    space, size, stride, dilation, low, high = zip(*drawn, strict=True)
    options: dict[str, Any] = {"stride": stride, "dilation": dilation}
    options["padding"] = tuple(zip(low, high, strict=True))
    batch = draw(st.sampled_from([(), (0,), (1,), (1,), (2,), (3,)]))
    if operation in ("max_pool", "avg_pool"):
        options["ceil_mode"] = draw(st.booleans())
        if operation == "avg_pool":
            options["count_include_pad"] = draw(st.booleans())
        shape = (*batch, draw(st.integers(1, 4)), *space)
        return Case("drawn", operation, shape, size=size, options=options)
    groups = options["groups"] = draw(st.sampled_from([1, 1, 2, 3]))
    c, k = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    x = (*batch, c * groups, *space)
    if operation == "conv":
        options["padding_mode"] = draw(st.just("zeros") | st.sampled_from(PADDING_MODES))
        return Case("drawn", operation, x, (k * groups, c, *size), options=options)
    most = [max(s, d) - 1 for s, d in zip(stride, dilation, strict=True)]
    options["output_padding"] = tuple(draw(st.sampled_from([0, 0, least])) for least in most)
    return Case("drawn", operation, x, (c * groups, k, *size), options=options)


def rough_numbers(shape: tuple[int, ...], dtype: str, rng: np.random.Generator) -> torch.Tensor:
    """Return numbers of very different sizes, some of them 0."""
    values = rng.standard_normal(shape) * 2.0 ** rng.integers(-5, 6, shape)
    values = values * (rng.random(shape) > 0.1)
    if "complex" in dtype:
        values = values + 1j * rng.standard_normal(shape)
    return tensor_of(np.asarray(values), dtype)


def integers_of(shape: tuple[int, ...], dtype: str, rng: np.random.Generator) -> torch.Tensor:
    """Return integers over the whole range of a type."""
    info = np.iinfo(dtype)
    return torch.from_numpy(rng.integers(info.min, info.max, shape, dtype, True))


def parts_of(case: Case, dtype: str, seed: int) -> list[torch.Tensor]:
    rng = np.random.default_rng(seed)
    make = integers_of if "int" in dtype else rough_numbers
    return [make(part.shape, dtype, rng) for part in arrays_of(case)[: 3 if case.weight else 1]]


def check_float(case: Case, dtype: str, parts: list[torch.Tensor], arrays: bool) -> None:
    """Raise unless every method stays within the bound against the reference in float64."""
    exact = [np.asarray(widened(part)).astype(WIDE.get(dtype, np.float64)) for part in parts]
    tensors: list[Any] = [*parts, None, None][:3]
    planned = planned_of(case, tensors[0], tensors[1], tensors[2])
    wide: list[Any] = [*exact, None, None][:3]
    sizes: list[Any] = [*(np.abs(part) for part in exact), None, None][:3]
    expected = computed_of(case, wide[0], wide[1], wide[2], "reference")
    total = computed_of(case, sizes[0], sizes[1], sizes[2], "reference")
    terms = int(np.prod(planned.problem.size))
    if case.weight:
        terms = terms * planned.problem.channels // planned.problem.groups + 1
    given: list[Any] = [part.numpy() for part in parts] if arrays else list(parts)
    given = [*given, None, None][:3]
    for method in methods_of(planned):
        found = computed_of(case, given[0], given[1], given[2], method)
        assert str(found.dtype).removeprefix("torch.") == dtype, method
        values = widened(found).astype(WIDE.get(dtype, np.float64))
        exactly = is_exact(method, planned)
        check_near(values, expected, total, terms, dtype, exactly, largest_sum(case, sizes))


@examples(
    problems([*SUMS, "avg_pool"]),
    st.sampled_from(FLOATS),
    st.integers(0, 2**32),
    st.booleans(),
    few=25,
    many=150,
)
def test_sums_of_any_problem_keep_their_bound(
    case: Case, dtype: str, seed: int, arrays: bool
) -> None:
    check_float(case, dtype, parts_of(case, dtype, seed), arrays and dtype != "bfloat16")


@examples(problems(SUMS), st.sampled_from(INTEGERS), st.integers(0, 2**32), few=25, many=150)
def test_integers_of_any_problem_are_exact_modulo_their_width(
    case: Case, dtype: str, seed: int
) -> None:
    parts: list[Any] = [part.numpy() for part in parts_of(case, dtype, seed)]
    parts = [*parts, None, None][:3]
    planned = planned_of(case, parts[0], parts[1], parts[2])
    expected = computed_of(case, parts[0], parts[1], parts[2], "reference")
    for method in methods_of(planned):
        found = computed_of(case, parts[0], parts[1], parts[2], method)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, expected, err_msg=method)


def first_places(case: Case, x: Numbers) -> Numbers:
    """Return where NumPy finds the first largest element of every window, -1 in padding.

    The numbers are made unequal by their places, so that of equal ones the first is largest.
    """
    count = int(np.prod(case.x[-len(case.size) :]))
    flat = x.astype(np.float64).reshape(*x.shape[: x.ndim - len(case.size)], count)
    keys = (flat * count + np.arange(count)[::-1]).reshape(x.shape)
    largest = expected_of(case, keys, np.zeros(0), None)
    inside = np.isfinite(largest)
    places = count - 1 - np.where(inside, largest, 0).astype(np.int64) % count
    return np.asarray(np.where(inside, places, -1))


@examples(
    problems(["max_pool"]),
    st.sampled_from([*REALS, *INTEGERS]),
    st.integers(0, 2**32),
    few=25,
    many=150,
)
def test_the_largest_of_any_problem_and_its_place(case: Case, dtype: str, seed: int) -> None:
    """There are only three values, so that many are the largest: the first place counts."""
    values = np.random.default_rng(seed).integers(0, 3, case.x)
    x = torch.from_numpy(values).to(DTYPES[dtype])
    planned = planned_of(case, x, return_indices=True)
    expected = places = np.zeros(planned.shapes["y"])
    if x.numel():
        expected = expected_of(case, values.astype(np.float64), np.zeros(0), None)
        places = first_places(case, values)
    if "int" in dtype:
        lowest = np.iinfo(dtype).min
        expected = np.where(places < 0, 0, expected).astype(dtype)
        expected = np.where(places < 0, np.array(lowest, dtype), expected)
    for method in methods_of(planned):
        y, at = computed_of(case, x, None, None, method, return_indices=True)
        np.testing.assert_array_equal(widened(y), expected, err_msg=method)
        np.testing.assert_array_equal(at.numpy(), places, err_msg=method)
    for method in methods_of(planned_of(case, x)):
        found = computed_of(case, x, None, None, method)
        np.testing.assert_array_equal(widened(found), expected, err_msg=method)


@examples(problems(["max_pool"]), st.sampled_from(REALS), st.integers(0, 2**32), few=25, many=150)
def test_the_largest_of_any_problem_with_bad_numbers(case: Case, dtype: str, seed: int) -> None:
    """NaN wins anywhere in a window, and infinities are ordinary numbers."""
    some = np.array([0.0, 1, 2, -1, np.inf, -np.inf, np.nan])
    values = np.random.default_rng(seed).choice(some, case.x)
    x = tensor_of(values, dtype)
    expected = np.zeros(planned_of(case, x).shapes["y"])
    if x.numel():
        expected = expected_of(case, values, np.zeros(0), None)
    for method in methods_of(planned_of(case, x)):
        found = widened(computed_of(case, x, None, None, method))
        np.testing.assert_array_equal(found, expected, err_msg=method)
    _, places = computed_of(case, x, None, None, "reference", return_indices=True)
    for method in methods_of(planned_of(case, x, return_indices=True)):
        y, at = computed_of(case, x, None, None, method, return_indices=True)
        np.testing.assert_array_equal(widened(y), expected, err_msg=method)
        assert torch.equal(at, places), method


@pytest.mark.parametrize(
    ("case", "dtype"),
    broad(
        product((c for c in LARGER if c.operation != "max_pool"), FLOATS),
        lambda case, dtype: dtype == "float32" or case.name in OF_EVERY_TYPE,
    ),
    ids=str,
)
def test_larger_problems_keep_their_bound(case: Case, dtype: str) -> None:
    """Test full blocks, against SciPy and NumPy, which are fast enough."""
    parts = parts_of(case, dtype, 31)
    exact: list[Any] = [widened(p).astype(WIDE.get(dtype, np.float64)) for p in parts]
    exact, given = [*exact, None, None][:3], [*parts, None, None][:3]
    sizes = [None if part is None else np.abs(part) for part in exact]
    if "complex" in dtype and case.weight:
        expected = computed_of(case, exact[0], exact[1], exact[2], "torch")
    else:
        expected = expected_of(case, exact[0], exact[1], exact[2])
    total = expected_of(case, np.asarray(sizes[0]), np.asarray(sizes[1]), sizes[2])
    planned = planned_of(case, given[0], given[1], given[2])
    terms = int(np.prod(planned.problem.size))
    if case.weight:
        terms = terms * planned.problem.channels // planned.problem.groups + 1
    for method in methods_of(planned):
        found = computed_of(case, given[0], given[1], given[2], method)
        values = widened(found).astype(WIDE.get(dtype, np.float64))
        check_near(values, expected, total, terms, dtype, is_exact(method, planned))


@pytest.mark.parametrize(
    ("name", "dtype"),
    broad(
        product(
            ["a long filter", "a dense layer", "a depthwise layer", "a decoder", "one by one"],
            INTEGERS,
        ),
        lambda name, dtype: (
            dtype in ("int32", "int64")[: 2 if "layer" in name else 1] or name == "a decoder"
        ),
    ),
)
def test_larger_integer_problems_are_exact(name: str, dtype: str) -> None:
    case = next(c for c in LARGER if c.name == name)
    x, weight, bias = parts_of(case, dtype, 32)
    # NumPy's 64-bit sums are right modulo 2**64, and so modulo any smaller width.
    wide = [widened(part).astype(np.int64) for part in (x, weight, bias)]
    with np.errstate(over="ignore"):
        expected = plain_sum(case, wide).astype(dtype)
    for method in methods_of(planned_of(case, x, weight, bias)):
        found = computed_of(case, x, weight, bias, method)
        np.testing.assert_array_equal(widened(found), expected, err_msg=method)


def plain_sum(case: Case, parts: list[Numbers]) -> Numbers:
    """Convolve in 64-bit integers by one einsum over `sliding_window_view`."""
    x, weight, bias = parts
    groups = case.options.get("groups", 1)
    axes = x.ndim - 2
    if case.operation == "conv_transpose":
        stride = case.options["stride"]
        gaps = np.zeros((*x.shape[:2], *(stride * (n - 1) + 1 for n in x.shape[2:])), x.dtype)
        every: list[Any] = [slice(None, None, stride)] * axes
        gaps[(Ellipsis, *every)] = x
        x, weight = gaps, np.flip(weight.swapaxes(0, 1), tuple(range(2, weight.ndim)))
        pads = [k - 1 for k in weight.shape[2:]]
    else:
        pads = [case.options.get("padding", 0)] * axes
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in pads)])
    view = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], tuple(range(2, x.ndim)))
    view = view.reshape(len(x), groups, -1, *view.shape[2:])
    kernels = weight.reshape(groups, -1, *weight.shape[1:])
    o, t = "uvw"[:axes], "xyz"[:axes]
    y = np.einsum(f"ngc{o}{t},gkc{t}->ngk{o}", view, kernels)
    return np.asarray(y.reshape(len(x), -1, *y.shape[3:]) + bias.reshape(-1, *[1] * axes))


LONG = conv("a very long filter", (1, 1, 2000), (1, 1, 255), padding=100)
TALL = conv("a large kernel", (1, 2, 40, 50), (2, 2, 15, 17), padding="same")
DEEP = conv("a deep layer", (1, 32, 16, 16), (32, 32, 3, 3), padding=1)
TOUCHED = [
    *(BY_NAME[n] for n in ("a layer", "depthwise", "uneven padding", "a volume in groups")),
    *(BY_NAME[n] for n in ("doubling", "transposed, dilated", "reflected", "circular")),
    *(BY_NAME[n] for n in ("the mean, padded", "the mean, dilated", "the mean of a volume")),
    *(c for c in LARGER if c.operation in ("conv", "avg_pool")),
    *(c for c in LARGER if c.operation == "conv_transpose"),
    LONG,
    TALL,
    DEEP,
]


def touching(case: Case, x_shape: tuple[int, ...], places: list[tuple[int, ...]]) -> Numbers:
    """Return which outputs read any of the places, by SciPy with a kernel of ones over a flag."""
    flags = np.zeros(x_shape)
    for place in places:
        flags[place] = 1
    weight = np.ones(case.weight) if case.weight else np.zeros(0)
    return np.asarray(expected_of(case, flags, weight, None) > 2**-20)


def class_of(values: Numbers) -> Numbers:
    """Return 0 for a finite number, 1 and -1 for the infinities, 2 for NaN."""
    infinite = np.where(np.isinf(values), np.sign(values), 0)
    return np.where(np.isnan(values), 2, infinite)


SPOILT_IN_EVERY_WAY = ("depthwise", "doubling", "the mean, padded", "a filterbank")
BAD = {"NaN": [np.nan], "Inf": [np.inf], "-Inf": [-np.inf], "both": [np.inf, -np.inf]}


def spoils_usually(case: Case, name: str, dtype: str) -> bool:
    """Every case meets NaN and both infinities in one type, small ones meet all in every type."""
    return (dtype == "float32" and name in ("NaN", "both")) or case.name in SPOILT_IN_EVERY_WAY


@pytest.mark.parametrize(
    ("case", "name", "dtype"), broad(product(TOUCHED, BAD, REALS), spoils_usually), ids=str
)
def test_a_bad_number_spoils_its_own_windows_alone(case: Case, name: str, dtype: str) -> None:
    """Outputs that read it follow IEEE 754; all others have the same bits as without it."""
    bad = BAD[name]
    x, weight, bias = (tensor_of(part, dtype) for part in arrays_of(case))
    weight = weight.abs() + 1
    last = [n - 1 for n in case.x[2:]]
    places = [(0, 0, *(n // 2 for n in last)), (len(x) - 1, case.x[1] - 1, *last)]
    if len(bad) == 2:
        places[1] = (0, 0, *(n // 2 for n in last[:-1]), last[-1] // 2 + (last[-1] > 0))
    spoilt = x.clone()
    for place, value in zip(places, bad, strict=False):
        spoilt[place] = value
    places = places[: len(bad)]
    touched = touching(case, case.x, places)
    # All weights are positive, so an infinity keeps its sign.
    signs = [touching(case, case.x, [place]) for place in places]
    expected = np.where(signs[0], class_of(np.asarray(bad[0])), 0)
    if len(bad) == 2:
        expected = np.where(signs[1], np.where(signs[0], 2, -1), expected)
    for method in exact_methods_of(planned_of(case, x, weight, bias)):
        found = widened(computed_of(case, spoilt, weight, bias, method))
        clean = widened(computed_of(case, x, weight, bias, method))
        np.testing.assert_array_equal(class_of(found), expected, err_msg=method)
        if method != "auto":
            assert found[~touched].tobytes() == clean[~touched].tobytes(), method
        else:
            np.testing.assert_allclose(found[~touched], clean[~touched], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("bad", [complex(np.inf, 0), complex(0, -np.inf), complex(np.nan, 1)])
@pytest.mark.parametrize("name", ["a layer", "depthwise", "doubling", "the mean, padded"])
def test_a_bad_complex_number_spoils_its_own_windows_alone(
    name: str, bad: complex, dtype: str
) -> None:
    case = BY_NAME[name]
    x, weight, bias = (tensor_of(part + 0j, dtype) for part in arrays_of(case))
    place = (0, 0, *(n // 2 for n in case.x[2:]))
    spoilt = x.clone()
    spoilt[place] = torch.tensor(bad)
    touched = touching(case, case.x, [place])
    for method in exact_methods_of(planned_of(case, x, weight, bias)):
        found = widened(computed_of(case, spoilt, weight, bias, method))
        clean = widened(computed_of(case, x, weight, bias, method))
        assert not np.isfinite(found[touched]).any(), method
        assert found[~touched].tobytes() == clean[~touched].tobytes(), method


SMALL = [BY_NAME[n] for n in ("a layer", "depthwise", "dilated", "doubling", "a volume")]


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("case", [*SMALL, LONG, TALL, BY_NAME["the largest, padded"]], ids=str)
def test_subnormal_numbers_are_kept(case: Case, dtype: str) -> None:
    """Sums of multiples of the least number are again multiples of it, and exact."""
    rng = np.random.default_rng(33)
    units = rng.integers(0, 4, case.x) * (rng.random(case.x) < 8 / np.prod(case.weight[1:] or 1))
    kernel = rng.integers(0, 2, case.weight or (0,)).astype(np.float64)
    zeros = np.zeros_like(arrays_of(case)[2])
    expected = expected_of(case, units.astype(np.float64), kernel, zeros)
    assert 0 < expected.max() < 255
    # The product with the least number is exact in float64, and so is the conversion.
    x = tensor_of(units * LEAST[dtype], dtype)
    parts = [tensor_of(part, dtype) for part in (kernel, zeros)]
    planned = planned_of(case, x, parts[0], parts[1])
    for method in exact_methods_of(planned):
        found = widened(computed_of(case, x, parts[0], parts[1], method)).astype(np.float64)
        if is_exact(method, planned):
            np.testing.assert_array_equal(found / LEAST[dtype], expected, err_msg=method)
        else:  # every step of a transform rounds to a multiple of the least number
            assert np.abs(found / LEAST[dtype] - expected).max() <= 16, method


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("case", [*SMALL, LONG, TALL, DEEP], ids=str)
def test_sums_overflow_where_the_exact_sum_does_and_nowhere_else(case: Case, dtype: str) -> None:
    """Use multiples of an eighth of the least power of two that overflows, all of one sign."""
    eighth = float(np.ldexp(0.5, int(np.frexp(LARGEST[dtype])[1]) - 2))
    rng = np.random.default_rng(34)
    each = int(np.prod(case.weight[1 if case.operation == "conv" else 2 :]))
    counts = (rng.random(case.x) < 8 / each).astype(np.float64)
    kernel, zeros = np.ones(case.weight), np.zeros_like(arrays_of(case)[2])
    expected = expected_of(case, counts, kernel, zeros)
    x = tensor_of(counts * eighth, dtype)
    parts = [tensor_of(part, dtype) for part in (kernel, zeros)]
    assert (expected >= 8).any()
    assert ((expected > 0) & (expected < 8)).any()
    for method in exact_methods_of(planned_of(case, x, parts[0], parts[1])):
        for sign in (1, -1):
            found = widened(computed_of(case, sign * x, parts[0], parts[1], method))
            with np.errstate(over="ignore"):
                units = found.astype(np.float64) / eighth
            np.testing.assert_array_equal(np.isinf(found), expected >= 8, err_msg=method)
            finite = expected < 8
            np.testing.assert_array_equal(units[finite], sign * expected[finite], err_msg=method)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("case", [BY_NAME["a layer"], BY_NAME["doubling"], DEEP], ids=str)
def test_half_types_may_overflow_on_the_way(case: Case, dtype: str) -> None:
    """Sums too large for float16 cancel in float32; in bfloat16 small parts survive."""
    c = case.x[1]
    x = np.ones(case.x)
    x[:, : c // 2] = 256 if dtype == "bfloat16" else 60000
    x[:, c // 2 : c // 2 * 2] *= -x[:, : c // 2]
    weight, bias = np.ones(case.weight), np.ones_like(arrays_of(case)[2])
    expected = expected_of(case, x, weight, bias)
    parts = [tensor_of(part, dtype) for part in (x, weight, bias)]
    for method in exact_methods_of(planned_of(case, parts[0], parts[1], parts[2])):
        found = widened(computed_of(case, parts[0], parts[1], parts[2], method))
        np.testing.assert_array_equal(found, expected, err_msg=method)


def test_every_method_is_drawn_for() -> None:
    """Check that not all random problems are refused: each plain one has two methods at least."""
    w = torch.ones(4, 4, 3, 3)
    assert len(methods_of(plan(((1, 4, 8, 8), "float32"), w))) >= 3


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_check_notices_an_error_of_the_size_of_the_last_place(dtype: str) -> None:
    """A transform may err by 16 times the largest sum, but not by one part in two thousand.

    Float16 and bfloat16 are coarser, so for them the error is four units.
    """
    case = BY_NAME["a layer"]
    parts: list[Any] = parts_of(case, dtype, 35)
    exact = [widened(part).astype(WIDE.get(dtype, np.float64)) for part in parts]
    expected = computed_of(case, exact[0], exact[1], exact[2], "reference")
    sizes = [np.abs(part) for part in exact]
    total = computed_of(case, sizes[0], sizes[1], sizes[2], "reference")
    step = {"float16": 2.0**-8, "bfloat16": 2.0**-5}.get(dtype, 2.0**-11)
    for exactly in (True, False):
        check_near(expected, expected, total, 37, dtype, exactly)
        with pytest.raises(AssertionError, match="expected"):
            check_near(expected * (1 + step), expected, total, 37, dtype, exactly)


def test_a_spoilt_neighbour_would_be_noticed() -> None:
    """torch itself gives NaN next to an infinity in bfloat16; another NaN is noticed."""
    case = BY_NAME["a layer"]
    flags = touching(case, case.x, [(0, 0, 3, 2)])
    assert 0 < flags.sum() < flags.size
    assert flags[0, 0].sum() == 9
    assert not flags[1].any()
    assert class_of(np.array([1.0, np.inf, -np.inf, np.nan])).tolist() == [0, 1, -1, 2]


POOLED = [max_pool("m", (1, 1, 9), 3, padding=((1, 1),)), avg_pool("a", (1, 1, 9), 3)]
RAGGED = conv_transpose("t", (1, 1, 5), (1, 1, 2), stride=5)


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("case", [*POOLED, RAGGED], ids=["max_pool", "avg_pool", "transposed"])
def test_negative_zero_and_the_largest_number_pass(case: Case, dtype: str) -> None:
    """The sum for a mean of the largest number overflows in float64, so averages use -0.0."""
    value = LARGEST[dtype] if case.operation != "avg_pool" else -0.0
    x = torch.full(case.x, value, dtype=DTYPES[dtype])
    weight = torch.ones(case.weight or (0,), dtype=DTYPES[dtype])
    for method in exact_methods_of(planned_of(case, x, weight if case.weight else None)):
        found = computed_of(case, x, weight, None, method)
        assert set(widened(found).ravel().tolist()) <= {LARGEST[dtype], 0.0}, method
