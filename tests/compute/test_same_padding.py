"""The paddings "same_upper" and "same_lower", against ONNX and the formula of TensorFlow."""

from importlib import import_module
from itertools import product
from math import ceil
from typing import Any

import numpy as np
import pytest
import torch

from convlens import functional
from convlens.compute import avg_pool, conv, conv_transpose, max_pool, plan
from convlens.compute.planning import plan_pool
from convlens.windows import TransposedWindow, Window
from tests.oracles.compute import Numbers

NAMES = {"same_upper": "SAME_UPPER", "same_lower": "SAME_LOWER"}
RNG = np.random.default_rng(0)
CASES = list(product((5, 6, 8, 11), (1, 2, 3, 4, 5), (1, 2, 3), (1, 2)))
"""Lengths, sizes, strides and dilations."""


def whole(*shape: int) -> Numbers:
    return RNG.integers(-4, 5, shape).astype(np.float32)


def by_onnx(
    runtime: str, operator: str, padding: str, inputs: list[Numbers], **attributes: Any
) -> Numbers:
    """Compute one node by ONNX's reference or by ONNX Runtime."""
    onnx: Any = pytest.importorskip("onnx")
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    names = [f"input{i}" for i in range(len(inputs))]
    node = make.make_node(operator, names, ["y"], auto_pad=NAMES[padding], **attributes)
    given = [
        make.make_tensor_value_info(n, kind, i.shape) for n, i in zip(names, inputs, strict=True)
    ]
    graph = make.make_graph([node], "one", given, [make.make_tensor_value_info("y", kind, None)])
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=8)
    if runtime == "onnx":
        session = import_module("onnx.reference").ReferenceEvaluator(model)
    else:
        onnxruntime: Any = pytest.importorskip("onnxruntime")
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
    (y,) = session.run(None, dict(zip(names, inputs, strict=True)))
    return np.asarray(y)


@pytest.mark.parametrize("padding", NAMES)
def test_windows_are_those_of_tensorflow(padding: str) -> None:
    """TensorFlow's formula (*Notes on padding* in `tf.nn`) has no dilation; ONNX's has one."""
    for n, size, stride, dilation in CASES:
        extent = (size - 1) * dilation + 1
        rest = n % stride
        total = max(extent - (rest if rest else stride), 0)
        window = Window.padded(padding, size, stride, dilation, n)
        assert window.outputs(n) == ceil(n / stride)
        if extent <= n + total:
            assert window.before + window.after == total
        front = total // 2 if padding == "same_upper" else total - total // 2
        assert window.before == front
        transposed = TransposedWindow.padded(padding, size, stride, dilation)
        assert transposed.outputs(n) == n * stride
        forward = Window.padded(padding, size, stride, dilation, n * stride)
        ends = forward.before, forward.after
        assert (transposed.before, transposed.after) == ends  # it is the transpose of that window


@pytest.mark.parametrize("runtime", ["onnx", "onnxruntime"])
@pytest.mark.parametrize("padding", NAMES)
def test_results_are_those_of_onnx(padding: str, runtime: str) -> None:
    """Test where they give results: neither supports dilation here, nor a size below the stride."""
    for n, size, stride, dilation in CASES:
        if dilation > 1 or size < stride or size > n or n not in (5, 8):
            continue
        x, weight, turned = whole(2, 3, n, n), whole(4, 3, size, size), whole(3, 4, size, size)
        how: dict[str, Any] = {"stride": stride, "padding": padding}
        spelt = {"strides": [stride] * 2, "kernel_shape": [size, size]}
        found, right = (
            conv(x, weight, **how),
            by_onnx(runtime, "Conv", padding, [x, weight], **spelt),
        )
        np.testing.assert_array_equal(found, right, f"{n} {size} {stride}")
        right = by_onnx(runtime, "ConvTranspose", padding, [x, turned], **spelt)
        np.testing.assert_array_equal(
            conv_transpose(x, turned, **how), right, f"{n} {size} {stride}"
        )
        if runtime == "onnx":
            continue  # its reference for pooling gives fewer outputs than its specification says
        right = by_onnx(runtime, "MaxPool", padding, [x], **spelt)
        np.testing.assert_array_equal(max_pool(x, size, **how), right, f"{n} {size} {stride}")
        found = avg_pool(x, size, **how, count_include_pad=False)
        right = by_onnx(runtime, "AveragePool", padding, [x], **spelt)
        np.testing.assert_allclose(found, right, rtol=1e-6, atol=1e-6)


