"""Rooms that do not know each other agree: `compute` recomputes what `lens` recorded."""

import pytest
import torch
from torch import nn

from convlens.lens import record
from convlens.zoo import model
from tests.cases.networks import NETWORKS, build
from tests.oracles.recomputing import recomputed

EVERY = [*NETWORKS, "digits", "filters"]


def opened(name: str) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    if name in NETWORKS:
        return build(name)
    shape = {"digits": (1, 1, 8, 8), "filters": (1, 3, 40, 50)}[name]
    return model(name), (torch.rand(shape, generator=torch.Generator().manual_seed(0)),)


@pytest.mark.parametrize("name", EVERY)
def test_every_recorded_convolution_and_pooling_is_recomputed(name: str) -> None:
    network, inputs = opened(name)
    seen = record(network, *inputs)
    for step in seen:
        again = recomputed(seen, step)
        if again is None:
            continue
        assert again.agrees(seen.values[step.outputs[0]].tensor)


def test_there_is_much_to_recompute() -> None:
    count = 0
    for name in EVERY:
        network, inputs = opened(name)
        seen = record(network, *inputs)
        count += sum(recomputed(seen, step) is not None for step in seen)
    assert count >= 45


def test_a_weight_off_by_a_thousandth_is_seen() -> None:
    network, inputs = build("residual")
    seen = record(network, *inputs)
    step = seen.step("conv1")
    seen.values[step.inputs[1]].tensor.mul_(1.001)
    again = recomputed(seen, step)
    assert again is not None
    assert not again.agrees(seen.values[step.outputs[0]].tensor)
