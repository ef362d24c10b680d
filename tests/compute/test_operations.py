"""The operations as users meet them: kinds, shapes, plans, `out`, and refusals."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from convlens.compute import Plan, avg_pool, conv, conv_transpose, max_pool, measuring, plan
from convlens.compute.memory.arena import Arena
from convlens.compute.methods import METHODS, prepared, reference, refused
from convlens.compute.planning import plan_pool
from convlens.compute.problems import DTYPES
from convlens.compute.reading import options

X = np.arange(60.0).reshape(1, 3, 4, 5)
W = np.ones((2, 3, 3, 3))
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "conv": lambda x, w: conv(x, w, padding=1),
    "conv_transpose": lambda x, w: conv_transpose(x[:, :2], w, stride=2),
    "max_pool": lambda x, w: max_pool(x, 2),
    "avg_pool": lambda x, w: avg_pool(x, 2),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_same_kind_and_type_come_out(operation: str) -> None:
    compute = OPERATIONS[operation]
    for dtype in ("float32", "float64", "float16", "complex64", "int8", "uint64"):
        if ("complex" in dtype and operation == "max_pool") or (
            "int" in dtype and operation == "avg_pool"
        ):
            continue
        x, w = X.astype(dtype), W.astype(dtype)
        found = compute(x, w)
        assert type(found) is np.ndarray
        assert found.dtype == dtype
        theirs = compute(torch.from_numpy(x), torch.from_numpy(w))
        assert isinstance(theirs, torch.Tensor)
        assert theirs.dtype == DTYPES[dtype]
        assert np.array_equal(theirs.numpy(), found)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_inputs_are_left_as_they_were(operation: str) -> None:
    x, w = X.copy(), W.copy()
    OPERATIONS[operation](x, w)
    assert np.array_equal(x, X)
    assert np.array_equal(w, W)
    tensor = torch.from_numpy(x)
    version = tensor._version
    OPERATIONS[operation](tensor, torch.from_numpy(w))
    assert tensor._version == version


def test_the_batch_may_be_missing_or_empty() -> None:
    for method in ("auto", "direct", *METHODS):
        if method not in plan(X, W).refused:
            whole = conv(X, W, method=method)
            assert np.array_equal(conv(X[0], W, method=method), whole[0])
            assert conv(X[:0], W, method=method).shape == (0, *whole.shape[1:])
        if method not in plan(X[:, :2], W, transposed=True).refused:
            assert conv_transpose(X[:0, :2], W, method=method).shape == (0, 3, 6, 7)
        for operation in ("max_pool", "avg_pool"):
            if method not in plan_pool(operation, X, 2).refused:
                assert plan_pool(operation, X[:0], 2, method=method)(X[:0]).shape == (0, 3, 2, 2)
    assert np.array_equal(max_pool(X[0], (2, 2)), max_pool(X, 2)[0])
    assert avg_pool(np.ones((2, 6)), (3,)).shape == (2, 2)


def test_one_size_pools_every_axis_but_the_first_two() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    assert max_pool(x, 2).shape == (2, 3, 2)
    assert max_pool(x, (2, 2)).shape == (2, 1, 2)


def test_unusual_arguments_are_read_as_they_look() -> None:
    expected = conv(X, W, stride=2, padding=1)
    for two, one in ((np.int64(2), np.uint8(1)), ([2, 2], (1, 1)), (np.array([2, 2]), [[1, 1], 1])):
        assert np.array_equal(conv(X, W, stride=two, padding=one), expected)
    assert np.array_equal(
        conv(X, W, stride=torch.tensor(2), padding=torch.tensor([1, 1])), expected
    )


def test_huge_integers_that_mean_something_are_answered() -> None:
    x = np.arange(8.0).reshape(1, 2, 4)
    w = np.ones((1, 2, 1))
    assert np.array_equal(conv(x, w, dilation=2**62), conv(x, w))
    assert np.array_equal(conv(x, w, dilation=2**80), conv(x, w))
    assert conv(x, w, stride=2**62).tolist() == [[[4.0]]]
    assert conv(x, w, stride=2**80).tolist() == [[[4.0]]]
    assert max_pool(x, 2, stride=2**62).tolist() == [[[1.0], [5.0]]]
    assert max_pool(x, 2, stride=2**40, ceil_mode=True).tolist() == [[[1.0], [5.0]]]
    assert avg_pool(x, 1, stride=2**62, dilation=2**62).tolist() == [[[0.0], [4.0]]]
    one = conv_transpose(x[:, :, :1], np.ones((2, 1, 2)), stride=2**62)
    assert one.tolist() == [[[4.0, 4.0]]]
    assert conv_transpose(x, np.ones((2, 1, 1)), dilation=2**62).shape == (1, 1, 4)


def test_a_plan_says_what_it_decided_and_why() -> None:
    p = plan(X, W, stride=(2, 1), padding="valid")
    assert isinstance(p, Plan)
    assert p.method == min(p.cost, key=lambda name: p.cost[name])
    assert {*p.cost, *p.refused} == set(METHODS) == set(p.candidates)
    assert {"torch", "shift", "reference"} <= set(p.cost)
    assert p.candidates["torch"].seconds is not None
    assert p.candidates["torch"].estimate is not None
    assert (p.groups, p.dtype) == (1, "float64")
    assert p.shapes == {"x": (1, 3, 4, 5), "y": (1, 2, 1, 3), "weight": (2, 3, 3, 3)}
    assert [window.stride for window in p.windows] == [2, 1]
    text = str(p)
    assert "conv of (1, 3, 4, 5) with weight (2, 3, 3, 3) to (1, 2, 1, 3), float64 on cpu" in text
    assert all(str(window) in text for window in p.windows)
    assert f", measured {p.candidates['torch'].seconds:.3g} s" in text
    assert text.count("chosen") == 1
    assert f"times {p.method}" in text
    refused = str(plan(X.astype(np.int8), W.astype(np.int8)))
    assert "torch       refused: torch has no convolution of int8" in refused
    assert "reference   about" in refused


def test_without_measuring_the_estimates_decide() -> None:
    p = plan(X, W, measure=False)
    assert all(candidate.seconds is None for candidate in p.candidates.values())
    assert p.cost[p.method] == min(p.cost.values())


def test_a_plan_is_called_again_and_again() -> None:
    p = plan(((1, 3, 4, 5), "float64"), W, padding=1)
    y = np.empty((1, 2, 4, 5))
    assert p(X, out=y) is y
    assert np.array_equal(p(X), y)
    assert np.array_equal(p(X + 1), conv(X + 1, W, padding=1))
    tensors = plan(((1, 3, 4, 5), torch.float32), torch.ones(2, 3, 3, 3))
    assert tensors(torch.ones(1, 3, 4, 5)).dtype is torch.float32


def test_a_plan_keeps_the_weights_it_was_made_for() -> None:
    """This holds for NaN and for gradients, too, which do not use the packed weights."""
    random = np.random.default_rng(1)
    x, weight, bias = (random.standard_normal(s) for s in ((1, 8, 9, 9), (8, 8, 3, 3), (8,)))
    made = plan(x, weight, bias)
    before = made(x)
    weight[:], bias[:] = 0, 7
    assert np.array_equal(made(x), before)
    spoiled = x.copy()
    spoiled[..., 0, 0] = np.nan
    np.testing.assert_allclose(made(spoiled)[..., 3:, 3:], before[..., 3:, 3:], rtol=1e-12)
    kernel = torch.ones(1, 1, 3)
    made = plan(torch.ones(1, 1, 5), kernel)
    kernel.zero_()
    assert made(torch.ones(1, 1, 5, requires_grad=True)).tolist() == [[[3.0, 3.0, 3.0]]]


@pytest.mark.parametrize("transposed", [False, True])
def test_a_plan_is_the_function(transposed: bool) -> None:
    x = X[:, :2] if transposed else X
    function = conv_transpose if transposed else conv
    p = plan(x, W, stride=2, padding=1, transposed=transposed)
    assert np.array_equal(p(x), function(x, W, stride=2, padding=1))


def test_the_result_can_be_written_where_one_wants_it() -> None:
    expected = conv(X, W)
    for out in (np.empty(expected.shape), np.empty((3, 2, 2, 1)).T):
        assert conv(X, W, out=out) is out
        assert np.array_equal(out, expected)
    tensor = torch.empty(expected.shape, dtype=torch.float64)
    assert conv(torch.from_numpy(X), torch.from_numpy(W), out=tensor) is tensor
    assert np.array_equal(tensor.numpy(), expected)
    apart = np.zeros((1, 2, 4, 5))
    assert conv(apart[:, :1], np.ones((1, 1, 1, 1)), out=apart[:, 1:]).shape == (1, 1, 4, 5)
    integers = conv(X.astype(int), W.astype(int), out=np.empty(expected.shape, int))
    assert np.array_equal(integers, expected)


class Watching(TorchDispatchMode):
    """A mode that sees what torch does and changes nothing."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return function(*args, **(kwargs or {}))


