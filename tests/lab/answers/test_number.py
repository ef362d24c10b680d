"""A single number: its strongest terms one by one, the input it sees, and the map around it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from convlens.lab import Lab
from convlens.lab.answers import number
from convlens.lab.answers.arithmetic import STRONGEST
from convlens.learn.opening import opened_module
from convlens.lens import explain_value
from convlens.zoo.weights import DATA
from tests.cases.lab_networks import recorded


def named(lab: Lab, name: str) -> int:
    return next(row["id"] for row in lab.network()["values"] if row["name"] == name)


def test_the_terms_of_a_number_are_ranked_one_by_one(digits: Lab) -> None:
    recording = recorded("digits", DATA / "digit-3.png")
    behind = []
    for name, index in (("conv2", (0, 3, 1, 2)), ("linear", (0, 3)), ("softmax", (0, 3))):
        id = named(digits, name)
        answer = digits.number(1, id, index)
        found, terms = answer["explanation"], explain_value(recording, id, index).terms
        assert found is not None
        (group,) = found["groups"]
        order = np.argsort(-np.abs(terms.product), kind="stable")
        assert len(group["product"]) == min(STRONGEST, len(terms))
        assert group["product"] == terms.product[order[:STRONGEST]].tolist()
        assert group["position"] == terms.position[order[:STRONGEST]].tolist()
        assert group["weight_position"] == terms.weight_position[order[:STRONGEST]].tolist()
        assert found["rest_count"] == max(0, len(terms) - STRONGEST)
        assert group["sum"] + found["rest"] == pytest.approx(found["products"], abs=1e-12)
        assert found["count"] == len(terms)
        behind.append(found["rest_count"])
    assert behind == [16, 0, 0]


def test_of_a_choice_the_winner_comes_first(digits: Lab) -> None:
    answer = digits.number(1, named(digits, "pool1"), (0, 3, 1, 2))
    assert answer["explanation"] is not None
    assert answer["explanation"]["rule"] == "chosen"
    (group,) = answer["explanation"]["groups"]
    assert group["value"] == sorted(group["value"], reverse=True)
    assert answer["region"] is not None


def test_a_given_number_has_no_terms_but_facts(digits: Lab) -> None:
    answer = digits.number(1, named(digits, "conv1.bias"), (3,))
    assert answer["explanation"] is not None
    assert answer["explanation"]["groups"] == []
    assert answer["facts"] is not None
    assert answer["facts"]["map"]["count"] == 24


def test_a_number_that_cannot_be_explained_says_why_and_keeps_its_facts(
    digits: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ArithmeticError("the terms do not add up")

    monkeypatch.setattr(number, "explain_value", refuse)
    answer = digits.number(1, 0, (0, 0, 1, 2))
    assert (answer["explanation"], answer["region"]) == (None, None)
    assert answer["refusal"] == "the terms do not add up"
    assert answer["facts"] is not None


def test_a_mistake_of_the_lens_is_no_refusal(digits: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("stride")

    monkeypatch.setattr(number, "explain_value", fail)
    with pytest.raises(KeyError):
        digits.number(1, 0, (0, 0, 1, 2))


def test_a_sparse_number_has_no_facts_and_no_sheet() -> None:
    class Sparse(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x * 2).to_sparse().to_dense()

    lab = Lab(opened_module(Sparse().eval(), size=8))
    lab.look(DATA / "cat.jpg")
    sparse = lab.network()["values"][-2]["id"]
    answer = lab.number(1, sparse, (0, 0, 1, 2))
    assert (answer["facts"], answer["explanation"]) == (None, None)
    assert "sparse" in answer["refusal"]
    with pytest.raises(ValueError, match="is sparse; only dense numbers are shown"):
        lab.sheet(1, sparse)
