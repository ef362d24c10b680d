"""`accelerate`: the same outputs, the module unchanged, and only permitted folding."""

import copy
import pickle
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import prune

from convlens.compute.memory.arena import MOST_SHARED, Arena
from convlens.compute.networks import accelerating as accelerating
from convlens.compute.networks import contest, keeping, layers
from convlens.compute.networks.accelerating import (
    Acceleration,
    Change,
    _all_planned,
    _planned,
    accelerate,
)
from convlens.compute.networks.contest import LayerContest, distance, least_seconds
from convlens.compute.networks.folding import copied, folded
from convlens.compute.networks.layers import Place, Planned
from convlens.compute.planning import plan, plan_pool
from tests.cases.networks import NETWORKS, build

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@pytest.fixture(autouse=True)
def _by_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let plans use the reference, which needs no compiling."""
    monkeypatch.setattr(layers, "plan", partial(plan, method="reference"))
    monkeypatch.setattr(layers, "plan_pool", partial(plan_pool, method="reference"))


def stirred(network: nn.Module) -> nn.Module:
    """Give every norm statistics that are not 0 and 1, and evaluate."""
    for module in network.modules():
        if isinstance(module, NORMS) and isinstance(module.running_mean, Tensor):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return network.eval()


def planned_copies(network: nn.Module, x: tuple[Any, ...]) -> list[nn.Module]:
    """Return the two copies that compete, whichever was faster."""
    with torch.no_grad():
        return [_planned(network, 1e-5, x, last=last)[0] for last in (False, True)]


def joined(network: nn.Module) -> list[str]:
    """Return the names of what several modules compute together."""
    found = {id(each): each for each in _all_planned(network) if each.count > 1}
    return [each.what for each in found.values()]


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_compute_what_they_did(name: str) -> None:
    network, inputs = build(name)
    before = copy.deepcopy(network.state_dict())
    expected = network(*inputs)
    for found in planned_copies(network, inputs):
        assert distance(found(*inputs), expected) < 1e-6
        assert type(found) is type(network)
    fast = accelerate(network, inputs)
    assert distance(fast(*inputs), expected) < 1e-6
    assert all(torch.equal(part, before[key]) for key, part in network.state_dict().items())
    assert type(fast) is type(network)


def test_the_module_is_left_as_it_was() -> None:
    network, inputs = build("residual", training=True)
    parts = [(id(module), module.training) for module in network.modules()]
    tensors = [(id(p), p.requires_grad, p._version, p.stride()) for p in network.parameters()]
    given = inputs[0].clone()
    fast = accelerate(network, inputs[0])
    assert parts == [(id(module), module.training) for module in network.modules()]
    assert tensors == [
        (id(p), p.requires_grad, p._version, p.stride()) for p in network.parameters()
    ]
    assert torch.equal(given, inputs[0])
    assert not fast.training
    own = {p.data_ptr() for p in network.parameters()}
    assert not own & {p.data_ptr() for p in fast.parameters()}


def test_norms_and_activations_are_folded_where_it_is_seen() -> None:
    network, inputs = build("residual")
    for found in planned_copies(network, inputs):
        assert joined(found) == [
            "Conv2d + BatchNorm2d + ReLU",
            "Conv2d + BatchNorm2d",
            "Conv2d + BatchNorm2d + ReLU",
        ]
        for path, module in network.named_modules():
            assert type(found.get_submodule(path)) is type(module)
        assert found.state_dict().keys() == network.state_dict().keys()


def test_one_module_in_several_places_stays_one() -> None:
    pool = nn.MaxPool2d(2)
    twice = nn.Sequential(pool, nn.Conv2d(1, 2, 1), pool).eval()
    for found in planned_copies(twice, (torch.randn(1, 1, 8, 8),)):
        assert found[0] is found[2]  # type: ignore[index]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_folding_is_the_norm(axes: int, groups: int, affine: bool, bias: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, *(6, 5, 4)[:axes], dtype=torch.float64)
    for kind in (f"Conv{axes}d", f"ConvTranspose{axes}d"):
        conv = getattr(nn, kind)(4, 6, 3, groups=groups, bias=bias).double()
        norm: Any = getattr(nn, f"BatchNorm{axes}d")(6, affine=affine).double()
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
        if affine:
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.uniform_(norm.bias, -1, 1)
        expected = norm.eval()(conv(x))
        parts = {**norm._parameters, **norm._buffers}
        how = groups if "Transpose" in kind else None
        weight, bias_too = folded(conv.weight, conv.bias, parts, norm.eps, how)
        conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(bias_too)
        torch.testing.assert_close(conv(x), expected)


LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "conv 1d": (nn.Conv1d(4, 6, 3, 2, 1, 2, 2), (2, 4, 9)),
    "conv 2d": (nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), 2), (2, 4, 7, 6)),
    "conv 2d, same": (nn.Conv2d(4, 6, 3, padding="same", bias=False), (2, 4, 7, 6)),
    "conv 2d, reflected": (nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), (2, 4, 7, 6)),
    "conv 2d, no batch": (nn.Conv2d(4, 6, 3), (4, 7, 6)),
    "conv 2d, depthwise": (nn.Conv2d(4, 4, 3, 1, 1, groups=4), (2, 4, 7, 6)),
    "conv 3d": (nn.Conv3d(4, 6, (3, 1, 2), (1, 2, 1), (1, 0, 1)), (2, 4, 5, 6, 4)),
    "transposed 1d": (nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, 2), (2, 4, 5)),
    "transposed 2d": (
        nn.ConvTranspose2d(4, 6, 3, (2, 1), (1, 0), (1, 0), dilation=2),
        (1, 4, 5, 4),
    ),
    "transposed 3d": (nn.ConvTranspose3d(2, 3, 2, 2), (1, 2, 3, 2, 2)),
    "max 1d": (nn.MaxPool1d(3, 2, 1), (2, 3, 9)),
    "max 2d": (nn.MaxPool2d((3, 2), None, (1, 0), (1, 2), ceil_mode=True), (2, 3, 8, 9)),
    "max 2d, where": (nn.MaxPool2d(2, return_indices=True), (2, 3, 8, 9)),
    "max 3d": (nn.MaxPool3d(3, 2, 1), (1, 3, 5, 6, 7)),
    "average 1d": (nn.AvgPool1d(3, 2, 1, True, False), (2, 3, 9)),
    "average 2d": (nn.AvgPool2d(3, (2, 1), 1, count_include_pad=False), (2, 3, 8, 9)),
    "average 2d, divided": (nn.AvgPool2d(2, divisor_override=3), (2, 3, 8, 9)),
    "average 3d": (nn.AvgPool3d((1, 2, 2)), (1, 3, 5, 6, 7)),
    "adaptive 1d": (nn.AdaptiveAvgPool1d(3), (2, 3, 9)),
    "adaptive 2d": (nn.AdaptiveAvgPool2d((4, None)), (2, 3, 8, 9)),
    "adaptive 2d, uneven": (nn.AdaptiveAvgPool2d(5), (2, 3, 8, 9)),
    "adaptive 3d": (nn.AdaptiveAvgPool3d(1), (1, 3, 5, 6, 7)),
}
NOT_PLANNED = {"average 2d, divided", "adaptive 2d, uneven"}
PACKED = {"conv 2d", "conv 2d, depthwise", "conv 3d"}


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("activation", [None, "relu", "hardswish"])
@pytest.mark.parametrize("name", LAYERS)
def test_every_way_computes_the_layer(name: str, activation: str | None, last: bool) -> None:
    layer, shape = LAYERS[name]
    if activation is not None and not name.startswith(("conv", "transposed")):
        return
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    after = {None: (), "relu": (nn.ReLU(),), "hardswish": (nn.Hardswish(),)}[activation]
    planned = Planned((layer, *after), Place(last))
    with torch.no_grad():
        expected = layer(x)
        if activation is not None:
            expected = getattr(F, activation)(expected)
        for way in layers.WAYS:
            run = planned.ready(way, x)
            missing = NOT_PLANNED if way == "plan" else set(LAYERS) - PACKED
            assert (run is None) == (way != "torch" and name in missing)
            if run is not None:
                assert distance(run(x), expected) < 1e-6
                if last and isinstance(expected, Tensor) and expected.ndim == 4 and x.ndim == 4:
                    assert run(x).is_contiguous(memory_format=torch.channels_last)


def two_layers() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3))
    stirred(layers)
    return layers


Pair = tuple[nn.Module, Any, Tensor]


@pytest.fixture(params=[0, 1], ids=["contiguous", "channels last"])
def pair(request: pytest.FixtureRequest) -> Pair:
    """Return a network, its copy with all layers planned or packed, and an input."""
    network, x = two_layers(), torch.randn(1, 2, 8, 8)
    found: Any = planned_copies(network, (x,))[request.param].requires_grad_(False)
    for planned, way in zip(working(found), ("plan", "onednn"), strict=True):
        planned.way = way
        planned.forget()
    return network, found, x


def working(network: nn.Module) -> list[Planned]:
    """Return the `Planned` of a convolution with its norm, and of another, in `two_layers`."""
    found = [each for each in _all_planned(network) if each.layer is not network[0] or each.norm]  # type: ignore[index]
    return sorted(found, key=lambda each: each.norm is None)


def test_other_shapes_are_planned_when_they_come(pair: Pair) -> None:
    network, found, x = pair
    for shape in ((1, 2, 8, 8), (3, 2, 11, 9), (0, 2, 8, 8)):
        x = torch.randn(shape)
        assert distance(found(x), network(x)) < 1e-6
    assert len(working(found)[0]._packed.runs) == 3


def test_few_shapes_are_kept(pair: Pair) -> None:
    _, found, _ = pair
    for n in range(2 * layers.SHAPES):
        found(torch.randn(1, 2, 8 + n, 8))
    runs = working(found)[1]._packed.runs
    assert {key[0][2] - 6 for key in runs} == set(range(layers.SHAPES, 2 * layers.SHAPES))


def test_a_gradient_of_the_input_is_that_of_the_network(pair: Pair) -> None:
    network, found, x = pair
    gradients = []
    for each in (network, found):
        leaf = x.clone().requires_grad_()
        gradients.append(torch.autograd.grad(each(leaf).square().sum(), leaf)[0])
    torch.testing.assert_close(*gradients)


def test_changed_weights_are_packed_again(pair: Pair) -> None:
    _, found, x = pair
    first = found(x)
    state = {key: 2 * value for key, value in found.state_dict().items()}
    found.load_state_dict(state)
    expected = found(x.clone().requires_grad_()).detach()  # by torch
    assert distance(found(x), expected) < 1e-6
    assert distance(found(x), first) > 0.1
    found.double()
    doubled = found(x.double())
    assert doubled.dtype is torch.float64
    assert distance(doubled.float(), expected) < 1e-6


def test_a_copy_computes_the_same(pair: Pair) -> None:
    _, found, x = pair
    expected = found(x)
    for other in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert distance(other(x), expected) < 1e-6
        assert joined(other) == joined(found) == ["Conv2d + BatchNorm2d"]
        other[0].weight.data.zero_()
        assert distance(found(x), expected) < 1e-6


def test_it_can_be_compiled(pair: Pair) -> None:
    network, found, x = pair
    torch._dynamo.reset()
    compiled = torch.compile(found, fullgraph=True, backend="eager")
    assert distance(compiled(x), network(x)) < 1e-6


def test_a_way_beyond_the_tolerance_loses(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(planned: Planned, x: Tensor, how: Any) -> Any:
        run: Any = planned.ready("torch", x, how)
        return lambda x: run(x) * 1.0001

    monkeypatch.setattr(Planned, "_by_onednn", wrong)
    monkeypatch.setattr(Planned, "_by_plan", lambda *parts: None)
    monkeypatch.setattr(contest, "least_seconds", lambda runs: {w: 1 / len(w) for w in runs})
    x = torch.randn(1, 2, 8, 8)
    for rtol, way in ((1e-5, "torch"), (1e-3, "onednn")):
        layer, place = nn.Conv2d(2, 4, 3), Place()
        planned = Planned((layer,), place)
        place.contest = LayerContest(rtol, {id(layer): "path"})
        with torch.no_grad():
            planned(x)
        (verdict,) = place.contest.verdicts.values()
        assert (verdict.path, verdict.way, planned.way) == ("path", way, way)


def test_parts_are_called_where_folding_would_lose_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layers, "folded", lambda weight, bias, *more: (weight, bias))
    network, x = two_layers(), torch.randn(1, 2, 8, 8)
    for found in planned_copies(network, (x,)):
        assert working(found)[0].way == layers.APART
        assert distance(found(x), network(x)) < 1e-6


def prefer(monkeypatch: pytest.MonkeyPatch, winner: str) -> None:
    """Let one network, if it competes, be measured as the fastest."""

    def measured(actions: Any, **_: Any) -> dict[str, float]:
        return {name: 1.0 if name == winner else 2.0 for name in actions}

    monkeypatch.setattr("convlens.compute.networks.accelerating.least_seconds", measured)


def test_a_network_beyond_the_tolerance_loses(monkeypatch: pytest.MonkeyPatch) -> None:
    prefer(monkeypatch, "contiguous")
    network, x = two_layers(), torch.randn(1, 2, 8, 8)
    assert accelerated(network, x).acceleration.layout == "contiguous"
    assert accelerated(network, x).acceleration.left == ()
    monkeypatch.setattr(LayerContest, "_able", lenient)
    monkeypatch.setattr(layers, "folded", lambda weight, bias, *more: (weight, bias))
    fast = accelerated(network, x)
    assert fast.acceleration.layout.startswith("unchanged")
    assert {why for _, why in fast.acceleration.left} == {"the outputs would exceed `rtol`"}
    assert distance(fast(x), network(x)) < 1e-6


def lenient(contest: LayerContest, planned: Planned, x: Tensor, how: Any, plain: Any) -> Any:
    return {"torch": planned.ready("torch", x, how)}


def test_layers_alike_are_each_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    real = folded

    def lossy(weight: Tensor, *more: Any) -> tuple[Tensor, Tensor]:
        weight, bias = real(weight, *more)
        return weight * (1.01 if weight.abs().max() > 10 else 1), bias

    monkeypatch.setattr(layers, "folded", lossy)
    parts = [part for _ in range(2) for part in (nn.Conv2d(3, 3, 3, 1, 1), nn.BatchNorm2d(3))]
    network, x = nn.Sequential(*parts).eval().requires_grad_(False), torch.randn(1, 3, 8, 8)
    parts[2].weight.mul_(100)
    for found in planned_copies(network, (x,)):
        apart = [each.way == layers.APART for each in working(found)]
        assert apart == [False, True, False]  # the last is the second convolution, called alone
        assert distance(found(x), network(x)) < 1e-6


def test_a_network_that_stays_says_so_of_every_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = two_layers(), torch.randn(1, 2, 8, 8)
    network[0].register_forward_hook(lambda module, given, y: None)
    for winner in ("unchanged", "unchanged, channels last"):
        prefer(monkeypatch, winner)
        report = accelerated(network, x).acceleration
        layers_of = [
            p for p, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)
        ]
        assert [path for path, _ in report.left] == layers_of
        assert dict(report.left)["0"] == "it has hooks"
        assert "1 was left alone: the network was fastest unchanged" in str(report)


@pytest.mark.parametrize("winner", ["unchanged, channels last", "channels last", "contiguous"])
def test_parameters_are_vectors_for_the_tools_of_torch(
    winner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, x = two_layers(), torch.randn(1, 2, 8, 8)
    prefer(monkeypatch, winner)
    fast = accelerated(network, x)
    assert all(p.is_contiguous() for p in fast.parameters())
    count = sum(p.numel() for p in network.parameters())
    for each in (network, fast):
        nn.utils.vector_to_parameters(torch.linspace(-1, 1, count), each.parameters())
        prune.l1_unstructured(each[0], "weight", 0.5)
    assert distance(fast(x), network(x)) < 1e-6


def accelerated(network: nn.Module, x: Tensor) -> Any:
    return accelerate(network, x)


def test_the_fastest_of_all_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = two_layers(), torch.randn(1, 2, 8, 8)
    for winner in ("unchanged", "unchanged, channels last", "channels last", "contiguous"):
        prefer(monkeypatch, winner)
        fast = accelerated(network, x)
        report = fast.acceleration
        assert (report.layout, report.accelerated) == (winner, 1.0)
        assert report.channels_last == (1.0 if winner == "unchanged, channels last" else 2.0)
        assert len(report.changes) == (0 if winner.startswith("unchanged") else 2)
        assert distance(fast(x), network(x)) < 1e-6


def test_no_weights_are_compared_while_networks_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies share their weights then, so each would be slower than it is alone."""
    compared: list[bool] = []
    timing = False

    def equal(kept: Any, tensors: Any, truly: Any = keeping._equal) -> bool:
        compared.append(timing)
        return bool(truly(kept, tensors))

    def timed(actions: Any, truly: Any = least_seconds, **options: Any) -> Any:
        nonlocal timing
        timing = True
        try:
            return truly(actions, **options)
        finally:
            timing = False

    monkeypatch.setattr(keeping, "_equal", equal)
    monkeypatch.setattr(accelerating, "least_seconds", timed)
    network = stirred(nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)))
    accelerate(network, torch.randn(1, 2, 9, 9))
    assert compared
    assert not any(compared)


