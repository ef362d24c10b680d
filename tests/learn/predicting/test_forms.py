"""What is told of an output: scores that are no probabilities, numbers that are not finite."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import convlens
import convlens.draw
from convlens.draw import drawn
from convlens.learn.predicting.forms import UnknownFormError, predictions_of
from convlens.learn.predicting.predictions import Limits, Prediction, View
from convlens.learn.predicting.reliability import broken_inside, broken_weights, doubts
from convlens.learn.predicting.running import predict
from convlens.learn.preparing import Preparation
from convlens.learn.sources.pictures.picture import Picture
from convlens.zoo.weights import DATA
from tests.cases.detectors import finding

PICTURE = Picture(np.full((8, 10, 3), 128, np.uint8))
NAN, INF = float("nan"), float("inf")


class Says(nn.Module):
    """Answers with what a function makes of its input."""

    def __init__(self, answer: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.answer = answer
        self.preparation = Preparation(None, crop=False)

    def forward(self, x: Tensor) -> Any:
        return self.answer(x)


def said(answer: Callable[[Tensor], Any], **settings: Any) -> Prediction:
    (found,) = predict(Says(answer), PICTURE, **settings)
    return found


def rows(*scores: float) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.tensor(scores).expand(len(x), -1)


# Scores


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (1, 1, 1, 1), (1, 1, 1, 1, 1)])
@pytest.mark.parametrize("score", [-2.0, 0.0, 0.8, 1.0, 37.5])
def test_a_single_score_is_told_as_it_is(score: float, shape: tuple[int, ...]) -> None:
    found = said(lambda x: torch.full(shape, score))
    assert found.error is None
    assert (found.labels.tolist(), found.scores.tolist()) == ([0], [np.float32(score)])
    assert not found.probabilities
    assert str(found).splitlines()[1] == f"  score {score:.4g}  0"
    told = found.to_dict()
    assert told["probabilities"] is False
    assert told["predictions"][0]["score"] == pytest.approx(score)
    assert "%" not in str(found)


def test_a_single_score_a_picture_in_a_batch() -> None:
    answer = Says(lambda x: x.amax((1, 2, 3)) * 10)
    pictures = [Picture(np.full((4, 4, 3), n, np.uint8)) for n in (0, 51, 255)]
    found = list(predict(answer, pictures))
    np.testing.assert_allclose([float(one.scores[0]) for one in found], [0, 2, 10], rtol=1e-6)


@pytest.mark.parametrize("half", [torch.float32, torch.float16, torch.bfloat16])
def test_what_are_probabilities_already_is_left(half: torch.dtype) -> None:
    chances = torch.rand(300, generator=torch.Generator().manual_seed(0)).mul(9).softmax(0)
    found = said(lambda x: chances.to(half)[None], top=3)
    assert found.probabilities
    np.testing.assert_allclose(found.scores, chances.topk(3).values, rtol=1e-2)
    logs = said(lambda x: chances.log()[None], top=3)
    np.testing.assert_allclose(logs.scores, chances.topk(3).values, rtol=1e-5)


@pytest.mark.parametrize("names", [("cat",), ("cat", "dog", "owl")])
@pytest.mark.parametrize("answer", [rows(0.5, 2.0), lambda x: x[:, :2]])
def test_names_that_are_not_as_many_as_the_outputs_name_none(
    names: tuple[str, ...], answer: Callable[[Tensor], Any]
) -> None:
    """One that is missing, as a background often is, would move all others."""
    network = Says(answer)
    network.categories = names  # type: ignore[assignment]
    (found,) = predict(network, PICTURE)
    assert found.category(0) == "0"
    assert f"{len(names)} name" in found.warnings[-1]
    assert "for 2 outputs: numbers stand for them all" in found.warnings[-1]
    network.categories = ("cat", "dog")  # type: ignore[assignment]
    (found,) = predict(network, PICTURE)
    assert (found.category(1), found.warnings) == ("dog", ())


def test_equal_classes_are_told_in_their_order() -> None:
    found = said(rows(*[3.0] * 40), top=4)
    assert found.labels.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(found.scores, 1 / 40)


@pytest.mark.parametrize("scores", [(0.9, 0.8, 0.1), (0.2, 0.3, 0.1), (0.5, 0.3, 0.2)])
def test_a_sigmoids_classes_are_each_by_itself(scores: tuple[float, ...]) -> None:
    logits = torch.tensor(scores).logit()
    for answer in (
        lambda x: logits.expand(len(x), -1).sigmoid(),
        lambda x: logits.expand(len(x), -1)[..., None, None].sigmoid().flatten(1).clone(),
    ):
        found = said(answer, top=3)
        assert not found.probabilities
        np.testing.assert_allclose(np.sort(found.scores), np.sort(scores), rtol=1e-5)
    # A sigmoid within is no sigmoid at the end.
    inner = said(lambda x: logits.expand(len(x), -1).sigmoid() * 9 - 4)
    assert inner.probabilities
    # Known by their sum too, whatever made them.
    assert said(rows(*scores)).probabilities == (sum(scores) <= 1.0001)


@pytest.mark.parametrize(
    "end",
    [
        lambda y: torch.cat([y[:, :1], y[:, 1:]], 1),
        lambda y: torch.stack(y.unbind(1), 1).flip(1),
        lambda y: (y + y.clone()) / 2,
        lambda y: y.clamp(1e-6, 1 - 1e-6).half(),
        lambda y: y[:, [2, 0, 1]] * y.amax(1, keepdim=True),
        lambda y: F.dropout(y[..., None, None].expand(-1, -1, 2, 2).mean((2, 3)), training=False),
        lambda y: F.adaptive_avg_pool2d(y[..., None, None], 1).flatten(1),
        lambda y: torch.where(y > 0.15, y, 0.0),
    ],
)
def test_what_is_made_of_a_sigmoids_scores_alone_is_no_part_of_a_whole(
    end: Callable[[Tensor], Tensor],
) -> None:
    """Told by a softmax, 0.2, 0.1 and 0.3 would be 33 %, 30 % and 37 %."""
    logits = torch.tensor([0.2, 0.1, 0.3]).logit()
    for sigmoid in (torch.sigmoid, torch.special.expit):
        found = said(lambda x, f=sigmoid: end(f(logits.expand(len(x), -1))))  # type: ignore[misc]
        assert not found.probabilities
        expected = end(torch.tensor([[0.2, 0.1, 0.3]]))[0].float().sort(descending=True).values
        np.testing.assert_allclose(found.scores, expected, rtol=1e-3, atol=1e-6)
    # A gate is no such score: what it opens is.
    gated = said(lambda x: logits.expand(len(x), -1).sigmoid() * (0.1 * x.mean((2, 3)) + 0.3))
    assert gated.probabilities


def test_rows_with_axes_of_one_are_rows() -> None:
    flat, deep = said(rows(1.0, 3.0)), said(lambda x: torch.tensor([[[[1.0]], [[3.0]]]]))
    assert deep.map is None
    assert flat.to_dict() == deep.to_dict()
    squeezed = said(lambda x: torch.tensor([1.0, 3.0]))
    assert squeezed.to_dict() == flat.to_dict()


def test_detections_of_scores_beyond_one_are_told_as_they_are() -> None:
    box = torch.tensor([[1.0, 1.0, 5.0, 5.0]])
    found = said(lambda x: [{"boxes": box, "labels": torch.tensor([-1]), "scores": 7 * box[:, 0]}])
    assert str(found).splitlines()[1].startswith("  score 7  -1, x 1 to 5")
    assert drawn(PICTURE, found).size == (260, 208)


def test_all_scores_of_a_detector_say_whether_they_are_probabilities() -> None:
    boxes = torch.tensor([[1.0, 1, 5, 5]]).repeat(2, 1)
    for low, are in ((0.1, True), (-3.0, False)):
        scores = torch.tensor([0.9, low])  # the second is below any threshold
        answer = {"boxes": boxes, "labels": torch.ones(2), "scores": scores}
        found = said(lambda x, answer=answer: [answer])  # type: ignore[misc]
        assert (len(found.labels), found.probabilities) == (1, are)


def test_a_category_of_a_detector_without_a_name_is_said() -> None:
    one = {"boxes": torch.tensor([[1.0, 1, 5, 5]]), "scores": torch.ones(1)}
    network = Says(lambda x: [one | {"labels": torch.tensor([7])}])
    network.categories = ("cat", "dog")  # type: ignore[assignment]
    (found,) = predict(network, PICTURE)
    assert found.category(7) == "7"
    assert found.warnings == (
        "the network has 2 names, and none for category 7: its number stands there",
    )


def test_maps_that_are_probabilities_or_a_sigmoids() -> None:
    chances = torch.tensor([0.7, 0.2, 0.1]).reshape(1, 3, 1, 1).expand(1, 3, 8, 10)
    found = said(lambda x: {"out": chances})
    np.testing.assert_allclose(found.scores, 0.7, rtol=1e-5)
    found = said(lambda x: {"out": chances.logit().sigmoid()})
    assert not found.probabilities
    with pytest.raises(UnknownFormError, match="a single map does not say which pixels are meant"):
        said(lambda x: {"out": chances[:, :1]})


# Numbers that are not finite


@pytest.mark.parametrize("bad", [NAN, INF])
@pytest.mark.parametrize("others", [(), (1.0,), (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)])
def test_scores_that_are_not_finite_are_no_answer(bad: float, others: tuple[float, ...]) -> None:
    found = said(rows(*others, bad), top=1)
    assert f"no finite numbers for 1 of {len(others) + 1} scores" in str(found.error)
    assert found.to_dict() == {"image": found.name, "error": found.error}


def test_scores_ruled_out_are_said() -> None:
    found = said(rows(1.0, -INF, 3.0))
    assert found.error is None
    assert found.scores[-1] == 0
    assert "minus infinity for 1 of 3 scores" in found.warnings[0]
    assert "no finite numbers" in str(said(rows(-INF, -INF)).error)


@pytest.mark.parametrize("part", ["boxes", "scores", "masks", "keypoints", "keypoints_scores"])
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_detections_that_are_not_finite_are_left_out_and_said(part: str, bad: float) -> None:
    if (part, bad) == ("scores", -INF):
        return  # below every threshold
    one = {
        "boxes": torch.tensor([[1.0, 1, 5, 5], [2, 2, 7, 7]]),
        "labels": torch.tensor([1, 2]),
        "scores": torch.tensor([0.9, 0.8]),
        "masks": torch.ones(2, 1, 8, 10),
        "keypoints": torch.ones(2, 3, 3),
        "keypoints_scores": torch.ones(2, 3),
    }
    one[part][0].reshape(-1)[0:1].fill_(bad)
    found = said(lambda x: [one])
    assert found.labels.tolist() == [2]
    assert "no finite numbers for 1 of 2 detections" in found.warnings[0]
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["warnings"]
    assert "  ! the network gave no finite numbers" in str(found)
    one[part][1].reshape(-1)[0:1].fill_(bad)
    assert "for 2 of 2 detections" in str(said(lambda x: [one]).error)


def test_places_of_a_map_that_are_not_finite_are_said() -> None:
    maps = torch.zeros(1, 3, 8, 10)
    maps[:, 1] = 5
    whole = said(lambda x: {"out": maps})
    assert (whole.warnings, whole.shares()) == ((), {1: 1.0})
    broken = maps.clone()
    broken[:, :, :4] = NAN
    found = said(lambda x: {"out": broken})
    assert "for 40 of 80 places of its map" in found.warnings[0]
    assert found.map is not None
    assert (found.map[:4] == 0).all()
    assert (found.map[5:] == 1).all()
    np.testing.assert_allclose(found.scores[found.labels == 1], whole.scores[whole.labels == 1])
    json.dumps(found.to_dict(), allow_nan=False)
    assert "no finite numbers" in str(said(lambda x: {"out": broken * NAN}).error)


def test_a_detector_of_diverged_weights_does_not_say_that_nothing_was_found() -> None:
    network: Any = finding()
    sound = next(predict(network, DATA / "cat.jpg"))
    assert (sound.error, sound.warnings) == (None, ())
    with torch.no_grad():
        next(network.backbone.parameters()).fill_(NAN)
    found = next(predict(network, DATA / "cat.jpg"))
    assert "the network gave no finite numbers in backbone.body.0.0 (Conv2d)" in str(found.error)
    assert "weights that are no finite numbers, the first in backbone." in found.warnings[0]
    # Weights that are numbers, and too large to compute with.
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
    """A detector of one's own that keeps what is scored more than 0, and computes in `forward`."""

    def __init__(self, lost: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.lost = nn.Conv2d(3, 4, 1), lost

    def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
        boxes = torch.tensor([[1.0, 1.0, 5.0, 5.0]])
        scores = self.lost(self.layer(x).abs().mean()[None] / 100)
        kept = torch.where(scores > 0)[0]
        labels = torch.ones(1).div(0).clamp(max=7)  # what is infinite and made use of is not lost
        return [{"boxes": boxes[kept], "labels": labels[kept], "scores": scores[kept]}]


def test_numbers_that_are_lost_outside_of_any_module_are_no_answer_either() -> None:
    def said(lost: Callable[[Tensor], Tensor]) -> Prediction:
        return next(predict(Drops(lost), PICTURE, size=8, threshold=0))

    assert len(said(lambda scores: scores).labels) == 1
    assert str(said(lambda scores: scores * 0)).splitlines()[1:] == ["  nothing found"]
    for lost in (lambda scores: (scores - 9).log(), lambda scores: scores * torch.tensor(NAN)):
        assert "no finite numbers in Drops, so that its answer is none" in str(said(lost).error)


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
    from convlens.learn.predicting.folder import answer
    from convlens.learn.predicting.writing import LINES

    source = [DATA / "digit-3.png", tmp_path / "a.png"]
    source[1].write_bytes(b"no picture")
    for found in predict("digits", source, weights=None):
        assert found.warnings == ("weights drawn at random: the answer means nothing",)
        assert "weights drawn at random" in str(found)
        assert "weights drawn at random" in repr(found)
    out = tmp_path / "out"
    list(answer("digits", source, out, weights=None, pen=convlens.draw))
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


# One picture's odd answer


def test_one_answer_of_an_unknown_form_is_that_pictures_error() -> None:
    odd = Says(lambda x: {"features": x} if x.shape[-1] == 9 else torch.ones(len(x), 3))
    wide, narrow = (Picture(np.zeros((4, w, 3), np.uint8)) for w in (9, 5))
    for batch in (1, 8):
        found = list(predict(odd, [wide, narrow, wide, narrow], batch=batch))
        assert [one.error is None for one in found] == [False, True, False, True]
        assert "answered with a dictionary of features" in str(found[0].error)
    with pytest.raises(UnknownFormError):
        list(predict(odd, [wide, wide]))


def test_an_answer_that_cannot_be_told_is_that_pictures_error() -> None:
    good = {"boxes": torch.zeros(1, 4), "labels": torch.ones(1), "scores": torch.ones(1)}
    torn = {**good, "scores": torch.ones(3)}
    network = Says(lambda x: [torn if one.shape[-1] == 9 else good for one in x])
    pictures = [Picture(np.zeros((4, w, 3), np.uint8)) for w in (5, 9, 5)]
    found = list(predict(network, pictures))
    assert [one.error is None for one in found] == [True, False, True]
    assert "telling the network's answer raised IndexError" in str(found[1].error)


def test_views_are_of_no_matter_to_rows() -> None:
    with pytest.raises(TypeError, match="answered with a tensor"):
        predictions_of(torch.zeros(3, dtype=torch.complex64), [View((1, 1), (1, 1))], Limits())
