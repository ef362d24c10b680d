"""The small networks of the zoo, and the data shipped with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.datasets import load_digits
from torch import Tensor

from convlens.learn.training.digits import digits_samples
from convlens.zoo import digits, filters, model
from convlens.zoo.small import EYE, KERNELS, LUMA
from convlens.zoo.weights import DATA


def photograph() -> Tensor:
    from PIL import Image

    with Image.open(DATA / "cat.jpg") as picture:
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255


# Networks


def test_digits_gives_probabilities_and_its_logits_are_before_the_softmax() -> None:
    network = model("digits")
    x = digits_samples()[1].inputs[:7]
    probabilities = network(x)
    assert probabilities.shape == (7, 10)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(7))
    assert isinstance(network, type(digits()))
    assert torch.equal(network.logits(x).softmax(1), probabilities)


def test_the_shipped_weights_reach_the_stated_accuracy() -> None:
    _, held_out = digits_samples()
    right = (model("digits")(held_out.inputs).argmax(1) == held_out.targets).sum()
    assert int(right) == 357
    # Able to fail: fresh weights.
    fresh = model("digits", weights=None)(held_out.inputs).argmax(1) == held_out.targets
    assert fresh.double().mean() < 0.5


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
    # Able to fail: a rotated template is not found there.
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
    weights = {name: size for name, size in files.items() if name.endswith(".safetensors")}
    assert max(weights.values()) < 2_000_000
    assert sum(weights.values()) < 8_000_000
    assert sum(files.values()) - sum(weights.values()) < 270_000
    text = (DATA / "LICENSES.md").read_text(encoding="utf-8")
    stated = {f"digit-{k}.png" for k in range(10)} | {"LICENSES.md"}
    assert "`digit-0.png` … `digit-9.png`" in text
    assert [name for name in files if name not in stated and f"`{name}`" not in text] == []


# Weights