def test_the_report_prints_a_line_a_layer() -> None:
    change = Change("stem.0", "Conv2d + BatchNorm2d", "convlens rows", 2e-3, 1e-3)
    left = (("stem.1", "it has hooks"),)
    report = Acceleration("channels last", 6e-3, 4e-3, 2e-3, 1e-7, (change,), left)
    assert str(report).splitlines() == [
        "path    what                  method         before    after",
        "stem.0  Conv2d + BatchNorm2d  convlens rows  2.000 ms  1.000 ms",
        "stem.1 was left alone: it has hooks",
        "channels last: 2.000 ms; it was 6.000 ms, in channels last 4.000 ms: 2.00 times as fast; "
        "error 1.0e-07 of the output",
    ]


def test_a_writing_network_leaves_the_example_alone() -> None:
    network = nn.Sequential(nn.ReLU(inplace=True), nn.Conv1d(1, 1, 3)).eval()
    x = torch.randn(1, 1, 9)
    given = x.clone()
    fast = accelerate(network, x)
    assert torch.equal(x, given)
    assert distance(fast(x.clone()), network(x.clone())) < 1e-6


def test_half_types_are_compared_by_their_own_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    prefer(monkeypatch, "contiguous")
    network, x = two_layers().bfloat16(), torch.randn(1, 2, 8, 8).bfloat16()
    fast = accelerated(network, x)
    assert fast.acceleration.layout == "contiguous"
    assert 1e-5 < distance(fast(x), network(x)) < 3 * 2**-7


