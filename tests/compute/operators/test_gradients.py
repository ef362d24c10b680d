"""What torch does with the operations: derivatives of any order, tracing, mapping, compiling."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from convlens.compute import avg_pool, conv, conv_transpose, max_pool, plan
from convlens.compute.methods import eager, reference
from convlens.compute.operators import operators, outer_products, weight_gradient
from convlens.compute.operators.gradients import differentiable, seen_by_torch
from convlens.compute.operators.operators import (
    avg_pool_operator,
    conv_operator,
    conv_transpose_operator,
    conv_weight_gradient_operator,
    max_pool_operator,
)
from convlens.compute.problems import Conv, Problem
from convlens.compute.reading.options import read_conv, read_pool, read_weighted
from convlens.windows import Window
from tests.cases.problems import BY_NAME, CASES, Case
from tests.oracles.compute import Numbers, arrays_of, check_sum

# torch loads scripts of its own for these, and warns of them itself.
FORWARD = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
WEIGHTED = [case for case in CASES if case.weight]
SMOOTH = [c for c in CASES if not (c.operation == "max_pool" and "mostly padding" in c.name)]


@pytest.fixture(autouse=True)
def _by_one_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use plain sums, because a transform would not be exact on whole numbers."""

    def execute(problem: Problem, *parts: Tensor | None) -> Any:
        x, weight, bias = (*parts, None, None)[:3]
        assert x is not None
        method = reference.METHOD if eager.METHOD.refused(problem) else eager.METHOD
        return method.run(problem, x, weight, bias)

    monkeypatch.setattr("convlens.compute.operators.operators.execute", execute)


def problem_of(case: Case, x: Any, weight: Any = None, bias: Any = None) -> Problem:
    if not case.weight:
        return read_pool(case.operation, x, case.size, **case.options)
    transposed = case.operation == "conv_transpose"
    return read_weighted(x, weight, bias, transposed=transposed, **case.options)


def computed(case: Case, x: Tensor, weight: Any = None, bias: Any = None) -> Tensor:
    return differentiable(problem_of(case, x, weight, bias), x, weight, bias)[0]


def drawn(case: Case, dtype: torch.dtype, seed: int = 3) -> list[Tensor]:
    """Return random x, weight and bias of a case; x alone for pooling."""
    generator = torch.Generator().manual_seed(seed)
    parts = arrays_of(case) if case.weight else arrays_of(case)[:1]
    return [torch.randn(part.shape, dtype=dtype, generator=generator) for part in parts]


@pytest.mark.parametrize("case", SMOOTH, ids=str)
def test_first_and_second_derivatives_are_those_of_finite_differences(case: Case) -> None:
    parts = [part.requires_grad_() for part in drawn(case, torch.float64)]

    def compute(*parts: Tensor) -> Tensor:
        return computed(case, *parts)

    assert torch.autograd.gradcheck(compute, parts, fast_mode=True)
    assert torch.autograd.gradgradcheck(compute, parts, fast_mode=True)


@pytest.mark.parametrize(
    "name", ["a layer", "reflected", "grouped", "transposed in groups", "the mean, padded"]
)
def test_complex_derivatives_are_those_of_finite_differences(name: str) -> None:
    case = BY_NAME[name]
    parts = [part.requires_grad_() for part in drawn(case, torch.complex128)]

    def compute(*parts: Tensor) -> Tensor:
        return computed(case, *parts)

    assert torch.autograd.gradcheck(compute, parts, fast_mode=True)
    assert torch.autograd.gradgradcheck(compute, parts, fast_mode=True)


def test_padding_on_one_side_alone_has_a_derivative() -> None:
    case = Case("one side", "conv", (1, 1, 4), (1, 1, 3), options={"padding": ((2, 0),)})
    for mode in ("zeros", "reflect", "replicate", "circular"):
        case.options["padding_mode"] = mode
        parts = [part.requires_grad_() for part in drawn(case, torch.float64)]
        assert torch.autograd.gradcheck(lambda *parts: computed(case, *parts), parts)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("name", ["a layer", "grouped", "a volume", "doubling"])
