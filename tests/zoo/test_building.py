"""Networks are built by name and filled with weights: none, shipped, a file's, or released."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import convlens
from convlens.zoo import NETWORKS, list_models, model
from convlens.zoo.building import built_on_meta
from convlens.zoo.converting import convert
from convlens.zoo.weights import DATA
from convlens.zoo.weights.downloading import weights_folder
from convlens.zoo.weights.released import Weights
from tests.cases.weight_files import TABLE, saved
from tests.cases.zoo_weights import drawn, release

NAME = "mobilenet_v3_small"


def built() -> nn.Module:
    return built_on_meta(NAME)


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weights:
    """What is known of the file in the cache folder, which has the digits of its sha256."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    weights_folder().mkdir()
    path = weights_folder() / "made.pth"
    torch.save(drawn(built()), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    file = f"{NAME}-{digest}.pth"
    path.rename(weights_folder() / file)
    known = replace(convlens.weights(NAME), url=f"http://127.0.0.1:9/{file}")
    release(monkeypatch, NAME, known)
    return known


@pytest.mark.parametrize("name", ["DEFAULT", "IMAGENET1K_V1"])
def test_a_released_file_is_loaded_by_the_name_of_its_weights(entry: Weights, name: str) -> None:
    network = model(NAME, name)
    for key, tensor in drawn(built()).items():
        assert torch.equal(network.state_dict()[key], tensor), key
    assert vars(network)["released"] is entry
    assert network.categories == entry.categories


def test_other_classes_keep_all_but_the_last_layer(entry: Weights) -> None:
    with pytest.warns(UserWarning, match="drawn at random"):
        network = model(NAME, classes=7)
    table, own = drawn(built()), network.state_dict()
    different = {key for key, tensor in own.items() if not torch.equal(tensor, table[key])}
    assert different == {"classifier.3.weight", "classifier.3.bias"}
    assert own["classifier.3.weight"].shape == (7, 1024)
    assert not hasattr(network, "categories")


def test_a_loaded_network_predicts_with_the_preparation_and_names_of_its_weights(
    entry: Weights,
) -> None:
    by_name = next(convlens.predict(NAME, DATA / "cat.jpg"))
    built_first = next(convlens.predict(model(NAME), DATA / "cat.jpg"))
    assert by_name.category(0) in entry.categories
    assert by_name.labels.tolist() == built_first.labels.tolist()
    assert by_name.scores == pytest.approx(built_first.scores, rel=1e-4)


def test_a_released_file_is_known_whatever_it_is_called(
    entry: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = replace(entry, name="LATER", url="http://127.0.0.1:9/later-00000000.pth", resize=232)
    release(monkeypatch, NAME, later, entry)
    released = weights_folder() / entry.file
    renamed = Path(shutil.copy(released, tmp_path / "mine.pth"))
    converted = convert(released, out=tmp_path / "mine.safetensors")
    for path in (released, renamed, converted):
        assert vars(model(NAME, path))["released"] is entry, path
    torch.save(drawn(built(), seed=1), renamed)
    assert vars(model(NAME, renamed))["released"] is later


def test_a_damaged_file_in_the_cache_is_refused(entry: Weights) -> None:
    path = weights_folder() / entry.file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"must have a sha256 that begins with .* delete and"):
        model(NAME)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="must have a sha256 that begins with"):
        model(NAME)


def test_a_released_file_of_another_network_says_which_keys(entry: Weights) -> None:
    with pytest.raises(ValueError, match=r"must fit the network ResNet: it lacks bn1\.bias"):
        model("resnet18", weights_folder() / entry.file)
    with pytest.raises(ValueError, match=r"holds features\.2\..* where the network has"):
        model("mobilenet_v3_small_075", weights_folder() / entry.file)


def test_without_the_file_and_without_a_connection_the_error_names_both(entry: Weights) -> None:
    (weights_folder() / entry.file).unlink()
    with pytest.raises(ConnectionError) as refused:
        model(NAME)
    said = str(refused.value)
    assert entry.file in said
    assert str(weights_folder()) in said
    assert len(said.splitlines()) == 1


def test_a_file_without_a_suffix_is_a_path_for_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(model("digits").state_dict(), Path("mine"))
    assert model("digits", weights="mine").random_parts == ()
    with pytest.raises(ValueError, match="must be released weights of resnet18, or a file"):
        model("resnet18", weights="absent")
    with pytest.raises(TypeError, match=r"`weights` \(of type dict\) must be a name"):
        model("resnet18", weights=TABLE)  # type: ignore[arg-type]


def test_the_command_line_says_in_one_line_what_was_taken_off(tmp_path: Path) -> None:
    wrapped = {f"module.{name}": t for name, t in model("digits").state_dict().items()}
    path = saved(wrapped, tmp_path / "a.pth")
    words = [sys.executable, "-m", "convlens", "predict", "digits", str(DATA / "digit-3.png")]
    done = subprocess.run(
        [*words, "--weights", str(path)], capture_output=True, text=True, check=True
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith("convlens: warning: `weights` (a.pth)")
    assert "100.0 %  3" in done.stdout


@pytest.mark.parametrize("name", ["digits", "filters"])
def test_networks_with_shipped_weights_build_by_name_in_evaluation_mode(name: str) -> None:
    assert not model(name).training


def test_released_networks_build_with_fresh_weights_and_any_number_of_classes() -> None:
    network = model("mobilenet_v3_small", weights=None, classes=5)
    assert not network.training
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 5)
    assert model("lraspp_mobilenet_v3_large", None, 3)(torch.zeros(1, 3, 32, 48))["out"].shape == (
        1,
        3,
        32,
        48,
    )
    with pytest.raises(ValueError, match=r"`classes` \(=0\) must be at least 1"):
        model("resnet18", None, 0)
    with pytest.raises(ValueError, match=r"`classes` \(=9\) must be left out for 'digits'"):
        model("digits", classes=9)


def test_names() -> None:
    assert list_models() == sorted(NETWORKS)
    assert list_models("f*t*s") == ["filters"]
    assert list_models("x*") == []
    with pytest.raises(ValueError, match=r"`name` \(='digit'\).*did you mean 'digits'\?"):
        model("digit")
    with pytest.raises(ValueError, match=r"`name` \(='renset50'\).*did you mean 'resnet50'\?"):
        model("renset50")
    with pytest.raises(ValueError, match=r"list_models\(\) lists them"):
        model("unheard-of")
