"""A call of convlens's own operations is one step, with the terms, costs and regions of torch's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import convlens
import convlens.functional as ours
from convlens import avg_pool, conv, conv_transpose, max_pool
from convlens.compute import dispatching
from convlens.lens import costs_of, explain_value, record
from convlens.lens.trees import replace_refs, tensors_in
from tests.cases.elements import indices_in, numbers

X, SIGNAL, BATCH = numbers(2, 4, 9, 10), numbers(2, 4, 17), numbers(3, 2, 4, 9, 10)
W, B = numbers(6, 2, 3, 3, seed=1), numbers(6, seed=2)
TURNED, ADDED = numbers(4, 3, 3, 3, seed=3), numbers(6, seed=4)
PLAN = convlens.plan(X, W, B, groups=2, padding=1, measure=False)
ADAPTED = (3, 5)


@pytest.fixture(autouse=True)
def _no_plan_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no plan become ready between two calls that are compared bit for bit."""
    monkeypatch.setattr(dispatching, "_ask", lambda *arguments: None)


def convolved(x: Tensor) -> Tensor:
    y: Tensor = conv(x, W, B, groups=2, padding=1)
    return y


def padded(x: Tensor, *ends: int, mode: str = "constant", **how: Any) -> Tensor:
    return F.conv2d(F.pad(x, ends, mode=mode), W, B, groups=2, **how)


# Our operations, and the same by torch's own names.
SAME: dict[str, tuple[Callable[[Tensor], Any], Callable[[Tensor], Any]]] = {
    "conv": (
        convolved,
        lambda x: F.conv2d(x, W, B, groups=2, padding=1),
    ),
    "strided": (
        lambda x: conv(x, W, groups=2, stride=(2, 3), dilation=2, padding="full"),
        lambda x: F.conv2d(x, W, groups=2, stride=(2, 3), dilation=2, padding=4),
    ),
    "same": (
        lambda x: conv(x, W, B, groups=2, padding="same", method="direct"),
        lambda x: F.conv2d(x, W, B, groups=2, padding="same"),
    ),
    "one example": (
        lambda x: conv(x[0], W, B, groups=2),
        lambda x: F.conv2d(x[0], W, B, groups=2),
    ),
    "into another": (
        lambda x: conv(x, W, B, groups=2, out=torch.empty(2, 6, 7, 8)),
        lambda x: torch.empty(2, 6, 7, 8).copy_(F.conv2d(x, W, B, groups=2)),
    ),
    "transposed": (
        lambda x: conv_transpose(x, TURNED, ADDED, stride=2, groups=2, output_padding=1),
        lambda x: F.conv_transpose2d(x, TURNED, ADDED, stride=2, groups=2, output_padding=1),
    ),
    "largest": (
        lambda x: max_pool(x, 3, stride=2, padding=1),
        lambda x: F.max_pool2d(x, 3, 2, 1),
    ),
    "largest and places": (
        lambda x: max_pool(x, 3, stride=2, return_indices=True, ceil_mode=True),
        lambda x: F.max_pool2d(x, 3, 2, return_indices=True, ceil_mode=True),
    ),
    "mean": (
        lambda x: avg_pool(x, 3, stride=2, padding=1, ceil_mode=True),
        lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
    ),
    "mean of what is there": (
        lambda x: avg_pool(x, 3, stride=2, padding=1, count_include_pad=False),
        lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    ),
    "plan": (lambda x: PLAN(x), lambda x: F.conv2d(x, W, B, groups=2, padding=1)),
    "functional conv": (
        lambda x: ours.conv2d(x, W, B, padding="same", groups=2),
        lambda x: F.conv2d(x, W, B, padding="same", groups=2),
    ),
    "functional pool": (lambda x: ours.max_pool2d(x, 2), lambda x: F.max_pool2d(x, 2)),
    "functional mean": (
        lambda x: ours.avg_pool2d(x, 2, divisor_override=3),
        lambda x: F.avg_pool2d(x, 2, divisor_override=3),
    ),
    "functional parts": (
        lambda x: ours.adaptive_avg_pool2d(x, ADAPTED),
        lambda x: F.adaptive_avg_pool2d(x, ADAPTED),
    ),
    "operator": (
        lambda x: torch.ops.convlens.conv(x, W, B, [1, 1], [1, 1, 1, 1], [1, 1], 2),
        lambda x: F.conv2d(x, W, B, groups=2, padding=1),
    ),
    "transposed operator": (
        lambda x: torch.ops.convlens.conv_transpose(
            x, TURNED, ADDED, [2, 2], [0] * 4, [1, 1], [1, 1], 2
        ),
        lambda x: F.conv_transpose2d(x, TURNED, ADDED, stride=2, groups=2, output_padding=1),
    ),
    "pooling operator": (
        lambda x: torch.ops.convlens.max_pool(x, [3, 3], [2, 2], [1] * 4, [1, 1], False),
        lambda x: F.max_pool2d(x, 3, 2, 1, return_indices=True),
    ),
}
# Our operations, and the same by more than one step of torch.
PADDED: dict[str, tuple[Callable[[Tensor], Any], Callable[[Tensor], Any]]] = {
    "uneven": (
        lambda x: conv(x, W, B, groups=2, padding=[(1, 2), (0, 3)], stride=2),
        lambda x: padded(x, 0, 3, 1, 2, stride=2),
    ),
    "reflect": (
        lambda x: conv(x, W, B, groups=2, padding=2, padding_mode="reflect"),
        lambda x: padded(x, 2, 2, 2, 2, mode="reflect"),
    ),
    "circular": (
        lambda x: conv(x, W, B, groups=2, padding=2, stride=2, padding_mode="circular"),
        lambda x: padded(x, 2, 2, 2, 2, mode="circular", stride=2),
    ),
    "replicate": (
        lambda x: conv(x, W, B, groups=2, padding=12, padding_mode="replicate"),
        lambda x: padded(x, 12, 12, 12, 12, mode="replicate"),
    ),
}
EVERY = {**SAME, **PADDED}


