"""Clips are divided into frames or stretches, and what fails is said after what could be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from convlens.learn.predicting.starting import predict
from convlens.zoo.weights import DATA
from tests.cases.clips import animation, film
from tests.cases.predicting import Maps, clips_network


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_network_of_pictures_sees_every_nth_frame(tmp_path: Path, suffix: str) -> None:
    if suffix == ".mp4":
        path = film(tmp_path / "a.mp4", 10, rate=20)
    else:
        path = animation(tmp_path / "a.gif", 10, milliseconds=50)
    network = Maps()
    found = list(predict(network, [path, DATA / "cat.jpg"], every=4))
    assert [prediction.frame for prediction in found] == [0, 4, 8, None]
    assert [prediction.time for prediction in found[:3]] == pytest.approx([0, 0.2, 0.4], abs=2e-3)
    assert found[1].to_dict()["frame"] == 4


def test_a_network_of_clips_sees_stretches_and_the_last_is_whole(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 28, rate=15)
    found = list(predict(clips_network(frames=12), path))
    assert [prediction.frame for prediction in found] == [0, 12, 16]
    assert [prediction.time for prediction in found] == pytest.approx([0, 0.8, 16 / 15])
    exact = list(predict(clips_network(frames=14), path))
    assert [prediction.frame for prediction in exact] == [0, 14]


def test_a_clip_shorter_than_a_stretch_is_seen_as_it_is(tmp_path: Path) -> None:
    frames = np.stack([np.full((4, 6, 3), value, np.uint8) for value in (0, 100, 200)])
    (found,) = predict(clips_network(), frames)
    assert found.labels.tolist() == [1, 0]
    expected = torch.tensor([200 / 255, 0.0]).softmax(0)
    np.testing.assert_allclose(found.scores, expected, rtol=1e-5)


def test_a_clip_of_one_frame_and_a_picture_are_refused_by_networks_of_clips(
    tmp_path: Path,
) -> None:
    one = film(tmp_path / "one.mp4", 1)
    found = list(predict(clips_network(), [one, DATA / "cat.jpg"]))
    assert "must have at least 2 frames to be seen moving, and has 1" in str(found[0].error)
    assert "must be a clip for clips, which looks at 4 frames at 15 a second" in str(found[1].error)
    assert len(found) == 2


def test_a_clip_damaged_in_the_middle_is_frames_and_then_an_error(tmp_path: Path) -> None:
    whole = animation(tmp_path / "a.gif", 8).read_bytes()
    (tmp_path / "b.gif").write_bytes(whole[: len(whole) // 2])
    found = list(predict(Maps(), [tmp_path / "b.gif", DATA / "cat.jpg"]))
    assert [prediction.frame for prediction in found[:2]] == [0, 1]
    assert "truncated or damaged" in str(found[-2].error)
    assert found[-1].error is None


def test_a_camera_that_is_not_there_is_an_error() -> None:
    (found,) = predict(Maps(), 77)
    assert "must be the number of a camera" in str(found.error)
