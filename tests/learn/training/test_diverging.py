"""A number that is not finite stops the training, which says where it was born."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from convlens.learn.training.starting import train
from tests.cases.training_runs import QUICK, end_of, numbers, shades, small_network


class Log(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.log(x - x.detach().amin() * self.training)


class Root(nn.Module):
    """Its value at 0 is finite, its slope is not."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sqrt(x * 0)


def with_layer(layer: nn.Module) -> nn.Module:
    children = list(small_network().children())
    return nn.Sequential(*children[:3], layer, *children[4:])


def test_the_layer_of_a_planted_logarithm_is_named(tmp_path: Path) -> None:
    network = with_layer(Log())
    before = numbers(network)
    with pytest.raises(ValueError, match=r"step 1, as the loss .* born in 3, by .*log.*`rate`"):
        list(train(network, shades(), QUICK, tmp_path / "run"))
    assert torch.equal(numbers(network), before)  # the norms' statistics too


def test_one_born_on_the_way_back_is_named() -> None:
    with pytest.raises(ValueError, match=r"as the gradient .* born in the gradient of 3"):
        list(train(with_layer(Root()), shades(), QUICK))


def test_an_input_that_is_not_finite_is_named() -> None:
    data = shades()
    data.train.inputs[:] = float("nan")  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"born in the input itself.*look at the samples"):
        list(train(small_network(), data, QUICK))


def test_the_last_good_checkpoint_stays_and_a_smaller_rate_needs_another_folder(
    tmp_path: Path,
) -> None:
    recipe = replace(QUICK, save=0.0)
    running = train(small_network(), shades(), recipe, tmp_path / "run").steps()
    for _ in range(7):
        next(running)
    running.close()
    before = end_of(tmp_path / "run")
    broken = shades()
    network = with_layer(Log())
    with pytest.raises(ValueError, match="the last good checkpoint stays"):
        list(train(network, broken, recipe, tmp_path / "run"))
    assert end_of(tmp_path / "run") == before
