"""A network in the user's own file is trained, and its run opens from any working folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from convlens.learn.opening import open_network
from convlens.learn.recipe import Recipe
from convlens.learn.run_folder import RunFolder
from convlens.learn.training.starting import train
from convlens.learn.training.validation import validate
from tests.cases.labelled import class_folders
from tests.running.commands import refused, run

QUICK = Recipe(epochs=1, batch=4, threads=1, size=16)

CODE = """
from torch import nn


class Net(nn.Module):
    def __init__(self, classes=2):
        super().__init__()
        self.conv, self.pool = nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4, classes)

    def forward(self, x):
        return self.fc(self.pool(self.conv(x).relu()).flatten(1))
"""

SPEC = "mine.py:Net(classes=3)"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a network's file, pictures, and a run."""
    folder = tmp_path / "project"
    class_folders(folder / "photos", {"cat": 4, "cow": 4, "dog": 4})
    (folder / "mine.py").write_text(CODE)
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder)
    list(train(SPEC, "photos", QUICK, "run"))
    return folder


def test_run_json_names_files_from_the_run(project: Path) -> None:
    said = json.loads((project / "run" / "run.json").read_text())
    assert (said["network"], said["data"]) == (f"../{SPEC}", "../photos")
    facts = RunFolder.at("run").facts()
    assert facts.network == f"{(project / 'mine.py').resolve().as_posix()}:Net(classes=3)"


def test_a_run_opens_from_another_folder_and_after_a_move(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = open_network("run").network.state_dict()
    monkeypatch.chdir(project / "elsewhere")
    assert validate("../run").values["accuracy"] >= 0
    again = open_network("../run").network.state_dict()
    assert all(torch.equal(again[name], value) for name, value in expected.items())
    monkeypatch.chdir(tmp_path)
    shutil.move(project, tmp_path / "moved")
    assert open_network("moved/run").categories == ("cat", "cow", "dog")
    assert validate("moved/run").values["accuracy"] >= 0


def test_the_same_network_under_another_path_goes_on(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / "elsewhere")
    assert list(train(f"../{SPEC}", "../photos", QUICK, "../run")) == []
    (project / "elsewhere" / "mine.py").write_text(CODE)
    with pytest.raises(ValueError, match=r"`network` \(='.*elsewhere/mine.py.*with which the run"):
        train(SPEC, "../photos", QUICK, "../run")


def test_names_of_data_stay_names(project: Path) -> None:
    list(train("digits", "digits", epochs=1, out="run-of-digits"))
    assert json.loads((project / "run-of-digits" / "run.json").read_text())["data"] == "digits"
    assert RunFolder.at("run-of-digits").facts().data == "digits"


def test_predict_and_lab_open_it_by_commands(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / "elsewhere")
    assert "0.png" in run(capsys, "predict", "../run", "../photos/cat/0.png")
    assert "conv2d" in run(capsys, "record", "../run")


def test_too_few_outputs_are_one_sentence(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "train", "mine.py:Net", "photos", "--size", "16", "--out", "other")
    assert "for the 3 categories of the data, 0 to 2, and gives (1, 2)" in said
    assert len(said.strip().splitlines()) == 1
    assert not (project / "other").exists()
