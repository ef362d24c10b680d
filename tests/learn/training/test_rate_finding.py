"""The search for a rate is a plain loop with rising rates, and leaves everything as it was."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convlens.learn.data.arrays import ArraySamples
from convlens.learn.data.splits import Data
from convlens.learn.recipe import Recipe
from convlens.learn.training.rate_finding import RateCurve, find_rate
from convlens.learn.training.starting import train
from tests.cases.training_runs import QUICK, end_of, numbers, shades, small_network
from tests.running.commands import run


def plain_search(network: nn.Module, recipe: Recipe, steps: int) -> list[float]:
    """The losses of SGD without momentum, whose rate is multiplied at every step."""
    data = shades()
    places = train(network, data, recipe).places()
    order = [place.indices for place in replace(places, steps=steps).begun_at(0)]
    losses, rate = [], 1e-6
    for indices in order:
        inputs: Tensor = data.train.inputs[indices]  # type: ignore[attr-defined]
        labels = data.train.targets[indices]  # type: ignore[attr-defined]
        loss = nn.functional.cross_entropy(network(inputs), labels)
        network.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in network.parameters():
                assert parameter.grad is not None
                parameter.sub_(parameter.grad, alpha=rate)
        losses.append(loss.item())
        rate *= 1e6 ** (1 / (steps - 1))
    return losses


def linear() -> nn.Module:
    layer = nn.Linear(432, 3)
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, 0.1)
    return nn.Sequential(nn.Flatten(), layer)


PLAIN = Recipe(epochs=3, batch=12, optimizer="sgd", momentum=0.0, decay=0.0, clip=0.0, threads=1)


def test_the_losses_are_those_of_a_plain_loop() -> None:
    curve = find_rate(train(linear(), shades(), PLAIN), steps=40)
    expected = plain_search(linear(), PLAIN, 40)[: len(curve.losses)]
    np.testing.assert_allclose(curve.losses, expected, rtol=1e-4)
    np.testing.assert_allclose(curve.rates, np.geomspace(1e-6, 1, 40)[: len(curve.rates)])
    other = plain_search(linear(), replace(PLAIN, seed=1), 40)[: len(curve.losses)]
    assert not np.allclose(curve.losses, other, rtol=1e-4)  # the comparison can fail


def test_nothing_changes(tmp_path: Path) -> None:
    network = small_network().train()
    network.get_submodule("3").eval()
    recipe = replace(QUICK, freeze=2)
    training = train(network, shades(), recipe, tmp_path / "run")
    files = sorted(path.name for path in (tmp_path / "run").iterdir())
    strides = [parameter.stride() for parameter in network.parameters()]
    states = random.getstate(), repr(np.random.get_state()), torch.random.get_rng_state()
    before, threads = numbers(network), torch.get_num_threads()
    assert find_rate(training, 20).losses
    assert torch.equal(numbers(network), before)
    assert [parameter.stride() for parameter in network.parameters()] == strides
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert [module.training for module in network.children()] == [True] * 3 + [False] + [True] * 3
    assert random.getstate() == states[0]
    assert repr(np.random.get_state()) == states[1]
    assert torch.equal(torch.random.get_rng_state(), states[2])
    assert torch.get_num_threads() == threads
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == files
    list(training)
    list(train(small_network(), shades(), recipe, tmp_path / "other"))
    assert end_of(tmp_path / "run") == end_of(tmp_path / "other")


def test_it_stops_at_four_times_the_least_loss() -> None:
    data = shades()
    bright = ArraySamples(30 * data.train.inputs, data.train.targets)  # type: ignore[attr-defined]
    curve = find_rate(train(linear(), Data(bright, bright), PLAIN))
    means = curve.smoothed
    least = [min(means[: k + 1]) for k in range(len(means))]
    assert all(mean <= 4 * low for mean, low in zip(means[:-1], least[:-1], strict=True))
    assert len(means) < 100
    assert means[-1] > 4 * least[-1]


def test_a_loss_that_is_not_finite_ends_it() -> None:
    class Overflowing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network, self.left = linear(), 14

        def forward(self, x: Tensor) -> Tensor:
            self.left -= 1
            scores: Tensor = self.network(x)
            return scores * (float("nan") if self.left < 0 else 1.0)

    curve = find_rate(train(Overflowing(), shades(), PLAIN))  # two passes are a trial
    assert len(curve.losses) == 12
    assert np.isfinite(curve.losses).all()


def test_the_rate_of_the_steepest_fall_is_suggested() -> None:
    rates = tuple(np.geomspace(1e-6, 1, 101).tolist())
    losses = tuple(3 - 2 / (1 + np.exp(-(np.log10(rates) + 3) * 4)))
    found = RateCurve(rates, losses).suggestion
    assert found is not None
    assert 1e-3 < found < 5e-3  # the running mean lags behind
    assert RateCurve(rates, tuple(range(101))).suggestion is None
    assert "the loss falls at no rate" in str(RateCurve(rates, tuple(range(101))))


def test_too_few_steps_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`steps` \(=3\) must be at least 10"):
        find_rate(train(small_network(), shades(), QUICK), 3)


def test_the_command_prints_a_table_and_the_next_command_and_trains_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    said = run(capsys, "train", "digits", "--find-rate", "--batch", "64", "--out", str(out))
    assert said.splitlines()[0].split() == ["rate", "loss", "smoothed"]
    assert f"use it: convlens train digits --out {out} --batch 64 --rate 0.0" in said
    assert not out.exists()