@pytest.mark.parametrize("name", EVERY)
def test_a_call_of_ours_is_one_step_and_the_plain_call_bit_for_bit(name: str) -> None:
    call = EVERY[name][0]
    with torch.no_grad():
        plain = tensors_in(call(X))
    seen = record(call, X)
    assert seen.error is None
    assert [step.op for step in seen if step.op not in ("empty", "getitem")] == [seen.steps[-1].op]
    assert all(map(torch.equal, tensors_in(seen.outputs), plain))
    assert [seen.values[id].tensor.equal(p) for id, p in zip(seen.output_ids, plain, strict=True)]
    step = seen.steps[-1]
    args, kwargs = replace_refs((step.args, step.kwargs), lambda ref: seen.values[ref.id].tensor)
    again = tensors_in(step.function(*args, **kwargs))
    assert all(map(torch.equal, again, plain))


@pytest.mark.parametrize("name", EVERY)
def test_regions_are_those_of_the_gradient(name: str) -> None:
    call, by_torch = EVERY[name]
    seen = record(call, X)
    (id, *_) = seen.output_ids
    for index in indices_in(seen.values[id].shape, 6):
        leaf = X.clone().requires_grad_()
        (slope,) = torch.autograd.grad(tensors_in(by_torch(leaf))[0][index], leaf)
        region = explain_value(seen, id, index).pixels()
        if seen.steps[-1].op == "max_pool":
            assert bool(region.mask[slope != 0].all())
        else:
            assert torch.equal(region.mask, slope != 0)


@pytest.mark.parametrize("name", SAME)
def test_terms_and_costs_are_those_of_torchs_own_names(name: str) -> None:
    call, by_torch = SAME[name]
    seen, known = record(call, X), record(by_torch, X)
    counted, expected = costs_of(seen), costs_of(known)
    assert counted.multiply_adds == expected.multiply_adds
    if name != "into another":  # torch's copy counts too
        assert counted.operations == expected.operations
    for slot, id in enumerate(seen.output_ids):
        other = known.output_ids[slot]
        for index in indices_in(seen.values[id].shape, 12):
            ours_, torchs = explain_value(seen, id, index), explain_value(known, other, index)
            assert ours_.kind == "windowed"
            if name == "into another":
                torchs = torchs.open(0)
            np.testing.assert_array_equal(ours_.terms.product, torchs.terms.product)
            np.testing.assert_array_equal(ours_.terms.position, torchs.terms.position)
            assert (ours_.rule, ours_.formula) == (torchs.rule, torchs.formula)


