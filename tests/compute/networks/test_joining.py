"""Only values that nothing else reads in between are joined; what a class overrides is kept."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm, weight_norm

from convlens.compute.networks import layers
from convlens.compute.networks.accelerating import _all_planned, _planned, accelerate
from convlens.compute.networks.contest import distance
from convlens.compute.networks.rewriting import joining
from convlens.compute.planning import plan, plan_pool

X = torch.randn(1, 4, 9, 9, generator=torch.Generator().manual_seed(3))


@pytest.fixture(autouse=True)
def _by_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let plans use the reference, which needs no compiling; planned layers win the contest."""
    monkeypatch.setattr(layers, "plan", partial(plan, method="reference"))
    monkeypatch.setattr(layers, "plan_pool", partial(plan_pool, method="reference"))

    def measured(actions: Any, **_: Any) -> dict[str, float]:
        return {name: 1.0 if name == "contiguous" else 2.0 for name in actions}

    monkeypatch.setattr("convlens.compute.networks.accelerating.least_seconds", measured)


def stirred(network: nn.Module) -> Any:
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 2)
    return network.eval()


def joined(network: nn.Module) -> list[str]:
    found = {id(each): each for each in _all_planned(network) if each.count > 1}
    return [each.what for each in found.values()]


def check(found: Any, plain: Any, x: Tensor = X) -> None:
    with torch.no_grad():
        assert distance(found(x), plain(x)) < 1e-5


class Block(nn.Module):
    """A convolution, a norm and an activation, called in some way."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.flag = how, False
        self.conv, self.norm, self.act = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()
        self.convs, self.norms = nn.ModuleList([self.conv]), nn.ModuleList([self.norm])
        self.saved: Any = None

    def forward(self, x: Tensor) -> Any:
        y: Any
        if self.how == "within":
            return self.act(self.norm(self.conv(x)))
        if self.how == "in turn":
            x = self.conv(x)
            x = self.norm(x)
            x = self.act(x)
            return x + 1
        if self.how == "in turn, to the end":
            x = self.conv(x)
            return self.norm(x)
        if self.how == "by a function":
            return F.relu(self.norm(self.conv(x)))
        if self.how == "without a norm":
            return torch.relu(self.conv(x))
        if self.how == "of lists":
            for conv, norm in zip(self.convs, self.norms, strict=True):
                x = norm(conv(x))
            return x
        if self.how == "by a method":
            return self.features(x) * 2
        if self.how == "twice":
            return self.norm(self.conv(x)) + self.norm(self.conv(x * 2))
        if self.how == "read after it":
            y = self.conv(x)
            z = self.norm(y)
            return z + y
        if self.how == "read with a flag":
            y = self.conv(x)
            z = self.norm(y)
            if self.flag:
                z = z + y
            return z
        if self.how == "kept":
            self.saved = self.conv(x)
            return self.norm(self.saved)
        if self.how == "named":
            return self.norm(y := self.conv(x)) + y
        if self.how == "something between":
            return self.norm(self.conv(x) * 2)
        if self.how == "changed between":
            x = self.conv(x)
            x += 1
            x = self.norm(x)
            return x  # noqa: RET504
        if self.how == "seen by a failure":
            try:
                y = self.conv(x)
                y = self.norm(y)
                y = self.missing(y)
            except AttributeError:
                pass
            return y
        if self.how == "for a function within":
            w = self.conv(x)
            w = self.norm(w)
            return (lambda: w)()
        if self.how == "with more":
            return self.norm(self.conv(input=x))
        return self.norm(self.conv(x)) if not self.flag else self.conv(x) * 2

    def features(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x))
        return y

    def missing(self, y: Tensor) -> Tensor:
        raise AttributeError("nothing")


class Light(nn.Module):
    """A block of a network for small devices, whose convolutions pad as TensorFlow does."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = Padded(4, 8, 3, 2, bias=False), nn.BatchNorm2d(8, eps=1e-3)
        self.deep, self.norm1 = Padded(8, 8, 3, groups=8, bias=False), nn.BatchNorm2d(8)
        self.project, self.norm2 = Padded(8, 8, 1, bias=False), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.norm(self.stem(x)))
        y = F.relu6(self.norm1(self.deep(x)))
        y = self.norm2(self.project(y))
        z: Tensor = x + y
        return z


