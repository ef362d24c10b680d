"""Pixels arrive where the map takes them: compared with scipy and torchvision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from convlens.learn.augmenting.warping import about_the_middle, inverted, nearest, resized, warped
from tests.cases.figures_of_samples import photograph
from tests.oracles.torchvision_networks import torchvision

SLANTED = np.array([[0.9, 0.3, 2.5], [-0.2, 1.1, -1.25]])


def by_scipy(values: np.ndarray, matrix: np.ndarray, order: int) -> np.ndarray:
    """scipy counts rows first and from the middles of pixels; outside is 0."""
    back = inverted(matrix)
    linear = back[::-1, [1, 0]]
    offset = linear @ [0.5, 0.5] + back[::-1, 2] - 0.5
    mode = "constant" if order == 0 else "grid-constant"
    return np.asarray(ndimage.affine_transform(values, linear, offset, order=order, mode=mode))


def test_warped_pixels_are_scipys() -> None:
    picture = photograph()
    found = warped(picture[None], SLANTED[None], 0)[0]
    wanted = [by_scipy(channel, SLANTED, 1) for channel in picture.numpy().astype(float)]
    assert np.abs(found.numpy() - np.stack(wanted)).max() <= 0.51
    other = [by_scipy(channel, SLANTED + 0.01, 1) for channel in picture.numpy().astype(float)]
    assert np.abs(found.numpy() - np.stack(other)).max() > 1  # the oracle can refuse


def test_a_batch_is_warped_as_each_picture_alone() -> None:
    pictures = torch.rand(70, 3, 100, 110)  # more than fit at once
    matrices = SLANTED + np.random.default_rng(0).normal(0, 0.02, (70, 2, 3))
    whole = warped(pictures, matrices, 0.25)
    for at in (0, 1, 37, 69):
        assert torch.equal(whole[at], warped(pictures[[at]], matrices[[at]], 0.25)[0])
    assert torch.equal(
        whole, warped(pictures.contiguous(memory_format=torch.channels_last), matrices, 0.25)
    )


def test_numbers_take_the_nearest_pixel() -> None:
    category = torch.from_numpy(np.random.default_rng(1).integers(0, 9, (2, 30, 41))).byte()
    found = nearest(category, SLANTED, (30, 41), 0)
    wanted = np.stack([by_scipy(one, SLANTED, 0) for one in category.numpy()])
    # scipy leaves out the outer half of the outermost pixels.
    inside = nearest(torch.ones(28, 39), SLANTED @ np.diag([1, 1, 1]) + _shift(1), (30, 41), 0) > 0
    assert (found.numpy() == wanted)[:, inside.numpy()].mean() > 0.999
    assert set(nearest(category, SLANTED, (30, 41), 255).unique().tolist()) == {*range(9), 255}


def _shift(by: float) -> np.ndarray:
    """What a map of a picture without its outermost pixels adds to the map of the whole."""
    return np.array([[0, 0, SLANTED[0, :2].sum() * by], [0, 0, SLANTED[1, :2].sum() * by]])


def test_maps_go_back() -> None:
    back = inverted(inverted(SLANTED))
    np.testing.assert_allclose(back, SLANTED, atol=1e-12)


def test_the_middle_stays_but_for_the_shift() -> None:
    linear = SLANTED[None, :, :2]
    matrix = about_the_middle(linear, (30, 40), np.array([[3.0, -2.0]]))[0]
    np.testing.assert_allclose(matrix @ [20, 15, 1], [23, 13], atol=1e-12)


@pytest.mark.parametrize("size", [(17, 23), (80, 112), (40, 30)])
@pytest.mark.parametrize("channels", [1, 3])
def test_scaled_pictures_are_torchvisions(size: tuple[int, int], channels: int) -> None:
    torchvision()
    from torchvision.transforms.v2 import functional as tv

    picture = photograph(channels=channels)
    wanted = tv.resize(picture, list(size), antialias=True)
    assert (resized(picture, size).int() - wanted.int()).abs().max() <= 1
    clip = torch.stack([picture, picture.flip(1)])
    assert torch.equal(resized(clip, size)[1], resized(picture.flip(1), size))
