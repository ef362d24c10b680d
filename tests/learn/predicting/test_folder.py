"""A job writes a line and a drawing for everything, and resumes where it was killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
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
from convlens.learn.locking import LOCK
from convlens.learn.opening import Opened
from convlens.learn.predicting.folder import Job, predict_into
from convlens.learn.preparing import Preparation
from convlens.learn.sources.clips import clip_frames
from convlens.zoo.weights import DATA
from tests.cases import folders
from tests.cases.clips import animation, film
from tests.cases.folders import Grey, files, picture, rows_of, save


class Maps(nn.Module):
    """A score of every pixel for 0, red, green and blue."""

    preparation = Preparation(32)
    categories = ("__background__", "red", "green", "blue")

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": torch.cat([torch.full_like(x[:, :1], 0.3), x], 1)}


class Clips(nn.Module):
    """A score for the grey of the first frame, and one for the last."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((1, 3, 4))[:, [0, -1]]


CLIPS = Opened("clips", Clips(), Preparation(None, crop=False), None, None, (8, 15))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two folders with pictures of one name, three formats, and a damaged file."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    cat = Image.open(DATA / "cat.jpg")
    cat.save(folder / "cat.jpg")
    cat.transpose(Image.Transpose.ROTATE_90).save(folder / "more" / "cat.jpg")
    cat.resize((90, 60)).save(folder / "cat.png")
    cat.resize((90, 60)).save(folder / "cat.webp")
    (folder / "bad.jpg").write_bytes((folder / "cat.jpg").read_bytes()[:999])
    return folder


def ran(network: Any, source: object, out: Path, **settings: Any) -> Job:
    job = predict_into(network, source, out, **{"pen": draw, **settings})
    names = [prediction.name for prediction in job]
    assert len(set(names)) >= job.predicted + job.failed
    return job


# Files


