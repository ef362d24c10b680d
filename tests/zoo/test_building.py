"""A released file, made here in the released format, from the cache folder to a loaded network."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import convlens
from convlens.zoo import model
from convlens.zoo.building import built_on_meta
from convlens.zoo.converting import convert
from convlens.zoo.weights import DATA
from convlens.zoo.weights.downloading import weights_folder
from convlens.zoo.weights.released import Weights
from tests.cases.zoo_weights import drawn, release

NAME = "mobilenet_v3_small"


def built() -> nn.Module:
    return built_on_meta(NAME)


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weights:
    """What is known of the file, which lies in the cache folder under the digits of its sha256."""
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