def test_what_cannot_be_accelerated_is_refused_in_a_sentence() -> None:
    x = torch.randn(1, 2, 8, 8)
    with pytest.raises(TypeError, match=r"`module` must be a torch\.nn\.Module"):
        accelerate(torch.relu, x)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`example` must be"):
        accelerate(two_layers(), [1, 2])
    with pytest.raises(ValueError, match="`example` is on meta"):
        accelerate(two_layers(), x.to("meta"))
    with pytest.raises(ValueError, match="`module` is on meta"):
        accelerate(two_layers().to("meta"), x)
    with pytest.raises(ValueError, match="another output"):
        accelerate(Random(), x)
    with pytest.raises(TypeError, match="`tolerance`"):
        accelerate(two_layers(), x, rtol="small")  # type: ignore[arg-type]
    network = two_layers()
    network.generator = (one for one in [1])  # type: ignore[assignment]
    with pytest.raises(TypeError, match="cannot be copied"):
        accelerate(network, x)


class Random(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


def test_distances() -> None:
    one, two = torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.5])
    assert distance(one, one) == 0
    assert distance((one, [two]), (one, [one])) == pytest.approx(0.1)
    assert distance({"a": one, "n": 1}, {"a": one, "n": 1}) == 0
    infinite: list[tuple[Any, Any]] = [
        (one, (one,)),
        (one, one.double()),
        (one, one[:1]),
        (torch.tensor([1, 2]), torch.tensor([1, 3])),
        (torch.tensor([1.0, torch.inf]), one),
        (one, torch.zeros(2)),
        (one, None),
    ]
    for found, expected in infinite:
        assert distance(found, expected) == float("inf")
    nan = torch.tensor([torch.nan, 1.0])
    assert distance(nan, nan.clone()) == 0