def test_a_line_and_a_drawing_for_everything(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    job = ran("resnet18", photos, out, weights="none", top=3)
    rows = rows_of(out)
    assert [row["image"] for row in rows] == [
        *("bad.jpg", "cat.jpg", "cat.png", "cat.webp", "more/cat.jpg")
    ]
    assert set(rows[0]) == {"image", "error", "warnings"}
    assert set(rows[1]) == {"image", "width", "height", "predictions", "warnings"}
    assert [len(row["predictions"]) for row in rows[1:]] == [3] * 4
    assert files(out) == {
        *("predictions.jsonl", "run.json", "cat.jpg", "cat.png", "cat.webp.png", "more/cat.jpg")
    }
    assert picture(out / "cat.jpg").width == 451
    assert picture(out / "more" / "cat.jpg").height == 451
    assert (job.finished, job.predicted, job.failed, job.total) == (0, 4, 1, 5)
    assert job.summary() == f"4 predicted, 1 could not be read (see {out}/predictions.jsonl)"


def test_maps_are_palette_pictures_too(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran(Maps(), photos / "cat.jpg", out)
    image = picture(out / "cat.jpg.map.png")
    assert (image.mode, image.size) == ("P", (451, 300))
    seen = set(np.unique(np.asarray(image)).tolist())
    categories = {row["category_id"] for row in rows_of(out)[0]["predictions"]}
    assert categories == seen - {0}


def test_without_drawing(photos: Path, tmp_path: Path) -> None:
    ran(Maps(), photos, tmp_path / "out", pen=None)
    assert files(tmp_path / "out") == {"predictions.jsonl", "run.json"}


def test_the_answers_among_the_pictures_are_not_predicted_on(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    ran(Maps(), ".", Path("answers"))
    before = files(photos)
    job = ran(Maps(), ".", Path("answers"))
    assert job.summary() == "nothing was left to predict"
    assert files(photos) == before
    assert len(rows_of(photos / "answers")) == 5


def test_what_is_named_twice_is_done_once(photos: Path, tmp_path: Path) -> None:
    job = ran(Maps(), [photos, photos / "cat.jpg", photos / "more"], tmp_path / "out")
    assert (job.predicted, job.failed) == (4, 1)
    assert len(rows_of(tmp_path / "out")) == 5


# Clips


def test_a_clip_is_a_line_a_frame_and_a_film(tmp_path: Path) -> None:
    clip, out = film(tmp_path / "a.mp4", 10, rate=20), tmp_path / "out"
    job = ran(Maps(), [clip, DATA / "cat.jpg"], out, every=3, batch=2)
    rows = rows_of(out)
    assert [row.get("frame") for row in rows] == [0, 3, 6, 9, None]
    assert [row.get("last") for row in rows] == [None, None, None, True, None]
    drawn = list(clip_frames(next(out.rglob("a.mp4"))))
    assert [frame.time for frame in drawn] == pytest.approx([0, 0.15, 0.3, 0.45], abs=2e-3)
    assert (job.predicted, job.failed) == (2, 0)


def test_a_film_of_stretches_has_every_frame_once(tmp_path: Path) -> None:
    clip, out = film(tmp_path / "a.mp4", 20, rate=15), tmp_path / "out"
    ran(CLIPS, clip, out)
    assert [row["frame"] for row in rows_of(out)] == [0, 8, 12]
    drawn = list(clip_frames(out / "a.mp4"))
    assert [frame.time for frame in drawn] == pytest.approx([n / 15 for n in range(20)], abs=2e-3)


def test_an_animation_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, out = animation(tmp_path / "a.gif", 5), tmp_path / "out"
    monkeypatch.setitem(sys.modules, "av", None)
    ran(Maps(), clip, out)
    assert files(out) == {"a.gif.webp", "predictions.jsonl", "run.json"}
    assert len(list(clip_frames(out / "a.gif.webp"))) == 5


def test_a_clip_damaged_in_the_middle_is_an_error_after_its_frames(tmp_path: Path) -> None:
    whole = animation(tmp_path / "a.gif", 8).read_bytes()
    (tmp_path / "b.gif").write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "out"
    job = ran(Maps(), tmp_path / "b.gif", out)
    rows = rows_of(out)
    assert "error" in rows[-1]
    assert all("last" not in row for row in rows)
    assert [row["frame"] for row in rows[:-1]] == list(range(len(rows) - 1))
    assert ran(Maps(), tmp_path / "b.gif", out).finished == 1
    assert job.failed == 1


# Resuming


def test_finished_files_are_not_repeated(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    job = predict_into(Maps(), photos, out, pen=draw, batch=1)
    for prediction in job:
        if prediction.name == "cat.png":
            break
    first = rows_of(out)
    assert 3 <= len(first) < 5
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")}
    again = ran(Maps(), photos, out)
    assert again.finished == len(first)
    assert again.predicted + again.failed == 5 - len(first)
    assert rows_of(out)[: len(first)] == first
    assert sorted(row["image"] for row in rows_of(out)) == [
        *("bad.jpg", "cat.jpg", "cat.png", "cat.webp", "more/cat.jpg")
    ]
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())


@pytest.mark.parametrize("torn", [b'{"image": "cat.png", "wid', b'{"image": "cat.png"}', b"\n"])
def test_a_torn_last_line_is_dropped(photos: Path, tmp_path: Path, torn: bytes) -> None:
    out = tmp_path / "out"
    ran(Maps(), [photos / "cat.jpg", photos / "cat.png"], out)
    whole = (out / "predictions.jsonl").read_bytes()
    first = whole.index(b"\n") + 1
    (out / "predictions.jsonl").write_bytes(whole[:first] + torn)
    again = ran(Maps(), [photos / "cat.jpg", photos / "cat.png"], out)
    assert again.finished == 1
    assert (out / "predictions.jsonl").read_bytes() == whole


def test_a_clip_that_was_not_ended_is_repeated(tmp_path: Path) -> None:
    clip, out = animation(tmp_path / "a.gif", 6), tmp_path / "out"
    ran(Maps(), [DATA / "cat.jpg", clip], out)
    whole = (out / "predictions.jsonl").read_bytes()
    (out / "predictions.jsonl").write_bytes(b"".join(whole.splitlines(keepends=True)[:-2]))
    next(out.rglob("a.gif.mp4")).unlink()
    again = ran(Maps(), [DATA / "cat.jpg", clip], out)
    assert again.finished == 1
    assert (out / "predictions.jsonl").read_bytes() == whole
    assert list(out.rglob("a.gif.mp4"))


def test_a_broken_line_in_the_middle_is_refused(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran(Maps(), photos, out)
    content = (out / "predictions.jsonl").read_text().splitlines()
    broken = "\n".join([content[0], "{", *content[1:]]) + "\n"
    (out / "predictions.jsonl").write_text(broken)
    with pytest.raises(ValueError, match="and line 2 is not one; mend it, or start again"):
        predict_into(Maps(), photos, out, pen=draw)
    assert (out / "predictions.jsonl").read_text() == broken
    assert ran(Maps(), photos, out, restart=True).predicted == 4


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"threshold": 0.7}, r"`threshold` \(=0.7\) must be 0.5"),
        ({"top": 2}, r"`top` \(=2\) must be 5"),
        ({"pen": None}, r"`draw` \(=False\) must be True"),
        ({"size": 64}, r"`size` \(=64\) must be None"),
    ],
)
def test_other_settings_are_refused(
    photos: Path, tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    ran(Maps(), photos / "cat.jpg", tmp_path / "out")
    with pytest.raises(ValueError, match=said + ".*name another folder with --out, or start again"):
        predict_into(Maps(), photos / "cat.jpg", tmp_path / "out", **{"pen": draw, **changed})
    job = predict_into(
        Maps(), photos / "cat.jpg", tmp_path / "out", **{"pen": draw, **changed}, restart=True
    )
    assert (job.finished, len(list(job))) == (0, 1)
    assert len(rows_of(tmp_path / "out")) == 1


def test_another_network_weights_and_place_are_refused(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran("digits", photos / "cat.jpg", out)
    with pytest.raises(ValueError, match=r"`network` .* must be 'digits'"):
        predict_into(Maps(), photos / "cat.jpg", out, pen=draw)
    with pytest.raises(ValueError, match=r"`weights` .* must be 'DEFAULT'"):
        predict_into("digits", photos / "cat.jpg", out, pen=draw, weights="none")
    with pytest.raises(ValueError, match="`root`"):
        predict_into("digits", photos / "more" / "cat.jpg", out, pen=draw)
    trained = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    ran(trained, photos / "cat.jpg", tmp_path / "other", size=2)
    nn.init.zeros_(trained.get_parameter("1.bias"))
    with pytest.raises(ValueError, match="must be the numbers that made the answers"):
        predict_into(trained, photos / "cat.jpg", tmp_path / "other", pen=draw, size=2)


def test_folders_with_other_files_are_refused(photos: Path, tmp_path: Path) -> None:
    before = files(photos)
    for restart in (False, True):
        with pytest.raises(ValueError, match="has other files, which drawings could replace"):
            predict_into(Maps(), photos, photos, pen=draw, restart=restart)
        with pytest.raises(ValueError, match="must be a folder, and is a file"):
            predict_into(Maps(), photos, photos / "cat.jpg", pen=draw, restart=restart)
    assert files(photos) == before


# Killed


def test_a_killed_run_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """After SIGKILL during writing, the next run makes the lines of a run that was not stopped."""
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for number in range(60):
        shutil.copy(DATA / "cat.jpg", photos / f"{number:02}.jpg")
    words = ["predict", "filters2", str(photos), "--out", str(out), "--batch", "1"]
    network = tmp_path / "net.py"
    network.write_text(
        "import torch\nfrom convlens.learn.preparing import Preparation\n"
        "class Net(torch.nn.Module):\n"
        "    preparation = Preparation(8)\n"
        "    def forward(self, x):\n"
        "        return x.mean((2, 3))\n"
    )
    words[1] = f"{network}:Net"
    command = [sys.executable, "-m", "convlens", *words]
    running = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    for _ in range(6000):
        if (out / "predictions.jsonl").is_file() and len(lines_now(out)) >= 5:
            break
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    killed = len(lines_now(out))
    assert 5 <= killed < 60
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert not ended.value.code
    assert [row["image"] for row in rows_of(out)] == [f"{number:02}.jpg" for number in range(60)]
    for number in range(60):
        assert picture(out / f"{number:02}.jpg").width == 451


def lines_now(out: Path) -> list[bytes]:
    """Whole lines of a file that is being written."""
    return (out / "predictions.jsonl").read_bytes().split(b"\n")[:-1]


def test_control_c_ends_cleanly(tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = (
        # Jobs that a shell runs in the background ignore Ctrl-C, and so do their children.
        "import signal, torch\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from convlens.learn.predicting.folder import predict_into\n"
        "from convlens.learn.preparing import Preparation\n"
        "class Slow(torch.nn.Module):\n"
        "    preparation = Preparation(8)\n"
        "    def forward(self, x):\n"
        "        import time; time.sleep(0.3); print('ran', flush=True)\n"
        "        return x.mean((2, 3))\n"
        "job = predict_into(\n"
        f"    Slow(), [{str(DATA / 'cat.jpg')!r}, {str(DATA)!r}], {str(out)!r}, batch=1\n"
        ")\n"
        "try:\n"
        "    list(job)\n"
        "except KeyboardInterrupt:\n"
        # A thread that was starting at the signal ends by itself, a moment later.
        "    import threading, time\n"
        "    for _ in range(100):\n"
        "        time.sleep(0.05 if threading.active_count() > 1 else 0)\n"
        "    print('left', threading.active_count())\n"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "ran\n"
    running.send_signal(signal.SIGINT)
    said, errors = running.communicate(timeout=60)
    assert said.splitlines()[-1] == "left 1"
    assert errors == ""
    assert os.path.getsize(out / "predictions.jsonl") >= 0


# By the command


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code: object = 0
    try:
        main(list(words))
    except SystemExit as ended:
        code = ended.code or 0
    printed = capsys.readouterr()
    assert isinstance(code, int)
    return code, printed.out, printed.err


def test_the_command_prints_text_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = run(capsys, "predict", "digits", str(DATA / "digit-3.png"), "--top", "1")
    assert (code, said) == (0, "digit-3.png (128 x 128)\n  100.0 %  3\n")
    pictures = [str(DATA / f"digit-{n}.png") for n in range(3)]
    code, said, _ = run(capsys, "predict", "digits", *pictures, "--json", "--top", "1")
    rows = [json.loads(line) for line in said.splitlines()]
    assert [row["predictions"][0]["category"] for row in rows] == ["0", "1", "2"]


def test_the_command_says_how_it_went(
    capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path
) -> None:
    words = ("predict", "digits", str(photos), "--out", str(tmp_path / "out"))
    code, said, errors = run(capsys, *words)
    assert (code, said) == (1, "")  # one could not be read
    assert "4 predicted, 1 could not be read (see " in errors
    code, _, errors = run(capsys, *words)
    assert code == 0
    assert "5 were finished before" in errors
    assert "nothing was left to predict" in errors
    code, _, errors = run(capsys, *words, "--threshold", "0.9")
    assert code == 1
    assert errors.count("\n") == 1
    assert "--restart" in errors
    (photos / "bad.jpg").unlink()
    code, _, _ = run(capsys, *words, "--threshold", "0.9", "--restart", "--no-draw")
    assert code == 0


def test_the_command_fails_where_nothing_could_be_read(
    capsys: pytest.CaptureFixture[str], photos: Path, tmp_path: Path
) -> None:
    bad = str(photos / "bad.jpg")
    assert run(capsys, "predict", "digits", bad)[0] == 1
    assert run(capsys, "predict", "digits", bad, "--out", str(tmp_path / "out"))[0] == 1
    code, _, errors = run(capsys, "predict", "digits")
    assert code == 1
    assert "`source` is needed" in errors


# Several runs


def test_two_runs_into_one_folder_are_refused(tmp_path: Path) -> None:
    pictures = [save(tmp_path / f"{n}.png", (9, 9)) for n in range(3)]
    out = tmp_path / "out"
    job = predict_into(Grey(), pictures, out, batch=1)
    running = iter(job)
    next(running)
    with pytest.raises(ValueError, match="must not be in use, and another run is writing into it"):
        predict_into(Grey(), pictures, out)
    lines = len(rows_of(out))
    running.close()  # type: ignore[attr-defined]
    assert len(rows_of(out)) >= lines
    assert folders.ran(pictures, out, pen=None)[0].finished >= 1
    assert files(out) == {"predictions.jsonl", "run.json"}
    with FileLock(out / LOCK), pytest.raises(ValueError, match="writing into it"):
        predict_into(Grey(), pictures, out)


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    source, out = save(tmp_path / "a.png", (9, 9)), tmp_path / "out"
    folders.ran(source, out)
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
    folders.ran(source, out)
    assert not any(path.exists() for path in (*left, again))
    assert alive.exists()
    assert other.exists()


def test_a_folder_with_nothing_but_what_a_killed_run_left_is_taken(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".partial-4194305-run.json").write_bytes(b"{")
    (out / LOCK).touch()
    folders.ran(DATA / "cat.jpg", out)
    assert files(out) == {"cat.jpg", "predictions.jsonl", "run.json"}
