"""A call shown to a function mode computes with the arrays that it is given."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from convlens.compute import conv, conv_transpose, max_pool, plan
from convlens.compute.calling import ShownCall

X, WEIGHT, BIAS = torch.randn(1, 4, 9, 9), torch.randn(4, 4, 3, 3), torch.randn(4)


class Watch(TorchFunctionMode):
    """A mode that records the calls of convlens."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[ShownCall] = []

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if isinstance(function, ShownCall):
            self.calls.append(function)
        return function(*args, **(kwargs or {}))


def shown(action: Callable[[], object]) -> ShownCall:
    watch = Watch()
    with watch:
        action()
    return watch.calls[0]


@pytest.mark.parametrize(
    ("action", "right"),
    [
        (lambda: conv(X, WEIGHT, BIAS), F.conv2d),
        (lambda: conv(X, WEIGHT, BIAS, method="direct"), F.conv2d),
        (lambda: plan(X, WEIGHT, BIAS, measure=False)(X), F.conv2d),
        (lambda: plan(X, WEIGHT, BIAS, method="shift")(X), F.conv2d),
        (lambda: conv_transpose(X, WEIGHT, BIAS), F.conv_transpose2d),
    ],
    ids=["conv", "direct", "plan", "shift", "transposed"],
)
def test_other_weights_are_computed_with(
    action: Callable[[], Tensor], right: Callable[..., Tensor]
) -> None:
    call = shown(action)
    for weight, bias in ((WEIGHT, BIAS), (2 * WEIGHT, BIAS), (WEIGHT, 3 * BIAS), (WEIGHT, None)):
        expected = right(X, weight, bias)
        torch.testing.assert_close(call(X, weight, bias), expected, rtol=1e-4, atol=1e-4)


def test_an_array_of_another_shape_or_type_is_refused() -> None:
    call = shown(lambda: conv(X, WEIGHT, BIAS))
    with pytest.raises(ValueError, match=r"`x` of shape \(1, 4, 9, 5\) .*; pass .* \(1, 4, 9, 9\)"):
        call(X[..., :5], WEIGHT, BIAS)
    with pytest.raises(ValueError, match=r"`weight` is missing; pass .* \(4, 4, 3, 3\)"):
        call(X)
    with pytest.raises(ValueError, match=r"`bias` of shape \(3,\) .*; pass .* \(4,\)"):
        call(X, WEIGHT, BIAS[:3])
    with pytest.raises(ValueError, match=r"`weight` holds float64 values, .* float32"):
        call(X, WEIGHT.double(), BIAS)
    pooled = shown(lambda: max_pool(X, 3))
    with pytest.raises(ValueError, match=r"`weight` of shape .*; leave it out"):
        pooled(X, WEIGHT)


def test_integers_are_differentiated_as_fractions() -> None:
    x, weight = torch.arange(9).reshape(1, 1, 9), torch.tensor([[[1, 2, 3]]])
    call = shown(lambda: conv(x, weight)).sloped()
    expected = F.conv1d(x.float(), weight.float())
    torch.testing.assert_close(call(x.float(), weight.float()), expected)


def test_arrays_of_numpy_are_one_call_too() -> None:
    x, weight = X.numpy(), WEIGHT.numpy()
    call = shown(lambda: conv(x, weight))
    np.testing.assert_allclose(call(x, 2 * weight), 2 * conv(x, weight), rtol=1e-4, atol=1e-4)


FIRST = """
import sys, torch
from convlens.lens import record

def forward(x):
    import convlens.compute
    return x + 1

assert "convlens.compute" not in sys.modules
print(*(step.op for step in record(forward, torch.ones(3)).steps))
"""


def test_a_first_import_is_no_step_of_a_recording() -> None:
    found = subprocess.run(
        [sys.executable, "-c", FIRST], capture_output=True, text=True, timeout=120, check=True
    )
    assert found.stdout.split() == ["add"]
