"""Each picture gets the network's own answer, or an error, whatever else is in its batch."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

import convlens
from convlens.learn.data.run_lengths import run_lengths
from convlens.learn.opening import open_network, opened_module
from convlens.learn.predicting.forms import predictions_of
from convlens.learn.predicting.predictions import Limits, View
from convlens.learn.predicting.starting import predict
from convlens.learn.preparing import Preparation
from convlens.learn.sources.pictures.decoding import read_picture
from convlens.learn.sources.pictures.picture import Picture
from convlens.zoo.weights import DATA
from tests.cases.clips import film
from tests.cases.predicting import Boxes, Maps, Scores, noise

# Classification


def test_a_network_of_the_zoo_says_what_its_module_says() -> None:
    sources = [DATA / "cat.jpg", DATA / "digit-3.png"]
    opened = open_network("resnet18", weights="none")
    assert opened.preparation is not None
    drawn_so_far = torch.random.get_rng_state()
    found = list(convlens.predict("resnet18", sources, weights=None, top=3))
    assert torch.equal(
        torch.random.get_rng_state(), drawn_so_far
    )  # the user's own numbers are left
    for source, prediction in zip(sources, found, strict=True):
        picture = read_picture(source)
        with torch.inference_mode():
            chances = opened.network(opened.preparation(picture)).softmax(1)
        best = chances[0].topk(3)
        assert prediction.labels.tolist() == best.indices.tolist()
        np.testing.assert_allclose(prediction.scores, best.values, rtol=1e-4)
        assert (prediction.width, prediction.height) == (picture.width, picture.height)
        assert prediction.category(0) == "tench"
        assert (prediction.error, prediction.frame, prediction.boxes) == (None, None, None)


def test_an_answer_does_not_depend_on_its_batch() -> None:
    pictures = [noise(20 + n % 3, 30, n) for n in range(10)]
    network = Scores().eval()
    together = list(predict(network, pictures, batch=7))
    assert [prediction.name for prediction in together] == [f"{n}-noise-{n}" for n in range(10)]
    assert sorted(network.batches) == [1, 1, 1, 2, 2, 3]
    for picture, prediction in zip(pictures, together, strict=True):
        (alone,) = predict(network, picture)
        assert alone.labels.tolist() == prediction.labels.tolist()
        np.testing.assert_allclose(alone.scores, prediction.scores, rtol=1e-6)


def test_scores_become_probabilities_unless_they_are() -> None:
    scores = torch.tensor([[1.0, 3.0, 2.0], [0.2, 0.7, 0.1], [-0.5, 1.0, 0.5]])
    found = predictions_of(scores, [View((1, 1), (1, 1))] * 3, Limits(top=2))
    softmax = F.softmax(scores, 1)
    np.testing.assert_allclose(found[0]["scores"], softmax[0, [1, 2]])
    np.testing.assert_allclose(found[1]["scores"], [0.7, 0.2])
    np.testing.assert_allclose(found[2]["scores"], softmax[2, [1, 2]])
    assert [one["labels"].tolist() for one in found] == [[1, 2], [1, 0], [1, 2]]


def test_scores_that_are_no_numbers_are_an_error() -> None:
    scores = torch.tensor([[1.0, torch.nan], [1.0, 2.0]])
    bad, good = predictions_of(scores, [View((1, 1), (1, 1))] * 2, Limits())
    assert "no finite numbers" in bad["error"]
    assert good["labels"].tolist() == [1, 0]


# Segmentation


def test_a_map_lies_on_the_picture_and_knows_its_shares() -> None:
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[:, :20, 2] = pixels[:14, 20:, 0] = 255
    (found,) = predict(Maps(), Picture(pixels))
    expected = np.zeros((60, 80), np.uint8)
    expected[:, :20], expected[:14, 20:] = 3, 1
    assert found.map is not None
    assert found.map.shape == (60, 80)
    assert (found.map != expected).mean() < 0.03  # where two meet, between the network's pixels
    assert found.labels.tolist() == [0, 3, 1]
    assert found.shares() == pytest.approx({0: 0.575, 3: 0.25, 1: 0.175}, abs=0.03)
    chance = np.exp(9) / (np.exp(9) + np.exp(2.7) + 2)
    np.testing.assert_allclose(found.scores[1:], chance, atol=0.01)
    rows = found.to_dict()["predictions"]
    assert [row["category"] for row in rows] == [
        "blue",
        "red",
    ]  # the background is not a prediction
    assert rows[0]["segmentation"] == run_lengths(found.map == 3)


def test_a_tensor_of_scores_a_pixel_is_a_segmentation_too() -> None:
    (found,) = predictions_of(torch.eye(3).reshape(1, 3, 3, 1), [View((6, 2), (3, 1))], Limits())
    assert found["map"].tolist() == [[0, 0], [0, 0], [1, 1], [1, 1], [2, 2], [2, 2]]


# Detection


def test_detections_above_the_threshold_the_best_first() -> None:
    (found,) = predict(Boxes(), noise(8, 10), threshold=0.5)
    assert found.labels.tolist() == [2, 1]
    np.testing.assert_allclose(found.scores, [0.9, 0.6], rtol=1e-6)
    assert found.boxes is not None
    assert found.masks is not None
    assert found.keypoints is not None
    assert found.keypoint_scores is not None
    assert found.boxes.tolist() == [[0, 0, 10, 2.5], [3, 2, 7, 5]]
    assert (found.masks.shape, found.masks.sum((1, 2)).tolist()) == ((2, 8, 10), [20, 12])
    assert (found.keypoints.shape, found.keypoint_scores.shape) == ((2, 2, 3), (2, 2))
    assert len(next(predict(Boxes(), noise(8, 10), threshold=0.95)).labels) == 0


class Prepared(Boxes):
    """The same for pictures scaled to half and cut to a square of 10."""

    preparation = Preparation(10)


def test_detections_of_a_scaled_and_cut_picture_lie_where_it_was_looked_at() -> None:
    # 20 x 30 is scaled to 10 x 15 and the middle 10 columns seen: from column 4 (of 30) on.
    (found,) = predict(Prepared(), noise(20, 30), threshold=0.5)
    assert found.boxes is not None
    assert found.masks is not None
    assert found.keypoints is not None
    assert found.boxes.tolist() == [[4, 0, 24, 5], [10, 4, 18, 10]]
    rows, columns = np.nonzero(found.masks[1])
    # 2 to 4 and 3 to 6 of the input, to within the interpolation's pixel.
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (4, 10, 10, 18)
    assert found.masks.shape == (2, 20, 30)
    np.testing.assert_allclose(found.keypoints[0, 0], [4 + 6 * 2, 7 * 2, 8])


def test_a_map_of_a_cut_picture_lies_where_it_was_looked_at() -> None:
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 50:, 2] = 255
    pixels[:, :30, 0] = 255
    network = Maps()
    network.preparation = Preparation(20)  # the middle 40 of 80 columns: 20 to 60
    (found,) = predict(network, Picture(pixels))
    assert found.map is not None
    assert found.map[:, :20].max() == found.map[:, 60:].max() == 0  # not seen
    assert (found.map[:, 21:29] == 1).all()
    assert (found.map[:, 32:48] == 0).all()
    assert (found.map[:, 52:60] == 3).all()


# Trouble


def test_a_picture_that_fails_is_a_row_and_the_others_are_not_harmed(tmp_path: Path) -> None:
    Image.fromarray(noise(20, 30).pixels).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:300])
    Image.new("RGB", (30, 20), "grey").save(tmp_path / "c.png")
    Image.fromarray(noise(20, 30, 1).pixels).save(tmp_path / "d.png")
    Image.new("RGB", (1, 1), "red").save(tmp_path / "e.png")
    (tmp_path / "list.txt").write_text("a.png\nb.png\nc.png\nabsent.png\nd.png\ne.png\n")
    found = list(predict(Scores(), tmp_path / "list.txt"))
    assert [prediction.name for prediction in found] == [
        *("a.png", "b.png", "c.png", "absent.png", "d.png", "e.png")
    ]
    assert [found[n].error for n in (0, 4)] == [None, None]
    assert "truncated or damaged" in str(found[1].error)
    expected = (
        "the network raised RuntimeError on c.png: DefaultCPUAllocator: can't allocate memory"
    )
    assert found[2].error == expected
    assert "there is none; check the path" in str(found[3].error)
    assert found[1].to_dict() == {"image": "b.png", "error": found[1].error}
    assert str(found[2]).startswith("c.png: the network raised")


def test_a_picture_of_one_pixel_is_answered_by_the_zoo() -> None:
    dot = Picture(np.zeros((1, 1, 3), np.uint8))
    for network in ("resnet18", "lraspp_mobilenet_v3_large"):
        (found,) = predict(network, dot, weights=None)
        assert (found.error, found.width, found.height) == (None, 1, 1)


class Other(nn.Module):
    """Answers in an unknown form."""

    preparation = Preparation(8)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"features": x}


def test_a_network_that_answers_otherwise_is_refused() -> None:
    with pytest.raises(TypeError, match="answered with a dictionary of features for 1 pictures"):
        next(predict(Other(), noise(8, 8)))
    with pytest.raises(TypeError, match=r"answered with a tensor \(1, 1, 59, 55\)"):
        next(predict("filters", noise(300, 300)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"batch": 0}, r"`batch` \(=0\)"),
        ({"every": 0}, r"`every` \(=0\)"),
        ({"top": 0}, r"`top` \(=0\)"),
        ({"threshold": 1.5}, r"`threshold` \(=1.5\)"),
        ({"device": "abacus"}, r"`device` \(='abacus'\) must be one that torch can use"),
        ({"size": 0}, r"`size` \(=0\)"),
    ],
)
def test_settings_are_checked_before_anything_runs(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        predict("digits", DATA / "digit-3.png", **settings)


def test_a_network_that_reads_arrays_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must read pictures or clips.* array or a \.wav sound$"):
        predict(nn.Conv1d(2, 2, 3), DATA / "cat.jpg")


@pytest.mark.parametrize("network", ["Volumes", "Lazy", "volume"])
def test_a_named_network_may_have_layers_of_any_number_of_axes(
    tmp_path: Path, network: str
) -> None:
    """A named network is laid out for speed, which not every layer allows."""
    code = """
