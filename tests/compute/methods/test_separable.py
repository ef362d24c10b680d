"""Filters that are products of one filter per axis, and filters that are not."""

from typing import Any

import numpy as np
import pytest
import torch

import convlens
from convlens.compute.methods import reference
from convlens.compute.methods.separable import method as separable
from convlens.compute.problems import Conv, Unsuited
from convlens.compute.reading.options import read_conv
from convlens.windows import Window
from tests.running.broad import broad
from tests.running.poisoned_memory import poisoned


def product(*factors: torch.Tensor) -> torch.Tensor:
    whole = torch.ones((), dtype=torch.float64)
    for factor in factors:
        whole = whole[..., None] * factor
    return whole


def factors(count: int, *sizes: int) -> torch.Tensor:
    """Return (count, 1, *sizes), each a product of random filters."""
    generator = torch.Generator().manual_seed(5)
    made = [
        product(*(torch.randn(size, generator=generator, dtype=torch.float64) for size in sizes))
        for _ in range(count)
    ]
    return torch.stack(made)[:, None]


FILTERED = [
    ((1, 1, 40, 50), 1, (9, 7), {"padding": (4, 3)}),
    ((2, 3, 33, 20), 3, (3, 5), {"groups": 3, "padding": 2, "padding_mode": "reflect"}),
    ((1, 2, 41, 30), 4, (4, 3), {"groups": 2, "stride": (2, 3), "dilation": (3, 2)}),
    ((1, 1, 6, 7, 40), 1, (5, 3, 9), {"padding": ((2, 1), (1, 2), (3, 4))}),
    ((1, 1, 6, 7, 40), 1, (5, 1, 9), {"padding": (2, 0, 4)}),
    ((1, 1, 5, 9, 20), 1, (3, 3, 1), {"padding_mode": "circular", "padding": 1}),
    ((1, 1, 9, 20, 20), 1, (1, 3, 3), {"stride": 2}),
    ((0, 1, 20, 20), 1, (3, 3), {}),
    ((1, 1, 6, 2200), 1, (3, 5), {"padding": (1, 2)}),  # pieces
    ((1, 2, 70, 30), 4, (5, 6), {"groups": 2, "padding": 3, "padding_mode": "replicate"}),
    ((1, 1, 9, 1024), 1, (2, 7), {"padding": ((0, 12), (40, 3))}),
]
OF_BOTH_TYPES = ((3, 5), (3, 3))
ONCE = ((9, 7), (5, 3, 9), (3, 3, 1))
"""Sizes that the ordinary suite filters in both types, or in one."""


def filtered_usually(x: Any, count: int, sizes: Any, options: Any, dtype: torch.dtype) -> bool:
    return sizes in OF_BOTH_TYPES or (sizes in ONCE and dtype == torch.float32)


@pytest.mark.parametrize(
    ("x", "count", "sizes", "options", "dtype"),
    broad(
        ((*case, dtype) for case in FILTERED for dtype in (torch.float32, torch.float64)),
        filtered_usually,
    ),
)
def test_products_are_filtered_axis_by_axis(
    x: tuple[int, ...],
    count: int,
    sizes: tuple[int, ...],
    options: dict[str, Any],
    dtype: torch.dtype,
) -> None:
    generator = torch.Generator().manual_seed(1)
    numbers = torch.randn(x, generator=generator, dtype=torch.float64).to(dtype)
    weight, bias = factors(count, *sizes).to(dtype), torch.arange(count).to(dtype)
    problem = read_conv(numbers, weight, bias, **options)
    found = poisoned(problem, numbers, separable.METHOD.ready(problem, weight, bias)).double()
    wide = read_conv(numbers.double(), weight.double(), bias.double(), **options)
    exact = reference.run(wide, numbers.double(), weight.double(), bias.double())[0]
    if exact.numel():
        error = (found - exact).square().mean().sqrt() / exact.square().mean().sqrt()
        assert error < (3e-7 if dtype == torch.float32 else 2e-15)


def test_a_product_rounded_to_its_type_is_still_one() -> None:
    t = torch.arange(-7, 8, dtype=torch.float64)
    bell = torch.exp(-(t**2) / 18)
    weight = (product(bell, bell) / bell.sum() ** 2)[None, None].float()
    problem = read_conv(torch.ones(1, 1, 30, 30), weight, padding=7)
    y = torch.empty(1, 1, 30, 30)
    separable.METHOD.ready(problem, weight, None)(torch.ones(1, 1, 30, 30), y)
    assert abs(float(y[0, 0, 15, 15]) - 1) < 1e-6


@pytest.mark.parametrize("change", [1.0001, float("nan"), float("inf")])
def test_what_is_no_product_is_unsuited(change: float) -> None:
    """A weight that breaks the product counts even if small: it may be alone on the input."""
    weight = factors(2, 5, 5).float()
    weight[1, 0, 2] *= 1e-20
    weight[1, 0, 2, 3] *= change
    problem = read_conv(torch.ones(1, 2, 9, 9), weight, groups=2)
    with pytest.raises(Unsuited, match=r"not products|not finite"):
        separable.METHOD.ready(problem, weight, None)


def test_nothing_overflows_on_the_way() -> None:
    """Test large numbers, and weights for which a single factor would be as large."""
    x = torch.full((1, 1, 12, 12), 1e38)
    weight = torch.full((1, 1, 3, 3), 0.1)
    weight[..., 0, :] = 0
    weight[..., 2, :] = 0
    problem = read_conv(x, weight)
    y = torch.empty(1, 1, 10, 10)
    separable.METHOD.ready(problem, weight, None)(x, y)
    np.testing.assert_allclose(y.numpy(), 3e37, rtol=1e-6)


def test_what_it_refuses() -> None:
    plane = (Window(3), Window(3))
    accepted = Conv(
        channels=2, space=(9, 9), channels_out=4, windows=plane, dtype="float32", groups=2
    )
    assert separable.METHOD.refused(accepted) is None
    several = Conv(channels=2, space=(9, 9), channels_out=4, windows=plane, dtype="float32")
    assert "sums over channels" in str(separable.METHOD.refused(several))
    whole = Conv(space=(9, 9), windows=plane, dtype="int32")
    assert "fractions" in str(separable.METHOD.refused(whole))
    line = Conv(space=(9, 9), windows=(Window(1), Window(3)), dtype="float32")
    assert "cannot be separated" in str(separable.METHOD.refused(line))
    with pytest.raises(ValueError, match="`weight` is missing"):
        separable.METHOD.ready(accepted, None, None)


def test_a_product_whose_filters_leave_the_range_of_numbers_is_refused() -> None:
    """The last axis would hold 3e38 * 125, though the sums of the whole kernel are finite."""
    weight = torch.full((1, 1, 5, 5, 5), torch.finfo(torch.float32).max)
    x = torch.full((1, 1, 6, 6, 6), 1e-20)
    with pytest.raises(Unsuited, match="too large"):
        convlens.conv(x, weight, method="separable")
    assert convlens.conv(x, weight).isfinite().all()
