"""Colours change as torchvision changes them, within one grey level."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from convlens.learn.augmenting.colouring import Colour, Equalize, Grey, Posterize
from convlens.learn.data.samples import ClipSample, Labelled
from tests.cases.figures_of_samples import photograph
from tests.oracles.torchvision_networks import torchvision

NONE: dict[str, Any] = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}


def functional() -> Any:
    torchvision()
    from torchvision.transforms.v2 import functional as tv

    return tv


def changed(augmentation: Any, picture: Tensor, *numbers: float) -> Tensor:
    return augmentation.apply(Labelled("a", picture, 0), np.array(numbers), 1.0).picture  # type: ignore[no-any-return]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("amount", [-0.4, -0.1, 0.2, 0.4])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_a_factor_is_torchvisions(name: str, amount: float, channels: int) -> None:
    picture, colour = photograph(channels=channels), Colour(**{**NONE, name: 0.4})
    found = changed(colour, picture, *[(amount / 0.4 + 1) / 2] * 4)
    # torchvision rounds down, ours to the nearest.
    wanted = getattr(functional(), f"adjust_{name}")(picture, 1 + amount)
    assert (found.int() - wanted.int()).abs().max() <= 1
    other = getattr(functional(), f"adjust_{name}")(picture, 1 + amount * 1.2)
    if name != "saturation" or channels == 3:
        assert (found.int() - other.int()).abs().max() > 1


@pytest.mark.parametrize("amount", [-0.5, -0.1, 0.02, 0.3])
def test_hue_is_torchvisions(amount: float) -> None:
    picture = photograph()
    picture[:, :4] = picture[:1, :4]  # grey pixels have no hue
    found = changed(Colour(**{**NONE, "hue": 0.5}), picture, *[amount + 0.5] * 4)
    wanted = functional().adjust_hue(picture, amount)
    assert (found.int() - wanted.int()).abs().max() <= 1
    assert torch.equal(found[:, :4], picture[:, :4])
    assert (found.int() - picture.int()).abs().max() > 5


def test_all_at_once_is_one_after_the_other() -> None:
    picture, tv = photograph(), functional()
    found = changed(Colour(), picture, 0.9, 0.2, 0.7, 0.8)
    wanted = tv.adjust_brightness(picture.float() / 255, 1.24)
    wanted = tv.adjust_contrast(wanted, 0.82)
    wanted = tv.adjust_hue(tv.adjust_saturation(wanted, 1.12), 0.012) * 255
    assert (found.int() - wanted).abs().max() <= 1.5


def test_grey_is_torchvisions() -> None:
    picture = photograph()
    wanted = functional().rgb_to_grayscale(picture, num_output_channels=3)
    assert (changed(Grey(), picture, 0.0).int() - wanted.int()).abs().max() <= 1
    one = photograph(channels=1)
    assert torch.equal(changed(Grey(), one, 0.0), one)


@pytest.mark.parametrize("seed", range(4))
def test_equalizing_is_torchvisions(seed: int) -> None:
    picture = photograph(seed=seed) // (1 + seed) + 20 * (seed % 2)
    found = changed(Equalize(), picture, 0.0)
    assert torch.equal(found, functional().equalize(picture))
    assert not torch.equal(found, picture)
    flat = torch.full((3, 5, 5), 9, dtype=torch.uint8)
    assert torch.equal(changed(Equalize(), flat, 0.0), flat)


@pytest.mark.parametrize("bits", [4, 5, 6, 7])
def test_fewer_levels_are_torchvisions(bits: int) -> None:
    picture = photograph()
    found = changed(Posterize(), picture, 0.0, (7.5 - bits) / 4)
    assert torch.equal(found, functional().posterize(picture, bits))


@pytest.mark.parametrize("augmentation", [Colour(), Equalize(chance=1), Grey(chance=1)])
def test_frames_of_a_clip_change_in_the_same_way(augmentation: Any) -> None:
    frames = torch.stack([photograph(seed=0), photograph(seed=1) // 2])
    numbers = np.array([0.9] * augmentation.draws)
    found = augmentation.apply(ClipSample("a", frames, 0), numbers, 1.0).frames
    tall = frames.transpose(0, 1).flatten(1, 2)  # one picture of both frames
    whole = changed(augmentation, tall, *numbers)
    assert torch.equal(found, whole.unflatten(1, (2, 40)).transpose(0, 1))
