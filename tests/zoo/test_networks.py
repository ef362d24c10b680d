"""The networks of the zoo equal torchvision's: names, shapes, eps, and every number they give."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from convlens.learn.counting import counts
from convlens.learn.opening import open_network
from convlens.learn.preparing import Preparation
from convlens.learn.reading_inputs import read_inputs
from convlens.zoo import NETWORKS, Inputs, Network, detection
from convlens.zoo.building import built_on_meta
from convlens.zoo.inputs import IMAGENET_MEAN, IMAGENET_STD
from convlens.zoo.layers import FrozenNorm2d
from convlens.zoo.listing import listed
from convlens.zoo.mobilenet import MOBILENETS
from convlens.zoo.resnet import RESNETS, resnet
from convlens.zoo.segmentation import SEGMENTERS
from convlens.zoo.vgg import VGGS
from convlens.zoo.video import VIDEOS
from convlens.zoo.weights.released import RELEASED
from tests.cases.zoo_weights import drawn, with_weights
from tests.oracles.torchvision_networks import torchvision

FACTS = json.loads((Path(__file__).parents[1] / "data" / "torchvision_models.json").read_text())
"""Keys, shapes, dtypes, parameters and eps of torchvision 0.28, read from it once."""

_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d, FrozenNorm2d)

DETECTORS = {name for name, fact in FACTS.items() if fact["kind"] == "det"}
UNLISTED = (
    *("resnext101_32x8d", "resnext101_64x4d", "wide_resnet101_2"),
    *("mobilenet_v2", "mobilenet_v3_large_075", "mobilenet_v3_small_075"),
)
"""Networks torchvision builds that the facts do not list."""

COMPARED = sorted({*FACTS, *UNLISTED} - DETECTORS)


def built(name: str) -> nn.Module:
    """Ours without memory: on the meta device."""
    return built_on_meta(name)


def theirs(name: str) -> nn.Module:
    """torchvision's without memory: on the meta device."""
    models = torchvision().models
    options: dict[str, Any] = {}
    narrower = re.fullmatch(r"(.*)_(0\d\d)", name)
    builder: Any = getattr(models, narrower[1] if narrower else name, None)
    if narrower:
        options = {"width_mult": int(narrower[2]) / 100}
    elif name.endswith("_18"):
        builder = getattr(models.video, name)
    elif FACTS.get(name, {}).get("kind") == "seg":
        builder = getattr(models.segmentation, name)
        aux = {} if name.startswith("lraspp") else {"aux_loss": True}
        options = {"weights_backbone": None, **aux}
    with torch.device("meta"):
        network: nn.Module = builder(**options)
    return network


# The entries


def test_no_network_of_a_family_is_left_out() -> None:
    families = (VGGS, RESNETS, MOBILENETS, SEGMENTERS, VIDEOS, detection.DETECTORS, RELEASED)
    for family in families:
        assert family.keys() <= NETWORKS.keys(), family.keys() - NETWORKS.keys()


def test_an_entry_without_inputs_of_any_kind_is_refused() -> None:
    released = NETWORKS["resnet18"]
    with pytest.raises(ValueError, match="here are neither"):
        dataclasses.replace(released, weights=())
    with pytest.raises(ValueError, match="here are both"):
        dataclasses.replace(released, inputs=Inputs())


def test_a_released_networks_weights_are_its_own_and_of_its_task() -> None:
    for name, entry in NETWORKS.items():
        assert all((known.network, known.task) == (name, entry.task) for known in entry.weights)


