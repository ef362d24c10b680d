"""The best classes: ranked, named, and written as `predict` writes them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from convlens.lab import Lab
from convlens.learn.opening import opened_module
from convlens.learn.predicting.starting import predict
from convlens.zoo.weights import DATA


def test_scores_are_ranked_with_their_names(digits: Lab) -> None:
    network = digits.network()
    scores = [score["score"] for score in network["scores"]]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 10
    best = network["scores"][0]
    assert best["label"] == str(best["index"][-1])
    assert network["output"] is not None
    found = digits.number(1, network["output"], tuple(best["index"]))["explanation"]
    assert found is not None
    assert found["recorded"] == best["score"]


@pytest.mark.parametrize("end", [nn.Identity(), nn.Softmax(1), nn.Sigmoid(), nn.LogSoftmax(1)])
@pytest.mark.parametrize(("classes", "surplus"), [(1, 0), (3, 0), (3, -1), (1, 1)])
@pytest.mark.parametrize("flat", [True, False])
def test_an_answer_is_written_as_predict_writes_it(
    end: nn.Module, classes: int, surplus: int, flat: bool
) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, classes, 8), end).eval()
    if flat:
        network.insert(1, nn.Flatten())
    names = ("a", "b", "c")[: classes + surplus]
    opened = dataclasses.replace(opened_module(network, size=8), categories=names)
    lab = Lab(opened)
    recording = lab.look(DATA / "cat.jpg")
    (found,) = predict(opened, DATA / "cat.jpg")
    scores, output = lab.network()["scores"], lab.network()["output"]
    assert output is not None
    shown = [f"{one['text']}  {one['label'].removeprefix('class ')}" for one in scores]
    shown += [f"! {sentence}" for sentence in lab.network()["doubts"]]
    assert shown == [line.strip() for line in str(found).splitlines()[1:]]
    for one in scores:  # and the number recorded is still the one that is followed
        answer = lab.number(recording, output, tuple(one["index"]))["explanation"]
        assert answer is not None
        assert answer["recorded"] == one["score"]


@pytest.mark.parametrize(
    "end",
    [
        lambda y: torch.cat([y[:, :1], y[:, 1:]], 1),
        lambda y: (y + y.flip(1)) / 2,
        lambda y: y.clamp(1e-6, 0.9).half(),
        lambda y: torch.where(y > 0.01, y * y, 0.0),
        lambda y: y[..., None, None].expand(-1, -1, 2, 2).mean((2, 3)),
        lambda y: y * 9 - 4,
        lambda y: y + torch.zeros(3),
    ],
)
def test_scores_that_a_sigmoid_made_are_written_as_predict_writes_them(end: Any) -> None:
    class Scored(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 8)

        def forward(self, x: torch.Tensor) -> Any:
            return end((self.layer(x).flatten(1) - 2).sigmoid())

    torch.manual_seed(0)
    opened = opened_module(Scored().eval(), size=8)
    lab = Lab(opened)
    lab.look(str(DATA / "cat.jpg"))
    (found,) = predict(opened, DATA / "cat.jpg")
    shown = [
        f"{one['text']}  {one['label'].removeprefix('class ')}" for one in lab.network()["scores"]
    ]
    assert shown == [line.strip() for line in str(found).splitlines()[1:]]
    assert lab.network()["picture_name"] == "cat.jpg"
