"""A source that fails gets an error; it ends no run and replaces no other drawing."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convlens import draw
from convlens.cli import main
from convlens.draw import Film
from convlens.learn.predicting.folder import predict_into
from convlens.learn.predicting.predictions import Prediction
from convlens.learn.predicting.starting import predict
from convlens.learn.sources import reading
from convlens.learn.sources.clips import Frame, clip_frames
from convlens.learn.sources.pictures.picture import Picture
from convlens.zoo.weights import DATA
from tests.cases.clips import film
from tests.cases.folders import Grey, files, ran, rows_of, save


def test_a_drawing_that_fails_is_its_own_sources_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    for n in range(4):
        save(folder / f"{n}.png", (300, 260))
    plain = draw.drawn

    def drawn(picture: Picture, prediction: Prediction, rows: int | None = None) -> Image.Image:
        if prediction.name == "1.png":
            raise MemoryError
        if prediction.name == "2.png":
            raise PermissionError(errno.EACCES, "Permission denied")
        return plain(picture, prediction, rows)

    monkeypatch.setattr(draw, "drawn", drawn)
    with pytest.raises(SystemExit) as ended:
        main(["predict", "digits", str(folder), "--out", str(out), "--json"])
    assert ended.value.code == 1
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert printed == rows_of(out)
    assert ["error" in row for row in printed] == [False, True, True, False]
    assert printed[1]["error"] == "its drawing could not be written (MemoryError: MemoryError)"
    assert all(row["predictions"] for row in printed)  # what was computed is written


def test_a_full_disk_ends_the_run_and_it_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    for n in range(3):
        save(folder / f"{n}.png", (300, 260))
    plain = draw.drawn

    def drawn(picture: Picture, prediction: Prediction, rows: int | None = None) -> Image.Image:
        if prediction.name == "1.png":
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain(picture, prediction, rows)

    monkeypatch.setattr(draw, "drawn", drawn)
    with pytest.raises(OSError, match=r"`out` .* cannot be written \(No space left on device\)"):
        ran(folder, out)
    assert "1.png" not in [row["image"] for row in rows_of(out)]
    monkeypatch.setattr(draw, "drawn", plain)
    ran(folder, out)
    assert sorted(row["image"] for row in rows_of(out)) == ["0.png", "1.png", "2.png"]
    assert not any("error" in row for row in rows_of(out))


def clip_of(*shades: int) -> Any:
    frames = [np.full((40, 60, 3), shade, np.uint8) for shade in shades]

    def decoded(path: object, rate: object = None) -> Iterator[Frame]:
        for number, pixels in enumerate(frames):
            yield Frame(Picture(pixels), number, 0.5, 0.0)  # all at the same time

    return decoded


def test_a_clip_whose_frames_repeat_their_times_is_a_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, after, out = film(tmp_path / "a.mp4", 2), save(tmp_path / "b.png", (9, 9)), tmp_path / "o"
    monkeypatch.setattr(reading, "clip_frames", lambda *given: closable(clip_of(1, 2, 3)(*given)))
    _, told = ran([clip, after], out)
    assert [prediction.error for prediction in told] == [None] * 4
    assert len(list(clip_frames(out / "a.mp4"))) == 3
    assert ran([clip, after], out)[0].finished == 2


def closable(frames: Iterator[Frame]) -> Any:
    yield from frames


def test_a_film_that_fails_is_its_clips_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, after, out = film(tmp_path / "a.mp4", 4), save(tmp_path / "b.png", (9, 9)), tmp_path / "o"
    for broken in ("write", "_finish"):

        def fail(self: Film, *given: object) -> None:
            raise ValueError("[Errno 22] Invalid argument: 'a.mp4'")

        with monkeypatch.context() as patched:
            patched.setattr(Film, broken, fail)
            job, _ = ran([clip, after], out, restart=True)
        assert [(row["image"], row.get("frame"), "error" in row) for row in rows_of(out)] == [
            *[("a.mp4", n, False) for n in range(4)],
            ("a.mp4", None, True),
            ("b.png", None, False),
        ]
        assert "its film could not be written (ValueError: [Errno 22]" in rows_of(out)[4]["error"]
        assert (job.predicted, job.failed) == (1, 1)
        assert files(out) == {"b.png", "predictions.jsonl", "run.json"}
        assert ran([clip, after], out)[0].finished == 2


def test_a_bad_frame_in_the_middle_is_that_frames_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, out = film(tmp_path / "a.mp4", 2), tmp_path / "o"
    monkeypatch.setattr(
        reading, "clip_frames", lambda *given: closable(clip_of(9, 255, 80, 255, 99)(*given))
    )
    job, _ = ran(clip, out, batch=1)
    assert ["error" in row for row in rows_of(out)] == [False, True, False, True, False]
    assert [row["frame"] for row in rows_of(out)] == [0, 1, 2, 3, 4]
    assert [row.get("last") for row in rows_of(out)] == [None] * 4 + [True]
    assert (job.predicted, job.failed) == (0, 1)
    assert len(list(clip_frames(out / "a.mp4"))) == 5
    # Killed after the bad frame, the clip is not finished.
    kept = (out / "predictions.jsonl").read_bytes().splitlines(keepends=True)[:2]
    (out / "predictions.jsonl").write_bytes(b"".join(kept))
    assert ran(clip, out, batch=1)[0].finished == 0
    assert len(rows_of(out)) == 5


def test_a_name_of_several_lines_leaves_the_sentence_whole(tmp_path: Path) -> None:
    for name in ("a\nb.png", "a\nb.gif", "a\nb.avi", "a\nb.pdf.jpg"):
        (tmp_path / name).write_bytes(b"%PDF-1.7")
    told = [one.error for one in predict("digits", tmp_path)]
    assert len(told) == 4
    for error in told:
        assert error is not None
        assert re.search(r"\(a\\nb\..*\) must be .* a PDF document; save it as one", error), error


def test_what_vanishes_or_is_no_file_is_an_error_of_its_own(tmp_path: Path) -> None:
    good = save(tmp_path / "b.png", (9, 9))
    gone = save(tmp_path / "a.png", (9, 9))
    (tmp_path / "dir.png").mkdir()
    (tmp_path / "list.txt").write_text("a.png\ndir.png\nc.mp4\nb.png\n")
    job = predict_into(Grey(), tmp_path / "list.txt", tmp_path / "out", pen=draw)
    gone.unlink()
    told = list(job)
    assert [prediction.error is None for prediction in told] == [False, False, False, True]
    assert good.exists()
    assert (job.predicted, job.failed) == (1, 3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """If no process ever wrote into it, the run would hang."""
    for suffix in (".png", ".gif", ".tif", ".mp4", ".webp"):
        os.mkfifo(tmp_path / f"pipe{suffix}")
    shutil.copy(DATA / "digit-3.png", tmp_path / "z.png")
    command = [sys.executable, "-m", "convlens", "predict", "digits", str(tmp_path), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert ran.returncode == 1
    assert [row["image"] for row in rows if "error" not in row] == ["z.png"]
    assert all("a pipe or device" in row["error"] for row in rows[:-1])
    assert len(rows) == 6


def test_a_clip_without_a_frame_is_said(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuvj420p"
        container.start_encoding()
    after = save(tmp_path / "b.png", (9, 9))
    found = list(predict(Grey(), [tmp_path / "a.avi", after]))
    assert [one.name for one in found] == ["a.avi", "b.png"]
    assert found[0].error
    assert found[1].error is None