def test_one_line_is_enough_for_a_network_without_released_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inputs = Inputs(resize=40, crop=32, example="digit-3.png")
    entry = Network(lambda name, classes: resnet("resnet18", classes), "naming", 3, (), inputs)
    monkeypatch.setitem(NETWORKS, "tiny", entry)
    opened = open_network("tiny", weights="none")
    assert read_inputs(opened)[0].shape == (1, 3, 32, 32)
    assert opened.preparation == Preparation(40, crop=32, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    (found,) = listed("tiny")
    (counted,) = counts("tiny")
    assert (found.task, found.parameters) == ("naming", counted.parameters)
    assert counted.shape == (1, 3, 32, 32)


# Names and shapes


def test_every_network_of_the_facts_is_there() -> None:
    assert len(FACTS) == 33
    assert {*FACTS, *UNLISTED} <= set(NETWORKS)


def table_of(network: nn.Module) -> list[tuple[str, list[int], str]]:
    state = network.state_dict()
    return [(k, list(t.shape), str(t.dtype).removeprefix("torch.")) for k, t in state.items()]


@pytest.mark.parametrize("name", sorted(FACTS))
def test_keys_shapes_and_dtypes_equal_the_facts_in_their_order(name: str) -> None:
    fact = FACTS[name]
    assert table_of(built(name)) == [(k, shape, kind) for k, (shape, kind) in fact["state"].items()]
    assert sum(p.numel() for p in built(name).parameters()) == fact["params"]


@pytest.mark.parametrize("name", sorted(FACTS))
def test_every_eps_equals_the_facts(name: str) -> None:
    norms = [m for m in built(name).modules() if isinstance(m, _NORMS)]
    fact = FACTS[name]
    assert Counter(m.eps for m in norms) == {float(k): n for k, n in fact["bn_eps"].items()}
    assert sum(isinstance(m, FrozenNorm2d) for m in norms) == fact["frozen_norms"]


@pytest.mark.parametrize("name", UNLISTED)
def test_networks_without_facts_have_the_oracles_keys(name: str) -> None:
    assert table_of(built(name)) == table_of(theirs(name))


# Numbers


def inputs(name: str) -> list[Tensor]:
    shapes: list[tuple[int, ...]] = [(2, 3, 5, 32, 24), (2, 3, 8, 17, 40)]
    if not name.endswith("_18"):
        shapes = [(2, 3, 48, 40), (2, 3, 33, 56)]
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def answers(network: nn.Module, xs: list[Tensor]) -> list[Tensor]:
    """What a network answers in evaluation and in training mode, on every input, in its dtype."""
    dtype = next(network.parameters()).dtype
    statistics = {name: buffer.clone() for name, buffer in network.named_buffers()}
    found = []
    for training in (False, True):
        network.train(training)
        for x in xs:
            with torch.no_grad(), torch.random.fork_rng():
                torch.manual_seed(2)
                found += tensors(network(x.to(dtype)))
    network.load_state_dict(statistics, strict=False)
    return found


def tensors(answer: Any) -> list[Tensor]:
    return list(answer.values()) if isinstance(answer, dict) else [answer]


Make = Callable[[], nn.Module]


def in_both_types(make: Make, xs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """A network's answers in float32 and in float64; the network is freed before they return."""
    network = make()
    return answers(network, xs), answers(network.double(), xs)


def check_equal(ours: Make, oracle: Make, xs: list[Tensor]) -> None:
    """Raise if ours is farther from the oracle's than 20 times its own rounding.

    The rounding is what its float32 answers lie from its float64 answers; in float64 it is smaller
    by 2 ** 29. Made one after the other: two such networks at once are gigabytes.
    """
    single, exact = in_both_types(oracle, xs)
    ours_single, ours_double = in_both_types(ours, xs)
    for i, truth in enumerate(exact):
        size = float(truth.abs().max())
        assert size > 1e-3
        noise = max(float((single[i] - truth).abs().max()), 2**-24 * size)
        assert float((ours_single[i] - truth).abs().max()) <= 20 * noise, i
        assert float((ours_double[i] - truth).abs().max()) <= 20 * noise * 2**-29, i


# Deeper or wider variants of families that the ordinary suite compares too.
DEEPER = (
    *("vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg19", "vgg19_bn", "resnet101", "resnet152"),
    *("resnext101_32x8d", "resnext101_64x4d", "wide_resnet101_2"),
    *("fcn_resnet101", "deeplabv3_resnet101", "deeplabv3_resnet50"),
    *("resnet34", "wide_resnet50_2", "mobilenet_v3_large_075"),
)
LARGE = ("vgg11", "vgg16_bn")


def narrowed(network: nn.Module) -> nn.Module:
    """A VGG with 64 hidden numbers where it has 4096, which are nine tenths of all its weights."""
    for place, (c, k) in {0: (25_088, 64), 3: (64, 64), 6: (64, 1000)}.items():
        network.get_submodule("classifier")[place] = nn.Linear(c, k, device="meta")  # type: ignore[operator]
    return network


def check(name: str, change: Callable[[nn.Module], nn.Module] = lambda network: network) -> None:
    table = drawn(change(built(name)))
    check_equal(
        lambda: with_weights(change(built(name)), table),
        lambda: with_weights(change(theirs(name)), table),
        inputs(name),
    )


@pytest.mark.parametrize("name", [name for name in COMPARED if name not in {*DEEPER, *LARGE}])
def test_answers_equal_the_oracles_in_evaluation_and_in_training(name: str) -> None:
    check(name)


@pytest.mark.parametrize("name", LARGE)
def test_answers_of_a_vgg_with_a_narrow_head_equal_the_oracles(name: str) -> None:
    check(name, narrowed)


@pytest.mark.slow
@pytest.mark.xdist_group("gigabytes")
@pytest.mark.parametrize("name", [*DEEPER, *LARGE])
def test_answers_of_the_deeper_and_larger_equal_the_oracles(name: str) -> None:
    check(name)


@pytest.mark.parametrize(
    "spoil",
    [
        "wrong_eps",
        pytest.param("stride_in_the_first_convolution", marks=pytest.mark.slow),
        pytest.param("no_activation", marks=pytest.mark.slow),
    ],
)
def test_the_comparison_can_fail(spoil: str) -> None:
    table = drawn(built("resnet50"))

    def spoiled() -> nn.Module:
        ours = with_weights(built("resnet50"), table)
        globals()[spoil](ours)
        return ours

    with pytest.raises(AssertionError):
        check_equal(spoiled, lambda: with_weights(theirs("resnet50"), table), inputs("resnet50"))


def wrong_eps(network: nn.Module) -> None:
    network.get_submodule("layer2.0.bn1").eps = 2e-5  # type: ignore[assignment]


def stride_in_the_first_convolution(network: nn.Module) -> None:
    block = network.get_submodule("layer2.0")
    block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)  # type: ignore[assignment]


def no_activation(network: nn.Module) -> None:
    network.get_submodule("layer4.2").relu = nn.Identity()