def test_the_result_is_written_there_too_where_torch_must_follow() -> None:
    x, w = torch.from_numpy(X), torch.from_numpy(W)
    expected = conv(x, w)
    out = torch.zeros_like(expected)
    with Watching():  # type: ignore[no-untyped-call]
        assert conv(x, w, out=out) is out
    assert torch.equal(out, expected)
    places = plan_pool("max_pool", x, 2, method="torch", return_indices=True)
    out = torch.zeros(1, 3, 2, 2, dtype=torch.float64)
    with Watching():  # type: ignore[no-untyped-call]
        found = places(x, out=out)
    assert found[0] is out
    assert torch.equal(out, places(x)[0])
    assert torch.equal(found[1], places(x)[1])


def test_there_is_no_writing_where_there_is_no_memory() -> None:
    x, w = torch.ones(2, 1, 1, 8), torch.ones(1, 1, 3)
    with pytest.raises(ValueError, match=r"`out` cannot be used .* no memory of their own"):
        torch.func.vmap(lambda x: conv(x, w, out=torch.empty(1, 1, 6)))(x)
    on_none = [part.to("meta") for part in (x[0], w, x[0, :, :, :6])]
    with pytest.raises(ValueError, match=r"`out` cannot be used .* no memory of their own"):
        conv(on_none[0], on_none[1], out=on_none[2])


