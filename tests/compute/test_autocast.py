"""Under torch's autocast and other defaults, element types and numbers are torch's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import convlens.functional as ours
from convlens.compute import avg_pool, conv, conv_transpose, max_pool, plan
from convlens.compute.networks.contest import distance
from convlens.signal import convolve

NAMES = [
    f"{name}{axes}d"
    for name in ("conv", "conv_transpose", "max_pool", "avg_pool", "adaptive_avg_pool")
    for axes in (1, 2, 3)
]


def parts_of(name: str) -> tuple[Any, ...]:
    axes = int(name[-2])
    x = torch.randn((2, 4, 8, 7, 6)[: 2 + axes], generator=torch.Generator().manual_seed(1))
    if name.startswith("conv_transpose"):
        return x, torch.randn((4, 6, 3, 3, 3)[: 2 + axes]), torch.randn(6)
    if name.startswith("conv"):
        return x, torch.randn((6, 4, 3, 3, 3)[: 2 + axes]), torch.randn(6)
    return x, 2


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NAMES)
def test_types_under_autocast_are_torchs(name: str, half: torch.dtype) -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        x, *more = parts_of(name)
        with torch.autocast("cpu", half):
            found, expected = (
                getattr(names, name)(x.to(dtype), *more) for names in (ours, torch.nn.functional)
            )
            assert found.dtype is expected.dtype
            assert distance(found, expected) < 2**-6
            with torch.autocast("cpu", enabled=False):
                assert getattr(ours, name)(x, *more).dtype is torch.float32


@pytest.mark.parametrize("f", [conv, conv_transpose])
def test_convolutions_of_ours_take_part(f: Callable[..., Tensor]) -> None:
    x, weight = torch.randn(1, 3, 9, 9), torch.randn(3, 3, 3, 3)
    expected = f(x.bfloat16(), weight.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(f(x, weight), expected)
        assert torch.equal(f(x.bfloat16(), weight), expected)
        assert f(x.double(), weight.double()).dtype is torch.float64
        leaf = weight.clone().requires_grad_()
        y = f(x, leaf)
        assert y.dtype is torch.bfloat16
    y.sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.dtype is torch.float32


def test_poolings_of_ours_take_part() -> None:
    x = torch.randn(1, 2, 4, 4, 4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        for y in (max_pool(x, 2), avg_pool(x, 2), ours.avg_pool3d(x, 2, divisor_override=3)):
            assert y.dtype is torch.float32
        assert max_pool(x[..., 0], 2).dtype is torch.bfloat16
        assert ours.avg_pool2d(x[..., 0].float(), 2, divisor_override=3).dtype is torch.float32


@pytest.mark.parametrize("method", ["torch", "reference", "fft_library"])
def test_nothing_within_is_cast(method: str) -> None:
    """A plan computes in the type it was made for, and NumPy arrays in theirs."""
    x, weight = torch.randn(1, 3, 20, 20), torch.randn(4, 3, 3, 3)
    expected = plan(x, weight, method=method)(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert distance(plan(x, weight, method=method)(x), expected) < 1e-6
        y = conv(x.numpy(), weight.numpy(), method=method)
        assert distance(torch.from_numpy(y), expected) < 1e-6
        long = np.arange(50.0)
        np.testing.assert_allclose(convolve(long, long), np.convolve(long, long))
        leaf = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(plan(leaf, weight)(leaf).sum(), leaf)
    exact = torch.autograd.grad(torch.nn.functional.conv2d(leaf, weight).sum(), leaf)[0]
    assert distance(slope, exact) < 1e-5


def test_the_default_type_is_of_no_matter() -> None:
    expected = {name: getattr(ours, name)(*parts_of(name)) for name in NAMES if "adap" in name}
    for dtype in (torch.float64, torch.bfloat16):
        torch.set_default_dtype(dtype)
        try:
            for name, y in expected.items():
                x = parts_of_default(name)
                assert getattr(ours, name)(*x).dtype is torch.float32
                assert distance(getattr(ours, name)(*x), y) < 1e-6
            image, kernel = torch.ones(1, 8, 9, 9).float(), torch.ones(8, 8, 3, 3).float()
            for method in ("torch", "shift", "winograd2", "fft", "fft_library", "reference"):
                y = conv(image, kernel, method=method)
                assert y.dtype is torch.float32
                assert distance(y, torch.full((1, 8, 7, 7), 72.0, dtype=torch.float32)) < 1e-6
        finally:
            torch.set_default_dtype(torch.float32)


def parts_of_default(name: str) -> tuple[Any, ...]:
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        return parts_of(name)
    finally:
        torch.set_default_dtype(default)
