"""The commands train, go on, measure and use what was learned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convlens.zoo.shipped import DATA
from tests.running.commands import refused, run


def test_a_run_is_trained_measured_and_used(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = str(tmp_path / "run")
    train = ("train", "digits", "--epochs", "2", "--rate", "0.01", "--out", out)
    assert "of 359 held-out samples" in run(capsys, *train)
    assert f"nothing is left to train in {out}" in run(capsys, *train)
    measured = json.loads(run(capsys, "val", out, "--json"))
    assert measured["values"]["accuracy"] > 0.8
    assert Path(measured["report"]).read_text().startswith("<!doctype html>")
    assert "accuracy" in run(capsys, "val", out, "--part", "train", "--out", str(tmp_path / "r"))
    assert "digit-3.png" in run(capsys, "predict", out, str(DATA / "digit-3.png"))
    assert "conv2d" in run(capsys, "record", out)
    assert "conv2d" in run(capsys, "record", out, "--weights", "last")


def test_each_epoch_is_a_line_for_machines(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = str(tmp_path / "run")
    lines = run(capsys, "train", "digits", "--epochs", "2", "--out", out, "--json").splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("train", "digits", "--lr", "1"), "`--lr` is called `--rate` here; write --rate"),
        (("train", "digits", "--resume", "x"), "the same command goes on with a stopped run"),
        (("train", "resnet18"), "`data` (=None) must be given"),
        (("train", "resnet18", "nowhere"), "there is none"),
        (("train", "digits", "--rate=-1"), "`rate` (=-1.0) must be above 0"),
        (("train", "shapes_unet", "digits"), "does semantic segmentation, which learns from"),
        (("val", "nowhere"), "must be the folder of a training"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in refused(capsys, *words)
