"""Infinite and NaN weights on padding: every method and every padding mode agree."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from convlens import signal
from convlens.compute import conv, conv_transpose, plan
from convlens.compute.methods import METHODS

CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "a signal": ((1, 1, 9), (1, 1, 3), {"padding": [(1, 2)]}),
    "a filterbank": ((2, 1, 17), (8, 1, 3), {"padding": 1, "stride": 2, "dilation": 2}),
    "a layer": ((1, 16, 6, 6), (16, 16, 3, 3), {"padding": 1}),
    "channels each": ((1, 16, 6, 6), (16, 1, 3, 3), {"padding": 1, "groups": 16}),
    "an image": ((2, 1, 9, 6), (1, 1, 2, 2), {"padding": [1, 0], "stride": (1, 3)}),
    "a volume": ((1, 2, 3, 4, 3), (2, 2, 3, 3, 3), {"padding": 1}),
}


def _explicit(x: torch.Tensor, weight: torch.Tensor, how: dict[str, Any]) -> torch.Tensor:
    """Convolve the input padded with explicit zeros, so that no product can be left out."""
    axes = x.ndim - 2
    padding = how["padding"] if isinstance(how["padding"], list) else [how["padding"]] * axes
    pairs = [(p, p) if isinstance(p, int) else p for p in padding]
    rest = {name: value for name, value in how.items() if name != "padding"}
    wide = F.pad(x.double(), [n for pair in reversed(pairs) for n in pair])
    found: torch.Tensor = getattr(F, f"conv{axes}d")(wide, weight.double(), **rest)
    return found


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("odd", [torch.inf, torch.nan])
def test_zeros_of_the_padding_meet_infinite_weights_in_every_method(case: str, odd: float) -> None:
    shape, size, how = CASES[case]
    x, weight = torch.ones(shape), torch.ones(size)
    weight[0, 0].view(-1)[0] = odd
    expected = _explicit(x, weight, how)
    assert expected.isnan().any()
    heard = []
    for method in ("auto", "direct", *METHODS):
        try:
            found = conv(x, weight, method=method, **how)
        except ValueError:
            continue
        heard.append(method)
        assert torch.equal(found.double().nan_to_num(7), expected.nan_to_num(7)), method
    assert {"auto", "direct", "torch", "reference", "shift"} <= {*heard}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_transposed_convolution_multiplies_no_zeros_around_its_input(dtype: torch.dtype) -> None:
    x, weight = torch.ones(1, 2, 6, 6, dtype=dtype), torch.ones(2, 3, 3, 3, dtype=dtype)
    weight[0, 0, 0, 0] = torch.inf
    expected = F.conv_transpose2d(x, weight, stride=2, padding=1)
    assert expected.isinf().any()
    assert not expected.isnan().any()
    for method in ("auto", "direct", "torch", "reference"):
        found = conv_transpose(x, weight, stride=2, padding=1, method=method)
        assert torch.equal(found, expected), method
    with pytest.raises(ValueError, match="`weight`: a weight is not finite"):
        conv_transpose(x, weight, stride=2, padding=1, method="transposed")
    planned = plan(x, weight, stride=2, padding=1, transposed=True, method="direct")
    assert METHODS[planned.method].direct
    assert "not finite" in planned.refused["transposed"]


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_what_scipy_leaves_out_is_no_product_however_often_it_is_asked(mode: str) -> None:
    x, taps = np.arange(1.0, 400.0), np.ones(161)
    taps[100] = np.inf
    expected = np.convolve(x, taps, mode)  # type: ignore[call-overload]
    for _ in range(3):
        assert np.array_equal(signal.convolve(x, taps, mode), expected)
        assert np.array_equal(signal.fftconvolve(x, taps, mode), expected)
        assert np.array_equal(signal.correlate(x, taps[::-1], mode, "direct"), expected)
    several = signal.fftconvolve(np.stack([x, 2 * x]), taps[None], mode, axes=1)
    assert np.array_equal(several, np.stack([expected, 2 * expected]))


def test_an_image_is_filled_with_zeros_that_count_as_in_scipy() -> None:
    import scipy.signal

    image, kernel = np.ones((5, 6)), np.array([[np.inf, 1.0, 2.0], [1.0, 1.0, 1.0]])
    expected = scipy.signal.convolve2d(image, kernel)
    assert np.isnan(expected).any()
    assert np.isinf(expected).any()
    for _ in range(3):
        assert np.array_equal(signal.convolve2d(image, kernel), expected, equal_nan=True)