def test_derivatives_keep_the_bound_of_a_sum(name: str, dtype: torch.dtype) -> None:
    """The derivatives to the weight and to x are sums of products, rounded once."""
    case = BY_NAME[name]
    x, weight, _ = drawn(case, dtype)
    gradient = torch.randn_like(computed(case, x, weight))

    def derivatives(*parts: Tensor) -> list[Numbers]:
        x, weight, gradient = parts
        leaves = x.detach().requires_grad_(), weight.detach().requires_grad_()
        found = torch.autograd.grad(computed(case, *leaves), leaves, gradient)
        return [part.double().numpy() for part in found]

    exact = [part.double() for part in (x, weight, gradient)]
    expected = derivatives(*exact)
    total = derivatives(*(part.abs() for part in exact))
    terms = gradient.numel() // gradient.shape[1], weight[0].numel() * len(weight)
    for i, found in enumerate(derivatives(x, weight, gradient)):
        kind = str(dtype).removeprefix("torch.")
        check_sum(found, expected[i], total[i], max(terms), kind)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("operation", ["max_pool", "avg_pool"])
def test_derivatives_of_pooling_keep_the_bound_of_a_sum(operation: str, dtype: torch.dtype) -> None:
    """Windows overlap, so that many gradients are added for one input."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 60, generator=generator).to(dtype)
    gradient = torch.randn(2, 3, 44, generator=generator).to(dtype)

    def derivative(x: Tensor, gradient: Tensor) -> Numbers:
        leaf = x.detach().requires_grad_()
        y, _ = differentiable(read_pool(operation, leaf, 17, stride=1), leaf, None, None)
        return torch.autograd.grad(y, leaf, gradient)[0].double().numpy()

    found = derivative(x, gradient)
    expected = derivative(x.double(), gradient.double())
    total = derivative(x.double(), gradient.double().abs())
    check_sum(found, expected, total, 17, str(dtype).removeprefix("torch."))


@pytest.mark.parametrize("case", [c for c in WEIGHTED if c.operation == "conv"], ids=str)
def test_the_weight_gradient_is_its_definition_on_whole_numbers(case: Case) -> None:
    x, weight, _ = (torch.from_numpy(part) for part in arrays_of(case))
    problem = problem_of(case, x, weight)
    x = x.reshape(problem.batch, *x.shape[-len(problem.space) - 1 :])
    if not isinstance(problem, Conv) or problem.padding_mode != "zeros":
        return
    rng = np.random.default_rng(7)
    shape = (problem.batch, problem.channels_out, *problem.outputs)
    gradient = torch.from_numpy(rng.integers(-4, 5, shape).astype(np.float64))
    expected = _defined_weight_gradient(problem, x.numpy(), gradient.numpy())
    for compute in (weight_gradient.by_torch, _by_conv, outer_products.run):
        found = compute(problem, x, gradient)
        np.testing.assert_array_equal(found.numpy(), expected)


def _by_conv(problem: Conv, x: Tensor, gradient: Tensor) -> Tensor:
    return weight_gradient._by_conv(problem, x, gradient, operators._compute)


def _defined_weight_gradient(problem: Problem, x: Numbers, gradient: Numbers) -> Numbers:
    """Add up one product after the other, as the windows define."""
    groups = problem.groups
    k, each = problem.channels_out, problem.channels // groups
    result = np.zeros((k, each, *problem.size))
    axes = []
    for window, n in zip(problem.windows, problem.space, strict=True):
        places = range(window.outputs(n))
        reads = [zip(window.taps(o, n), window.reads(o, n), strict=True) for o in places]
        axes.append([(o, *pair) for o, pairs in enumerate(reads) for pair in pairs])
    for meeting in itertools.product(*axes):
        o, tap, place = zip(*meeting, strict=True)
        for out in range(k):
            first = out // (k // groups) * each
            values = x[(slice(None), slice(first, first + each), *place)]
            result[(out, slice(None), *tap)] += gradient[(slice(None), out, *o)] @ values
    return result


def test_a_window_of_padding_alone_passes_no_gradient() -> None:
    x = torch.arange(4.0)[None, None].requires_grad_()
    problem = read_pool("max_pool", x, 2, padding=((5, 3),), return_indices=True)
    y, places = differentiable(problem, x, None, None)
    assert torch.isneginf(y).tolist() == [[[True, True, False, False, False, True]]]
    assert places is not None
    assert not places.requires_grad
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert gradient.tolist() == [[[1.0, 0.0, 1.0, 1.0]]]


@pytest.mark.parametrize("leaf", [0, 1])
def test_only_what_a_derivative_needs_is_kept(leaf: int) -> None:
    case = BY_NAME["a layer"]
    parts = drawn(case, torch.float32)
    parts[leaf].requires_grad_()
    kept: list[Tensor] = []

    def pack(part: Tensor) -> Tensor:
        kept.append(part)
        return part

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda part: part):
        computed(case, *parts)
    assert [part.data_ptr() for part in kept] == [parts[1 - leaf].data_ptr()]


def leaf(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, dtype=dtype, requires_grad=True)


CALLS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "conv": (
        conv_operator,
        (leaf(2, 4, 7, 6), leaf(6, 2, 3, 2), leaf(6), [2, 1], [1, 0, 2, 1], [1, 2], 2),
    ),
    "conv of channels last": (
        conv_operator,
        (
            leaf(2, 4, 7, 6).detach().to(memory_format=torch.channels_last).requires_grad_(),
            *(leaf(6, 4, 3, 2), None, [2, 1], [1, 0, 2, 1], [1, 2], 1),
        ),
    ),
    "conv of bfloat16": (
        conv_operator,
        (
            leaf(2, 4, 7, dtype=torch.bfloat16),
            leaf(6, 4, 3, dtype=torch.bfloat16),
            *(None, [2], [1, 0], [1], 1),
        ),
    ),
    "conv_transpose": (
        conv_transpose_operator,
        (
            *(leaf(2, 4, 5, 3), leaf(4, 3, 3, 3), leaf(6)),
            *([2, 1], [1, 0, 2, 1], [1, 0], [1, 2], 2),
        ),
    ),
    "conv_weight_gradient": (
        conv_weight_gradient_operator,
        (leaf(2, 4, 7), leaf(2, 6, 4), [3], [2], [1, 1], [1], 2),
    ),
    "max_pool": (max_pool_operator, (leaf(2, 3, 8, 7), [3, 2], [2, 2], [1, 1, 0, 0], [1, 2], True)),
    "avg_pool": (
        avg_pool_operator,
        (leaf(2, 3, 8, 7), [3, 2], [2, 2], [1, 2, 0, 0], [1, 2], True, False),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_operators_pass_the_checks_of_torch(name: str) -> None:
    operator, arguments = CALLS[name]
    torch.library.opcheck(operator.operator, arguments)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_shapes_are_known_without_numbers(case: Case) -> None:
    """Meta and fake tensors have the shape, type and strides of the real result."""
    parts = drawn(case, torch.float32)
    real = computed(case, *parts)
    meta = computed(case, *(part.to("meta") for part in parts))
    with FakeTensorMode() as mode:
        fake = computed(case, *(mode.from_tensor(part) for part in parts))
    for found in (meta, fake):
        assert (found.shape, found.dtype) == (real.shape, real.dtype)
        assert found.stride() == real.stride()


def looped(f: Callable[..., Tensor], axes: tuple[int | None, ...], parts: list[Tensor]) -> Tensor:
    count = next(
        part.shape[axis] for part, axis in zip(parts, axes, strict=True) if axis is not None
    )
    at = [
        [
            part if axis is None else part.select(axis, i)
            for part, axis in zip(parts, axes, strict=True)
        ]
        for i in range(count)
    ]
    return torch.stack([f(*each) for each in at])


MAPPED: dict[str, tuple[Any, list[tuple[int, ...]]]] = {
    "conv": (
        lambda x, w, b: conv_operator(x, w, b, [2], [1, 0], [1], 2),
        [(2, 4, 7), (6, 2, 3), (6,)],
    ),
    "conv_transpose": (
        lambda x, w, b: conv_transpose_operator(x, w, b, [2], [1, 0], [1], [1], 2),
        [(2, 4, 7), (4, 3, 3), (6,)],
    ),
    "conv_weight_gradient": (
        lambda x, y: conv_weight_gradient_operator(x, y, [3], [2], [1, 0], [1], 2),
        [(2, 4, 7), (2, 6, 3)],
    ),
    "max_pool": (lambda x: max_pool_operator(x, [2], [2], [0, 0], [1], True)[0], [(2, 3, 7)]),
    "places": (lambda x: max_pool_operator(x, [2], [2], [0, 0], [1], True)[1], [(2, 3, 7)]),
    "avg_pool": (lambda x: avg_pool_operator(x, [2], [2], [0, 0], [1], True, False), [(2, 3, 7)]),
}


@pytest.mark.parametrize("name", MAPPED)
def test_mapping_is_a_loop(name: str) -> None:
    """With whole numbers, every sum is exact in any order."""
    f, shapes = MAPPED[name]
    generator = torch.Generator().manual_seed(0)
    for axes in itertools.product((None, 0, 1), repeat=len(shapes)):
        if all(axis is None for axis in axes):
            continue
        parts = []
        for shape, axis in zip(shapes, axes, strict=True):
            whole = shape if axis is None else (*shape[:axis], 3, *shape[axis:])
            parts.append(torch.randint(-4, 5, whole, generator=generator).double())
        assert torch.equal(vmap(f, axes)(*parts), looped(f, axes, parts))
    twice = torch.randint(-4, 5, (2, 3, *shapes[0]), generator=generator).double()
    rest = [torch.randint(-4, 5, shape, generator=generator).double() for shape in shapes[1:]]
    none = [None] * len(rest)
    found = vmap(vmap(f, (0, *none)), (0, *none))(twice, *rest)
    assert torch.equal(found, torch.stack([looped(f, (0, *none), [one, *rest]) for one in twice]))


def test_a_compiled_map_is_a_loop() -> None:
    weight = torch.randint(-4, 5, (6, 2, 3)).float()
    x = torch.randint(-4, 5, (3, 2, 4, 7)).float()

    def one(x: Tensor) -> Tensor:
        y: Tensor = conv_operator(x, weight, None, [2], [1, 0], [1], 2)
        return y

    compiled: Any = torch.compile(vmap(one), fullgraph=True, backend="eager")
    assert torch.equal(compiled(x), torch.stack([one(part) for part in x]))


def test_mapping_over_a_convolution_reads_the_shapes_of_one() -> None:
    x, w = torch.randn(5, 2, 3, 8), torch.randn(4, 3, 3)
    case = Case("a signal", "conv", (2, 3, 8), (4, 3, 3), options={"padding": "same"})
    found = vmap(lambda x: computed(case, x, w))(x)
    assert found.shape == (5, 2, 4, 8)
    torch.testing.assert_close(found, torch.stack([computed(case, one, w) for one in x]))


class Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(4, 2, 3, 3, dtype=torch.float64))
        self.bias = torch.nn.Parameter(torch.randn(4, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        x = max_pool(conv(x, self.weight, self.bias, padding=1).tanh(), (2, 2))
        y: Tensor = avg_pool(x, (2, 2)).square().sum()
        return y


def test_gradients_of_every_sample_at_once() -> None:
    module, x = Small(), torch.randn(3, 2, 8, 8, dtype=torch.float64)
    parameters: dict[str, Tensor] = dict(module.named_parameters())

    def loss(parameters: dict[str, Tensor], one: Tensor) -> Tensor:
        result: Tensor = functional_call(module, parameters, (one,))
        return result

    found = vmap(grad(loss), (None, 0))(parameters, x)
    for i, one in enumerate(x):
        expected = torch.autograd.grad(module(one), list(parameters.values()))
        for name, part in zip(parameters, expected, strict=True):
            torch.testing.assert_close(found[name][i], part)


@FORWARD
def test_jacobians_forward_and_backward_agree() -> None:
    module, x = Small(), torch.randn(2, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(jacfwd(module)(x), jacrev(module)(x))
    torch.testing.assert_close(hessian(module)(x), jacrev(jacrev(module))(x))
    slope: Tensor = jvp(module, (x,), (torch.ones_like(x),))[1]
    torch.testing.assert_close(slope, jacrev(module)(x).sum())


@FORWARD
def test_a_forward_derivative_that_torch_has_not_is_refused() -> None:
    x = torch.randn(1, 1, 3)
    case = BY_NAME["reflected more than once"]
    _, weight, bias = drawn(case, torch.float32)
    with pytest.raises(ValueError, match="no forward-mode derivative of `x`"):
        jvp(lambda x: computed(case, x, weight, bias), (x,), (x,))


def a_network(x: Tensor, weight: Tensor, back: Tensor) -> Tensor:
    """A network with every operation once, called as a user would."""
    ends = (1, 0), (2, 1)
    y = conv(x, weight, stride=(1, 2), padding=ends, padding_mode="circular").relu()
    y = conv_transpose(max_pool(y, 2, ceil_mode=True), back, stride=2)
    averages: Tensor = avg_pool(y, (3, 2), stride=1)
    return averages


def check_compiled(backend: str) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(a_network, fullgraph=True, backend=backend)
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(s, generator=generator) for s in ((4, 2, 3, 3), (4, 2, 2, 2))]
    for shape in ((2, 2, 9, 8), (2, 2, 9, 8), (1, 2, 11, 8)):
        x = torch.randn(shape, generator=generator)
        results = []
        for network in (a_network, compiled):
            leaves = [part.clone().requires_grad_() for part in (x, *weights)]
            y = network(*leaves)
            results.append([y, *torch.autograd.grad(y.square().sum(), leaves)])
        for found, expected in zip(*results, strict=True):
            torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("backend", [pytest.param("eager", marks=pytest.mark.slow), "aot_eager"])
def test_compiling_breaks_no_graph(backend: str) -> None:
    check_compiled(backend)


def test_a_plan_can_be_compiled() -> None:
    torch._dynamo.reset()
    planned = plan(((1, 2, 9), "float32"), torch.ones(3, 2, 3), method="torch")

    def one_more(x: Tensor) -> Any:
        return planned(x) + 1

    compiled = torch.compile(one_more, fullgraph=True, backend="eager")
    assert torch.equal(compiled(torch.ones(1, 2, 9)), torch.full((1, 3, 7), 7.0))


@pytest.mark.slow
@FORWARD
def test_inductor_compiles_it() -> None:
    check_compiled("inductor")


def test_a_traced_graph_holds_the_operators() -> None:
    weights = torch.randn(4, 2, 3, 3), torch.randn(4, 2, 2, 2)
    x = torch.randn(2, 2, 9, 8)
    graph = make_fx(a_network)(x, *weights)
    called = {str(node.target) for node in graph.graph.nodes}
    assert {
        f"convlens.{name}.default" for name in ("conv", "conv_transpose", "max_pool", "avg_pool")
    } <= called
    assert torch.equal(graph(x, *weights), a_network(x, *weights))


@FORWARD
def test_what_torch_must_see() -> None:
    plain, leaf = torch.ones(1), torch.ones(1, requires_grad=True)
    assert not seen_by_torch(plain, np.ones(1), None)
    assert not seen_by_torch(torch.nn.Parameter(plain, requires_grad=False))
    assert seen_by_torch(plain, leaf)
    with torch.no_grad():
        assert not seen_by_torch(leaf)
    assert seen_by_torch(plain.to("meta"))
    found: list[bool] = []

    def look(x: Tensor) -> Tensor:
        found.append(seen_by_torch(x))
        return x

    vmap(look)(plain)
    jvp(look, (plain,), (plain,))
    torch.jit.trace(look, plain, check_trace=False)
    make_fx(look)(plain)
    with FakeTensorMode() as mode:
        look(mode.from_tensor(plain))
    assert found == [True] * 5


def test_a_wider_type_asked_for_comes_out() -> None:
    x, weight = torch.full((1, 1, 3), 100, dtype=torch.int8), torch.ones(1, 1, 3, dtype=torch.int8)
    problem = read_conv(x, weight, out_dtype="int32")
    y, _ = differentiable(problem, x, weight, None)
    assert (y.dtype, y.tolist()) == (torch.int32, [[[300]]])
    meta, _ = differentiable(problem, x.to("meta"), weight.to("meta"), None)
    assert meta.dtype is torch.int32


def test_no_batch_gives_gradients_of_zero() -> None:
    case = BY_NAME["a layer"]
    x, weight, bias = (part.requires_grad_() for part in drawn(case, torch.float32))
    y = computed(case, x[:0], weight, bias)
    assert y.shape == (0, 6, 6, 5)
    for part in torch.autograd.grad(y.sum(), (weight, bias)):
        assert not part.any()


def test_a_dilation_beyond_32_bits_has_a_weight_gradient() -> None:
    """torch would drop its upper bits: the first tap is in the padding, the second on x."""
    x = torch.full((1, 1, 1), 2.0)
    window = Window(2, dilation=2**40, before=2**40)
    problem = Conv(space=(1,), windows=(window,), dtype="float32")
    found = weight_gradient.run(problem, x, 3 * x, operators._compute)
    assert found.tolist() == [[[0.0, 12.0]]]
