"""Nonsense for the arguments that test_nonsense leaves out is refused by argument name."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from convlens.compute import avg_pool, conv, conv_transpose, max_pool, plan
from convlens.compute.methods import METHODS
from convlens.compute.planning import plan_pool
from convlens.windows import AdaptiveWindow, TransposedWindow, Window, padded_source

X, W = np.ones((1, 2, 8, 8)), np.ones((2, 2, 3, 3))
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch warns that nested tensors are a prototype
    NESTED = torch.nested.nested_tensor([torch.ones(2)])
SPARSE = torch.eye(3).to_sparse()
NONSENSE: dict[str, Any] = {
    "a word": "wide",
    "bytes": b"2",
    "a dict": {},
    "a list": [1.5],
    "a ragged list": [[1], [1, 2]],
    "an object": object(),
    "a function": len,
    "a set": {1, 2},
    "a generator": (n for n in (1, 2)),
    "a complex number": 2j,
    "a long list": [1.5] * 1000,
    "a masked array": np.ma.masked_array([1, 2], [False, True]),
    "an array of words": np.array(["a"]),
    "an array of objects": np.array([None]),
    "a date": np.datetime64("2020"),
    "flags": torch.tensor([True, True]),
    "a nested tensor": NESTED,
    "a sparse tensor": SPARSE,
    "half a nested pair": (NESTED, "float32"),
}
CALLS: dict[str, Callable[[Any], Any]] = {
    "x of conv": lambda v: conv(v, W),
    "x of conv_transpose": lambda v: conv_transpose(v, W),
    "x of max_pool": lambda v: max_pool(v, 2),
    "x of avg_pool": lambda v: avg_pool(v, 2),
    "x of plan": lambda v: plan(v, W, measure=False),
    "x of a plan": lambda v: plan(X, W, measure=False)(v),
    "weight of conv": lambda v: conv(X, v),
    "weight of conv_transpose": lambda v: conv_transpose(X, v),
    "weight of plan": lambda v: plan(X, v, measure=False),
    "bias of conv": lambda v: conv(X, W, v),
    "bias of plan": lambda v: plan(X, W, v, measure=False),
    "out of conv": lambda v: conv(X, W, out=v),
    "out of a plan": lambda v: plan(X, W, measure=False)(X, out=v),
    "out_dtype of conv": lambda v: conv(X, W, out_dtype=v),
    "out_dtype of plan": lambda v: plan(X, W, out_dtype=v, measure=False),
    "tolerance of plan": lambda v: plan(X, W, tolerance=v, measure=False),
    "measure of plan": lambda v: plan(X, W, measure=v),
    "transposed of plan": lambda v: plan(X, W, transposed=v, measure=False),
    "operation of plan_pool": lambda v: plan_pool(v, X, 2),
    "size of plan_pool": lambda v: plan_pool("max_pool", X, v),
    "padding of conv": lambda v: conv(X, W, padding=v),
    "padding of max_pool": lambda v: max_pool(X, 3, padding=v),
    "size of Window": lambda v: Window(v),
    "stride of Window": lambda v: Window(2, v),
    "before of Window": lambda v: Window(2, before=v),
    "ceil of Window": lambda v: Window(2, ceil=v),
    "output_padding of TransposedWindow": lambda v: TransposedWindow(2, 2, output_padding=v),
    "padding of Window.padded": lambda v: Window.padded(v, 3),
    "n of Window.padded": lambda v: Window.padded("same_upper", 3, 2, n=v),
    "padding of TransposedWindow.padded": lambda v: TransposedWindow.padded(v, 3),
    "count of AdaptiveWindow": lambda v: AdaptiveWindow(v),
    "position of padded_source": lambda v: padded_source(v, 3),
    "n of padded_source": lambda v: padded_source(1, v),
    "mode of padded_source": lambda v: padded_source(1, 3, v),
}


@pytest.mark.parametrize("what", CALLS)
def test_nonsense_is_refused_by_name(what: str) -> None:
    argument, *_ = what.split()
    for kind, value in NONSENSE.items():
        with pytest.raises((ValueError, TypeError)) as raised:
            CALLS[what](value)
        text = str(raised.value)
        named = any(f"`{name}" in text for name in (argument, *["x"] * (argument == "weight")))
        assert named, (kind, text)
        assert "\n" not in text, (kind, text)
        assert len(text) < 450, (kind, text)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_that_cannot_is_named_with_what_it_cannot_do(method: str) -> None:
    rng = np.random.default_rng(0)
    weight, layer = rng.random((1, 1, 5, 5), "f4"), rng.random((4, 3, 3, 3), "f4")
    calls: list[Callable[[], Any]] = [
        lambda: conv(rng.random((1, 3, 9, 9), "f4"), layer, method=method),
        lambda: conv(rng.random((1, 1, 9, 9), "f4"), weight, method=method),
        lambda: conv(np.ones((1, 1, 9, 9), "f4"), np.full_like(weight, np.nan), method=method),
        lambda: conv(np.ones((1, 1, 9), int), np.ones((1, 1, 3), int), method=method),
        lambda: conv_transpose(np.ones((1, 1, 9, 9), "f4"), weight, method=method),
        lambda: plan(np.ones((1, 1, 9, 9), "f4"), weight, method=method),
        lambda: plan_pool("max_pool", np.ones((1, 1, 9), "f4"), 2, method=method),
        lambda: conv(torch.ones(1, 1, 9, requires_grad=True), torch.ones(1, 1, 3), method=method),
    ]
    for call in calls:
        try:
            call()
        except ValueError as refusal:
            assert f'`method` (="{method}")' in str(refusal)  # noqa: PT017
            assert 'use "auto"' in str(refusal)  # noqa: PT017


def test_separable_says_that_the_weights_are_no_products() -> None:
    weight = np.random.default_rng(0).random((1, 1, 5, 5), "f4")
    text = r'`method` \(="separable"\) cannot do this with `weight`: its kernels are not products'
    for call in (conv, plan):
        with pytest.raises(ValueError, match=text):
            call(np.ones((1, 1, 9, 9), "f4"), weight, method="separable")
