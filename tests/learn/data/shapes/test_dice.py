"""Random numbers come from (seed, place) alone, never change, and spread as they say."""

from __future__ import annotations

import numpy as np
import pytest

from convlens.learn.data.shapes.dice import Dice


def test_numbers_never_change() -> None:
    dice = Dice(3, 4)
    assert [dice.whole(1000) for _ in range(4)] == [985, 745, 205, 988]
    noise = Dice(2**63 - 1, 0).noise(3).tolist()
    assert noise == pytest.approx([1.387, -0.2503, 0.9066], abs=1e-4)


def test_vector_is_as_many_single_numbers() -> None:
    one, many = Dice(1, 2), Dice(1, 2)
    assert many.vector(-3, 5, 6).tolist() == [one.uniform(-3, 5) for _ in range(6)]


def test_seeds_and_places_are_told_apart() -> None:
    firsts = {Dice(seed, place).uniform(0, 1) for seed in range(20) for place in range(20)}
    assert len(firsts) == 400
    assert Dice(7, 0).uniform(0, 1) != Dice(7 + 2**32, 0).uniform(0, 1)


def test_noise_has_mean_0_deviation_1_and_tails() -> None:
    noise = Dice(0, 0).noise(300, 301)
    assert noise.shape == (300, 301)
    assert noise.dtype == np.float32
    assert abs(float(noise.mean())) < 0.02
    assert float(noise.std()) == pytest.approx(1, abs=0.02)
    # The share beyond two deviations: 4.5 % of normal ones, none of uniform ones.
    assert float((abs(noise) > 2).mean()) == pytest.approx(0.045, abs=0.01)
    neighbours = np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]
    assert abs(neighbours) < 0.02


def test_whole_numbers_are_all_drawn_and_never_the_count() -> None:
    dice = Dice(0, 1)
    counts = np.bincount([dice.whole(5) for _ in range(2000)])
    assert len(counts) == 5
    assert counts.min() > 300
