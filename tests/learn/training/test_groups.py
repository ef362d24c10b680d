"""What is trained, at which rate and decay."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convlens.learn.recipe import Recipe
from convlens.learn.training.groups import frozen_stages, parameter_groups, stages
from convlens.zoo import model


def test_the_stages_of_a_residual_network_are_its_blocks() -> None:
    names = [name for name, _ in stages(model("resnet18", weights=None))]
    assert names == [
        *("conv1", "bn1", "layer1.0", "layer1.1", "layer2.0", "layer2.1"),
        *("layer3.0", "layer3.1", "layer4.0", "layer4.1", "fc"),
    ]


def test_every_parameter_is_in_one_group_and_only_kernels_decay() -> None:
    network = model("mobilenet_v3_small_075", weights=None)
    groups = parameter_groups(network, Recipe(decay=0.3))
    names = [name for group in groups for name in group["names"]]
    assert sorted(names) == sorted(name for name, _ in network.named_parameters())
    for group in groups:
        assert {p.ndim > 1 for p in group["params"]} == {group["weight_decay"] == 0.3}


def test_the_rate_falls_towards_the_input() -> None:
    network = nn.Sequential(*(nn.Linear(2, 2) for _ in range(3)))
    shares = {
        name: group["share"]
        for group in parameter_groups(network, Recipe(layer_decay=0.5))
        for name in group["names"]
    }
    assert shares == {
        **{"0.weight": 0.25, "0.bias": 0.25, "1.weight": 0.5},
        **{"1.bias": 0.5, "2.weight": 1.0, "2.bias": 1.0},
    }


def test_freezing_leaves_something_to_train() -> None:
    network = model("resnet18", weights=None)
    assert [name for name, _ in frozen_stages(network, 2)] == ["conv1", "bn1"]
    assert [name for name, _ in frozen_stages(network, -1)][-1] == "layer4.1"
    with pytest.raises(ValueError, match=r"`freeze` \(=11\).*11 stages.*use 10 or less"):
        frozen_stages(network, 11)


def test_a_parameter_outside_all_children_is_trained_too() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)
            self.scale = nn.Parameter(torch.ones(1))

    names = [name for group in parameter_groups(Scaled(), Recipe()) for name in group["names"]]
    assert "scale" in names