def test_the_least_of_several_rounds_counts() -> None:
    seconds = least_seconds({"sum": lambda: sum(range(20000)), "none": lambda: None})
    assert 0 <= seconds["none"] < seconds["sum"]


def test_copies_may_share_their_numbers() -> None:
    network = two_layers()
    shared, own = copied(network, share=True), copied(network)
    for theirs, mine, other in zip(
        network.parameters(), shared.parameters(), own.parameters(), strict=True
    ):
        assert theirs is mine
        assert theirs.data_ptr() != other.data_ptr()


def arenas_of(network: nn.Module) -> list[Arena]:
    return [each.place.arena for each in _all_planned(network)]


def test_layers_share_the_memory_of_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results still in use stay unchanged; layers of all sizes share the rest of the memory."""
    monkeypatch.setattr(layers, "plan", partial(plan, method="fft_library"))
    monkeypatch.setattr(layers, "WAYS", ("torch", "plan"))
    network = nn.Sequential(*(nn.Conv2d(4, 4, size) for size in (3, 5, 3, 7, 5))).eval()
    x = torch.randn(1, 4, 160, 160)
    expected = network(x).detach()
    fast = planned_copies(network, (x,))[0]
    for each in _all_planned(fast):
        each.way = "plan"
        each.forget()
    with torch.no_grad():
        held = [fast(x + at) for at in range(12)]
        for at, y in enumerate(held):
            assert distance(y, network(x + at)) < 1e-5
        del held, y
        for _ in range(3):
            assert distance(fast(x), expected) < 1e-5
        others = copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))
    arena, *more = arenas_of(fast)
    assert len(more) == 4
    assert all(one is arena for one in more)
    assert 2 <= len(arena._buffers) <= MOST_SHARED
    for other in others:
        apart, *more = arenas_of(other)
        assert all(one is apart for one in more)
        assert apart is not arena
        assert apart._buffers == []


def test_a_larger_result_takes_the_place_of_a_smaller_one() -> None:
    arena = Arena(2)
    held = [arena.empty((n, 1000), torch.float32) for n in (100, 110)]
    large = arena.empty((900, 1000), torch.float32)  # both buffers are in use: not kept
    assert [len(buffer) for buffer in arena._buffers] == [400_000, 440_000]
    del large, held[0]
    address = arena.empty((900, 1000), torch.float32).data_ptr()
    assert [len(buffer) for buffer in arena._buffers] == [3_600_000, 440_000]
    kept = held.pop()
    assert kept.data_ptr() != address
    assert arena.empty((200, 1000), torch.float64).data_ptr() == address
    del kept
    assert arena.empty((105, 1000), torch.float32).data_ptr() != address  # the smallest that fits


def test_an_arena_keeps_so_many_bytes_or_one_buffer() -> None:
    arena = Arena(8, 1_000_000)
    held = [arena.empty((n, 1000), torch.float32) for n in (100, 110, 80)]
    assert [len(buffer) for buffer in arena._buffers] == [400_000, 440_000]  # no room for a third
    del held[0]
    held.append(arena.empty((120, 1000), torch.float32))  # replaces the one that is free
    assert sorted(len(buffer) for buffer in arena._buffers if len(buffer)) == [440_000, 480_000]
    held.clear()
    address = arena.empty((900, 1000), torch.float32).data_ptr()
    assert [len(buffer) for buffer in arena._buffers if len(buffer)] == [3_600_000]
    assert arena.empty((10, 10_000), torch.float32).data_ptr() == address
