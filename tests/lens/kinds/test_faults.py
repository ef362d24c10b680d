"""A fault in a kind comes out, and terms, regions and costs agree on the kind of a step."""

import importlib
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import convlens
from convlens.lens import Recording, Step, costs_of, explain, record, region
from convlens.lens.kinds import KINDS, arguments, bound, composed, own, packed, universal
from convlens.lens.terms import Terms
from convlens.zoo.detection.boxes import nms
from convlens.zoo.detection.regions import roi_align, roi_pool
from tests.cases.networks import NETWORKS, build

MAP, ROW, BOX = torch.rand(1, 1, 5, 5), torch.rand(2, 4), torch.tensor([[0.0, 1, 1, 4, 4]])
KERNEL = torch.ones(1, 1, 3, 3)
METHODS = ("bind", "explain", "reads", "cost")
FAULTS = (KeyError, IndexError, TypeError, ValueError, RuntimeError)


def written(x: Tensor) -> Tensor:
    y = x * 1
    y[0].mul_(2)
    return y.sum()


def put(x: Tensor) -> Tensor:
    x[0] = 1
    return x


def quantised(x: Tensor) -> Any:
    """Run a layer whose weights torch has packed."""
    from torch.ao import quantization

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 2)), {nn.Linear})(x)


# A call of each kind, and its inputs; the step is the last of that kind.
CALLS: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...]]] = {
    "Convolving": (lambda x: F.conv2d(x, KERNEL), (MAP,)),
    "Pooling": (lambda x: F.max_pool2d(x, 2), (MAP,)),
    "Multiplying": (lambda x: x @ x.T, (ROW,)),
    "Bilinear": (lambda x: F.bilinear(x, x, torch.ones(3, 4, 4)), (ROW,)),
    "Normalizing": (lambda x: F.layer_norm(x, (4,)), (ROW,)),
    "Moving": (lambda x: x.flip(0), (ROW,)),
    "Joining": (lambda x: torch.cat((x, x)), (ROW,)),
    "Putting": (put, (ROW.clone(),)),
    "Reducing": (lambda x: x.sum(), (ROW,)),
    "Resampling": (lambda x: F.interpolate(x, scale_factor=2), (MAP,)),
    "Softmax": (lambda x: x.softmax(1), (ROW,)),
    "Attending": (lambda x: F.scaled_dot_product_attention(x, x, x), (ROW[None],)),
    "Pointwise": (lambda x: x.relu(), (ROW,)),
    "Selecting": (lambda x: x.argmax(1), (ROW,)),
    "Suppressing": (lambda b: nms(b[:, 1:], b[:, 4], 0.5), (BOX,)),
    "Aligning": (lambda x, b: roi_align(x, b, 2), (MAP, BOX)),
    "RegionPooling": (lambda x, b: roi_pool(x, b, 2), (MAP, BOX)),
    "Aliasing": (written, (ROW,)),
    "FindingNonzero": (lambda x: x.nonzero(), (ROW,)),
    "Recurring": (nn.GRUCell(4, 3), (ROW, torch.ones(2, 3))),
    "Given": (torch.zeros_like, (ROW,)),
    "OwnConvolving": (lambda x: convlens.conv(x, KERNEL, method="direct"), (MAP,)),
    "OwnPooling": (lambda x: convlens.max_pool(x, 2), (MAP,)),
    "Packed": (quantised, (ROW,)),
    "Universal": (torch.linalg.inv, (torch.eye(3) + 0.1,)),
    "Composed": (torch.inner, (ROW, ROW)),
}
OTHERS = (own.OwnConvolving, own.OwnPooling, packed.Packed, universal.Universal, composed.Composed)
RULES = {rule.__name__: rule for rule in (*map(type, KINDS.values()), *OTHERS)}
NEEDS_QUANTISED = pytest.mark.skipif(
    torch.backends.quantized.engine == "none", reason="this torch has no quantised kernels"
)
EVERY = [
    pytest.param(name, marks=NEEDS_QUANTISED if name == "Packed" else ()) for name in sorted(RULES)
]


