"""The small networks of the zoo, the data shipped with them, and how weights are read."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.datasets import load_digits
from torch import Tensor, nn

from convlens.learn.training.data import Examples
from convlens.learn.training.digits import digits_data
from convlens.learn.training.epochs import accuracy
from convlens.zoo import NETWORKS, digits, filters, list_models, model
from convlens.zoo.small import EYE, KERNELS, LUMA
from convlens.zoo.weights import DATA, DIGITS, load_weights, metadata, read_weights


def photograph() -> Tensor:
    from PIL import Image

    with Image.open(DATA / "cat.jpg") as picture:
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255


# Networks


def test_digits_gives_probabilities_and_its_logits_are_before_the_softmax() -> None:
    network = model("digits")
    x = digits_data().held_out.inputs[:7]
    probabilities = network(x)
    assert probabilities.shape == (7, 10)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(7))
    assert isinstance(network, type(digits()))
    assert torch.equal(network.logits(x).softmax(1), probabilities)


def test_the_shipped_weights_reach_the_stated_accuracy() -> None:
    held_out = digits_data().held_out
    reached = accuracy(model("digits"), held_out)
    assert reached == pytest.approx(357 / 359)
    assert metadata(DIGITS)["accuracy"] == f"{reached:.6f}"
    # Able to fail: fresh weights, and wrong labels.
    assert accuracy(model("digits", weights=None), held_out) < 0.5
    assert accuracy(model("digits"), Examples(held_out.inputs, (held_out.labels + 1) % 10)) < 0.02


@pytest.mark.parametrize("name", KERNELS)
def test_each_kernel_is_the_correlation_scipy_computes(name: str) -> None:
    x = photograph()
    network = filters()
    grey = network.grey(x)
    ours = network.kernels.get_submodule(name)(grey)[0, 0].numpy()
    weighted = x[0].double().numpy() * np.array(LUMA)[:, None, None]
    kernel = np.array(KERNELS[name])
    expected = ndimage.correlate(weighted.sum(0), kernel)[1:-1, 1:-1]
    np.testing.assert_allclose(ours, expected, atol=2e-5)
    turned = ndimage.correlate(weighted.sum(0), kernel.T[::-1])[1:-1, 1:-1]
    if not np.array_equal(kernel, kernel.T[::-1]):
        assert np.abs(ours - turned).max() > 0.1


def test_the_template_answers_most_at_both_eyes() -> None:
    network = filters()
    answers = network(photograph())[0, 0]
    assert answers.max().item() == pytest.approx(1, abs=1e-5)
    assert peak(answers) == (EYE[0].start, EYE[1].start)
    elsewhere = answers.clone()
    elsewhere[11:32, 21:46] = -1
    # The right eye: half way across the picture, a little lower.
    assert peak(elsewhere) == (25, 68)
    # Able to fail: a template turned round is not found there.
    with torch.no_grad():
        network.template.weight.copy_(network.template.weight.flip(2, 3))
    turned = network(photograph())[0, 0]
    assert peak(turned) != (EYE[0].start, EYE[1].start)
    assert turned.max().item() < 0.6


def peak(answers: Tensor) -> tuple[int, int]:
    row, column = divmod(int(answers.argmax()), answers.shape[1])
    return row, column


def test_filters_answers_nothing_on_an_even_ground_and_learns_nothing() -> None:
    network = filters()
    assert network(torch.full((1, 3, 100, 120), 0.7)).abs().max() < 1e-5
    assert not any(parameter.requires_grad for parameter in network.parameters())


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


# Data


def test_the_shipped_digits_are_scikit_learns_bit_for_bit() -> None:
    theirs = load_digits()
    with np.load(DATA / "digits.npz", allow_pickle=False) as file:
        pictures, labels = file["pictures"], file["labels"]
    assert same(pictures, theirs.images)
    assert same(labels, theirs.target)
    # Able to fail: one number of 115,008 is one off.
    pictures[1796, 7, 3] += 1
    assert not same(pictures, theirs.images)


def same(ours: NDArray[np.uint8], theirs: NDArray[np.float64]) -> bool:
    return np.array_equal(ours.astype(np.float64), theirs.astype(np.float64))


def test_what_is_shipped_is_small_and_its_licence_stated() -> None:
    files = {path.name: path.stat().st_size for path in DATA.iterdir()}
    assert files["digits.safetensors"] < 300_000
    assert files["cat.jpg"] < 200_000
    assert sum(files.values()) < 250_000
    text = (DATA / "LICENSES.md").read_text(encoding="utf-8")
    stated = {f"digit-{k}.png" for k in range(10)} | {"LICENSES.md"}
    assert "`digit-0.png` … `digit-9.png`" in text
    assert [name for name in files if name not in stated and f"`{name}`" not in text] == []


# Weights


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_weights_come_back_as_they_were_saved(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    trained = model("digits").state_dict()
    if suffix == ".safetensors":
        safetensors.torch.save_file(trained, path)
    else:
        torch.save(trained, path)
    loaded = model("digits", weights=path).state_dict()
    assert all(torch.equal(loaded[name], trained[name]) for name in trained)
    fresh = model("digits", weights=None).state_dict()
    assert not all(torch.equal(fresh[name], trained[name]) for name in trained)


class Trap:
    """What a pickle can do when opened."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.place),)


def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    path, place = tmp_path / "weights.pt", tmp_path / "sprung"
    torch.save({"conv1.weight": Trap(place)}, path)
    with pytest.raises(ValueError, match="would run code when opened"):
        read_weights(path)
    assert not place.exists()
    # Able to fail: opened without care, it does run.
    torch.load(path, weights_only=False)
    assert place.exists()


def test_a_bare_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(ValueError, match=r"`weights` \(="):
        read_weights(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(model("digits").state_dict(), path)
    else:
        path.write_bytes(DIGITS.read_bytes())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ValueError, match=r"`weights` \(=.*; (copy|save) ") as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)


def test_no_reader_stands_in_for_another(tmp_path: Path) -> None:
    torch.save(model("digits").state_dict(), tmp_path / "a.safetensors")
    (tmp_path / "b.pt").write_bytes(DIGITS.read_bytes())
    for path in (tmp_path / "a.safetensors", tmp_path / "b.pt"):
        with pytest.raises(ValueError, match="`weights`"):
            read_weights(path)


def test_weights_of_another_network_are_refused_and_nothing_is_copied() -> None:
    network = nn.Sequential()
    network.add_module("conv1", nn.Conv2d(1, 8, 3))
    before = network.state_dict()["conv1.weight"].clone()
    with pytest.raises(ValueError, match=r"holds unknown conv2\.bias") as caught:
        load_weights(network, DIGITS)
    assert "conv1.weight (24, 1, 3, 3) where the network has (8, 1, 3, 3)" in str(caught.value)
    assert torch.equal(network.state_dict()["conv1.weight"], before)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("weights.bin", None, "must name an existing file"),
        ("absent.safetensors", None, "must name an existing file"),
        ("nested.pt", {"epoch": 3, "model": {}}, "not one with epoch, model of other types"),
        ("list.pt", [1, 2], "not a list"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: object, said: str) -> None:
    if content is not None:
        torch.save(content, tmp_path / name)
    with pytest.raises(ValueError, match=said):
        read_weights(tmp_path / name)


def test_metadata_of_no_safetensors_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"nothing")
    for name in ("a.safetensors", "absent.safetensors"):
        with pytest.raises(ValueError, match=r"must be a whole \.safetensors file"):
            metadata(tmp_path / name)
