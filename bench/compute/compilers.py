"""The peers that compile a graph beforehand: JAX, ONNX Runtime, OpenVINO."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Iterator
from functools import partial
from math import prod
from types import ModuleType
from typing import Any, cast

import numpy as np

from bench.compute.cases import Case
from bench.compute.contenders import Contender, as_it_is, threads
from bench.compute.truth import Floats, Inputs

AXES = "DHW"


def with_jax(given: Inputs) -> Iterator[Contender]:
    """Compile once, with the weight as a constant: channels first, and channels last."""
    jax = importlib.import_module("jax")
    case = given.case
    axes = len(case.space)
    for name, last in (("jax", False), ("jax channels last", True)):
        x = np.ascontiguousarray(np.moveaxis(given.x, 1, -1)) if last else given.x
        compute = _jax_pool(jax, case, last) if case.pools else _jax_conv(jax, given, last)
        compiled, placed = jax.jit(compute), jax.device_put(x)

        def run(compiled: Any = compiled, placed: Any = placed) -> Any:
            return compiled(placed).block_until_ready()

        def channels_first(y: Any) -> Floats:
            return np.moveaxis(np.asarray(y), axes + 1, 1)

        yield Contender(name, run, channels_first if last else as_it_is)


def _jax_conv(jax: Any, given: Inputs, last: bool) -> Any:
    """Return the function of x; a transposed convolution convolves an input with gaps."""
    case, weight = given.case, given.weight
    if weight is None:
        raise TypeError("a pooling has no weight")
    letters = AXES[-len(case.space) :]
    layout = f"N{letters}C" if last else f"NC{letters}"
    kernel = f"{letters}IO" if last else f"OI{letters}"
    padding = [(p, p) for p in case.padding]
    how: dict[str, Any] = {"window_strides": case.stride, "rhs_dilation": case.dilation}
    if case.operation == "conv_transpose":
        if case.groups != 1:
            raise ValueError("written for one group only")
        weight = np.flip(weight, tuple(range(2, weight.ndim))).swapaxes(0, 1)
        ends = [
            d * (k - 1) - p for d, k, p in zip(case.dilation, case.size, case.padding, strict=True)
        ]
        padding = [(p, p) for p in ends]
        how |= {"window_strides": (1,) * len(letters), "lhs_dilation": case.stride}
    if last:
        weight = np.moveaxis(weight, (0, 1), (-1, -2))
    constant = jax.numpy.asarray(np.ascontiguousarray(weight))
    return lambda x: jax.lax.conv_general_dilated(
        x,
        constant,
        padding=padding,
        dimension_numbers=(layout, kernel, layout),
        feature_group_count=case.groups,
        **how,
    )


def _jax_pool(jax: Any, case: Case, last: bool) -> Any:
    def around(each: tuple[Any, ...], one: Any) -> tuple[Any, ...]:
        return (one, *each, one) if last else (one, one, *each)

    window, stride = around(case.size, 1), around(case.stride, 1)
    padding = around(tuple((p, p) for p in case.padding), (0, 0))
    if case.operation == "max_pool":
        return lambda x: jax.lax.reduce_window(x, -np.inf, jax.lax.max, window, stride, padding)
    return lambda x: (
        jax.lax.reduce_window(x, 0.0, jax.lax.add, window, stride, padding) / prod(case.size)
    )


def onnx_model(given: Inputs) -> bytes:
    """Return the case as an ONNX model of one node, from "x" to "y"."""
    onnx = importlib.import_module("onnx")
    case, make, number = given.case, onnx.helper, onnx.TensorProto.FLOAT
    attributes: dict[str, Any] = {
        "kernel_shape": case.size,
        "strides": case.stride,
        "pads": (*case.padding, *case.padding),
        "dilations": case.dilation,
    }
    names = {"conv": "Conv", "conv_transpose": "ConvTranspose", "max_pool": "MaxPool"}
    if case.operation == "avg_pool":
        attributes["count_include_pad"] = 1
    elif not case.pools:
        attributes["group"] = case.groups
    constants = [] if given.weight is None else [onnx.numpy_helper.from_array(given.weight, "w")]
    taken = ["x", *(constant.name for constant in constants)]
    node = make.make_node(names.get(case.operation, "AveragePool"), taken, ["y"], **attributes)
    x, y = (
        make.make_tensor_value_info(*of) for of in (("x", number, case.x), ("y", number, case.y))
    )
    graph = make.make_graph([node], "case", [x], [y], constants)
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 20)], ir_version=10)
    return bytes(model.SerializeToString())


def with_onnxruntime(given: Inputs) -> Iterator[Contender]:
    """Start a session that already has its input, and takes its result from its own arena."""
    runtime = importlib.import_module("onnxruntime")
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = threads()
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    # Its threads wait by spinning; between its calls they would take the others' time.
    settings.add_session_config_entry("session.force_spinning_stop", "1")
    session = runtime.InferenceSession(
        onnx_model(given), settings, providers=["CPUExecutionProvider"]
    )
    feed = {"x": runtime.OrtValue.ortvalue_from_numpy(given.x)}
    run = partial(session.run_with_ort_values, ["y"], feed)
    yield Contender("onnxruntime", run, lambda y: np.asarray(y[0].numpy()))


@functools.cache
def _openvino_core() -> Any:
    # Without this it reports each use to its makers, from a forked process, while others race.
    sys.modules.setdefault("openvino_telemetry", cast(ModuleType, None))
    return importlib.import_module("openvino").Core()


def with_openvino(given: Inputs) -> Iterator[Contender]:
    """Compile a model that already has its input, and writes into the same result each time."""
    core = _openvino_core()
    openvino = importlib.import_module("openvino")
    settings = {
        "INFERENCE_NUM_THREADS": threads(),
        "INFERENCE_PRECISION_HINT": "f32",  # it would take bfloat16 where the processor has it
        "PERFORMANCE_HINT": "LATENCY",
    }
    model = core.compile_model(core.read_model(onnx_model(given)), "CPU", settings)
    request = model.create_infer_request()
    request.set_input_tensor(openvino.Tensor(given.x, shared_memory=True))

    def run() -> Any:
        request.infer(share_outputs=True)
        return request.get_output_tensor().data

    yield Contender("openvino", run)
