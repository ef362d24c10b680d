"""Nothing that one source does ends a run, replaces another's drawing or goes without a word."""

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
import torch
from filelock import FileLock
from PIL import Image
from torch import Tensor, nn

from convlens import draw
from convlens.cli import main
from convlens.draw import Film
from convlens.learn.predicting.file_names import Names
from convlens.learn.predicting.folder import LOCK, predict_into
from convlens.learn.predicting.predictions import Prediction
from convlens.learn.predicting.running import predict
from convlens.learn.preparing import Preparation
from convlens.learn.sources import reading
from convlens.learn.sources.clips import Frame, clip_frames
from convlens.learn.sources.pictures.picture import Picture
from convlens.zoo.weights import DATA
from tests.cases.clips import animation, film


class Grey(nn.Module):
    """A score for dark and one for bright; it fails on a picture that is all white."""

    preparation = Preparation(None, crop=False)
    categories = ("dark", "bright")

    def forward(self, x: Tensor) -> Tensor:
        if (x == 1).all():
            raise RuntimeError("too bright")
        return torch.stack([-x.mean((1, 2, 3)), x.mean((1, 2, 3))], 1)


class Maps(Grey):
    """A map of the two."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([-x[:, :1], x[:, :1]], 1)


def save(path: Path, size: tuple[int, int], kind: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "grey").save(path, kind)
    return path


def picture(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]


def files(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}


def ran(source: object, out: Path, network: nn.Module | None = None, **settings: Any) -> Any:
    job = predict_into(network or Grey(), source, out, **{"pen": draw, **settings})
    return job, list(job)


# Names of drawings


def test_no_drawing_replaces_another(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    names = ["cat.bmp", "cat.bmp.png", "A.png", "a.png", "d.gif", "e.png", "e.png.map.png"]
    names += ["f.bmp", "f.bmp.png/x.png", "predictions.jsonl.bmp", "é.png", "e\u0301.png"]
    kinds = {".gif": "GIF", ".bmp": "BMP", ".png": "PNG"}
    for number, name in enumerate(names):
        save(folder / name, (300 + number, 260), kinds[name[-4:]])
    animation(folder / "d.gif.mp4.gif", 2)
    film(folder / "d.gif.mp4", 2)
    job, _ = ran(folder, out, Maps())
    assert job.failed == 0
    assert job.predicted == len(names) + 2
    drawn = [picture(path) for path in out.rglob("*.png")]
    for mode in ("RGB", "P"):  # the pictures, and their maps
        widths = sorted(image.width for image in drawn if image.mode == mode)
        assert widths == [300 + number for number in range(len(names))]
    assert len(list(out.rglob("*.mp4"))) == 2
    for row in rows(out):  # a line says where its drawing is, if not where all look
        assert (out / row.get("drawing", row["image"])).exists() or "drawing" not in row
    assert rows(out)[0]["image"] == "A.png"


def test_a_run_that_goes_on_knows_whose_a_drawing_is(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    first, second = save(folder / "cat.bmp", (300, 260)), save(folder / "cat.bmp.png", (400, 260))
    ran(folder, out)
    whole, before = (out / "predictions.jsonl").read_bytes(), files(out)
    drawing = rows(out)[1]["drawing"]
    assert (rows(out)[0].get("drawing"), drawing[:8], drawing[-4:]) == (None, "cat.bmp-", ".png")
    (out / "predictions.jsonl").write_bytes(whole[: whole.index(b"\n") + 1])
    (out / drawing).unlink()
    ran(folder, out)
    assert (out / "predictions.jsonl").read_bytes() == whole
    assert files(out) == before
    assert picture(out / "cat.bmp.png").width == picture(first).width
    assert picture(out / drawing).width == picture(second).width
    (job, told) = ran(folder, out)
    assert (job.finished, told) == (2, [])


def test_names_at_the_limit_are_shortened(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    save(folder / ("x" * 251 + ".bmp"), (300, 260))
    save(folder / ("x" * 250 + "y.bmp"), (310, 260))
    save(folder / ("é" * 125 + ".png"), (320, 260))
    animation(folder / ("z" * 251 + ".gif"), 2)
    job, _ = ran(folder, out, Maps())
    assert (job.failed, job.predicted) == (0, 4)
    assert len(files(out)) == 2 + 3 * 2 + 1
    assert ran(folder, out, Maps())[0].finished == 4
    assert len(files(out)) == 2 + 3 * 2 + 1


def test_names_are_each_ones_own_and_the_same_again(tmp_path: Path) -> None:
    wanted = ["a.png", "A.png", "a.png/b.png", "c\0.png", "x" * 300 + ".png", "RUN.JSON"]
    given = []
    for _ in range(2):
        names = Names(tmp_path, ("run.json",))
        given.append([names.take(name, f"{n}", Path(name).suffix) for n, name in enumerate(wanted)])
    assert given[0] == given[1]
    assert len({name.lower() for name in given[0]}) == len(wanted)
    assert given[0][0] == "a.png"
    for name in given[0]:
        assert "\0" not in name
        assert all(len(os.fsencode(part)) <= 255 for part in Path(name).parts)
        assert not name.startswith("a.png/")
    assert names.take("a.png", "0", ".png") == "a.png"  # a clip is drawn again by whoever began it


# What fails for one


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
    assert printed == rows(out)
    assert ["error" in row for row in printed] == [False, True, True, False]
    assert printed[1]["error"] == "its drawing could not be written (MemoryError: MemoryError)"
    assert all(row["predictions"] for row in printed)  # what was computed is told


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
    assert "1.png" not in [row["image"] for row in rows(out)]
    monkeypatch.setattr(draw, "drawn", plain)
    ran(folder, out)
    assert sorted(row["image"] for row in rows(out)) == ["0.png", "1.png", "2.png"]
    assert not any("error" in row for row in rows(out))


def clip_of(*shades: int) -> Any:
    frames = [np.full((40, 60, 3), shade, np.uint8) for shade in shades]

    def decoded(path: object, rate: object = None) -> Iterator[Frame]:
        for number, pixels in enumerate(frames):
            yield Frame(Picture(pixels), number, 0.5, 0.0)  # all at one time

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
        assert [(row["image"], row.get("frame"), "error" in row) for row in rows(out)] == [
            *[("a.mp4", n, False) for n in range(4)],
            ("a.mp4", None, True),
            ("b.png", None, False),
        ]
        assert "its film could not be written (ValueError: [Errno 22]" in rows(out)[4]["error"]
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
    assert ["error" in row for row in rows(out)] == [False, True, False, True, False]
    assert [row["frame"] for row in rows(out)] == [0, 1, 2, 3, 4]
    assert [row.get("last") for row in rows(out)] == [None] * 4 + [True]
    assert (job.predicted, job.failed) == (0, 1)
    assert len(list(clip_frames(out / "a.mp4"))) == 5
    # Killed after the bad frame, the clip is not finished.
    kept = (out / "predictions.jsonl").read_bytes().splitlines(keepends=True)[:2]
    (out / "predictions.jsonl").write_bytes(b"".join(kept))
    assert ran(clip, out, batch=1)[0].finished == 0
    assert len(rows(out)) == 5


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
    """Nobody may ever write into it, and a run would stand still without a word."""
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


# Several runs


def test_two_runs_into_one_folder_are_refused(tmp_path: Path) -> None:
    pictures = [save(tmp_path / f"{n}.png", (9, 9)) for n in range(3)]
    out = tmp_path / "out"
    job = predict_into(Grey(), pictures, out, batch=1)
    running = iter(job)
    next(running)
    with pytest.raises(ValueError, match="must not be in use, and another run is writing into it"):
        predict_into(Grey(), pictures, out)
    lines = len(rows(out))
    running.close()  # type: ignore[attr-defined]
    assert len(rows(out)) >= lines
    assert ran(pictures, out, pen=None)[0].finished >= 1
    assert files(out) == {"predictions.jsonl", "run.json"}
    with FileLock(out / LOCK), pytest.raises(ValueError, match="writing into it"):
        predict_into(Grey(), pictures, out)


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    source, out = save(tmp_path / "a.png", (9, 9)), tmp_path / "out"
    ran(source, out)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (out / "more").mkdir()
    left = [out / f".partial-{ended.pid}-x.png", out / "more" / f".partial-{ended.pid}-y.mp4"]
    again = out / f".partial-{os.getpid()}-old.png"  # of a process that had our number
    alive = out / f".partial-{os.getpid()}-new.png"
    other = out / ".partial-mine.png"
    for path in (*left, again, alive, other):
        path.write_bytes(b"half")
    os.utime(again, (1e9, 1e9))
    ran(source, out)
    assert not any(path.exists() for path in (*left, again))
    assert alive.exists()
    assert other.exists()


def test_a_folder_with_nothing_but_what_a_killed_run_left_is_taken(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".partial-4194305-run.json").write_bytes(b"{")
    (out / LOCK).touch()
    ran(DATA / "cat.jpg", out)
    assert files(out) == {"cat.jpg", "predictions.jsonl", "run.json"}
