"""Every convolution and pooling among the backend tests of ONNX, by every method of convlens."""

import warnings
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convlens.compute import Plan, plan
from convlens.compute.methods import METHODS
from convlens.compute.planning import plan_pool
from convlens.windows import TransposedWindow, Window
from tests.cases.methods import DIRECT, does, is_exact
from tests.oracles.compute import Numbers, check_sum

onnx: Any = pytest.importorskip("onnx")

pytestmark = pytest.mark.xdist_group("onnx")  # generating ONNX tests takes 5 s: do it once

KINDS = ("node", "pytorch-converted", "pytorch-operator")
"""The collections of tests with these operators in them."""

FEWEST = {
    "AveragePool": 27,
    "Conv": 46,
    "ConvInteger": 2,
    "ConvTranspose": 14,
    "GlobalAveragePool": 2,
    "GlobalMaxPool": 2,
    "MaxPool": 28,
}
"""How many tests with each operator onnx 1.23 has: another version may bring more."""

REFUSED: dict[str, str] = {}
"""The tests that are not run, by name, with the reason: there are none."""

BY_HAND = {"test_averagepool_2d_ceil_last_window_starts_on_pad": 1e-4}
"""The tests whose outputs were written by hand, and the unit of their last decimal.

It is one off in one of them: (0.8816 + 0.4353 + 0.5772 + 0.6623) / 9 is 0.28404, not 0.2841.
"""


class Sums:
    """The absolute products that the last convolution summed, and their number."""

    planned: Plan | None = None
    total: Numbers = np.zeros(0)
    terms: int = 0


class RefusedError(Exception):
    """A problem that the method refuses."""


Example = tuple[str, Any, list[tuple[list[Any], list[Any]]]]

_examples: dict[str, tuple[Example, ...]] = {}
"""By kind, as long as the process lives: ONNX makes its tests once and refuses a second time."""


def examples_of(kind: str) -> tuple[Example, ...]:
    """Return name, model and (inputs, outputs) of the tests with a supported operator."""
    if kind not in _examples:
        _examples[kind] = loaded_examples(kind)
    return _examples[kind]


def loaded_examples(kind: str) -> tuple[Example, ...]:
    loader = import_module("onnx.backend.test.loader")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # generating the tests of other operators overflows
        loaded = loader.load_model_tests(kind=kind)
    found = []
    for test in loaded:
        model = test.model
        if model is None:
            model = onnx.load(Path(test.model_dir) / "model.onnx")
        if any(node.op_type in FEWEST for node in model.graph.node):
            sets = test.data_sets or data_sets(Path(test.model_dir))
            found.append((test.name, model, sets))
    return tuple(found)


def data_sets(folder: Path) -> list[tuple[list[Any], list[Any]]]:
    """Read the arrays stored next to a model."""

    def arrays(data: Path, kind: str) -> list[Any]:
        files = sorted(data.glob(f"{kind}_*.pb"), key=lambda f: int(f.stem.split("_")[1]))
        tensors = [onnx.TensorProto.FromString(file.read_bytes()) for file in files]
        return [onnx.numpy_helper.to_array(tensor) for tensor in tensors]

    return [(arrays(d, "input"), arrays(d, "output")) for d in sorted(folder.glob("test_data*"))]