JOINED = [
    "within",
    "in turn",
    "in turn, to the end",
    "by a function",
    "without a norm",
    "of lists",
    "by a method",
    "twice",
    "with more",
    "a branch",
]
APART = [
    "read after it",
    "read with a flag",
    "kept",
    "named",
    "something between",
    "changed between",
    "seen by a failure",
    "for a function within",
]


@pytest.mark.parametrize("how", [*JOINED, *APART])
def test_whoever_calls_a_part_gets_what_it_gives(how: str) -> None:
    plain = stirred(Block(how))
    found: Any = accelerate(plain, X)
    assert bool(joined(found)) == (how in JOINED)
    for flag in (False, True):
        plain.flag = found.flag = flag
        check(found, plain)
        check(found.conv, plain.conv)
        check(found.norm, plain.norm)
        check(found.norms[0], plain.norms[0])
        check(nn.Sequential(found.conv, found.norm), nn.Sequential(plain.conv, plain.norm))
        check(found.features, plain.features)
        check(partial(Block.forward, found), plain)
        if how == "kept":
            check(lambda x, net=found: (net(x), net.saved)[1], plain.conv)
    for each in (found, plain):
        each.norm.register_forward_pre_hook(lambda module, given: (given[0] + 1,))
    check(found, plain)
    for each in (found, plain):
        each.conv.register_forward_hook(lambda module, given, y: y * 2)
    check(found, plain)


