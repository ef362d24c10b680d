"""Segments: the class of the largest score at every pixel, and how each score stands."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from convlens.lab import Lab
from convlens.lab.answers.segments import Standing
from convlens.learn.opening import opened_module
from convlens.learn.predicting.starting import predict
from convlens.zoo.weights import DATA
from tests.cases.lab_networks import lab_of, photo, recorded


def test_segments_are_the_largest_scores(networks: Path) -> None:
    lab = lab_of(f"{networks}:Segments", photo(), 16)
    recording = recorded(f"{networks}:Segments", photo(), 16)
    scores = recording.outputs["out"][0]
    winners = scores.argmax(0)
    network = lab.network()
    found = network["segments"]
    assert found is not None
    assert recording.values[found["value"]].tensor.equal(recording.outputs["out"])
    np.testing.assert_array_equal(lab.segments(1)["codes"], winners.numpy().reshape(-1))
    assert network["scores"] == []
    assert network["categories"] is None
    shares = {each["label"]: each["share"] for each in found["classes"]}
    assert shares == {
        label: float((winners == label).float().mean()) for label in winners.unique().tolist()
    }
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert 3 not in shares
    for each in found["classes"]:
        _, label, y, x = each["index"]
        assert winners[y, x] == label
        assert scores[label, y, x] == scores[label][winners == label].max()
        assert each["background"] == (label == 0)


def test_the_scores_of_a_pixel_are_ranked(networks: Path) -> None:
    lab = lab_of(f"{networks}:Segments", photo(), 16)
    recording = recorded(f"{networks}:Segments", photo(), 16)
    scores = recording.outputs["out"][0]
    found = lab.pixel(1, 3, 5)
    assert sorted(each["label"] for each in found["scores"]) == [0, 1, 2, 3]
    tensor = recording.values[found["value"]].tensor
    listed = [each["score"] for each in found["scores"]]
    assert listed == sorted(scores[:, 3, 5].tolist(), reverse=True)
    assert listed == [float(tensor[tuple(each["index"])]) for each in found["scores"]]
    first, second, *_ = found["scores"]
    assert first["label"] == int(scores[:, 3, 5].argmax())
    assert found["sentence"] == (
        f"Chosen: {first['name']}, the largest of 4 scores at row 3, column 5, "
        f"{first['score'] - second['score']:.4g} above {second['name']}."
    )
    with pytest.raises(ValueError, match=r"`row` and `column` \(=16, 0\) must lie in the 16 x 16"):
        lab.pixel(1, 16, 0)


def test_a_score_says_where_it_stands_among_all(networks: Path) -> None:
    lab = lab_of(f"{networks}:Segments", photo(), 16)
    segments = lab.network()["segments"]
    assert segments is not None
    pixels = lab.segments(1)["codes"].reshape(16, 16)
    for label in range(4):
        found = _standing(lab, segments["value"], (0, label, 3, 5))
        winner = int(pixels[3, 5])
        assert found["chosen"] == (label == winner)
        assert (found["rank"] == 1) == found["chosen"]
        assert (found["count"], found["index"]) == (4, [0, winner, 3, 5])
    assert _standing(lab, segments["value"], (0, 3, 3, 5))["rank"] == 4
    explained = lab.number(1, lab.network()["inputs"][0], (0, 0, 3, 5))["explanation"]
    assert explained is not None
    assert explained["standing"] is None


def _standing(lab: Lab, value: int, index: tuple[int, ...]) -> Standing:
    explained = lab.number(1, value, index)["explanation"]
    assert explained is not None
    assert explained["standing"] is not None
    return explained["standing"]


def test_maps_are_an_answer_as_predict_takes_them() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 1)).eval()
    opened = dataclasses.replace(opened_module(network, size=8), categories=("sky", "sea"))
    lab = Lab(opened)
    lab.look(DATA / "cat.jpg")
    (found,) = predict(opened, DATA / "cat.jpg")
    segments = lab.network()["segments"]
    assert segments is not None
    assert {each["name"] for each in segments["classes"]} <= {"sky", "sea"}
    assert {found.category(label) for label in found.labels} <= {"sky", "sea"}
