"""The reference against the independent results of SciPy, NumPy and torch."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from convlens.compute import avg_pool, max_pool
from convlens.compute.methods import METHODS
from convlens.compute.planning import plan_pool
from convlens.compute.problems import DTYPES
from tests.cases.problems import BY_NAME, CASES, Case
from tests.oracles.compute import (
    Numbers,
    arrays_of,
    computed_of,
    expected_of,
    indices_agree,
    methods_of,
    oracle_pool,
    whole_numbers,
)

INTEGERS = [name for name in DTYPES if "int" in name]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_reference_equals_scipy_and_numpy(case: Case) -> None:
    x, weight, bias = arrays_of(case)
    found = computed_of(case, x, weight, bias, "reference")
    expected = expected_of(case, x, weight, bias)
    if case.operation == "avg_pool":
        np.testing.assert_allclose(found, expected, rtol=2**-52, atol=0)
    else:
        np.testing.assert_array_equal(found, expected)


def torch_answer(case: Case, x: Numbers, weight: Numbers, bias: Numbers) -> Numbers:
    """Return torch's result in float64 for a case whose padding torch accepts directly."""
    name = f"{case.operation}{len(case.x) - 2}d"
    parts = [torch.from_numpy(x)]
    parts += [torch.from_numpy(weight), torch.from_numpy(bias)] if case.weight else []
    more = {} if case.weight else {"kernel_size": case.size}
    return np.asarray(getattr(F, name)(*parts, **more, **case.options).numpy())


def is_plain(case: Case) -> bool:
    """Return whether torch accepts the operation directly: even zero padding, batch, no extras."""
    padding = case.options.get("padding", 0)
    uneven = padding == "full" or (isinstance(padding, tuple) and isinstance(padding[0], tuple))
    even_kernel = padding == "same" and any(size % 2 == 0 for size in case.weight[2:])
    batched = (case.size is None and len(case.x) == len(case.weight)) or isinstance(case.size, int)
    dilated_mean = case.operation == "avg_pool" and "dilation" in case.options
    odd = uneven or even_kernel or dilated_mean or "padding_mode" in case.options
    return batched and not odd


@pytest.mark.parametrize("case", [case for case in CASES if is_plain(case)], ids=str)
def test_the_reference_equals_torch_in_float64(case: Case) -> None:
    x, weight, bias = arrays_of(case)
    found = computed_of(case, x, weight, bias, "reference")
    expected = torch_answer(case, x, weight, bias)
    if case.operation == "avg_pool":
        np.testing.assert_allclose(found, expected, rtol=2**-52, atol=0)
    else:
        np.testing.assert_array_equal(found, expected)


def test_enough_cases_are_plain_for_torch_to_judge() -> None:
    plain = [case for case in CASES if is_plain(case)]
    assert {case.operation for case in plain} == {"conv", "conv_transpose", "max_pool", "avg_pool"}
    assert len(plain) >= 25


def flipped(case: Case, x: Numbers, weight: Numbers, bias: Numbers) -> Any:
    return computed_of(case, x, np.flip(weight, axis=-1), bias, "reference")


def without_bias(case: Case, x: Numbers, weight: Numbers, bias: Numbers) -> Any:
    return computed_of(case, x, weight, None, "reference")


def other_channels(case: Case, x: Numbers, weight: Numbers, bias: Numbers) -> Any:
    return computed_of(case, np.flip(x, axis=-len(case.weight) + 1), weight, bias, "reference")


def other(**options: Any) -> Callable[..., Any]:
    """Return a variant with other options."""

    def wrong(case: Case, x: Numbers, weight: Numbers, bias: Numbers) -> Any:
        return computed_of(case, x, weight, bias, "reference", **options)

    return wrong


WRONG: list[tuple[str, Callable[..., Any]]] = [
    ("a layer", flipped),
    ("a layer", without_bias),
    ("a layer", other_channels),
    ("a layer", other(padding_mode="replicate")),
    ("a layer", other(padding=((2, 0), (1, 1)))),
    ("half padding, even kernel", other(padding=((2, 1), (1, 0)))),
    ("uneven padding", other(padding=((0, 2), (3, 1)))),
    ("reflected", other(padding_mode="circular")),
    ("circular", other(padding_mode="reflect")),
    ("dilated", other(dilation=(3, 2), padding=((3, 3), (2, 1)))),
    ("transposed in groups", other_channels),
    ("doubling", flipped),
    ("output padding", other(output_padding=0, padding=((1, 0), (2, 0)))),
    ("transposed, uneven", other(padding=((1, 2),))),
    ("the largest, uneven", other(padding=((1, 0), (0, 1)))),
    ("the largest, dilated", other(dilation=1)),
    ("the mean, padded", other(ceil_mode=False)),
    ("the mean, padded", other(count_include_pad=False)),
    ("the mean, uneven, padding not counted", other(count_include_pad=True)),
]


