"""Every way in which torch can change a weight is noticed by what was packed from it."""

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, prune, vector_to_parameters
from torch.nn.utils.parametrize import register_parametrization

from convlens.compute.networks import layers
from convlens.compute.networks.accelerating import _all_planned, _planned
from convlens.compute.networks.contest import distance
from convlens.compute.networks.keeping import Held, hold
from convlens.compute.planning import plan, plan_pool

X = torch.randn(1, 2, 7, 7, generator=torch.Generator().manual_seed(3))

ONES = torch.ones(4, 2, 3, 3)


@pytest.fixture(autouse=True)
def _by_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let plans use the reference, which needs no compiling."""
    monkeypatch.setattr(layers, "plan", partial(plan, method="reference"))
    monkeypatch.setattr(layers, "plan_pool", partial(plan_pool, method="reference"))


def network() -> Any:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 2))
    nn.init.uniform_(made[1].running_mean, -0.5, 0.5)  # type: ignore[arg-type]
    return made.eval().requires_grad_(False)


def fast(way: str, *, last: bool = False) -> Any:
    """Return an accelerated copy that computes in the given way, after it has settled."""
    with torch.no_grad():
        found = _planned(network(), 1e-5, (X,), last=last)[0]
        for planned in _all_planned(found):
            planned.way = way
            planned.forget()
        found(X)
        found(X)
    assert not any(held._lent for held in held_of(found))
    return found


def held_of(found: nn.Module) -> list[Held]:
    chosen = [each for each in _all_planned(found) if each._packed.runs]
    return [held for each in chosen for _, _, held in each._held]


def no_grad(change: Callable[[Any], object]) -> Callable[[Any], object]:
    def changing(net: Any) -> object:
        with torch.no_grad():
            return change(net)

    return changing


def step(net: Any) -> None:
    net.requires_grad_(True)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    net(X).square().sum().backward()
    optimizer.step()
    net.requires_grad_(False)


def drawn(weight: Tensor) -> Tensor:
    return nn.init.uniform_(weight, generator=torch.Generator().manual_seed(1))


def into(net: Any) -> None:
    vector_to_parameters(parameters_to_vector(net.parameters()) * 2, net.parameters())


def doubled(module: Any) -> None:
    if getattr(module, "weight", None) is not None:
        module.weight.data.mul_(2)


def load(net: Any, **how: bool) -> None:
    state = {key: value * 2 if value.is_floating_point() else value for key, value in state_of(net)}
    net.load_state_dict(state, **how)


def state_of(net: Any) -> list[tuple[str, Tensor]]:
    return [(key, value.clone()) for key, value in net.state_dict().items()]


CHANGES: dict[str, Callable[[Any], object]] = {
    "data": lambda net: net[0].weight.data.mul_(2),
    "one number of the data": lambda net: net[3].weight.data.view(-1)[-1].add_(1),
    "in place": no_grad(lambda net: net[0].weight.add_(1)),
    "the bias": lambda net: net[3].bias.data.add_(1),
    "the data put in": lambda net: setattr(net[0].weight, "data", ONES.clone()),
    "a parameter put in": lambda net: setattr(net[0], "weight", nn.Parameter(ONES)),
    "by NumPy": lambda net: net[0].weight.detach().numpy().fill(1),
    "by DLPack": lambda net: torch.utils.dlpack.from_dlpack(net[0].weight.detach()).mul_(2),
    "by the storage": lambda net: net[0].weight.untyped_storage().fill_(0),
    "loaded": load,
    "loaded by putting in": partial(load, assign=True),
    "an optimizer": step,
    "from a vector": into,
    "all at once": lambda net: torch._foreach_mul_([p.data for p in net.parameters()], 2.0),
    "by a dict of them": lambda net: dict(net[0]._parameters)["weight"].data.mul_(2),
    "by their values": lambda net: [p.data.mul_(2) for p in net[0]._parameters.values()],
    "by apply": lambda net: net.apply(doubled),
    "a swap": lambda net: net[0].weight.data.copy_(net[0].weight.data.flip(0)),
    "the norm's weight": lambda net: net[1].weight.data.mul_(2),
    "the norm's statistics": lambda net: net[1].running_mean.add_(1),
    "the norm's statistics put in": lambda net: setattr(net[1], "running_var", torch.ones(4) * 2),
    "the norm in training": lambda net: net[1].train(),
    "its epsilon": lambda net: setattr(net[1], "eps", 0.5),
    "the padding": lambda net: setattr(net[0], "padding", (1, 1)),
    "the stride": lambda net: setattr(net[3], "stride", (2, 2)),
    "pruned": lambda net: prune.l1_unstructured(net[0], "weight", 0.5),
    "parametrized": lambda net: register_parametrization(net[0], "weight", Twice()),
    "another forward": lambda net: setattr(net[3], "forward", lambda x: x * 2),
    "another convolution": lambda net: setattr(
        net[3], "_conv_forward", lambda x, weight, bias: x * 2
    ),
    "drawn anew": lambda net: drawn(net[0].weight),
    "a hook": lambda net: net[1].register_forward_hook(lambda module, given, y: y + 1) and None,
    "another norm": lambda net: net.__setitem__(1, nn.BatchNorm2d(4).eval()),
    "one more module": lambda net: net.insert(1, nn.Tanh()) and None,
}  # fmt: skip


class Twice(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight * 2


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("way", ["torch", "onednn", "plan"])
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen(name: str, way: str, last: bool) -> None:
    found, plain = fast(way, last=last), network()
    before = found(X)
    for each in (found, plain):
        CHANGES[name](each)
    with torch.no_grad():
        for _ in range(2):
            found.eval() if "training" not in name else found[1].train()
            assert distance(found(X), plain(X)) < 1e-5
        assert distance(found(X), before) > 1e-3


@pytest.mark.parametrize("way", ["torch", "onednn", "plan"])
def test_who_holds_a_weight_may_change_it_at_any_time(way: str) -> None:
    found, plain = fast(way), network()
    holders: list[tuple[Any, Any]] = [
        (found[0].weight, plain[0].weight),
        (found[0].bias.detach().numpy(), plain[0].bias.detach().numpy()),
        (found[1].running_var[1:], plain[1].running_var[1:]),
        (found[3].weight.untyped_storage(), plain[3].weight.untyped_storage()),
    ]
    with torch.no_grad():
        for _ in range(2):
            for pair in holders:
                for each in pair:
                    (each.fill_ if hasattr(each, "fill_") else each.fill)(1)
                assert distance(found(X), plain(X)) < 1e-5
                holders[0][0].mul_(1.5)
                holders[0][1].mul_(1.5)
                assert distance(found(X), plain(X)) < 1e-5


def test_nothing_is_compared_where_nobody_holds_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fast("onednn")
    asked: list[str] = []
    monkeypatch.setattr(Held, "_settle", lambda held: asked.append("settle"))
    found(X)
    assert not asked
    sum(p.numel() for p in found.parameters())
    found(X)
    assert asked
    monkeypatch.undo()
    packed = [each._packed for each in _all_planned(found)]
    found(X)
    assert [each._packed for each in _all_planned(found)] == packed  # checked, and unchanged
    assert not any(held._lent for held in held_of(found))


def test_names_held_for_later_are_held() -> None:
    layer = nn.Conv2d(2, 2, 1)
    held, _ = hold(layer)
    held.settled()
    names = layer.named_parameters()
    next(names)
    before = held.settled()
    _, bias = next(names)
    bias.data.add_(1)
    assert held.settled() != before


def test_tied_weights_are_always_compared() -> None:
    one, other = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)
    other.weight = one.weight
    held, _ = hold(one)
    before = held.settled()
    other.weight.data.zero_()
    assert held.settled() != before


def test_memory_that_is_shared_with_processes_is_always_compared() -> None:
    layer = nn.Conv2d(2, 2, 1).share_memory()
    held, _ = hold(layer)
    held.settled()
    assert held._lent


def test_copies_hold_their_own() -> None:
    layer = nn.Conv2d(2, 2, 1)
    held, _ = hold(layer)
    held.settled()
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert isinstance(vars(other)["_parameters"], Held)
        other.weight.data.zero_()
        assert layer.weight.abs().sum() > 0
    both: dict[str, Any] = {**held, **{"more": None}}
    assert list(both) == ["weight", "bias", "more"]
    assert list(held | {"more": None}) == [*({} | held), "more"]
    assert held._lent
    before = held.settled()
    held |= {"bias": nn.Parameter(torch.ones(2))}
    assert held.settled() != before


def test_what_is_compiled_takes_hold_each_time() -> None:
    torch._dynamo.reset()
    layer = nn.Conv2d(2, 2, 1)
    held, _ = hold(layer)

    def double(layer: Any) -> Any:
        with torch.no_grad():
            layer.weight.mul_(2)
        return layer.weight.sum()

    compiled = torch.compile(double, backend="eager")
    for _ in range(2):
        before = held.settled()
        compiled(layer)
        assert held.settled() != before


@pytest.mark.parametrize("way", ["torch", "onednn", "plan"])
def test_types_under_autocast_are_those_of_the_network(way: str) -> None:
    found, plain = fast(way), network()
    with torch.autocast("cpu", torch.bfloat16):
        y, expected = found(X), plain(X)
        assert y.dtype is expected.dtype is torch.bfloat16
        assert distance(y, expected) < 2**-6
    assert found(X).dtype is torch.float32


@pytest.mark.parametrize("way", ["torch", "onednn", "plan"])
def test_gradients_wanted_later_are_seen(way: str) -> None:
    """It also works when nothing else holds the weights at the next call."""
    found = fast(way)
    found.requires_grad_(True)
    with torch.no_grad():
        found(X)
        found(X)
    assert not any(held._lent for held in held_of(found))
    found(X).sum().backward()
    expected = network().requires_grad_(True)
    expected(X).sum().backward()
    for name, parameter in found.named_parameters():
        torch.testing.assert_close(parameter.grad, expected.get_parameter(name).grad)
