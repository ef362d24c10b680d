"""Values change only in uint8 pictures, and only as often as asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convlens.learn.augmenting.colouring import Colour, Grey
from convlens.learn.augmenting.painting import grey_of
from convlens.learn.augmenting.spoiling import Noise
from convlens.learn.data.samples import Labelled
from tests.cases.figures_of_samples import photograph


def test_floats_are_refused() -> None:
    floats = torch.rand(2, 3, 4, 4)
    with pytest.raises(TypeError, match=r"`picture` \(torch.float32\) must be uint8"):
        Colour().apply(Labelled("a", floats[0], 0), np.zeros(4), 1.0)
    with pytest.raises(TypeError, match="give pixels from 0 to 255"):
        Colour().many(floats, np.zeros((2, 4)), 1.0)


def test_the_first_number_decides_by_chance_and_strength() -> None:
    sample = Labelled("a", photograph(), 0)
    for u, strength, changes in ((0.15, 1.0, True), (0.15, 0.5, False), (0.25, 1.0, False)):
        found = Grey(chance=0.2).apply(sample, np.array([u]), strength)
        assert (found is not sample) == changes
    assert Colour().apply(sample, np.zeros(4), 0.0) is sample


def test_a_batch_in_parts_is_the_batch() -> None:
    pictures = torch.stack([photograph(300, 400, seed=k) for k in range(4)])  # two parts
    numbers = np.random.default_rng(0).random((4, 4))
    whole = Colour().many(pictures, numbers, 1.0)
    for at in range(4):
        alone = Colour().apply(Labelled("a", pictures[at], 0), numbers[at], 1.0)
        assert torch.equal(whole[at], alone.picture)
    untouched = Noise().many(pictures, np.full((4, 3), 0.9), 1.0)
    assert untouched is pictures


def test_grey_is_the_weighted_sum() -> None:
    picture = torch.tensor([100, 50, 200], dtype=torch.uint8).reshape(3, 1, 1)
    assert grey_of(picture).item() == pytest.approx(0.299 * 100 + 0.587 * 50 + 0.114 * 200)
    assert grey_of(picture[:1]).item() == 100
