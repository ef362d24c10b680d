"""Forward-mode derivatives by every way of computing, with and without a plan."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import grad, jacfwd, jacrev, jvp, vmap

import convlens.functional as ours
from convlens.compute import avg_pool, background, conv, conv_transpose, dispatching, max_pool, plan
from convlens.compute.deciding import decide
from convlens.compute.networks.accelerating import accelerate

# torch loads scripts of its own for these, and warns of them itself.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


@pytest.fixture(autouse=True)
def _plans_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make plans available after the first call, by a method other than torch's."""
    made = decide
    monkeypatch.setattr(dispatching, "_entries", {})
    monkeypatch.setattr(dispatching, "LONG", 0.0)
    monkeypatch.setattr(background, "ask", lambda job, key=None: job())
    monkeypatch.setattr(
        dispatching,
        "decide",
        lambda problem, method="auto", *more: made(problem, OTHER, *more),
    )


OTHER = "reference"


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


X, WEIGHT, BIAS, TURNED = noise(2, 4, 9, 9), noise(6, 4, 3, 3), noise(6), noise(4, 6, 3, 3)

CALLS: dict[str, Callable[[Any, Tensor, Tensor, Tensor], Tensor]] = {
    "conv2d": lambda names, x, weight, bias: names.conv2d(x, weight, bias),
    "conv_transpose2d": lambda names, x, weight, bias: names.conv_transpose2d(x, TURNED, bias),
    "max_pool2d": lambda names, x, weight, bias: names.max_pool2d(x, 2),
    "avg_pool2d": lambda names, x, weight, bias: names.avg_pool2d(x, 3, 2, 1),
    "adaptive_avg_pool2d": lambda names, x, weight, bias: names.adaptive_avg_pool2d(x, 3),
    "adaptive_max_pool2d": lambda names, x, weight, bias: names.adaptive_max_pool2d(x, 3),
}


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("name", CALLS)
def test_a_tangent_is_torchs_in_the_first_call_and_when_a_plan_is_there(
    name: str, which: int
) -> None:
    call, parts = CALLS[name], [X, WEIGHT, BIAS]
    for _ in range(3):
        with forward_ad.dual_level():
            duals = list(parts)
            duals[which] = forward_ad.make_dual(parts[which], parts[which] * 2 + 1)
            found, expected = (
                forward_ad.unpack_dual(call(names, *duals)).tangent
                for names in (ours, torch.nn.functional)
            )
            if expected is None:
                assert found is None
            else:
                torch.testing.assert_close(found, expected)
        call(ours, *parts)
    assert all(entry.plans for entry in dispatching._entries.values())


def test_a_plan_and_an_accelerated_network_carry_tangents() -> None:
    layers = nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2)).eval()
    fast, planned = accelerate(layers, X), plan(X, WEIGHT, measure=False)
    fast(X)
    with forward_ad.dual_level():
        x = forward_ad.make_dual(X, X + 1)
        for found, expected in (
            (fast(x), layers(x)),
            (planned(x), torch.nn.functional.conv2d(x, WEIGHT)),
        ):
            tangent = forward_ad.unpack_dual(found).tangent
            torch.testing.assert_close(tangent, forward_ad.unpack_dual(expected).tangent)


TWICE: dict[str, Callable[[Callable[[Tensor], Tensor]], Callable[[Tensor], Tensor]]] = {
    "forward over forward": lambda f: jacfwd(jacfwd(f)),
    "forward over backward": lambda f: jacfwd(jacrev(f)),
    "backward over forward": lambda f: jacrev(jacfwd(f)),
    "mapped": lambda f: vmap(lambda row: jvp(grad(f), (row,), (row * 3,))[1]),
}


@pytest.mark.parametrize("name", TWICE)
def test_transforms_within_transforms(name: str) -> None:
    x = noise(2, 4, 4, 4)[:, None] if name == "mapped" else noise(1, 4, 4, 4)
    found, expected = (
        TWICE[name](lambda x, names=names: names.conv2d(x, WEIGHT, BIAS).pow(3).sum())(x)  # type: ignore[misc]
        for names in (ours, torch.nn.functional)
    )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("padding", [0, [(1, 0), (0, 2)]])
@pytest.mark.parametrize("f", [conv, conv_transpose])
def test_the_way_back_carries_what_the_gradient_carries(
    f: Callable[..., Tensor], padding: Any
) -> None:
    leaves = X.clone().requires_grad_(), (WEIGHT if f is conv else TURNED).clone().requires_grad_()
    y = f(*leaves, padding=padding)
    given, more = noise(*y.shape), noise(*y.shape) + 1
    with forward_ad.dual_level():
        back = torch.autograd.grad(y, leaves, forward_ad.make_dual(given, more))
        tangents = [forward_ad.unpack_dual(part).tangent for part in back]
    # The backward pass is linear in the gradient.
    for tangent, expected in zip(
        tangents, torch.autograd.grad(f(*leaves, padding=padding), leaves, more), strict=True
    ):
        torch.testing.assert_close(tangent, expected, rtol=1e-4, atol=1e-4)


def test_out_cannot_hold_a_tangent() -> None:
    out = torch.empty(2, 6, 7, 7)
    with forward_ad.dual_level():
        conv(X, WEIGHT, out=out)
        with pytest.raises(ValueError, match="`out` cannot hold a forward-mode derivative"):
            conv(forward_ad.make_dual(X, X), WEIGHT, out=out)


def test_a_level_alone_changes_nothing() -> None:
    """torch would refuse the uneven padding of indices; without derivatives, ours computes."""
    x = X.clone().requires_grad_()
    with forward_ad.dual_level():
        assert forward_ad.unpack_dual(conv(X, WEIGHT)).tangent is None
        y, _ = max_pool(x, 2, padding=[(0, 1), (0, 1)], return_indices=True)
        y.sum().backward()
        assert avg_pool(x, 2).requires_grad
    assert x.grad is not None