from torch import nn
class Volumes(nn.Module):
    def __init__(self):
        super().__init__()
        self.flat, self.deep = nn.Conv2d(3, 4, 3), nn.Conv3d(1, 2, (4, 1, 1))
    def forward(self, x):
        return self.deep(self.flat(x)[:, None]).mean((2, 3, 4))
Lazy = nn.Sequential(nn.LazyConv2d(2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
volume = nn.Conv3d(1, 2, 3)
"""
    path = tmp_path / "deep.py"
    path.write_text(code)
    if network == "volume":
        says = r"must read pictures .* on a \.npy array( or a NIfTI volume)?$"
        with pytest.raises(ValueError, match=says):
            predict(f"{path}:{network}", DATA / "digit-3.png")
        return
    (found,) = predict(f"{path}:{network}", DATA / "digit-3.png", size=8)
    assert found.error is None
    assert len(found.labels) == 2


# The network is left as it was found


def test_modes_are_left_as_found() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(), nn.Flatten())
    network[1].eval()
    modes = [True, True, False, True]
    found = predict(network, [noise(9, 9), noise(9, 8)], batch=1)
    assert [module.training for module in network.modules()] == modes
    next(found)
    assert not any(module.training for module in network.modules())
    del found
    gc.collect()
    assert [module.training for module in network.modules()] == modes


def test_a_module_keeps_its_layout_and_type() -> None:
    network = Scores().double()
    before = network.conv.weight.stride()
    (found,) = predict(network, noise(9, 9))
    assert network.conv.weight.stride() == before
    assert network.conv.weight.dtype == torch.float64
    assert found.error is None


def test_video_networks_of_the_zoo(tmp_path: Path) -> None:
    (found,) = predict("mc3_18", film(tmp_path / "a.mp4", 8, rate=15), weights=None, top=2)
    assert found.error is None
    assert len(found.labels) == 2
    assert found.category(0) == "abseiling"


def test_stopping_early_ends_the_threads() -> None:
    before = threading.active_count()
    found = predict(Scores(), [noise(20, 30, n) for n in range(50)], batch=2)
    next(found)
    assert threading.active_count() > before
    del found
    gc.collect()
    assert threading.active_count() == before


def test_what_is_opened_already_is_taken() -> None:
    opened = opened_module(Scores())
    assert opened.categories == ("low", "middle", "high")
    (found,) = predict(opened, noise(9, 9), top=1)
    assert found.seconds > 0
