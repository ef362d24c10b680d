"""Blur and hidden parts are torchvision's; noise has the deviation that was asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convlens.learn.augmenting.spoiling import Blur, Erase, Noise
from convlens.learn.data.samples import ClipSample, Labelled, Mapped
from tests.cases.figures_of_samples import ellipse, figures, photograph
from tests.oracles.torchvision_networks import torchvision


@pytest.mark.parametrize("sigma", [0.1, 0.7, 1.3, 2.0])
def test_blur_is_torchvisions(sigma: float) -> None:
    torchvision()
    from torchvision.transforms.v2 import functional as tv

    sample, numbers = Labelled("a", photograph(), 0), np.array([0, (sigma - 0.1) / 1.9])
    found = Blur().apply(sample, numbers, 1.0).picture
    side = 2 * int(np.ceil(3 * sigma)) + 1
    wanted = tv.gaussian_blur(sample.picture, [side, side], [sigma, sigma])
    assert (found.int() - wanted.int()).abs().max() <= 1
    other = tv.gaussian_blur(sample.picture, [side, side], [sigma * 1.3 + 0.3] * 2)
    assert (found.int() - other.int()).abs().max() > 1


def test_small_pictures_are_blurred_as_far_as_they_reach() -> None:
    picture = torch.tensor([[[0, 200]]], dtype=torch.uint8)
    found = Blur(chance=1).apply(Labelled("a", picture, 0), np.array([0, 1.0]), 1.0).picture
    assert found.shape == (1, 1, 2)
    assert abs(int(found.sum()) - 200) <= 1
    assert found.min() > 50


def test_noise_has_its_deviation_and_is_the_same_in_every_frame() -> None:
    frames = torch.full((2, 3, 100, 100), 128, dtype=torch.uint8)
    found = Noise().apply(ClipSample("a", frames, 0), np.array([0, 0.5, 0.3]), 1.0).frames
    assert torch.equal(found[0], found[1])
    noise = found[0].double() - 128
    assert abs(float(noise.mean())) < 0.15
    assert float(noise.std()) == pytest.approx(np.sqrt(6**2 + 1 / 12), rel=0.02)
    other = Noise().apply(ClipSample("a", frames, 0), np.array([0, 0.5, 0.4]), 1.0).frames
    assert abs(np.corrcoef(noise.flatten(), other[0].double().flatten())[0, 1]) < 0.03
    half = Noise().apply(ClipSample("a", frames, 0), np.array([0, 0.5, 0.3]), 0.5).frames[0]
    assert float(half.double().std()) == pytest.approx(3, rel=0.03)


def test_a_hidden_part_is_torchvisions_and_hides_points() -> None:
    torchvision()
    from torchvision.transforms.v2 import functional as tv

    masks = ellipse(40, 56, (28, 20), (12, 12))[None]
    numbers = np.array([0, 0.9, 0.6, 0.4, 0.5])
    left, top, right, bottom = Erase().rectangle((40, 56), numbers, 1.0)
    middle = ((left + right) / 2, (top + bottom) / 2)
    points = torch.tensor([[[*middle, 2], [*middle, 0], [left - 1, top, 2], [right, bottom, 1]]])
    sample = figures(masks, picture=photograph(), points=points)
    found = Erase().apply(sample, numbers, 1.0)
    fill = torch.full((3, bottom - top, right - left), 128, dtype=torch.uint8)
    wanted = tv.erase(sample.picture, top, left, bottom - top, right - left, fill)
    assert torch.equal(found.picture, wanted)
    assert found.points is not None
    assert found.points[0, :, 2].tolist() == [1, 0, 2, 1]
    assert torch.equal(found.points[..., :2], points[..., :2])
    assert found.masks is sample.masks
    assert found.boxes is sample.boxes


def test_hidden_parts_keep_within_their_limits() -> None:
    sizes = []
    for u in np.random.default_rng(0).random((300, 5)):
        left, top, right, bottom = Erase().rectangle((100, 100), u, 1.0)
        assert 0 <= left < right <= 100
        assert 0 <= top < bottom <= 100
        sizes.append(((right - left) * (bottom - top) / 1e4, (right - left) / (bottom - top)))
    shares, ratios = np.array(sizes).T
    assert 0.018 < shares.min() < 0.03 < 0.18 < shares.max() < 0.21
    assert 0.3 < ratios.min() < 0.4 < 2.6 < ratios.max() < 3.4


def test_labels_stay_where_a_part_is_hidden() -> None:
    sample = Mapped("a", photograph(), torch.zeros(40, 56, dtype=torch.uint8))
    assert Erase().apply(sample, np.zeros(5), 1.0).map is sample.map