def test_every_method_and_every_name_knows_them() -> None:
    x, weight = whole(2, 4, 9, 10), whole(4, 4, 3, 4)
    how: dict[str, Any] = {"stride": 2, "padding": "same_upper"}
    right = conv(x, weight, stride=2, padding=[(1, 1), (1, 1)])
    assert right.shape == (2, 4, 5, 5)
    planned = plan(x, weight, **how, measure=False)
    np.testing.assert_array_equal(planned(x), right)
    assert [(w.before, w.after) for w in planned.windows] == [(1, 1), (1, 1)]
    for method in ("reference", "torch", "direct"):
        np.testing.assert_allclose(conv(x, weight, **how, method=method), right, atol=1e-3)
    tensors = torch.from_numpy(x), torch.from_numpy(weight)
    leaf = tensors[0].clone().requires_grad_()
    for found in (functional.conv2d(*tensors, **how), conv(leaf, tensors[1], **how)):
        np.testing.assert_array_equal(found.detach().numpy(), right)
    pooled = plan_pool("max_pool", x, 3, **how, measure=False)
    np.testing.assert_array_equal(pooled(x), functional.max_pool2d(tensors[0], 3, **how))
    turned = functional.conv_transpose2d(*tensors, **how)
    assert turned.shape == (2, 4, 18, 20)
    # One name per axis, and the padding modes.
    mixed = conv(x, weight, stride=(1, 2), padding=("valid", "same_lower"), padding_mode="circular")
    assert mixed.shape == (2, 4, 7, 5)
    np.testing.assert_array_equal(
        mixed, conv(x, weight, stride=(1, 2), padding=[0, (1, 1)], padding_mode="circular")
    )
    reflected = conv(x, weight[..., :2, :2], **how, padding_mode="reflect")
    pad = np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(reflected, conv(pad, weight[..., :2, :2], stride=2))


def test_an_odd_length_of_padding_falls_where_the_name_says() -> None:
    x, weight = np.array([[1.0, 2.0, 4.0, 8.0]]), np.array([[[1.0, 10.0, 100.0]]])
    assert conv(x, weight, stride=2, padding="same_upper").tolist() == [[421.0, 84.0]]
    assert conv(x, weight, stride=2, padding="same_lower").tolist() == [[210.0, 842.0]]
    assert max_pool(x, (3,), stride=2, padding="same_lower").tolist() == [[2.0, 8.0]]
    gone = conv_transpose(np.array([[1.0]]), weight, stride=2, padding="same_upper")
    assert gone.tolist() == [[1.0, 10.0]]
    gone = conv_transpose(np.array([[1.0]]), weight, stride=2, padding="same_lower")
    assert gone.tolist() == [[10.0, 100.0]]
    spread = conv_transpose(np.array([[1.0]]), weight[..., :1], stride=3, padding="same_lower")
    assert spread.tolist() == [[1.0, 0.0, 0.0]]


def test_what_has_no_meaning_is_refused_with_the_cure() -> None:
    x, weight = np.ones((1, 1, 9)), np.ones((1, 1, 3))
    with pytest.raises(ValueError, match=r'needs stride 1 \(here 2\).* "same_upper".*"same_lower"'):
        conv(x, weight, stride=2, padding="same")
    with pytest.raises(ValueError, match=r'needs stride 1 \(here 2\).* "same_upper"'):
        Window.padded("same", 3, 2)
    for name in NAMES:
        with pytest.raises(ValueError, match=f'`n` is missing: how much `padding` "{name}"'):
            Window.padded(name, 3, 2)
    with pytest.raises(ValueError, match=r'must be integers, "same_upper" or "same_lower"'):
        conv_transpose(x, weight, padding="same")
    for wrong in ("SAME", "same_uper", "SAME_UPPER"):
        with pytest.raises(ValueError, match=f"`padding` .='{wrong}'. must be one of"):
            conv(x, weight, padding=wrong)
    with pytest.raises(ValueError, match="has 2 entries for 1 axes"):
        conv(x, weight, padding=("same_upper", "valid"))