def a_step_of(rule: type) -> tuple[Recording, Step]:
    call, inputs = CALLS[rule.__name__]
    seen = record(call, *inputs)
    assert seen.error is None
    return seen, next(s for s in reversed(seen.steps) if type(bound(seen, s)[0]) is rule)


def asked(seen: Recording, step: Step) -> dict[str, Callable[[], Any]]:
    """Return the three questions about a step, by the method of the kind that answers each."""
    id = step.outputs[0]
    index = tuple(0 for _ in seen.values[id].shape)
    return {
        "explain": lambda: explain(seen, step, index),
        "reads": lambda: region(seen, id, index),
        "cost": lambda: costs_of(seen),
    }


def breaking(fault: type[Exception]) -> Callable[..., Any]:
    def broken(*args: Any, **options: Any) -> Any:
        raise fault("planted")

    return broken


def test_there_is_a_call_of_every_kind() -> None:
    """Every class with a rule is in the table, so that none is left out below."""
    found = set()
    for name in {type(kind).__module__ for kind in KINDS.values()} | {o.__module__ for o in OTHERS}:
        for each, rule in inspect.getmembers(importlib.import_module(name), inspect.isclass):
            if all(hasattr(rule, method) for method in METHODS[1:]) and rule.__module__ == name:
                found.add(each)
    assert found == set(RULES) == set(CALLS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("name", EVERY)
def test_a_fault_in_a_kind_is_never_shown_as_a_slope(
    name: str, fault: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = RULES[name]
    seen, step = a_step_of(rule)
    for method, ask in asked(seen, step).items():
        with monkeypatch.context() as patch:
            patch.setattr(rule, method, breaking(fault))
            with pytest.raises(fault, match="planted"):
                ask()
        if not hasattr(rule, "bind"):
            continue
        with monkeypatch.context() as patch:
            patch.setattr(rule, "bind", breaking(fault))
            with pytest.raises(fault, match="planted"):
                ask()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_in_the_kind_of_an_operator_beneath_is_never_shown_as_a_slope(
    fault: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, step = a_step_of(composed.Composed)
    beneath = {type(kind) for kind, _ in bound(seen, step)[0].beneath.bound}  # type: ignore[attr-defined]
    for method, ask in asked(seen, step).items():
        with monkeypatch.context() as patch:
            for rule in beneath:
                patch.setattr(rule, method, breaking(fault))
            with pytest.raises(fault, match="planted"):
                ask()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("name", [n for n in sorted(RULES) if n not in ("Given", "Packed")])
def test_a_fault_on_the_way_to_the_terms_comes_out(
    name: str, fault: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, step = a_step_of(RULES[name])
    monkeypatch.setattr(Terms, "build", breaking(fault))
    with pytest.raises(fault, match="planted"):
        asked(seen, step)["explain"]()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("name", ["Universal", "Composed", "Moving", "Pointwise", "Resampling"])
def test_a_fault_in_running_a_step_again_is_not_one_of_the_step(
    name: str, fault: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    repeating = importlib.import_module("convlens.lens.repeating")
    seen, step = a_step_of(RULES[name])
    monkeypatch.setattr(repeating, "made_or_changed", breaking(fault))
    with pytest.raises(fault, match="planted"):
        asked(seen, step)["explain"]()


# A call that fits no signature.

UNKNOWN: dict[str, tuple[Callable[[Tensor], Any], str, str]] = {
    "an order of matrices": (lambda x: x.norm(p="nuc"), "slope", "`norm` of order 'nuc' is not"),
    "a factor in the middle": (lambda x: torch.add(x, 2, x), "sum", "with its factor in the"),
    "added to": (
        lambda x: x.index_put((torch.tensor([0]),), x[:1], accumulate=True),
        "slope",
        "`index_put` adds to what was there before",
    ),
    "numbers among factors": (
        lambda x: torch.addmm(2, x, 3, x, torch.eye(4)),
        "sum",
        "was called with a `mat2` that is not a tensor",
    ),
}


@pytest.mark.filterwarnings("ignore:This overload of addmm is deprecated")
@pytest.mark.parametrize("name", UNKNOWN)
def test_a_call_that_fits_no_signature_says_so_and_is_of_one_kind_for_all(name: str) -> None:
    call, rule, words = UNKNOWN[name]
    seen = record(call, ROW)
    step = seen.steps[-1]
    kind, _ = bound(seen, step)
    assert kind.name in ("composed", "universal")
    explanation = explain(seen, step, tuple(0 for _ in seen.values[step.outputs[0]].shape))
    assert (explanation.kind, explanation.rule) == (kind.name, rule)
    assert words in explanation.note
    assert explanation.pixels().upper_bound != kind.exact
    assert len(costs_of(seen).rows) == len(seen)


def test_terms_region_and_cost_are_of_one_kind() -> None:
    x = torch.rand(3, 3, generator=torch.Generator().manual_seed(0))
    seen = record(lambda x: x.norm(p="nuc"), x)
    step = seen.steps[0]
    # Some builds of LAPACK round otherwise without vectors; then what is beneath does not count.
    kind = bound(seen, step)[0].name
    assert kind in ("composed", "universal")
    assert (explain(seen, 0, ()).kind, explain(seen, 0, ()).rule) == (kind, "slope")
    assert region(seen, step.outputs[0], ()).upper_bound
    assert costs_of(seen).rows[0].uncounted


def test_what_did_not_fit_is_in_the_error() -> None:
    seen = record(lambda x: x.sum(1, keepdim=True), ROW)
    step, signature = seen.steps[0], "input, dim=None"
    with pytest.raises(arguments.UnboundCall, match="`sum` was called with `keepdim`") as caught:
        arguments.Arguments.of(seen, step, signature)
    error = caught.value
    assert (error.step, error.signature, error.argument) == (step, signature, "keepdim")
    with pytest.raises(arguments.UnboundCall, match="with 2 arguments in a row; its rule knows 1"):
        arguments.Arguments.of(seen, step, "input")
    with pytest.raises(arguments.UnboundCall, match="was called without `other`"):
        arguments.Arguments.of(seen, step, "input, dim, keepdim, other")


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", NETWORKS)
def test_terms_regions_and_costs_agree_on_the_kind_of_every_step(
    name: str, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = [importlib.import_module(f"convlens.lens.{room}") for room in ROOMS]
    found: dict[str, dict[int, tuple[Any, ...]]] = {room: {} for room in ROOMS}
    network, inputs = build(name, training)
    seen = record(network, *inputs)
    for room in rooms:

        def logged(recording: Recording, step: Step, room: str = room.__name__) -> Any:
            kind, given = bound(recording, step)
            if recording is seen:
                bound_to = (kind.name, type(kind), dict(given.named))
                found[room.rpartition(".")[2]][step.index] = bound_to
            return kind, given

        monkeypatch.setattr(room, "bound", logged)
    for step in seen:
        for slot, id in enumerate(step.outputs):
            shape = seen.values[id].shape
            try:
                explain(seen, step, tuple(0 for _ in shape), slot=slot)
            except NotImplementedError:
                assert slot  # kept for the gradient
    for id in seen.output_ids:
        region(seen, id, tuple(0 for _ in seen.values[id].shape))
    costs_of(seen)
    assert set(found["explaining"]) == set(found["costs"]) >= set(found["fields"])
    assert len(found["fields"]) > 0.5 * len(seen)
    for step in seen:
        kind, given = bound(seen, step)
        expected = (kind.name, type(kind), dict(given.named))
        assert {str(room[step.index]) for room in found.values() if step.index in room} <= {
            str(expected)
        }


ROOMS = ("explaining", "fields", "costs")
