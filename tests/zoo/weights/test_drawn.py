"""A network names the parts that are as they were drawn, until they are loaded or trained."""

from __future__ import annotations

import copy
import io
from pathlib import Path

import pytest
import torch
from torch import nn

import convlens
from convlens.zoo import model
from convlens.zoo.weights import load_weights
from convlens.zoo.weights.drawn import EVERYTHING, random_parts, random_text


def test_what_is_drawn_says_so_and_what_is_loaded_does_not() -> None:
    fresh = model("digits", weights=None)
    assert random_parts(fresh) == EVERYTHING
    assert "weights drawn at random" in repr(fresh)
    for name in ("digits", "filters"):
        assert random_parts(model(name)) == ()
        assert "random" not in repr(model(name))
    assert random_parts(model("filters", weights=None)) == ()  # its kernels are fixed
    fresh.load_state_dict(model("digits").state_dict())
    assert random_parts(fresh) == ()


def test_a_head_for_other_classes_is_named(tmp_path: Path) -> None:
    torch.save(model("mobilenet_v3_small", None).state_dict(), tmp_path / "a.pth")
    network = model("mobilenet_v3_small", None, classes=3)
    load_weights(network, tmp_path / "a.pth", fresh=("classifier.3.",))
    assert random_parts(network) == ("classifier.3",)
    assert random_text(random_parts(network)) in repr(network)
    head = {
        f"classifier.3.{name}": torch.ones(3, 1024)[:, :size].squeeze(1)
        for name, size in (("weight", 1024), ("bias", 1))
    }
    network.load_state_dict(head, strict=False, assign=True)
    assert random_parts(network) == ()


def _saved(network: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    loaded: nn.Module = torch.load(file, weights_only=False)
    return loaded


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize(
    "changed",
    [
        copy.deepcopy,
        _saved,
        lambda network: network.to(memory_format=torch.channels_last),
        lambda network: copy.deepcopy(network).half(),
        lambda network: copy.deepcopy(network).to("meta"),
        lambda network: convlens.accelerate(network, torch.rand(1, 1, 8, 8)),
    ],
    ids=["deepcopy", "saved", "channels last", "half", "another device", "accelerated"],
)
def test_it_is_kept_through_copies(changed: object, trained: bool) -> None:
    network = model("digits", weights=None)
    if trained:
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
        network(torch.rand(2, 1, 8, 8)).square().sum().backward()
        optimizer.step()
    assert callable(changed)
    assert random_parts(changed(network)) == (() if trained else EVERYTHING)


def test_what_is_written_past_torchs_counting_is_loaded() -> None:
    trained = model("digits")
    for write in (
        lambda own, other: own.data.copy_(other.data),
        lambda own, other: setattr(own, "data", other.data.clone()),
    ):
        network = model("digits", weights=None)
        for own, other in zip(network.parameters(), trained.parameters(), strict=True):
            write(own, other)
        assert random_parts(network) == ()
    network = model("digits", weights=None)
    vector = nn.utils.parameters_to_vector(trained.parameters())
    nn.utils.vector_to_parameters(vector, network.parameters())
    assert random_parts(network) == ()
    # The same numbers in another type or layout were not written.
    part: nn.Module = nn.Sequential(model("digits", weights=None)).bfloat16()
    assert random_parts(part) == ("0",)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_networks_of_the_zoo_can_be_scripted() -> None:
    x = torch.rand(1, 1, 8, 8)
    for weights in ("DEFAULT", None):
        network = model("digits", weights)
        assert torch.equal(torch.jit.script(network)(x), network(x))


def test_wrappers_and_parts_of_other_networks_say_it_too() -> None:
    part = model("digits", weights=None)
    assert random_parts(nn.Sequential(nn.ReLU(), part)) == ("1",)
    assert random_parts(nn.DataParallel(part)) == ("module",)
    assert random_parts(nn.Sequential(nn.Linear(2, 2))) == ()  # nothing is known about it
    own = nn.Linear(2, 2)
    own.random_parts = ("weight",)  # type: ignore[assignment]
    assert random_parts(own) == ("weight",)
    own.random_parts = nn.Parameter(torch.ones(1))
    assert random_parts(own) == ()
