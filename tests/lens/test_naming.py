"""A name stands for one value everywhere: a path for its module's output, on the page too."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import convlens
from convlens.lab.answers.steps import call_rows, step_rows
from convlens.lens import Recording, costs_of, explain, record
from convlens.lens.trees import tensors_in
from tests.cases.networks import NETWORKS, Shared, build


@dataclass
class Pair:
    large: Tensor
    small: Tensor


class Two(nn.Module):
    """A module that returns two tensors, the one made last first."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        one = x * 2
        return one + 1, one


class Best(nn.Module):
    """A module that returns the second output of its only step."""

    def forward(self, x: Tensor) -> Tensor:
        return x.max(-1, keepdim=True)[1].to(x.dtype) * 0 + x.sort(-1)[0]


class Place(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sort(x, -1)[1]


class Through(nn.Module):
    """A module that returns a tensor that was written through a view of it."""

    def forward(self, x: Tensor) -> Tensor:
        y = x + 1
        y.view(-1).mul_(3)
        return y


class InAClass(nn.Module):
    def forward(self, x: Tensor) -> Pair:
        return Pair(x * 8, x / 8)


class Taken(nn.Module):
    """A step whose name by module and operation is the path of another module."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = F.relu(x) + self.relu(F.relu(x - 1))
        return out


class Strange(nn.Module):
    """Modules named as numbers, steps and calls; one at two places; outputs of every make."""

    def __init__(self) -> None:
        super().__init__()
        shared = nn.Sequential(nn.Linear(4, 4), nn.Identity())
        parts: dict[str, nn.Module] = {
            "7": nn.Sequential(nn.Tanh(), nn.ReLU(inplace=True)),
            "@2": nn.Linear(4, 4),
            "input": nn.Identity(),
            "one": shared,
            "two": shared,
            "pair": Two(),
            "best": Best(),
            "place": Place(),
            "through": Through(),
            "class": InAClass(),
            "taken": Taken(),
            "a#2": nn.Sigmoid(),
            "relu@0": nn.Softplus(),
            "lstm": nn.LSTM(4, 4),
            "0": nn.Linear(4, 4),
        }
        for name, part in parts.items():
            self.add_module(name, part)
        self.parent = [self]

    def forward(self, x: Tensor) -> dict[str, Any]:
        get = self.get_submodule
        x = get("input")(F.relu(x))
        x = get("relu@0")(get("7")(x)) + get("@2")(x)
        x = get("two")(get("one")(x))
        a, b = get("pair")(x)
        x = get("best")(a - b) + get("place")(b)
        x = get("through")(x)
        pair = get("class")(x)
        x = get("a#2")(get("taken")(pair.large - pair.small))
        x, _ = get("lstm")(x)
        return {"x": get("0")(x), "pair": pair}


def strange() -> tuple[nn.Module, tuple[Tensor, ...]]:
    torch.manual_seed(0)
    return Strange().eval(), (torch.randn(2, 3, 4),)


EACH = pytest.mark.parametrize(
    "make",
    [pytest.param(strange, id="strange")]
    + [pytest.param(partial(build, name), id=name) for name in NETWORKS],
)


def seen_by_hooks(network: nn.Module, inputs: tuple[Any, ...]) -> dict[str, list[Tensor]]:
    """Return what each module returned in its first call, by every path of it."""
    returned: dict[nn.Module, list[Tensor]] = {}

    def hook(module: nn.Module, args: Any, out: Any) -> None:
        returned.setdefault(module, [tensor.clone() for tensor in tensors_in(out)])

    handles = [module.register_forward_hook(hook) for module in network.modules()]
    # torch takes no fused attention while a function mode is on; a warning says so.
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            network(*inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for handle in handles:
            handle.remove()
    paths = network.named_modules(remove_duplicate=False)
    return {path: returned[module] for path, module in paths if module in returned}


def check_paths(recording: Recording, returned: dict[str, list[Tensor]]) -> None:
    assert returned
    for path, tensors in returned.items():
        ids = recording.made(path)
        assert len(ids) == len(tensors), path
        for slot, (id, tensor) in enumerate(zip(ids, tensors, strict=True)):
            assert torch.equal(recording.values[id].tensor, tensor), path
            if not tensor.numel():
                continue
            middle = tuple(n // 2 for n in tensor.shape)
            explanation = explain(recording, path, middle, slot=slot)
            assert explanation.value.id == id
            assert explanation.recorded == float(tensor[middle])


@EACH
def test_a_path_means_what_that_module_returned(make: Any) -> None:
    network, inputs = make()
    returned = seen_by_hooks(network, inputs)
    check_paths(record(network, *inputs), returned)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v3_small", "fasterrcnn_resnet50_fpn"])
def test_a_path_means_what_that_module_of_the_zoo_returned(name: str) -> None:
    torch.manual_seed(0)
    network = convlens.model(name, weights=None).eval()
    x = torch.rand(3, 64, 64)
    inputs: Any = [x] if "rcnn" in name else x[None]
    returned = seen_by_hooks(network, (inputs,))
    recording = record(network, inputs)
    for path, tensors in returned.items():
        ids = recording.made(path)
        for id, tensor in zip(ids, tensors, strict=True):
            assert torch.equal(recording.values[id].tensor, tensor), path


@EACH
def test_every_name_means_its_value_and_is_the_same_next_time(make: Any) -> None:
    network, inputs = make()
    recording = record(network, *inputs)
    names = recording.names
    assert len(set(names.values())) == len(names) == len(recording.values)
    for id, several in recording.all_names.items():
        assert several[0] == names[id] == recording.name_of(id)
        assert all(recording.made(name)[0] == id for name in several), several
    assert record(network, *inputs).names == names


@EACH
def test_every_name_of_a_step_or_call_is_one_that_explain_takes(make: Any) -> None:
    network, inputs = make()
    recording = record(network, *inputs)
    named = [(row["name"], row["outputs"]) for row in step_rows(recording)]
    named += [(row["label"], row["outputs"]) for row in call_rows(recording)]
    for name, outputs in named:
        for id in outputs[:1]:
            value = recording.values[id]
            if value.tensor.numel() and not value.dtype.is_complex:
                index = (0,) * len(value.shape)
                assert explain(recording, name, index).value.id == value.id, name


def test_a_number_in_text_is_a_module_and_never_a_step() -> None:
    network = nn.Sequential(nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU()), nn.Conv2d(1, 1, 3))
    recording = record(network, torch.randn(1, 1, 8, 8))
    at = (0, 0, 0, 0)
    assert explain(recording, "1", at).step is recording.steps[2]
    assert explain(recording, 1, at).step is recording.steps[1]
    assert explain(recording, "@1", at).step is recording.steps[1]
    assert explain(recording, "0.1", at).step is recording.steps[1]
    assert recording["1"] == (recording.steps[2],)
    for refused in (explain, lambda recording, where, at: recording[where]):
        with pytest.raises(ValueError, match="for step 2 use the integer 2, or @2 in text"):
            refused(recording, "2", at)
    with pytest.raises(ValueError, match="use 0 to 2"):
        explain(recording, "@3", at)
    with pytest.raises(TypeError, match=r"`where` \(=True\) must be a step"):
        explain(recording, True, at)


def test_the_empty_path_is_the_whole_network_whatever_that_is() -> None:
    x = torch.randn(2, 3)
    for network in (nn.Linear(3, 4), lambda x: (x * 2).sum(0), nn.Identity()):
        recording = record(network, x)
        assert recording.output is not None
        assert recording.made("")[0] == recording.output.id
    with pytest.raises(ValueError, match="returned no tensor"):
        explain(record(lambda x: None, x), "", (0,))


def test_the_first_of_several_calls_says_that_there_are_others() -> None:
    recording = record(Shared(), torch.randn(1, 3, 6, 6))
    first = explain(recording, "conv", (0, 0, 1, 1))
    said = "call 1 of 3 of `conv`; their names are `conv` to `conv#3`"
    assert first.call == first.to_dict()["call"] == said
    assert said in str(first)
    assert explain(recording, "conv#2", (0, 0, 1, 1)).call.startswith("call 2 of 3 of `conv`")
    assert explain(recording, "conv#1", (0, 0, 1, 1)).step is first.step
    assert explain(recording, "conv2d@9", (0, 0, 0, 0)).call == ""
    with pytest.raises(ValueError, match="`conv` ran 3 times; use 'conv' to 'conv#3'"):
        explain(recording, "conv#4", (0, 0, 1, 1))


def test_a_module_without_a_tensor_of_its_own_is_refused_by_name() -> None:
    class Counts(nn.Module):
        def forward(self, x: Tensor) -> int:
            return int((x > 0).sum())

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.counts = Counts()
            self.after = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.after(x) * self.counts(x)
            return out

    recording = record(Whole(), torch.ones(3))
    with pytest.raises(ValueError, match=r"'counts'\) is a module that returned no tensor; name"):
        explain(recording, "counts", (0,))
    with pytest.raises(ValueError, match="something that a step made"):
        recording.step("input")
    assert explain(recording, "input", (1,)).rule == "given"


def test_modules_inside_a_function_have_paths_and_parameters() -> None:
    network, other = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), nn.Linear(2, 2)
    last = nn.Linear(2, 1)
    recording = record(lambda x: last(other(network(x))), torch.randn(1, 3))
    assert [call.label for call in recording.calls] == [
        "<Sequential>",
        "<Sequential>.0",
        "<Sequential>.1",
        "<Linear>",
        "<Linear>~2",
    ]
    assert costs_of(recording).parameters == 16 + 10 + 6 + 3


def test_a_module_named_as_anothers_second_call_keeps_its_name() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module("a", nn.Linear(2, 2))
            self.add_module("a#2", nn.Linear(2, 2))

        def forward(self, x: Tensor) -> Tensor:
            a, other = self._modules["a"], self._modules["a#2"]
            assert a is not None
            assert other is not None
            out: Tensor = a(other(a(x)))
            return out

    seen = record(Network(), torch.ones(1, 2))
    first, other, last = (step.outputs[0] for step in seen)
    assert (seen.made("a"), seen.made("a#2")) == ((first,), (other,))
    for id in (first, other, last):
        assert all(seen.made(name) == (id,) for name in seen.all_names[id])