def ends_of(
    n: int, window: Window, auto_pad: str, pads: list[int] | None, axis: int, axes: int
) -> tuple[int, int]:
    """Return the padding at either end, from numbers or from a name as ONNX defines it."""
    if auto_pad == "VALID":
        return 0, 0
    if not auto_pad.startswith("SAME"):
        return (pads[axis], pads[axis + axes]) if pads else (0, 0)
    outputs = -(-n // window.stride)
    around = max(0, (outputs - 1) * window.stride + window.extent - n)
    less, more = around // 2, around - around // 2
    return (less, more) if auto_pad == "SAME_UPPER" else (more, less)


def windows_of(space: tuple[int, ...], size: tuple[int, ...], options: dict[str, Any]) -> Any:
    """Return stride, dilation and padding of every axis as convlens takes them."""
    axes = len(size)
    strides = options.get("strides") or [1] * axes
    dilations = options.get("dilations") or [1] * axes
    windows = [Window(k, s, d) for k, s, d in zip(size, strides, dilations, strict=True)]
    named, pads = options.get("auto_pad") or "NOTSET", options.get("pads")
    padding = [
        ends_of(n, w, named, pads, axis, axes)
        for axis, (n, w) in enumerate(zip(space, windows, strict=True))
    ]
    return {"stride": tuple(strides), "dilation": tuple(dilations), "padding": padding}


def transposed_ends(space: tuple[int, ...], size: tuple[int, ...], options: dict[str, Any]) -> Any:
    """Return padding and output padding of a transposed convolution that specifies its outputs."""
    axes = len(size)
    fitted = windows_of(space, size, options | {"auto_pad": "NOTSET"})
    added = list(options.get("output_padding") or [0] * axes)
    named, wanted = options.get("auto_pad") or "NOTSET", options.get("output_shape")
    if wanted is None and named.startswith("SAME"):
        wanted = [n * s for n, s in zip(space, fitted["stride"], strict=True)]
    if wanted is not None:
        for axis, outputs in enumerate(list(wanted)[-axes:]):
            s, d = fitted["stride"][axis], fitted["dilation"][axis]
            whole = TransposedWindow(size[axis], s, d, output_padding=added[axis])
            cut = whole.outputs(space[axis]) - outputs
            less, more = max(0, cut) // 2, max(0, cut) - max(0, cut) // 2
            upper = named == "SAME_UPPER"
            fitted["padding"][axis] = (less, more) if upper else (more, less)
            added[axis] += max(0, -cut)
    return fitted | {"output_padding": tuple(added)}


def convolve(
    op: str, x: Numbers, weight: Numbers, bias: Numbers | None, method: str, **options: Any
) -> Numbers:
    """Compute Conv or ConvTranspose by a method, and record the products that it summed."""
    transposed = op == "ConvTranspose"
    fit = transposed_ends if transposed else windows_of
    ours = fit(x.shape[2:], weight.shape[2:], options)
    ours |= {"groups": options.get("group") or 1, "transposed": transposed, "measure": False}
    planned = plan(x, weight, bias, **ours)
    if not does(method, planned):
        raise RefusedError
    sizes = [np.abs(part.astype(np.float64)) for part in (x, weight)]
    last = None if bias is None else np.abs(bias.astype(np.float64))
    Sums.total = plan(sizes[0], sizes[1], last, method="reference", **ours)(sizes[0])
    Sums.planned, Sums.terms = planned, prod(weight.shape[1:]) + 1
    if transposed:
        Sums.terms = prod(weight.shape) + 1
    return np.asarray(plan(x, weight, bias, method=method, **ours)(x))


def convolve_integers(
    x: Numbers,
    weight: Numbers,
    x_zero: Numbers | None = None,
    weight_zero: Numbers | None = None,
    *,
    method: str,
    **options: Any,
) -> Numbers:
    """Compute ConvInteger: 8-bit numbers minus their zero points, summed in 32 bits."""
    x, weight = x.astype(np.int32), weight.astype(np.int32)
    if x_zero is not None:
        x = x - x_zero.astype(np.int32)
    if weight_zero is not None:
        weight = weight - weight_zero.astype(np.int32).reshape(-1, *[1] * (weight.ndim - 1))
    return convolve("Conv", x, weight, None, method, **options)


def pool(op: str, x: Numbers, method: str, indices: bool, **options: Any) -> tuple[Numbers, ...]:
    """Compute a pooling by a method, and record the products that it summed."""
    size = tuple(options.get("kernel_shape") or x.shape[2:])
    ours = windows_of(x.shape[2:], size, options) | {"ceil_mode": bool(options.get("ceil_mode"))}
    ours["measure"] = False
    if "Average" in op:
        ours["count_include_pad"] = bool(options.get("count_include_pad"))
    operation = "avg_pool" if "Average" in op else "max_pool"
    if indices:
        ours["return_indices"] = True
    planned = plan_pool(operation, x, size, **ours)
    if not does(method, planned):
        raise RefusedError
    Sums.planned, Sums.terms = planned, prod(size)
    if operation == "avg_pool":
        total = plan_pool(operation, np.abs(x), size, method="reference", **ours)(np.abs(x))
        Sums.total = total.astype(np.float64)
    found = plan_pool(operation, x, size, method=method, **ours)(x)
    if not indices:
        return (np.asarray(found),)
    y, places = found
    return y, onnx_places(x.shape, places, bool(options.get("storage_order")))


def onnx_places(shape: tuple[int, ...], places: Numbers, columns_first: bool) -> Numbers:
    """Return the places in ONNX's numbering, through batch and channels, or column by column.

    >>> onnx_places((1, 2, 2, 3), np.array([[[[1]], [[2]]]]), False).tolist()
    [[[[1]], [[8]]]]
    """
    space = shape[2:]
    if columns_first:
        at = np.unravel_index(places, space)
        places = np.asarray(np.ravel_multi_index(at, space, order="F"))
    planes = np.arange(prod(shape[:2])).reshape(*shape[:2], *[1] * len(space))
    return np.asarray(places + planes * prod(space))


def operators(method: str) -> list[type]:
    """Return the seven operators for ONNX's evaluator, computed by a method."""
    ancestor = import_module("onnx.reference.op_run").OpRun

    def conv_by(op: str) -> Callable[..., Any]:
        return lambda _, x, w, b=None, **given: (convolve(op, x, w, b, method, **given),)

    def pool_by(op: str) -> Callable[..., Any]:
        def run(self: Any, x: Numbers, **given: Any) -> Any:
            return pool(op, x, method, len(self.onnx_node.output) > 1, **given)

        return run

    bodies = {op: conv_by(op) for op in ("Conv", "ConvTranspose")}
    bodies |= {op: pool_by(op) for op in FEWEST if op.endswith("Pool")}
    bodies["ConvInteger"] = lambda _, *parts, **given: (
        convolve_integers(*parts, method=method, **given),
    )
    return [type(op, (ancestor,), {"_run": body, "op_domain": ""}) for op, body in bodies.items()]


def check_outputs(
    name: str, model: Any, found: list[Any], expected: list[Any], exact: bool
) -> None:
    """Raise unless the outputs are those of ONNX.

    ONNX's sums are rounded, too, so the bound counts twice. Operations after the convolution
    work on numbers near 1 and do not enlarge the error.
    """
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        theirs = np.asarray(theirs)
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        alone = len(model.graph.node) == 1
        summed = any(node.op_type not in ("MaxPool", "GlobalMaxPool") for node in model.graph.node)
        if theirs.dtype.kind in "iu" or not summed:
            np.testing.assert_array_equal(ours, theirs)
        elif name in BY_HAND:
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=BY_HAND[name])
        elif alone:
            total = Sums.total if exact else np.full_like(Sums.total, 16 * Sums.total.max())
            check_sum(ours, theirs.astype(np.float64), total, 2 * Sums.terms + 4, "float32")
        else:
            np.testing.assert_allclose(ours, theirs, rtol=2**-20, atol=2**-20)


