"""Random weights, and numbers that are not finite, are said with every answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import convlens
import convlens.draw
from convlens.draw import drawn
from convlens.learn.predicting.predictions import Prediction
from convlens.learn.predicting.reliability import broken_inside, broken_weights, doubts
from convlens.learn.predicting.starting import predict
from convlens.learn.sources.pictures.picture import Picture
from convlens.zoo.weights import DATA
from tests.cases.answering import INF, NAN, PICTURE, Says, rows, said
from tests.cases.detectors import finding


def test_a_detector_of_diverged_weights_does_not_say_that_nothing_was_found() -> None:
    network: Any = finding()
    sound = next(predict(network, DATA / "cat.jpg"))
    assert (sound.error, sound.warnings) == (None, ())
    with torch.no_grad():
        next(network.backbone.parameters()).fill_(NAN)
    found = next(predict(network, DATA / "cat.jpg"))
    assert "the network gave no finite numbers in backbone.body.0.0 (Conv2d)" in str(found.error)
    assert "weights that are not finite, the first in backbone." in found.warnings[0]
    # Finite weights that are too large to compute with.
    with torch.no_grad():
        next(network.backbone.parameters()).fill_(1e38)
    assert broken_weights(network) is None
    found = next(predict(network, DATA / "cat.jpg"))
    assert "the network gave no finite numbers in " in str(found.error)


def test_nothing_found_by_sound_numbers_is_an_answer() -> None:
    none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0), "scores": torch.zeros(0)}
    found = said(lambda x: [none])
    assert (found.error, found.warnings) == (None, ())
    assert "nothing found" in str(found)
    assert broken_inside(nn.Linear(2, 2), torch.ones(1, 2)) is None


class Drops(nn.Module):
    """A user's detector that keeps scores above 0, and computes in its own `forward`."""

    def __init__(self, lost: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.lost = nn.Conv2d(3, 4, 1), lost

    def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
        boxes = torch.tensor([[1.0, 1.0, 5.0, 5.0]])
        scores = self.lost(self.layer(x).abs().mean()[None] / 100)
        kept = torch.where(scores > 0)[0]
        labels = torch.ones(1).div(0).clamp(max=7)  # infinite numbers that are used are not lost
        return [{"boxes": boxes[kept], "labels": labels[kept], "scores": scores[kept]}]


def test_numbers_that_are_lost_outside_of_any_module_are_no_answer_either() -> None:
    def said(lost: Callable[[Tensor], Tensor]) -> Prediction:
        return next(predict(Drops(lost), PICTURE, size=8, threshold=0))

    assert len(said(lambda scores: scores).labels) == 1
    assert str(said(lambda scores: scores * 0)).splitlines()[1:] == ["  nothing found"]
    for lost in (lambda scores: (scores - 9).log(), lambda scores: scores * torch.tensor(NAN)):
        assert "no finite numbers in Drops, so that it has no answer" in str(said(lost).error)


def test_running_statistics_count_as_weights_and_masks_do_not() -> None:
    norm = nn.BatchNorm1d(2)
    assert norm.running_var is not None
    norm.running_var[0] = INF
    assert "the first in running_var" in str(broken_weights(norm))
    layer = nn.ReLU()
    layer.register_buffer("mask", torch.tensor([-INF]))
    assert broken_weights(layer) is None


# Weights drawn at random


def test_random_weights_are_said_in_every_form(tmp_path: Path) -> None:
    from convlens.learn.predicting.folder import predict_into
    from convlens.learn.predicting.writing import LINES

    source = [DATA / "digit-3.png", tmp_path / "a.png"]
    source[1].write_bytes(b"no picture")
    for found in predict("digits", source, weights=None):
        assert found.warnings == ("weights drawn at random: the answer means nothing",)
        assert "weights drawn at random" in str(found)
        assert "weights drawn at random" in repr(found)
    out = tmp_path / "out"
    list(predict_into("digits", source, out, weights=None, pen=convlens.draw))
    lines = [json.loads(line) for line in (out / LINES).read_text().splitlines()]
    assert len(lines) == 2
    assert all("drawn at random" in line["warnings"][0] for line in lines)
    assert "weights drawn at random" in repr(convlens.open_network("digits", weights="none"))
    (sound,) = predict("digits", source[0])
    assert (sound.warnings, "warnings" in sound.to_dict()) == ((), False)


def test_a_fresh_head_is_named_and_own_networks_say_what_they_declare() -> None:
    network = convlens.model("mobilenet_v3_small", None)
    network.random_parts = ("classifier.3",)  # type: ignore[assignment]
    assert doubts(network) == ("classifier.3 drawn at random: the answer means nothing",)
    own = Says(rows(1.0, 2.0))
    assert doubts(own) == ()
    own.random_parts = ("*",)  # type: ignore[assignment]
    assert next(predict(own, PICTURE)).warnings == doubts(own) != ()


def test_drawings_say_what_must_be_known() -> None:
    picture = Picture(np.full((200, 300, 3), 90, np.uint8))
    plain = Prediction("a", 300, 200, np.array([1]), np.array([0.5], np.float32))
    warned = Prediction(
        "a", 300, 200, np.array([1]), np.array([0.5], np.float32), warnings=("all is random",)
    )
    below, over = drawn(picture, warned), drawn(picture, warned, rows=1)
    assert below.height > drawn(picture, plain).height  # nothing is covered
    assert below.crop((0, 0, 300, 200)).tobytes() == picture.pixels.tobytes()
    assert over.size == drawn(picture, plain, rows=1).size  # all frames are of one size
    assert over.tobytes() != drawn(picture, plain, rows=1).tobytes()