def test_meta_tensors_give_shapes() -> None:
    x, w = torch.empty(1, 3, 8, 8, device="meta"), torch.empty(4, 3, 3, 3, device="meta")
    assert conv(x, w, padding=1).shape == (1, 4, 8, 8)
    assert conv(x, w, padding=1).is_meta
    assert "meta device" in plan(x, w).refused["reference"]


def test_gradients_flow_and_are_refused_where_they_cannot() -> None:
    x = torch.ones(1, 1, 5, requires_grad=True)
    w = torch.ones(1, 1, 3, requires_grad=True)
    conv(x, w).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[[1.0, 2.0, 3.0, 2.0, 1.0]]]
    half = torch.ones(1, 1, 5, dtype=torch.float16, requires_grad=True)
    assert conv_transpose(half, w.half()).requires_grad
    with torch.no_grad():
        assert np.array_equal(conv(x, w, method="reference").numpy(), [[[3, 3, 3]]])
    with pytest.raises(ValueError, match="torch must follow, to compute a gradient"):
        conv(x, w, method="direct")
    planned = plan(x.detach(), w.detach(), method="reference")
    with pytest.raises(ValueError, match="torch must follow, to compute a gradient"):
        planned(x)
    assert plan(x.detach(), w.detach())(x).requires_grad
    assert conv(x, w, padding=9, padding_mode="reflect").requires_grad


def test_planning_allocates_nothing() -> None:
    """A result of half a terabyte is planned at once; one above the limit is refused."""
    shape = (1, 1, 2**36)
    assert plan((shape, "float64"), np.ones((1, 1, 1))).shapes["y"] == shape
    with pytest.raises(ValueError, match="more than 1099511627776 bytes"):
        plan(((1, 1, 2**38), "float64"), np.ones((1, 1, 1)))