@pytest.mark.parametrize(("name", "wrong"), WRONG)
def test_the_oracles_catch_a_wrong_variant(name: str, wrong: Callable[..., Any]) -> None:
    case = BY_NAME[name]
    x, weight, bias = arrays_of(case)
    expected = expected_of(case, x, weight, bias)
    np.testing.assert_allclose(
        computed_of(case, x, weight, bias, "reference"), expected, rtol=1e-15
    )
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(wrong(case, x, weight, bias), expected, rtol=1e-15)


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", ["a layer", "transposed in groups", "replicated"])
def test_integers_are_exact_modulo_the_width_of_the_type(name: str, dtype: str) -> None:
    case, info = BY_NAME[name], np.iinfo(dtype)
    draw = np.random.default_rng(7).integers
    shapes = [case.x, case.weight, arrays_of(case)[2].shape]
    x, weight, bias = (draw(info.min, info.max, shape, dtype, True) for shape in shapes)
    found = computed_of(case, x, weight, bias)
    exact = expected_of(case, x.astype(object), weight.astype(object), bias.astype(object))
    assert found.dtype == dtype
    width = 2**info.bits
    np.testing.assert_array_equal(found.astype(object) % width, exact % width)
    assert np.abs(exact).max() > info.max


@pytest.mark.parametrize("dtype", INTEGERS)
def test_the_largest_integer_is_found_whatever_the_type(dtype: str) -> None:
    info = np.iinfo(dtype)
    x = np.array([[[info.min, info.max - 1, info.max, 0, 1, info.min]]], dtype)
    y, places = max_pool(x, 2, padding=((0, 4),), return_indices=True)
    assert y.tolist() == [[[info.max - 1, info.max, 1, info.min, info.min]]]
    assert places.tolist() == [[[1, 2, 4, -1, -1]]]
    assert max_pool(x, 2, padding=((0, 4),)).tolist() == y.tolist()


INDEXED = replace(BY_NAME["halving by the largest"], options={"return_indices": True})
POOLING = [name for name in METHODS if name in methods_of(INDEXED)]


@pytest.mark.parametrize("method", POOLING)
@pytest.mark.parametrize("case", [c for c in CASES if c.operation == "max_pool"], ids=str)
def test_indices_point_at_the_largest(case: Case, method: str) -> None:
    x = whole_numbers(case.x, 1)
    planned = plan_pool("max_pool", x, case.size, return_indices=True, **case.options)
    if method in planned.refused:
        assert "uneven" in planned.refused[method] or method == "pooling"
        return
    y, places = computed_of(case, x, None, None, method, return_indices=True)
    axes = len(planned.windows)
    assert places.dtype == np.int64
    assert indices_agree(x, y, places, axes)
    assert not indices_agree(x, y + 1, places, axes)
    assert np.array_equal(
        places, computed_of(case, x, None, None, "reference", return_indices=True)[1]
    )


@pytest.mark.parametrize("method", POOLING)
@pytest.mark.parametrize(("size", "stride", "padding"), [(5, 1, 0), (2, 2, 0), (3, 2, 1)])
def test_not_a_number_wins_where_torch_says(
    size: int, stride: int, padding: int, method: str
) -> None:
    x = np.array([[[1.0, np.nan, 3.0, np.nan, 2.0, -np.inf, -np.inf, 5.0]]])
    indices = method != "pooling"  # the method "pooling" returns no indices
    planned = plan_pool(
        "max_pool", x, size, stride=stride, padding=padding, return_indices=indices, method=method
    )
    found = planned(x) if indices else (planned(x),)
    expected = F.max_pool1d(torch.from_numpy(x), size, stride, padding, return_indices=True)
    for ours, theirs in zip(found, expected, strict=False):
        np.testing.assert_array_equal(ours, theirs.numpy())
    assert np.isnan(found[0]).any()


def test_pooling_in_the_public_form_is_the_planned_one() -> None:
    x = whole_numbers((1, 2, 6, 6), 5)
    options: dict[str, Any] = {"stride": 2, "padding": ((1, 0), (0, 1)), "ceil_mode": True}
    expected = oracle_pool("max_pool", x, 3, **options)
    np.testing.assert_array_equal(max_pool(x, 3, **options), expected)
    options["count_include_pad"] = False
    expected = oracle_pool("avg_pool", x, 3, **options)
    np.testing.assert_allclose(avg_pool(x, 3, **options), expected, rtol=2**-50)
