"""Networks of several inputs: a picture for each, and one of them exchanged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from convlens.lab import Lab
from convlens.lab.answers.slots import slots_of
from convlens.learn.opening import open_network
from convlens.learn.reading_inputs import read_inputs
from convlens.zoo.shipped import DATA


class Pair(nn.Module):
    """Subtracts what one convolution makes of two pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.conv(left) - self.conv(right)
        return made


def test_one_picture_goes_into_every_input() -> None:
    lab = Lab(open_network(Pair(), size=32))
    lab.look(DATA / "cat.jpg")
    told = lab.network()
    assert told["slots"] == ["cat.jpg", "cat.jpg"]
    assert told["error"] is None
    assert len(told["inputs"]) == 2
    assert lab.recording.output is not None
    assert not lab.recording.output.tensor.any()


def test_one_input_is_exchanged_and_the_other_stays() -> None:
    opened = open_network(Pair(), size=32)
    lab = Lab(opened)
    lab.look((DATA / "cat.jpg", DATA / "digit-3.png"))
    assert lab.network()["slots"] == ["cat.jpg", "digit-3.png"]
    lab.sample("digit-7.png", slot=1)
    assert lab.network()["slots"] == ["cat.jpg", "digit-7.png"]
    cat, seven = (read_inputs(opened, DATA / name)[0] for name in ("cat.jpg", "digit-7.png"))
    assert torch.equal(lab.recording.inputs[0].tensor, cat)
    assert torch.equal(lab.recording.inputs[1].tensor, seven)
    with pytest.raises(ValueError, match="must be one of 2 inputs"):
        lab.sample("cat.jpg", slot=2)


def test_the_wrong_number_of_pictures_is_refused() -> None:
    lab = Lab(open_network("digits"))
    with pytest.raises(ValueError, match="has 1 inputs"):
        lab.look((DATA / "cat.jpg", DATA / "cat.jpg"))
    assert slots_of(open_network("digits").network) == ("x",)
    assert Path(DATA).is_dir()
