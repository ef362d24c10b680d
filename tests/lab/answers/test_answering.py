"""The lab: it answers about one recording at a time, and says what it cannot answer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from convlens.lab import Lab
from convlens.lab.guarding import StaleRecordingError
from convlens.learn.opening import Opened, open_network, opened_module
from convlens.learn.preparing import Preparation
from convlens.zoo.weights import DATA


def test_without_a_picture_the_page_says_what_to_do(networks: Path) -> None:
    lab = Lab(open_network(f"{networks}:Residual"))
    lab.skip()
    network = lab.network()
    assert network["recording"] == 0
    assert "drop a picture" in network["failure"]
    with pytest.raises(StaleRecordingError):
        lab.sheet(0, 0)


def test_what_the_user_must_know_of_an_answer_is_in_it() -> None:
    lab = Lab(open_network("digits", weights="none"))
    lab.look(DATA / "digit-3.png")
    network = lab.network()
    assert network["doubts"] == ["weights drawn at random: the answer means nothing"]
    assert network["warnings"][0] == network["doubts"][0]
    broken = opened_module(nn.Sequential(nn.Conv2d(3, 2, 8), nn.Flatten()).eval(), size=8)
    with torch.no_grad():
        next(broken.network.parameters()).fill_(torch.nan)
    lab = Lab(broken)
    lab.look(DATA / "cat.jpg")
    network = lab.network()
    assert network["scores"] == []
    assert "weights that are not finite" in network["doubts"][0]
    assert "no finite numbers for 2 of 2 scores" in network["doubts"][1]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_packed_parameters_are_counted_as_costs_counts_them() -> None:
    plain = nn.Sequential(nn.Flatten(), nn.Linear(48, 5))
    packed = torch.ao.quantization.quantize_dynamic(plain, {nn.Linear})
    for network in (plain, packed):
        opened = Opened("own", network.eval(), Preparation(4), None, None)
        lab = Lab(opened)
        lab.look(DATA / "cat.jpg")
        assert lab.network()["parameters"] == 48 * 5 + 5


def test_a_wrong_recording_is_stale(digits: Lab) -> None:
    with pytest.raises(StaleRecordingError, match="recording 7 is gone"):
        digits.number(7, 0, ())