@pytest.mark.parametrize("name", PADDED)
def test_every_term_of_padding_is_an_element_or_nothing(name: str) -> None:
    seen = record(PADDED[name][0], X)
    (id,) = seen.output_ids
    assert costs_of(seen).multiply_adds == seen.values[id].tensor.numel() * 18
    for index in indices_in(seen.values[id].shape, 12):
        explanation = explain_value(seen, id, index)
        assert len(explanation.terms) == 18
        if name != "uneven":
            assert (explanation.terms.source >= 0).all()
        inside = explanation.terms.position >= 0
        flat = X.reshape(-1).numpy()
        np.testing.assert_array_equal(
            explanation.terms.value[inside], flat[explanation.terms.position[inside]]
        )


def test_a_computed_kernel_under_repeated_padding_has_a_region() -> None:
    x, w = numbers(1, 1, 6), numbers(1, 1, 3, seed=1)
    seen = record(
        lambda x, w: conv(x, w * 2, padding=1, padding_mode="reflect", method="direct"), x, w
    )
    explanation = explain_value(seen, seen.output_ids[0], (0, 0, 0))
    assert explanation.pixels(0).mask.flatten().tolist() == [True, True, *[False] * 4]
    assert explanation.pixels(1).count == 3


def test_whole_numbers_are_exact_and_wrap_as_they_do() -> None:
    x, w = (X * 50).to(torch.int8), (W * 50).to(torch.int8)
    seen = record(lambda x: conv(x, w, groups=2), x)
    (id,) = seen.output_ids
    wrapped = 0
    for index in indices_in(seen.values[id].shape, 30):
        explanation = explain_value(seen, id, index)
        assert (explanation.bound, explanation.total) == (0, explanation.recorded)
        wrapped += "modulo 2^8" in explanation.note
    assert wrapped > 5


def test_a_window_of_padding_alone_has_no_terms() -> None:
    for pool in (max_pool, avg_pool):
        seen = record(pool, X, 2, padding=5)
        assert explain_value(seen, seen.output_ids[0], (0, 0, 0, 0)).rule == "given"
        assert explain_value(seen, seen.output_ids[0], (0, 0, 4, 4)).pixels().count == 4


def test_inside_vmap_the_operators_beneath_are_windows_too() -> None:
    seen = record(torch.func.vmap(convolved), BATCH)
    steps = [step for step in seen if step.op == "conv"]
    assert len(steps) == 1
    assert "chooses how it computes" in seen.warnings[0]
    explanation = explain_value(seen, steps[0].outputs[0], (0, 0, 1, 1))
    assert (explanation.kind, len(explanation.terms)) == ("windowed", 18)


def test_what_may_be_computed_another_way_next_time_is_said() -> None:
    assert "chooses how it computes" in record(EVERY["conv"][0], X).warnings[0]
    for name in ("same", "plan", "largest", "mean"):
        assert record(EVERY[name][0], X).warnings == ()


def test_a_module_of_ours_is_opened_to_its_pixels() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(numbers(3, 4, 3))

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = max_pool(torch.relu(conv(x, self.weight, padding=1)), 2)
            return out

    network = Network()
    seen = record(network, SIGNAL)
    with torch.no_grad():
        assert torch.equal(seen.outputs, network(SIGNAL))
    assert [step.op for step in seen] == ["conv", "relu", "max_pool"]
    found = costs_of(seen)
    assert (found.parameters, found.multiply_adds) == (36, 2 * 3 * 17 * 12)
    opened = convlens.explain(seen, "", (1, 2, 3))
    summed = opened.open(int(opened.terms.weight.argmax())).open(0)
    assert (summed.rule, len(summed.terms)) == ("sum", 12)
    assert summed.open(0, weight=True).value.name == "weight"


def test_an_accelerated_network_says_how_it_is_recorded() -> None:
    network = nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU()).eval()
    fast = convlens.accelerate(network, X)
    seen = record(fast, X)
    assert any("is recorded by torch's own layers" in text for text in seen.warnings)
    torch.testing.assert_close(seen.outputs, fast(X))
    for index in indices_in(seen.values[seen.output_ids[0]].shape, 12):
        explain_value(seen, seen.output_ids[0], index)
    assert costs_of(seen).multiply_adds == 2 * 6 * 7 * 8 * 36
