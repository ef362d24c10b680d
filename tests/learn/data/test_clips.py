"""Clips in class folders: how many frames, at which rate."""

from __future__ import annotations

from pathlib import Path

import pytest

from convlens.learn.data.checking import check_data
from convlens.learn.data.clips import ClipFiles, find_clips, read_clips
from convlens.learn.data.finding import find_data
from tests.cases.clips import film, number_of


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for name, frames in (("turn left", 20), ("turn right", 6)):
        (folder / name).mkdir()
        film(folder / name / "a.mp4", frames, rate=10)
        film(folder / name / "b.mp4", frames + 1, rate=10)
    return folder


def shown(samples: ClipFiles, index: int) -> list[int]:
    return [number_of(frame.numpy()) for frame in samples.read(index).frames]


def test_frames_at_a_rate(root: Path) -> None:
    samples = read_clips(root).at(4, 10)
    assert samples.read(0).frames.shape == (4, 3, 48, 64)
    assert shown(samples, 0) == [0, 1, 2, 3]
    assert shown(samples.at(4, 5), 0) == [0, 2, 4, 6]
    assert samples.classes == ("turn left", "turn right")
    assert samples.read(0).pairs == ((0, 1),)
    assert (samples.read(3).label, samples.read(3).key) == (1, "turn right/b.mp4")
    assert read_clips(root).frames == 16


def test_a_short_clip_repeats_its_last_frame_and_says_so(root: Path) -> None:
    samples = read_clips(root).at(9, 10)
    with pytest.warns(UserWarning, match="some clips have fewer than 9 frames at 10 a second"):
        assert shown(samples, 2) == [0, 1, 2, 3, 4, 5, 5, 5, 5]
    assert samples.counted(0)[1] == 9
    assert samples.counted(2)[1] == 6


def test_short_clips_are_counted_in_a_check(root: Path) -> None:
    report = check_data(root)
    faults = {what: count for what, count, _ in report.faults}
    assert faults["clips are short, so that their last frame is repeated"] == 2
    assert report.sizes["least"] == (64, 48)


def test_they_are_found(root: Path) -> None:
    data = find_data(root, kind="video classification", share=0.5)
    assert [len(data.train), len(data.held_out)] == [2, 2]
    assert list(find_clips(root)) == ["whole"]


def test_a_damaged_clip_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.mp4").write_bytes(b"1234ftypmp42" + bytes(100))
    with pytest.raises(ValueError, match=r"`source` \(x\.mp4\) must be a whole"):
        read_clips(tmp_path).read(0)


@pytest.mark.parametrize(("frames", "rate"), [(0, 1.0), (1, 0.0)])
def test_numbers_that_make_no_clip(root: Path, frames: int, rate: float) -> None:
    with pytest.raises(ValueError, match=r"`frames` \(="):
        read_clips(root).at(frames, rate)