class Ends(nn.Module):
    """An encoder that ends with a convolution, and a head that begins with the norm."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 3))
        self.head = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.encoder(x))
        return y


def test_nothing_is_joined_across_parts() -> None:
    plain = stirred(Ends())
    found: Any = accelerate(plain, X)
    check(found, plain)
    check(found.encoder, plain.encoder)
    check(found.head, plain.head)
    left = dict(found.acceleration.left)
    assert left["head.0"] == "it is not shown to be the only reader of a convolution"


def test_a_sequential_is_what_it_holds_at_the_time() -> None:
    plain = stirred(nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU()))
    found: Any = accelerate(plain, X)
    assert joined(found) == ["Conv2d + BatchNorm2d + ReLU"]
    for change in (
        lambda net: net,
        lambda net: net[:2],
        lambda net: net[0],
        lambda net: net.append(nn.Tanh()),
        lambda net: (net.insert(1, nn.ReLU()), net)[1],
        lambda net: (net.__delitem__(2), net)[1],
        lambda net: nn.Sequential(*list(net)[1:]),
        lambda net: (vars(net[0]).update(forward=lambda x: x), net)[1],
        copy.deepcopy,
    ):
        check(change(found), change(plain))


class Plain(nn.Conv2d):
    """A subclass that changes nothing."""


class Padded(nn.Conv2d):
    """TensorFlow's padding, as it is usually written."""

    def forward(self, input: Tensor) -> Tensor:
        size, taps = input.size()[-2:], self.weight.size()[-2:]
        pad = [
            max((-(-n // s) - 1) * s + k - n, 0)
            for n, k, s in zip(size, taps, self.stride, strict=True)
        ]
        input = F.pad(input, [pad[1] // 2, pad[1] - pad[1] // 2, pad[0] // 2, pad[0] - pad[0] // 2])
        return F.conv2d(
            input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


class PaddedAbove(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(F.pad(input, [0, 1, 0, 1]))


class PaddedWithin(nn.Conv2d):
    def forward(self, input: Tensor) -> Any:
        if input.shape[-1] == 9:
            return self._conv_forward(F.pad(input, [1, 1]), self.weight, self.bias)
        return F.conv2d(input, self.weight, bias=self.bias, stride=2)


class Standardized(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.weight - self.weight.mean(), self.bias)


class After(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) * 2


class Within(nn.Conv2d):
    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Any:
        return super()._conv_forward(input, weight * 2, bias)


class Called(nn.Conv2d):
    def __call__(self, *given: Any) -> Any:
        return super().__call__(*given) * 2


class ByName(nn.Conv2d):
    def forward(self, *given: Any, **options: Any) -> Any:
        if given and given[0].shape[-1] == 9:
            return F.conv2d(input=F.pad(given[0], [1, 1]), weight=self.weight, bias=self.bias)
        return super().forward(*given, **options)


class ByNameAbove(ByName):
    def forward(self, x: Tensor) -> Any:
        return super().forward(input=x)


class NoBias(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.weight, None)


class Row(nn.Sequential):
    """A subclass that changes nothing."""


class Backwards(nn.Sequential):
    def forward(self, input: Tensor) -> Any:
        return super().forward(-input)  # type: ignore[no-untyped-call]


class Norm(nn.BatchNorm2d):
    """A subclass that changes nothing."""


class DoubleNorm(nn.BatchNorm2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) * 2


class Leaky(nn.ReLU):
    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input)


class Pool(nn.MaxPool2d):
    def forward(self, input: Tensor) -> Any:
        return super().forward(input) + 1


OWN, HOOKED = "has its own", "it has hooks"
Described = tuple[nn.Module, list[str], dict[str, str]]
SUBCLASSES: dict[str, Callable[[], Described]] = {
    "of a convolution": lambda: (
        Row(Plain(4, 4, 3), Norm(4), nn.ReLU()),
        ["Plain + Norm + ReLU"],
        {},
    ),
    "TensorFlow's padding": lambda: (
        Row(Padded(4, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU6()),
        ["Padded + BatchNorm2d"],
        {},
    ),
    "by super": lambda: (Row(PaddedAbove(4, 4, 3), Norm(4)), ["PaddedAbove + Norm"], {}),
    "two ends": lambda: (Row(PaddedWithin(4, 4, 3, 2), Norm(4)), ["PaddedWithin + Norm"], {}),
    "by name": lambda: (Row(ByName(4, 4, 3), Norm(4)), ["ByName + Norm"], {}),
    "by name, above": lambda: (Row(ByNameAbove(4, 4, 3), Norm(4)), ["ByNameAbove + Norm"], {}),
    "no bias": lambda: (Row(NoBias(4, 4, 3, bias=False), Norm(4)), ["NoBias + Norm"], {}),
    "a bias that is not used": lambda: (Row(NoBias(4, 4, 3), Norm(4)), ["NoBias + Norm"], {}),
    "other weights": lambda: (
        Row(Standardized(4, 4, 3), Norm(4)),
        [],
        {"0": f"Standardized {OWN} forward"},
    ),
    "more after it": lambda: (Row(After(4, 4, 3), Norm(4)), [], {"0": f"After {OWN} forward"}),
    "within": lambda: (Row(Within(4, 4, 3), Norm(4)), [], {"0": f"Within {OWN} _conv_forward"}),
    "called": lambda: (Row(Called(4, 4, 3), Norm(4)), [], {"0": f"Called {OWN} __call__"}),
    "of a sequential": lambda: (Backwards(nn.Conv2d(4, 4, 3), Norm(4)), [], {}),
    "of a norm": lambda: (
        Row(nn.Conv2d(4, 4, 3), DoubleNorm(4)),
        [],
        {"1": f"DoubleNorm {OWN} forward"},
    ),
    "of an activation": lambda: (
        Row(nn.Conv2d(4, 4, 3), Norm(4), Leaky()),
        ["Conv2d + Norm"],
        {},
    ),
    "of a pooling": lambda: (Row(Pool(2)), [], {"0": f"Pool {OWN} forward"}),
    "old weight norm": lambda: (Row(weight_norm(nn.Conv2d(4, 4, 3)), Norm(4)), [], {"0": HOOKED}),
    "old spectral norm": lambda: (
        Row(spectral_norm(nn.Conv2d(4, 4, 3)), Norm(4)),
        [],
        {"0": HOOKED},
    ),
    "new weight norm": lambda: (
        Row(nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3)), Norm(4)),
        [],
        {"0": f"ParametrizedConv2d {OWN} weight"},
    ),
    "scripted": lambda: (
        Row(torch.jit.script(nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))), nn.ReLU()),
        [],
        {"0": "it was compiled by torch.jit"},
    ),
    "traced": lambda: (
        Row(torch.jit.trace(nn.Conv2d(4, 4, 3), X), Norm(4)),
        [],
        {"0": "it was compiled by torch.jit"},
    ),
    "wrapped": lambda: (
        nn.DataParallel(nn.Sequential(nn.Conv2d(4, 4, 3), Norm(4))),
        ["Conv2d + Norm"],
        {},
    ),
    "no statistics": lambda: (
        Row(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)),
        [],
        {"1": "it keeps no statistics"},
    ),
    "quantised": lambda: (
        Row(nn.Conv2d(4, 4, 3), Norm(4), nn.Flatten(), quantised(nn.Linear(196, 3))),
        ["Conv2d + Norm"],
        {},
    ),
    "complex": lambda: (Row(nn.Conv2d(4, 4, 3, dtype=torch.complex64)), [], {}),
}


def quantised(layer: nn.Module) -> nn.Module:
    made: Any = torch.ao.quantization.quantize_dynamic(nn.Sequential(layer))
    return made  # type: ignore[no-any-return]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SUBCLASSES)
def test_what_a_layer_does_decides(name: str) -> None:
    network, expected, reasons = SUBCLASSES[name]()
    plain = stirred(network)
    if name.startswith("old"):
        plain(X)  # the weights that hooks compute are not leaves then
    x = X.to(torch.complex64) if name == "complex" else X
    found: Any = accelerate(plain, x)
    assert joined(found) == expected
    assert reasons.items() <= dict(found.acceleration.left).items()
    for path, reason in reasons.items():
        assert f"{path} was left alone: {reason}" in str(found.acceleration)
    check(found, plain, x)
    check(copy.deepcopy(found), plain, x)
    for part, of_plain in zip(found.children(), plain.children(), strict=True):
        if not isinstance(part, nn.Linear | nn.Flatten | nn.Sequential):
            check(part, of_plain, x)


def test_a_light_network_is_folded_and_told() -> None:
    plain = stirred(Light())
    found: Any = accelerate(plain, X)
    assert joined(found) == ["Padded + BatchNorm2d"] * 3
    assert found.acceleration.left == ()
    assert [change.path for change in found.acceleration.changes] == ["stem", "deep", "project"]
    for x in (X, torch.randn(2, 4, 12, 7)):
        check(found, plain, x)
    y = torch.randn(1, 8, 6, 6)
    for path in ("norm", "deep", "norm1", "project", "norm2"):
        check(found.get_submodule(path), plain.get_submodule(path), y)
    check(found.stem, plain.stem)


def test_lazy_layers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"does not know its sizes yet \(0\)"):
        accelerate(nn.Sequential(nn.LazyConv2d(3, 3)), X)


def test_shapes_and_arguments_of_another_end_are_taken() -> None:
    plain = stirred(Row(PaddedWithin(4, 4, 3, 2), Norm(4)))
    found: Any = accelerate(plain, X)
    for x in (X, torch.randn(2, 4, 12, 12), torch.randn(4, 9, 9)):
        check(found, plain, x) if x.ndim == 4 else check(found[0], plain[0], x)
    leaf = X.clone().requires_grad_()
    slopes = [torch.autograd.grad(net(leaf).square().sum(), leaf)[0] for net in (found, plain)]
    torch.testing.assert_close(*slopes)
    with torch.autocast("cpu", torch.bfloat16):
        assert found(X).dtype is plain(X).dtype is torch.bfloat16
        assert distance(found(X), plain(X)) < 2**-6


def test_accelerated_under_autocast_is_right_outside_of_it() -> None:
    plain = stirred(Block("within"))
    with torch.autocast("cpu", torch.bfloat16):
        found: Any = accelerate(plain, X)
        assert found(X).dtype is torch.bfloat16
    assert joined(found)
    check(found, plain)


def method(source: str) -> Any:
    """A method whose text is in no file."""
    names: dict[str, Any] = {}
    exec(source, names)
    return names["forward"]


def test_a_method_whose_text_cannot_be_read_or_is_another_is_left_alone(tmp_path: Any) -> None:
    text = "def forward(self, x):\n    return self.norm(self.conv(x))\n"
    assert joining(method(text), print, print) is None
    path = tmp_path / "net.py"
    for now in (text, text.replace("norm", "other"), text.replace("(x))", "(-x))")):
        path.write_text(now)
        function = method(text)
        function.__code__ = function.__code__.replace(co_filename=str(path))
        assert (joining(function, print, print) is not None) == (now == text)


def test_whole_networks_are_planned_in_both_layouts() -> None:
    plain = stirred(nn.Sequential(Block("within"), Block("in turn"), Padded(4, 3, 3)))
    for last in (False, True):
        with torch.no_grad():
            check(_planned(plain, 1e-5, (X,), last=last)[0], plain)