def test_a_method_called_without_a_weight_says_so() -> None:
    problem = options.read_conv(np.ones((1, 1, 8)), np.ones((1, 1, 3)))
    for name in METHODS:
        if refused(name, problem) is None:
            with pytest.raises(ValueError, match="`weight` is missing"):
                prepared(name, problem, None, None, Arena())(torch.ones(1, 1, 8), None)


def test_the_reference_is_dearer_the_more_there_is_to_do() -> None:
    small, large = (options.read_conv(np.ones((1, 1, n)), np.ones((1, 1, 3))) for n in (8, 800))
    for name, method in METHODS.items():
        if refused(name, small) is None:
            assert 0 < method.seconds(small) < method.seconds(large)
    assert reference.METHOD.seconds(large) > 10 * METHODS["torch"].seconds(large)


def test_the_largest_index_is_that_of_the_whole_plane() -> None:
    y, places = max_pool(X, 2, return_indices=True)
    assert places.dtype == np.int64
    assert np.array_equal(X.reshape(1, 3, -1)[0, 1][places[0, 1]], y[0, 1])
    _, at = max_pool(torch.from_numpy(X), 2, return_indices=True)
    assert isinstance(at, torch.Tensor)
    assert np.array_equal(at.numpy(), places)


def test_threads_do_not_disturb_each_other() -> None:
    p = plan(X, W, padding=1)
    inputs = [X + i for i in range(32)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(p, inputs))
    assert all(np.array_equal(y, p(x)) for x, y in zip(inputs, found, strict=True))


def test_the_room_does_not_reach_into_its_neighbours() -> None:
    code = (
        "import sys, convlens.compute; "
        "sys.exit(any(m.startswith(('convlens.lens', 'convlens.zoo')) for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("method", ["auto", "direct", "reference"])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_sums_of_eight_bits_are_kept_whole_if_asked_for(dtype: str, method: str) -> None:
    info = np.iinfo(dtype)
    x, w = np.full((1, 3, 6), info.max, dtype), np.full((2, 3, 3), info.max, dtype)
    y = conv(x, w, out_dtype="int32", method=method)
    assert y.dtype == np.int32
    assert np.all(y == 9 * int(info.max) ** 2)
    assert np.all(conv(x, w, method=method) == np.array(9 * int(info.max) ** 2).astype(dtype))
    out = np.empty(y.shape, np.int32)
    assert conv(x, w, out_dtype=np.int32, out=out, method=method) is out
    assert np.array_equal(out, y)
    whole = conv_transpose(
        torch.from_numpy(x), torch.from_numpy(w[:1].repeat(3, 0)), out_dtype=torch.int32
    )
    assert whole.dtype == torch.int32


def test_another_type_of_result_is_refused() -> None:
    with pytest.raises(TypeError, match=r"`out_dtype` \(='int64'\) must be the type of `x`, int8"):
        conv(X.astype(np.int8), W.astype(np.int8), out_dtype="int64")
    with pytest.raises(TypeError, match="`out` holds int8 values but the result int32"):
        conv(
            X.astype(np.int8),
            W.astype(np.int8),
            out_dtype="int32",
            out=np.empty((1, 2, 2, 3), "i1"),
        )


def test_a_call_that_was_held_up_once_does_not_lose_the_race(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first call of the fastest method takes many times as long, as if interrupted."""
    now = 0.0
    calls = {"quick": iter([5e-3, 20e-3, *[1e-4] * 99]), "slow": iter([1e-3] * 99)}

    def run(name: str) -> Callable[[], None]:
        def action() -> None:
            nonlocal now
            now += next(calls[name])

        return action

    monkeypatch.setattr("convlens.compute.measuring.time.perf_counter", lambda: now)
    monkeypatch.setattr("convlens.compute.measuring.background.pause", lambda: None)
    found = measuring.measured_seconds({name: run(name) for name in calls})
    assert found == pytest.approx({"quick": 1e-4, "slow": 1e-3})
