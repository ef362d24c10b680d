"""The names of `torch.nn.functional`: the same arguments, defaults, results and indices."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convlens import functional
from convlens.compute.networks.contest import distance
from tests.oracles.compute import check_sum

CONVOLUTIONS = [name for name in functional.__all__ if name.startswith("conv")]
POOLS = [name for name in functional.__all__ if "pool" in name]


def arguments_of(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, None if p.default is p.empty else p.default) for p in parameters]


def documented_arguments(name: str) -> list[tuple[str, Any]]:
    """The arguments of a function of torch: from its signature, else the first line of its text."""
    function = getattr(F, f"_{name}", None) or getattr(F, name)
    try:
        return arguments_of(function)
    except ValueError:  # written in C++
        line = re.search(rf"{name}\((.*?)\) -> Tensor", function.__doc__)
        assert line
        pairs = [entry.split("=") for entry in line.group(1).split(", ")]
        return [(pair[0], eval(pair[1]) if pair[1:] else None) for pair in pairs]


@pytest.mark.parametrize("name", functional.__all__)
def test_arguments_are_those_of_torch(name: str) -> None:
    assert arguments_of(getattr(functional, name)) == documented_arguments(name)


def test_documentation_of_torch_is_read() -> None:
    assert documented_arguments("avg_pool1d")[-2:] == [
        ("ceil_mode", False),
        ("count_include_pad", True),
    ]
    assert documented_arguments("conv_transpose2d")[-2:] == [("groups", 1), ("dilation", 1)]


def test_other_names_are_those_of_torch() -> None:
    assert functional.relu is F.relu
    with pytest.raises(AttributeError, match="nonsense"):
        functional.nonsense  # noqa: B018


SPACE = {"1": (11,), "2": (9, 8), "3": (6, 5, 7)}


def near(found: Tensor, expected: Tensor) -> bool:
    """Tell whether a convolution is that of torch: to 1e-5 of its root mean square, as promised."""
    return found.dtype == expected.dtype and distance(found, expected) <= 1e-5


def whole(*shape: int, seed: int = 0, least: int = -4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(least, 5, shape, generator=generator).float()


CONVOLVED: list[dict[str, Any]] = [
    {},
    {"stride": 2, "padding": 1},
    {"stride": (2,), "padding": (1,), "dilation": [2]},
    {"padding": "same", "dilation": 2},
    {"padding": "valid"},
    {"groups": 2, "padding": 2},
]
TRANSPOSED: list[dict[str, Any]] = [
    {},
    {"stride": 2, "padding": 1, "output_padding": 1},
    {"stride": (3,), "padding": [1], "dilation": (2,), "output_padding": (2,)},
    {"groups": 2, "stride": 2},
]


@pytest.mark.parametrize("batch", [(), (0,), (3,)], ids=str)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_are_those_of_torch(name: str, batch: tuple[int, ...]) -> None:
    space, transposed = SPACE[name[-2]], "transpose" in name
    x = whole(*batch, 4, *space)
    for options in TRANSPOSED if transposed else CONVOLVED:
        groups = options.get("groups", 1)
        channels = (4, 6 // groups) if transposed else (6, 4 // groups)
        size = (3, 2, 4)[: len(space)]
        weight, bias = whole(*channels, *size, seed=1), whole(6, seed=2)
        for more in ({}, {"bias": bias}):
            found = getattr(functional, name)(x, weight, **more, **options)
            assert near(found, getattr(F, name)(x, weight, **more, **options))


def test_arguments_go_by_place_as_in_torch() -> None:
    x, weight, bias = whole(2, 4, 9, 9), whole(6, 2, 3, 3), whole(6)
    how = bias, (2, 1), (1, 2), (1, 2), 2
    assert near(functional.conv2d(x, weight, *how), F.conv2d(x, weight, *how))
    x, weight = whole(2, 4, 6), whole(4, 3, 3)
    more = bias, 3, 1, 2, 2, 2
    found = functional.conv_transpose1d(x, weight, *more)
    assert near(found, F.conv_transpose1d(x, weight, *more))
    x = whole(2, 4, 9, 9)
    pooled = functional.max_pool2d(x, 3, 2, 1, 2, True)
    assert torch.equal(pooled, F.max_pool2d(x, 3, 2, 1, 2, True))
    average = functional.avg_pool2d(x, 2, 1, 1, True, False, 3)
    torch.testing.assert_close(average, F.avg_pool2d(x, 2, 1, 1, True, False, 3))


POOLED: list[dict[str, Any]] = [
    {"kernel_size": 2},
    {"kernel_size": (3,), "stride": [2], "padding": (1,)},
    {"kernel_size": 3, "stride": 2, "ceil_mode": True},
    {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True},
]


@pytest.mark.parametrize("batch", [(), (0,), (3,)], ids=str)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_pooling_is_that_of_torch(axes: int, batch: tuple[int, ...]) -> None:
    x = whole(*batch, 4, *SPACE[str(axes)])  # many are equal: the first of them has the index
    for options in POOLED:
        for dilation in (1, 2):
            how = {**options, "dilation": dilation, "return_indices": True}
            name = f"max_pool{axes}d"
            y, places = getattr(functional, name)(x, **how)
            expected, at = getattr(F, name)(x, **how)
            assert torch.equal(y, expected)
            assert torch.equal(places, at)
            how["return_indices"] = False
            assert torch.equal(getattr(functional, name)(x, **how), expected)
        name = f"avg_pool{axes}d"
        for counted in (True, False):
            how = {**options, "count_include_pad": counted}
            found, expected = (getattr(where, name)(x, **how) for where in (functional, F))
            torch.testing.assert_close(found, expected, rtol=4e-7, atol=1e-6)
        if axes > 1:
            how = {**options, "divisor_override": -3}
            assert near(getattr(functional, name)(x, **how), getattr(F, name)(x, **how))


def test_an_empty_stride_is_the_size() -> None:
    x = whole(1, 2, 9)
    assert torch.equal(functional.avg_pool1d(x, 4, []), F.avg_pool1d(x, 4, []))
    assert torch.equal(functional.max_pool1d(x, 4, ()), F.max_pool1d(x, 4))


@pytest.mark.parametrize("batch", [(), (0,), (2,)], ids=str)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_adaptive_pooling_is_that_of_torch(axes: int, batch: tuple[int, ...]) -> None:
    x = whole(*batch, 4, *(12, 6, 8)[:axes])
    sizes: list[Any] = [1, 2, 3, 5, (4,) * axes, (12, 3, 7)[:axes]]
    if axes > 1:
        sizes += [(None, 2, 4)[:axes], (3, None, None)[:axes]]
    for size in sizes:
        name = f"adaptive_avg_pool{axes}d"
        found, expected = (getattr(where, name)(x, size) for where in (functional, F))
        torch.testing.assert_close(found, expected, rtol=4e-7, atol=1e-6)
        name = f"adaptive_max_pool{axes}d"
        results = [getattr(where, name)(x, size, return_indices=True) for where in (functional, F)]
        for part, of_torch in zip(*results, strict=True):
            assert torch.equal(part, of_torch)
        assert torch.equal(getattr(functional, name)(x, size), results[1][0])


def test_not_a_number_wins_as_in_torch() -> None:
    x = whole(1, 2, 8, 8)
    x[0, 0, 2, 3] = x[0, 0, 3, 2] = x[0, 1, 7, 7] = torch.nan
    for name, size in (("max_pool2d", 4), ("adaptive_max_pool2d", 2)):
        results = [getattr(where, name)(x, size, return_indices=True) for where in (functional, F)]
        for part, of_torch in zip(*results, strict=True):
            assert torch.equal(part.nan_to_num(9), of_torch.nan_to_num(9))


def test_the_comparison_catches_one_part_in_ten_thousand() -> None:
    x, weight = whole(2, 8, 10, 10), whole(8, 8, 3, 3)
    expected = F.conv2d(x, weight)
    assert near(functional.conv2d(x, weight), expected)
    assert not near(functional.conv2d(x, weight * 1.0001), expected)
    assert not near(functional.conv2d(x, weight).double(), expected)


def test_averages_keep_the_bound_of_a_sum() -> None:
    x = torch.randn(2, 8, 10, 10, generator=torch.Generator().manual_seed(0))
    found = functional.avg_pool2d(x, 3, padding=1).double().numpy()
    expected = F.avg_pool2d(x.double(), 3, padding=1).numpy()
    total = F.avg_pool2d(x.double().abs(), 3, padding=1).numpy()
    check_sum(found, expected, total, 9, "float32")
    with pytest.raises(AssertionError, match="expected"):
        check_sum(found * 1.0001, expected, total, 9, "float32")


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d", "max_pool2d", "avg_pool2d"])
def test_gradients_are_those_of_torch(name: str) -> None:
    weights = [] if "pool" in name else [whole(4, 4, 3, 3, seed=1)]
    how = {"padding": 1, "stride": 2} | ({"kernel_size": 3} if "pool" in name else {})
    results = []
    for where in (functional, F):
        leaves = [part.clone().requires_grad_() for part in (whole(2, 4, 9, 9), *weights)]
        y = getattr(where, name)(*leaves, **how)
        results.append(torch.autograd.grad(y.square().sum(), leaves))
    for found, expected in zip(*results, strict=True):
        assert near(found, expected)


def test_half_types_are_summed_in_float32() -> None:
    x = torch.full((1, 1, 64), 2000.0, dtype=torch.float16)
    average = functional.avg_pool2d(x[None], (1, 64), divisor_override=64)
    assert average.item() == 2000
    assert average.dtype is torch.float16


def test_autocast_casts_as_in_torch() -> None:
    x, weight, bias = whole(1, 4, 6, 6), whole(4, 4, 3, 3), whole(4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for name in ("conv2d", "conv_transpose2d"):
            for given in ((x, weight, bias), (x.bfloat16(), weight, None)):
                found, expected = (getattr(where, name)(*given) for where in (functional, F))
                assert found.dtype is expected.dtype is torch.bfloat16
                assert distance(found, expected) < 2**-8
        assert functional.conv2d(x.double(), weight.double()).dtype is torch.float64
        assert functional.max_pool2d(x, 2).dtype is torch.float32


def test_what_does_not_fit_is_refused_in_a_sentence() -> None:
    x = torch.ones(1, 3, 8, 8)
    refused: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (lambda: functional.conv1d(x, torch.ones(4, 3, 3, 3)), ValueError, "`weight` has shape"),
        (lambda: functional.conv2d(x, torch.ones(4, 2, 3, 3)), ValueError, "`weight`"),
        (lambda: functional.conv2d(x.half(), torch.ones(4, 3, 3, 3)), TypeError, "`weight`"),
        (lambda: functional.avg_pool2d(x.long(), 2), TypeError, "not be an integer"),
        (
            lambda: functional.avg_pool2d(x, 2, divisor_override=0),
            ValueError,
            "`divisor_override`",
        ),
        (lambda: functional.max_pool3d(x[0], 2), ValueError, "`input` has shape"),
        (lambda: functional.adaptive_avg_pool2d(x[0, 0], 2), ValueError, "`input` has shape"),
    ]
    for call, error, words in refused:
        with pytest.raises(error, match=words):
            call()
