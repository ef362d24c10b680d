"""A replay is, bit for bit, the recording of a network that was really changed; else it refuses."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlens.lens import (
    Change,
    Mute,
    Recording,
    SetArgument,
    SetNumber,
    SetValue,
    explain,
    explain_value,
    record,
    replay,
)
from convlens.lens.replaying import same_bits
from convlens.zoo import model
from tests.cases.networks import NETWORKS, build

NAN = float("nan")


def differences(one: Recording, other: Recording) -> list[str]:
    """Return where two recordings differ: in a step, a bit, or how a tensor lies in memory."""
    assert [(s.op, s.inputs, s.outputs) for s in one] == [
        (s.op, s.inputs, s.outputs) for s in other
    ]
    assert one.all_names == other.all_names
    assert [v.id for v in one.values] == [v.id for v in other.values]
    return [
        one.name_of(a.id)
        for a, b in zip(one.values, other.values, strict=True)
        if not same_bits(a.tensor, b.tensor) or a.tensor.stride() != b.tensor.stride()
    ]


def inputs(seen: Recording) -> list[Tensor]:
    return [value.tensor.clone() for value in seen.inputs]


def with_number(network: nn.Module, name: str, at: tuple[int, ...], to: float) -> nn.Module:
    changed = copy.deepcopy(network)
    with torch.no_grad():
        changed.get_parameter(name)[at] = to
    return changed


def tensors(network: nn.Module) -> list[str]:
    """Return the first and last weight of a network, and a bias."""
    names = [name for name, _ in network.named_parameters()]
    biases = [name for name in names if "bias" in name]
    return [names[0], names[-1], *biases[:1]]


@pytest.mark.parametrize("to", [2.5, NAN])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_changed_weight_is_that_of_a_changed_network(name: str, to: float) -> None:
    network, given = build(name)
    seen = record(network, *given)
    before = [value.tensor.clone() for value in seen.values]
    for parameter in tensors(network):
        at = tuple(n - 1 for n in network.get_parameter(parameter).shape)
        got = replay(seen, [SetNumber(parameter, at, to)])
        assert differences(got, record(with_number(network, parameter, at, to), *given)) == []
        assert differences(got, seen) != []
    after = [value.tensor for value in seen.values]
    assert all(map(same_bits, before, after)), "the recording itself was written"


@pytest.mark.parametrize("name", NETWORKS)
def test_a_changed_pixel_is_that_of_a_changed_picture(name: str) -> None:
    network, given = build(name)
    seen = record(network, *given)
    at = tuple(n // 2 for n in given[0].shape)
    one = inputs(seen)
    one[0][at] = -3.0
    got = replay(seen, [SetNumber(seen.inputs[0].id, at, -3.0)])
    assert differences(got, record(network, *one)) == []
    whole = torch.randn(given[0].shape)
    got = replay(seen, [SetValue("input", whole)])
    assert differences(got, record(network, whole, *given[1:])) == []


def test_a_wrong_change_is_caught() -> None:
    network, given = build("residual")
    seen, at = record(network, *given), (0, 0, 0, 0)
    got = replay(seen, [SetNumber("conv1.weight", at, 2.0)])
    truth = record(with_number(network, "conv1.weight", at, 2.000001), *given)
    assert "conv1" in differences(got, truth)


ZOO: dict[str, tuple[int, ...]] = {
    "digits": (1, 1, 8, 8),
    "resnet18": (2, 3, 48, 40),
    "mobilenet_v3_small": (1, 3, 64, 64),
    "r3d_18": (1, 3, 4, 32, 32),
    "lraspp_mobilenet_v3_large": (1, 3, 64, 64),
}


ASKING = ("lraspp_mobilenet_v3_large",)
"""These ask for the sizes of their features, to enlarge others to them."""


@pytest.mark.parametrize("name", ZOO)
def test_networks_of_the_zoo_replay_weights_pixels_and_arguments(name: str) -> None:
    torch.manual_seed(0)
    network = model(name, weights=None).eval()
    seen = record(network, torch.randn(*ZOO[name]))
    weights = [v for v in seen.values if v.kind == "parameter" and len(v.shape) > 3]
    for weight in (weights[0], weights[len(weights) // 2]):
        at = (0,) * len(weight.shape)
        got = replay(seen, [SetNumber(weight.name, at, 0.5)])
        truth = record(with_number(network, weight.name, at, 0.5), *inputs(seen))
        assert differences(got, truth) == []
    shared = [a is b for a, b in zip(got.values, seen.values, strict=True)]
    assert shared.count(False) < len(shared) / 2  # the first half of the network is shared
    convolutions = [step for step in seen if step.op in ("conv2d", "conv3d")]
    for step in convolutions[-1:] if name in ASKING else (convolutions[0], convolutions[-1]):
        for argument, to in (("stride", 2), ("dilation", 2), ("padding", 2)):
            changed = copy.deepcopy(network)
            layer = changed.get_submodule(step.module)
            setattr(layer, argument, (to,) * len(layer.kernel_size))  # type: ignore[arg-type]
            truth = record(changed, *inputs(seen))
            got = replay(seen, [SetArgument(step.index, argument, to)])
            assert differences(got, truth) == []
            assert (got.error and got.error.message) == (truth.error and truth.error.message)


def zeroing(module: nn.Module, channel: int) -> None:
    """Make a module return its output with a map of zeros."""

    def hook(module: nn.Module, given: Any, out: Tensor) -> Tensor:
        out = out.clone()
        out[:, channel] = 0
        return out

    module.register_forward_hook(hook)


@pytest.mark.parametrize("muted", ["stem.0", "pool", "conv1", "bn1", "project", "bn2"])
def test_a_muted_map_is_that_of_a_hook_that_zeroes_it(muted: str) -> None:
    network, given = build("residual")
    seen = record(network, *given)
    got = replay(seen, [Mute(muted, 2)])
    changed = copy.deepcopy(network)
    zeroing(changed.get_submodule(muted), 2)
    truth = record(changed, *given)
    later = [c.label for c in seen.calls if c.path and not muted.startswith(c.path)]
    assert "head" in later
    for label in later:
        (a,), (b,) = got.made(label), truth.made(label)
        assert same_bits(got.values[a].tensor, truth.values[b].tensor), label
    assert not same_bits(got.output.tensor, seen.output.tensor)  # type: ignore[union-attr]
    id = got.made(muted)[0]
    assert not got.values[id].tensor[:, 2].any()
    assert explain_value(got, id, (0, 2, 1, 1)).note == "put here by a change"
    assert explain_value(got, id, (0, 1, 1, 1)).rule != "given"
    region = explain_value(got, id, (0, 2, 1, 1)).pixels()
    assert region.count == 0


def test_a_map_of_one_picture_without_a_batch_is_muted() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    seen = record(network, torch.randn(3, 6, 6))
    got = replay(seen, [Mute("1", 2)]).output
    assert got is not None
    assert [bool(channel.any()) for channel in got.tensor] == [True, True, False, True]


def test_changes_go_together_and_in_order() -> None:
    network, given = build("dilated")
    seen, at = record(network, *given), (0, 1, 2, 2)
    changes: list[Change] = [
        SetNumber("fuse.bias", (1,), 4.0),
        SetNumber("fuse.bias", (1,), -1.0),
        SetArgument("branches.1", "dilation", (1, 2)),
        SetArgument("branches.1", "padding", (1, 2)),
        SetNumber("input", at, 9.0),
    ]
    changed = with_number(network, "fuse.bias", (1,), -1.0)
    layer = changed.get_submodule("branches.1")
    layer.dilation = layer.padding = (1, 2)  # type: ignore[assignment]
    (picture,) = inputs(seen)
    picture[at] = 9.0
    assert differences(replay(seen, changes), record(changed, picture)) == []


def test_a_pooling_takes_another_window() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.AvgPool2d(3, 1))
    seen = record(network, torch.randn(1, 1, 17, 19))
    got = replay(
        seen,
        [
            SetArgument("1", "stride", 3),
            SetArgument("1", "ceil_mode", True),
            SetArgument("2", "padding", 1),
            SetArgument("2", "count_include_pad", False),
        ],
    )
    changed = nn.Sequential(
        network[0], nn.MaxPool2d(2, 3, ceil_mode=True), nn.AvgPool2d(3, 1, 1, False, False)
    )
    assert differences(got, record(changed, *inputs(seen))) == []


@pytest.mark.parametrize("lies", [torch.channels_last, torch.contiguous_format])
def test_tensors_keep_how_they_lie_in_memory(lies: torch.memory_format) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.SiLU(True), nn.Conv2d(8, 4, 3), nn.Flatten())
    network = network.to(memory_format=lies)  # type: ignore[call-overload]
    picture = torch.randn(2, 3, 9, 9).to(memory_format=lies)
    seen = record(network, picture)
    got = replay(seen, [SetNumber("0.weight", (1, 1, 1, 1), 2.0)])
    truth = record(with_number(network, "0.weight", (1, 1, 1, 1), 2.0), picture)
    assert differences(got, truth) == []


def test_weights_that_need_gradients_multiply_as_they_did() -> None:
    """torch folds a matrix product where the weight requires gradients, even without any."""
    for needs in (True, False):
        torch.manual_seed(0)
        weight = torch.randn(40, 33).requires_grad_(needs)
        seen = record(lambda x, w=weight: torch.matmul(x, w.t()), torch.randn(3, 17, 33))
        picture = inputs(seen)[0]
        picture[0, 0, 0] = 1.5
        got = replay(seen, [SetNumber("input", (0, 0, 0), 1.5)])
        truth = record(lambda x, w=weight: torch.matmul(x, w.t()), picture)
        assert differences(got, truth) == []
        assert [value.graded for value in seen.values if value.kind == "constant"] == [needs]


def doubled_in_place(x: Tensor) -> Tensor:
    y = x * 2
    part = y[:, 1:]
    part += 1
    y[0] = -y[0]
    return y.exp_()[:, 1:] * part


def test_what_writes_in_place_leaves_the_recording_whole() -> None:
    x = torch.randn(3, 4)
    seen = record(doubled_in_place, x)
    before = [value.tensor.clone() for value in seen.values]
    changed = x.clone()
    changed[0, 2] = 7.0
    got = replay(seen, [SetNumber("input", (0, 2), 7.0)])
    assert differences(got, record(doubled_in_place, changed)) == []
    assert all(map(same_bits, before, (value.tensor for value in seen.values)))


def test_a_number_of_a_step_is_put_in_place_of_the_computed_one() -> None:
    seen = record(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1)), torch.randn(1, 3))
    got = replay(seen, [SetNumber("1", (0, 1), 5.0), SetNumber("0", (0, 0), 2.0)])
    hidden = got.values[got.made("1")[0]].tensor
    assert hidden.tolist() == [[2.0, 5.0]]
    assert explain(got, "2", (0, 0)).terms.value.tolist() == [2.0, 5.0]
    assert explain(got, "1", (0, 1)).rule == "given"


def branching(x: Tensor) -> Tensor:
    y = x * 2
    return y + 1 if y.sum() > 0 else y - 1


def test_an_answer_that_stays_the_same_is_followed() -> None:
    x = torch.ones(4)
    seen = record(branching, x)
    got = replay(seen, [SetNumber("input", (1,), 0.5)])
    assert differences(got, record(branching, torch.tensor([1.0, 0.5, 1.0, 1.0]))) == []
    with pytest.raises(ValueError, match=r"step 3 \(`__bool__`.*run the changed network"):
        replay(seen, [SetNumber("input", (1,), -5.0)])


def asks_for_sizes(x: Tensor) -> Tensor:
    y = F.conv2d(x, torch.ones(1, 1, 3, 3))
    return F.interpolate(y, size=(y.size(2) * 2, 9))


def literal(x: Tensor) -> Tensor:
    return F.conv2d(x, torch.ones(1, 1, 3, 3)).reshape(1, 16)


def counts(x: Tensor) -> Tensor:
    found = (x > 0).nonzero()
    return torch.ones(len(found))


REFUSED: dict[str, tuple[Callable[..., Any], tuple[int, ...], Change, str]] = {
    "random numbers": (
        lambda x: F.dropout(x + 1, 0.5, True), (4,), SetNumber("input", (0,), 2.0),
        r"step 1 \(`dropout`.*random numbers",
    ),
    "no luck": (  # nothing is dropped by chance: what it draws counts, not what it gives
        lambda x: F.dropout(x + 1, 1e-9, True), (4,), SetNumber("input", (0,), 2.0),
        r"random numbers",
    ),
    "sizes": (asks_for_sizes, (1, 1, 6, 6), SetArgument(1, "padding", 1), r"asked for its sizes"),
    "a length": (counts, (5,), SetNumber("input", (0,), -2.0), r"step 1 \(`nonzero`.*sizes"),
    "statistics": (
        nn.Sequential(nn.Conv1d(1, 2, 1), nn.BatchNorm1d(2)), (2, 1, 3),
        SetNumber("0.bias", (0,), 1.0), r"running statistics",
    ),
    "numbers taken": (
        lambda x: x + float(2.0 in (x * 2)), (3,), SetNumber("input", (0,), 0.5),
        r"step 0 \(`mul`.*took numbers",
    ),
    "NumPy": (
        lambda x: x + torch.from_numpy(x.numpy()), (3,), SetNumber("input", (0,), 0.5),
        r"`numpy`.*hands numbers to Python",
    ),
}  # fmt: skip


@pytest.mark.parametrize("why", REFUSED)
def test_what_may_have_gone_another_way_is_refused(why: str) -> None:
    network, shape, change, words = REFUSED[why]
    torch.manual_seed(0)
    seen = record(network, torch.ones(shape))
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match=words) as caught:
        replay(seen, [change])
    assert "run the changed network" in str(caught.value)
    assert torch.equal(state, torch.get_rng_state())


def test_sizes_that_stay_or_that_were_written_down_are_no_obstacle() -> None:
    x = torch.randn(1, 1, 6, 6)
    seen = record(asks_for_sizes, x)
    (changed,) = inputs(seen)
    changed[0, 0, 1, 1] = 3.0
    got = replay(seen, [SetNumber("input", (0, 0, 1, 1), 3.0)])
    assert differences(got, record(asks_for_sizes, changed)) == []
    stopped = replay(record(literal, x), [SetArgument(1, "padding", 1)])
    assert stopped.error is not None
    assert stopped.error.step == 2
    assert "reshape" in stopped.error.message
    assert stopped.output is None


def test_a_change_that_cannot_be_made_is_refused() -> None:
    seen = record(nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU()), torch.ones(1, 1, 5))
    wrong: list[tuple[Change, str]] = [
        (SetNumber("0.weigth", (0, 0, 0), 1.0), "did you mean"),
        (SetNumber(99, (0,), 1.0), "must be a value"),
        (SetNumber("0.weight", (0, 0), 1.0), "must be an element of 2x1x3"),
        (SetValue("0.weight", torch.ones(2, 1, 3).double()), "must be like `0.weight`"),
        (SetArgument("0", "strides", 2), "use stride, padding, dilation, groups"),
        (SetArgument("1", "stride", 2), "change a convolution or a pooling"),
        (Mute("0", 2), "use 0 to 1"),
        (Mute("0.weight", 0), "has no maps"),
    ]
    for change, words in wrong:
        with pytest.raises(ValueError, match=words):
            replay(seen, [change])
    failed = record(*build("residual")[:1], torch.ones(1, 2, 9, 9))
    with pytest.raises(ValueError, match="the network raised"):
        replay(failed, [])


def test_weights_that_share_memory_and_changed_ones_are_refused() -> None:
    memory = torch.randn(4)
    seen = record(lambda a, b: a * b, memory[:3], memory[1:])
    with pytest.raises(ValueError, match="shares its memory"):
        replay(seen, [SetNumber("input", (0,), 1.0)])
    network = nn.Linear(2, 2)
    seen = record(network, torch.ones(1, 2))
    with torch.no_grad():
        network.bias.zero_()
    with pytest.raises(ValueError, match="record again"):
        replay(seen, [SetNumber("weight", (0, 0), 1.0)])


def test_a_replay_is_replayed() -> None:
    network, given = build("shared")
    seen, at = record(network, *given), (0, 0, 0, 0)
    once = replay(seen, [SetNumber("conv.weight", at, 2.0)])
    twice = replay(once, [SetNumber("conv.bias", (1,), -1.0)])
    changed = with_number(with_number(network, "conv.weight", at, 2.0), "conv.bias", (1,), -1.0)
    assert differences(twice, record(changed, *given)) == []
