"""A chain of augmentations gives the same in any batch, and each has its own numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from convlens.learn.augmenting.applying import AUGMENTATIONS, augment, augment_many
from convlens.learn.augmenting.augmentation import Augmentation
from convlens.learn.augmenting.colouring import Colour
from convlens.learn.augmenting.flipping import Mirror, QuarterTurn
from convlens.learn.augmenting.spoiling import Noise
from convlens.learn.augmenting.turning import Affine
from convlens.learn.data.samples import ClipSample, Labelled, Mapped
from tests.cases.figures_of_samples import ellipse, figures, photograph


class Listening:
    """An augmentation that changes nothing and notes its numbers."""

    says = "listen"

    def __init__(self, name: str, draws: int) -> None:
        self.name, self.draws = name, draws
        self.heard: list[Any] = []

    def apply(self, sample: Any, numbers: Any, strength: float) -> Any:
        self.heard.append(numbers.tolist())
        return sample

    def many(self, pictures: Any, numbers: Any, strength: float) -> Any:
        self.heard.append(numbers.tolist())
        return pictures


def often(augmentation: Any) -> Any:
    return replace(augmentation, chance=0.6) if hasattr(augmentation, "chance") else augmentation


@pytest.mark.parametrize("augmentation", AUGMENTATIONS, ids=lambda a: a.name)
@pytest.mark.parametrize("strength", [1.0, 0.4])
@pytest.mark.parametrize("channels", [1, 3])
def test_many_give_exactly_what_each_gives(
    augmentation: Augmentation, strength: float, channels: int
) -> None:
    pictures = torch.stack([photograph(28, 28, channels, seed) for seed in range(12)])
    indices, chain = np.arange(12) * 7, (often(augmentation),)
    whole = augment_many(pictures, chain, 3, 5, indices, strength)
    assert whole.dtype == torch.uint8
    assert not torch.equal(whole, pictures) or (channels == 1 and augmentation.name == "grey")
    for at, index in enumerate(indices):
        sample = Labelled("a", pictures[at], 4)
        alone = augment(sample, chain, 3, 5, int(index), strength)
        assert torch.equal(whole[at], alone.picture)
        assert alone.label == 4
    order = np.random.default_rng(0).permutation(12)[:5]
    some = augment_many(pictures[order], chain, 3, 5, indices[order], strength)
    assert torch.equal(some, whole[order])


def test_a_chain_of_all_gives_the_same_in_a_batch() -> None:
    pictures = torch.stack([photograph(32, 32, seed=seed) for seed in range(10)])
    chain = tuple(often(a) for a in AUGMENTATIONS)
    whole = augment_many(pictures, chain, 0, 2, np.arange(10), 1.0)
    for at in range(10):
        alone = augment(Labelled("a", pictures[at], 0), chain, 0, 2, at, 1.0)
        assert torch.equal(whole[at], alone.picture)
    assert not torch.equal(whole, augment_many(pictures, chain, 0, 3, np.arange(10), 1.0))
    assert not torch.equal(whole, augment_many(pictures, chain, 1, 2, np.arange(10), 1.0))


def test_one_more_augmentation_changes_no_number_of_the_others() -> None:
    sample, heard = Labelled("a", photograph(), 0), []
    for others in ((), (Listening("first", 9),), (Listening("first", 1), Listening("second", 4))):
        kept = Listening("kept", 3)
        augment(sample, (*others, kept), 1, 2, 3, 1.0)
        augment_many(sample.picture[None], (kept, *others), 1, 2, np.array([3]), 1.0)
        heard += [kept.heard[0], kept.heard[1][0]]
        assert all(other.heard[0][:1] != kept.heard[0][:1] for other in others)
    assert all(one == heard[0] for one in heard)
    assert len(heard[0]) == 3


def test_all_types_of_samples_go_through_all() -> None:
    masks = torch.stack([ellipse(40, 56, (14, 20), (9, 13)), ellipse(40, 56, (40, 9), (12, 6))])
    points = torch.tensor([[[14.0, 20, 2], [10, 20, 1]], [[40, 9, 2], [0, 0, 0]]])
    boxed = figures(masks, picture=photograph(), points=points, pairs=((0, 1),))
    mapped = Mapped("m", photograph(), masks[0].byte())
    upright = [a for a in AUGMENTATIONS if a.name not in ("flip", "quarter turn")]
    clip = ClipSample("c", photograph()[None].expand(3, -1, -1, -1), 0, ())
    before = [boxed.picture.clone(), mapped.map.clone(), clip.frames.clone()]
    for index in range(30):
        one = augment(boxed, AUGMENTATIONS, 0, 0, index, 1.0)
        assert one.masks is not None
        assert one.points is not None
        h, w = one.picture.shape[-2:]
        assert one.masks.shape == (len(one.boxes), h, w)
        assert one.picture.dtype == torch.uint8
        assert ((one.boxes >= 0) & (one.boxes <= torch.tensor([w, h, w, h]))).all()
        assert len(one.labels) == len(one.crowd) == len(one.area) == len(one.points)
        assert augment(mapped, AUGMENTATIONS, 0, 0, index, 1.0).map.dtype == torch.uint8
        frames = augment(clip, upright, 0, 0, index, 1.0).frames
        assert torch.equal(frames[0], frames[2])
    for kept, now in zip(before, (boxed.picture, mapped.map, clip.frames), strict=True):
        assert torch.equal(kept, now)  # nothing was changed in place


def test_no_strength_changes_nothing() -> None:
    sample = Labelled("a", photograph(), 0)
    assert augment(sample, AUGMENTATIONS, 0, 0, 0, 0.0) is sample
    assert augment(sample, (), 0, 0, 0, 1.0) is sample
    pictures = sample.picture[None]
    assert augment_many(pictures, AUGMENTATIONS, 0, 0, np.array([0]), 0.0) is pictures


def test_floats_can_be_moved() -> None:
    digits = torch.rand(5, 1, 8, 8)
    varied = augment_many(digits, (Affine(),), 0, 0, np.arange(5), 1.0)
    assert varied.dtype == torch.float32
    assert 0 < (varied - digits).abs().mean() < 0.3


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan")])
def test_a_strength_out_of_range_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match=r"`strength` .* must be from 0"):
        augment(Labelled("a", photograph(), 0), (Mirror(),), 0, 0, 0, strength)


def test_two_of_one_name_are_refused() -> None:
    chain = (Noise(), Colour(), Noise(most=3))
    with pytest.raises(ValueError, match="`augmentations` have two of the name 'noise'"):
        augment(Labelled("a", photograph(), 0), chain, 0, 0, 0, 1.0)


def test_pictures_that_get_different_sizes_are_refused_in_a_batch() -> None:
    pictures = torch.zeros(9, 1, 4, 6, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"`quarter turn` and have \[\(4, 6\), \(6, 4\)\]"):
        augment_many(pictures, (QuarterTurn(),), 0, 0, np.arange(9), 1.0)
    turned = augment_many(pictures, (QuarterTurn(chance=0),), 0, 0, np.arange(9), 1.0)
    assert turned.shape == pictures.shape