def run_example(
    name: str, model: Any, sets: list[tuple[list[Any], list[Any]]], method: str
) -> bool:
    """Raise unless a method agrees with ONNX; return False if it refuses."""
    evaluator = import_module("onnx.reference").ReferenceEvaluator(model, new_ops=operators(method))
    names = [entry.name for entry in model.graph.input]
    for inputs, outputs in sets:
        try:
            found = evaluator.run(None, dict(zip(names, inputs, strict=False)))
        except RefusedError:
            return False
        assert Sums.planned is not None
        check_outputs(name, model, found, outputs, is_exact(method, Sums.planned))
    return bool(sets)


ORDINARY = ["auto", *(["direct"] if DIRECT else []), "reference"]
SLOW = [pytest.param(m, marks=pytest.mark.slow) for m in METHODS if m not in ORDINARY]
"""Most of their time goes into compiling kernels that other tests compare with the reference."""


@pytest.mark.parametrize("method", [*ORDINARY, *SLOW])
@pytest.mark.parametrize("operator", FEWEST)
def test_onnx_agrees(operator: str, method: str) -> None:
    """Run every test with the operator, and report each failure by name."""
    wrong, ran, refused = [], 0, 0
    for kind in KINDS:
        for name, model, sets in examples_of(kind):
            if name in REFUSED or operator not in {node.op_type for node in model.graph.node}:
                continue
            try:
                answered = run_example(name, model, sets, method)
            except AssertionError as error:
                wrong.append(f"{kind} {name}: {error}")
                continue
            ran, refused = ran + answered, refused + (not answered)
    assert not wrong, "\n".join(wrong)
    assert ran + refused >= FEWEST[operator]
    if method == "auto":
        assert refused == 0
    elif not ran:
        pytest.skip(f"{method} refuses every {operator}")


def test_every_test_of_onnx_is_accounted_for() -> None:
    """Check that no test is lost between finding and running, and that all refused ones exist."""
    found: Counter[str] = Counter()
    names = set()
    for kind in KINDS:
        for name, model, sets in examples_of(kind):
            assert sets
            assert all(outputs for _, outputs in sets)
            names.add(name)
            found.update({node.op_type for node in model.graph.node} & set(FEWEST))
    assert all(found[operator] >= fewest for operator, fewest in FEWEST.items()), found
    assert set(REFUSED) <= names


def test_the_comparison_with_onnx_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that swapped padding is noticed for every operator that pads unevenly."""
    swapped = ends_of
    monkeypatch.setitem(globals(), "ends_of", lambda *parts: swapped(*parts)[::-1])
    seen = set()
    for name, model, sets in examples_of("node"):
        try:
            run_example(name, model, sets, "auto")
        except AssertionError:
            seen.add(name)
    assert {"test_averagepool_2d_same_upper", "test_maxpool_2d_same_lower"} <= seen
