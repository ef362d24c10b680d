"""What a training writes of its layers equals a slow definition, and changes nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convlens.learn.measuring.layers import LayerNumbers, UnitCount, faults, read_layers
from convlens.learn.training.health import LayerWatch, UnitWatch
from convlens.learn.training.progress import Progress
from convlens.learn.training.starting import train
from tests.cases.training_runs import QUICK, numbers, shades, small_network


def norm(*arrays: Any) -> float:
    return math.sqrt(sum(float((np.asarray(a, np.float64) ** 2).sum()) for a in arrays))


def weights(module: Any) -> list[Any]:
    return [one.detach().numpy().copy() for one in module.parameters()]


def ends(network: nn.Module, **changes: Any) -> list[Progress]:
    return list(train(network, shades(), replace(QUICK, **changes)))


def test_the_numbers_of_a_step_are_those_of_its_tensors() -> None:
    network = small_network()
    running = train(network, shades(), replace(QUICK, clip=0.0)).steps()
    for _ in range(4):
        next(running)
    before = {name: weights(one) for name, one in network.named_children()}
    line = next(running).layers  # the fifth step ends the epoch of 60 samples
    assert line is not None
    assert list(line.layers) == ["0", "1", "6"]
    assert (line.step, line.epoch, line.samples) == (5, 1, 15)
    for name, module in network.named_children():
        if name not in line.layers:
            continue
        now = weights(module)
        gradients = [one.grad.numpy() for one in module.parameters() if one.grad is not None]
        moved = norm(*(a - b for a, b in zip(now, before[name], strict=True)))
        expected = (norm(*now), norm(*gradients), moved / norm(*before[name]))
        assert line.layers[name] == pytest.approx(expected, rel=1e-6)


def test_clipping_does_not_hide_the_gradient() -> None:
    found = []
    for clip in (0.0, 0.01):
        line = ends(small_network(), batch=60, epochs=1, clip=clip)[0].layers
        assert line is not None
        found.append([one.gradient for one in line.layers.values()])
    assert found[0] == pytest.approx(found[1], rel=1e-4)
    assert max(found[0]) > 0.1


def test_a_frozen_layer_has_no_gradient_and_does_not_move() -> None:
    network = small_network()
    network[0].requires_grad_(False)  # type: ignore[index]
    line = ends(network, epochs=1)[0].layers
    assert line is not None
    assert math.isnan(line.layers["0"].gradient)
    assert line.layers["0"].update == 0
    assert faults(line) == []


class Planted(nn.Module):
    """A network that calls one ReLU twice; three channels of its first call are dead."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)
        self.relu, self.head = nn.ReLU(inplace=True), nn.Linear(8, 3)
        with torch.no_grad():
            assert self.one.bias is not None
            self.one.bias[2:5] = -1000

    def forward(self, x: Tensor) -> Tensor:
        first = self.relu(self.one(x))
        return torch.as_tensor(self.head(self.relu(self.two(first)).amax((2, 3))))

    def slow(self, x: Tensor) -> list[int]:
        """Return how many channels are 0 for all samples, taken one at a time."""
        alive = torch.zeros(2, 8, dtype=torch.bool)
        for each in x:
            first = self.one(each[None]).clamp(min=0)
            for call, maps in enumerate((first, self.two(first).clamp(min=0))):
                alive[call] |= torch.tensor([bool(one.max() > 0) for one in maps[0]])
        return [int((~one).sum()) for one in alive]


def planted() -> Planted:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        return Planted()


def test_planted_dead_channels_are_counted_for_each_call() -> None:
    network = planted()
    progress = ends(network, epochs=2, rate=1e-3)[-1]
    assert progress.layers is not None
    slow = network.slow(shades().held_out.inputs)  # type: ignore[attr-defined]
    assert slow[0] >= 3
    assert progress.layers.units == {
        "relu": UnitCount(slow[0], 8),
        "relu#2": UnitCount(slow[1], 8),
    }
    assert (
        progress.fault == f"relu: {slow[0]} of 8 channels are 0 for all 15 held-out samples: dead"
    )


def test_one_sample_keeps_a_channel_alive() -> None:
    network = nn.Sequential(nn.ReLU())
    x = -torch.ones(10, 4, 2, 2)
    x[7, 1, 0, 1] = x[2, 3, 1, 1] = 1
    watch = UnitWatch()
    with watch.watching(network):
        for part in x.split(3):
            network(part)
    assert watch.counts() == {"0": UnitCount(2, 4)}
    network(torch.ones(1, 4, 2, 2))  # it does not watch any more
    assert watch.counts() == {"0": UnitCount(2, 4)}


def test_empty_and_changing_outputs_are_left_out() -> None:
    network = nn.Sequential(nn.ReLU())
    watch = UnitWatch()
    with watch.watching(network):
        for shape in ((0, 4, 2, 2), (2, 4), (2, 5), (3,)):
            network(torch.ones(shape))
    assert watch.counts() == {"0": UnitCount(0, 4)}


def chain(scale: float) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        layers = [nn.Linear(432, 16), *(nn.Linear(16, 16) for _ in range(3)), nn.Linear(16, 3)]
    with torch.no_grad():
        layers[1].weight *= scale
        layers[2].weight /= scale
    return nn.Sequential(nn.Flatten(), *layers)


@pytest.mark.parametrize(("scale", "word"), [(1e4, "exploding"), (1e6, "vanishing")])
def test_a_layer_that_scaled_weights_make_explode_is_named(scale: float, word: str) -> None:
    """The product stays the same, so that the loss does; the gradients of the two go apart."""
    progress = ends(chain(scale), epochs=1, rate=1e-9, batch=60)[0]
    assert progress.layers is not None
    named = {fault.layer: fault.sentence for fault in faults(progress.layers)}
    assert "exploding" in named["3"]
    assert any(word in sentence for sentence in named.values())
    assert "exploding" in progress.fault


def test_the_same_chain_unscaled_is_sound() -> None:
    assert ends(chain(1.0), epochs=1, rate=1e-9, batch=60)[0].fault == ""


def test_tiny_gradients_are_no_zeros() -> None:
    layer = nn.Linear(2, 2)
    watch = LayerWatch(layer)
    watch.keep()
    for one in layer.parameters():
        one.grad = torch.full_like(one, 1e-30)
    assert watch.numbers(1.0, 0.0)["network"].gradient == pytest.approx(1e-30 * math.sqrt(6))


def test_watching_changes_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    watched, blind = small_network(), small_network()
    ends(watched, ema=0.9)

    @contextmanager
    def nothing(self: UnitWatch, network: nn.Module) -> Iterator[None]:
        yield

    monkeypatch.setattr(UnitWatch, "watching", nothing)
    monkeypatch.setattr(LayerWatch, "keep", lambda self: None)
    monkeypatch.setattr(
        LayerWatch, "numbers", lambda self, norm, clip: {"0": LayerNumbers(1, 1, 1)}
    )
    ends(blind, ema=0.9)
    assert torch.equal(numbers(watched), numbers(blind))
    assert not any(module._forward_hooks for module in watched.modules())


def test_every_epoch_has_a_line_in_the_folder(tmp_path: Path) -> None:
    seen = [one.layers for one in train(small_network(), shades(), QUICK, tmp_path / "run")]
    assert read_layers(tmp_path / "run" / "layers.jsonl") == seen
    assert len(seen) == QUICK.epochs
