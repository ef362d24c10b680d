"""NumPy arrays of ml_dtypes' bfloat16: every operation, layout and way to call."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from convlens.compute import avg_pool, conv, conv_transpose, max_pool, plan
from convlens.compute.planning import plan_pool
from convlens.signal import convolve, ndimage

ml_dtypes: Any = pytest.importorskip("ml_dtypes")

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
SWAPPED = BFLOAT16.newbyteorder("S")


def whole(*shape: int) -> Any:
    return np.random.default_rng(len(shape)).integers(-4, 5, shape).astype(BFLOAT16)


X, W, TURNED, BIAS = whole(2, 3, 6, 9), whole(4, 3, 2, 3), whole(3, 4, 2, 3), whole(4)
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "conv": lambda x, a: conv(x, a(W), a(BIAS), padding=1),
    "a plan": lambda x, a: plan(x, a(W), a(BIAS), padding=1, measure=False)(x),
    "the reference": lambda x, a: conv(x, a(W), a(BIAS), padding=1, method="reference"),
    "conv_transpose": lambda x, a: conv_transpose(x, a(TURNED), a(BIAS), stride=2),
    "max_pool": lambda x, a: max_pool(x, 2),
    "a plan of max_pool": lambda x, a: plan_pool("max_pool", x, 2, measure=False)(x),
    "indices": lambda x, a: max_pool(x, 2, return_indices=True)[1],
    "avg_pool": lambda x, a: avg_pool(x, 2),
}


def as_tensor(array: Any) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32)).bfloat16()


@pytest.mark.parametrize("name", OPERATIONS)
def test_results_are_those_of_the_tensor_in_bfloat16(name: str) -> None:
    compute = OPERATIONS[name]
    right = compute(as_tensor(X), as_tensor)
    read_only = X.copy()
    read_only.flags.writeable = False
    for view in (X, X[..., ::-1][..., ::-1], np.asfortranarray(X), X.astype(SWAPPED), read_only):
        found = compute(view, lambda array: array)
        assert type(found) is np.ndarray
        if name == "indices":
            np.testing.assert_array_equal(found, right.numpy())
            continue
        assert found.dtype == view.dtype
        np.testing.assert_array_equal(found.astype(np.float32), right.float().numpy())


def test_results_are_written_where_they_are_wanted() -> None:
    right = conv(X, W)
    for out in (np.empty(right.shape, BFLOAT16), np.empty((2, 4, 7, 5), BFLOAT16).swapaxes(2, 3)):
        assert conv(X, W, out=out) is out
        np.testing.assert_array_equal(out, right)
        out[...] = 0
        assert plan(X, W, measure=False)(X, out=out) is out
        np.testing.assert_array_equal(out, right)
    swapped = np.zeros(right.shape, SWAPPED)
    assert conv(X.astype(SWAPPED), W, out=swapped) is swapped
    np.testing.assert_array_equal(swapped.astype(BFLOAT16), right)


def test_their_element_type_can_be_named() -> None:
    for name in ("bfloat16", BFLOAT16, ml_dtypes.bfloat16, torch.bfloat16):
        assert conv(X, W, out_dtype=name).dtype == BFLOAT16
        assert plan((X.shape, name), W, measure=False)(X).dtype == BFLOAT16


@pytest.mark.parametrize(
    "name", ["float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float4_e2m1fn", "int4", "uint2"]
)
def test_other_types_of_ml_dtypes_are_refused_in_a_sentence(name: str) -> None:
    x = np.ones((1, 1, 8), np.float32).astype(getattr(ml_dtypes, name))
    for call in (lambda: max_pool(x, 2), lambda: conv(x, x[..., :3]), lambda: avg_pool(x, 2)):
        with pytest.raises(
            TypeError, match=rf"` holds {name} values; convert it to one of float16"
        ):
            call()  # type: ignore[no-untyped-call]


def test_types_that_do_not_go_together_are_refused_by_name() -> None:
    refused: list[tuple[Callable[[], Any], str]] = [
        (lambda: conv(X, W.astype(np.float32)), "`weight` holds float32 values but `x` bfloat16"),
        (lambda: conv(X, W, W.astype(np.float16)), "`bias` holds float16 values but `x` bfloat16"),
        (lambda: conv(X, as_tensor(W)), "`weight` is a torch array but `x` a numpy one"),
        (lambda: conv(X, W, out=np.empty((2, 4, 5, 7), "f2")), "`out` holds float16 values"),
        (lambda: conv(X, W, out_dtype="float32"), "`out_dtype`"),
        (lambda: ndimage.uniform_filter(X), "`input` holds bfloat16 values"),
        (lambda: convolve(X[0, 0], X[0, 0]), "`in1` holds bfloat16 values"),
    ]
    for call, text in refused:
        with pytest.raises(TypeError) as raised:
            call()
        assert text in str(raised.value)
