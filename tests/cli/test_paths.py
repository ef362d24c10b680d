"""A leading ~ is the home folder in every path of the commands and of Python."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import convlens
from convlens.cli import main
from convlens.draw import Film
from convlens.files import expanded, write_whole
from convlens.learn.own_networks import own_network
from convlens.learn.predicting.folder import predict_into
from convlens.learn.sources.clips import is_clip
from convlens.learn.sources.reading import read_sources
from convlens.zoo.converting import convert
from convlens.zoo.weights import DATA, DIGITS, load_weights, metadata, read_weights, sha256_of
from convlens.zoo.weights.saving import save_tensors


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a picture, a clip, an array, a list, weights and a network, from elsewhere."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    home = tmp_path / "home"
    shutil.copy(DATA / "digit-3.png", home / "a.png")
    shutil.copy(DIGITS, home / "w.safetensors")
    torch.save({"a": torch.ones(1)}, home / "w.pth")
    np.save(home / "x.npy", np.ones((1, 1, 8, 8), np.float32))
    (home / "list.txt").write_text("~/a.png\n")
    (home / "own.py").write_text("from convlens.zoo import digits\n")
    return home


def run(words: list[str]) -> None:
    code: object = None
    try:
        main(words)
    except SystemExit as ended:
        code = ended.code
    assert not code


def test_commands(home: Path) -> None:
    for words in (
        ["predict", "digits", "~/a.png", "--out=~/seen"],
        ["predict", "~/own.py:digits", "~/list.txt", "--size", "8", "--weights=~/w.safetensors"],
        ["record", "digits", "~/x.npy", "--weights=~/w.safetensors"],
        ["convert", "~/w.pth", "--out=~/c.safetensors"],
        ["train", "digits", "--epochs=1", "--out=~/t.safetensors"],
    ):
        run(words)
    names = {path.name for path in home.iterdir()}
    assert {"seen", "c.safetensors", "t.safetensors"} <= names
    assert (home / "seen" / "a.png").is_file()
    assert not list(Path.cwd().iterdir())


def test_python(home: Path) -> None:
    assert [p.name for p in convlens.predict("digits", "~/a.png", weights="~/w.safetensors")]
    assert [source.name for source in read_sources(["~/*.png", "~/list.txt"])] == ["a.png"] * 2
    list(predict_into("digits", "~/a.png", "~/seen"))
    assert convlens.read_picture("~/a.png").name == "a.png"
    assert not is_clip("~/a.gif")
    assert convlens.read_inputs(convlens.open_network("digits"), "~/x.npy")[0].shape[-1] == 8
    network = own_network("~/own.py:digits")
    load_weights(network, "~/w.safetensors")
    convlens.model("digits", "~/w.safetensors")
    assert read_weights("~/w.safetensors")
    assert metadata("~/w.safetensors")
    save_tensors({"a": torch.ones(1)}, "~/s.safetensors")
    convert("~/w.pth", out="~/c.safetensors")
    assert Film("~/film").path.parent == home
    assert {"seen", "s.safetensors", "c.safetensors"} <= {path.name for path in home.iterdir()}
    assert not list(Path.cwd().iterdir())


def test_a_folder_called_tilde_is_written_with_the_folder_it_is_in(home: Path) -> None:
    """The message about an unknown home folder says how."""
    for folder in ("~", "~nobody-here"):
        shutil.copy(home / "a.png", (Path.cwd() / folder).with_suffix(".png"))
        (Path.cwd() / folder).mkdir()
        shutil.copy(home / "a.png", Path.cwd() / folder / "b.png")
        for words in (
            ["record", "digits", f"./{folder}/b.png"],
            ["predict", "digits", f"./{folder}/b.png", f"./{folder}.png", f"--out=./{folder}/c"],
            ["convert", str(home / "w.pth"), f"--out=./{folder}/c.safetensors"],
        ):
            run(words)
        names = {path.name for path in (Path.cwd() / folder).iterdir()}
        assert names == {"b.png", "c", "c.safetensors"}
    assert not (home / "c").exists()
    assert not (home / "c.safetensors").exists()


def test_files_written_and_summed(home: Path) -> None:
    write_whole("~/a.txt", "all of it")
    assert (home / "a.txt").read_text() == "all of it"
    assert sha256_of("~/a.txt") == sha256_of(home / "a.txt")


def test_a_user_there_is_none_of_is_refused_and_names_with_a_tilde_are_taken(home: Path) -> None:
    with pytest.raises(ValueError, match=r"~nobody-here is unknown"):
        predict_into("digits", home / "a.png", "~nobody-here/seen")
    assert not list(Path.cwd().iterdir())
    shutil.copy(home / "a.png", "~$a.png")
    assert expanded("~$a.png") == Path("~$a.png")
    assert [source.name for source in read_sources("~$a.png")] == ["~$a.png"]
    assert [source.name for source in read_sources("~*.png")] == ["~$a.png"]
    assert expanded("a~") == Path("a~")
    assert expanded(os.path.join("a", "~")) == Path("a", "~")
