"""A film has its frames at their times, or is not there at all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from convlens.draw import Film
from convlens.learn.sources.clips import clip_frames
from tests.cases.clips import number_of, shade


@pytest.mark.parametrize("pyav", [True, False])
def test_a_film_has_its_frames_at_their_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pyav: bool
) -> None:
    if not pyav:
        monkeypatch.setitem(sys.modules, "av", None)
    times = [0.0, 0.1, 0.25, 0.3]
    with Film(tmp_path / "film") as film:
        for number, at in enumerate(times):
            film.write(Image.new("RGB", (63, 47), (shade(number),) * 3), at)
    monkeypatch.undo()
    frames = list(clip_frames(film.path))
    assert film.path.suffix == (".mp4" if pyav else ".webp")
    assert [frame.time for frame in frames] == pytest.approx(times, abs=2e-3)
    assert [number_of(frame.picture.pixels[:40, :60]) for frame in frames] == [0, 1, 2, 3]
    assert frames[0].picture.pixels.shape == (48, 64, 3)


def test_a_film_that_is_broken_off_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"the one before")
    film = Film(tmp_path / "film")
    film.write(Image.new("RGB", (32, 32)), 0.0)
    film.__exit__(RuntimeError, RuntimeError(), None)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]
    assert (tmp_path / "film.mp4").read_bytes() == b"the one before"
    with Film(tmp_path / "empty"):
        pass
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("without", [False, True])
def test_a_film_takes_any_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: bool
) -> None:
    if without:
        monkeypatch.setitem(sys.modules, "av", None)
    with Film(tmp_path / "a") as made:
        for n, time in enumerate((0.0, 0.0, -1.0, float("nan"), float("inf"), 2.0)):
            made.write(Image.new("RGB", (32, 32), (40 * n, 0, 0)), time)
    assert len(list(clip_frames(made.path))) == 6
