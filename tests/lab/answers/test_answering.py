"""The lab: it answers about one recording at a time, and says what it cannot answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from convlens.lab import Lab
from convlens.lab.answers import answering
from convlens.lab.guarding import StaleRecordingError
from convlens.learn.opening import Opened, open_network, opened_module
from convlens.learn.preparing import Preparation
from convlens.zoo.weights import DATA
from tests.cases.lab_networks import recorded


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


def test_the_network_scale_is_its_largest_number(digits: Lab) -> None:
    recording = recorded("digits", DATA / "digit-3.png")
    computed = [v.tensor for v in recording.values if v.kind == "computed"]
    assert digits.scale(1)["largest"] == max(float(t.abs().max()) for t in computed)


def test_a_number_brings_its_terms_its_region_and_the_sheet_that_is_asked_for(digits: Lab) -> None:
    conv = next(v["id"] for v in digits.network()["values"] if v["name"] == "conv2")
    alone = digits.number(1, conv, (0, 3, 1, 2))
    assert alone["explanation"] is not None
    assert alone["explanation"]["op"] == "conv2d"
    assert alone["region"] is not None
    assert (alone["refusal"], alone["sheet"]) == ("", None)
    sheet = digits.number(1, conv, (0, 3, 1, 2), 0)["sheet"]
    assert sheet is not None
    known = digits.sheet(1, conv)
    assert sheet.keys() == known.keys()
    for name, part in known.items():
        np.testing.assert_array_equal(sheet[name], part)  # type: ignore[literal-required]


def test_a_chosen_number_has_its_region_only_where_that_is_wanted(digits: Lab) -> None:
    pool = next(v["id"] for v in digits.network()["values"] if v["name"] == "pool1")
    for choices in (True, False):
        answer = digits.number(1, pool, (0, 3, 1, 2), choices=choices)
        assert answer["explanation"] is not None
        assert answer["explanation"]["rule"] == "chosen"
        assert (answer["region"] is not None) == choices


def test_a_number_that_cannot_be_explained_says_why_and_brings_its_sheet(
    digits: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ArithmeticError("the terms do not add up")

    monkeypatch.setattr(answering, "explain_value", refuse)
    answer = digits.number(1, 0, (0, 0, 1, 2), 0)
    assert (answer["explanation"], answer["region"]) == (None, None)
    assert answer["refusal"] == "the terms do not add up"
    assert answer["sheet"] is not None


def test_a_mistake_of_the_lens_is_no_refusal(digits: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("stride")

    monkeypatch.setattr(answering, "explain_value", fail)
    with pytest.raises(KeyError):
        digits.number(1, 0, (0, 0, 1, 2))


def test_a_sheet_that_cannot_be_shown_is_left_out_of_a_number() -> None:
    class Sparse(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x * 2).to_sparse().to_dense()

    lab = Lab(opened_module(Sparse().eval(), size=8))
    lab.look(DATA / "cat.jpg")
    sparse = lab.network()["values"][-2]["id"]
    assert lab.number(1, sparse, (0, 0, 1, 2), 0)["sheet"] is None
    with pytest.raises(ValueError, match="is sparse; only dense numbers are shown"):
        lab.sheet(1, sparse)
