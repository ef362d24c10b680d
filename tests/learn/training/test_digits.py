"""The digits are split for good, and learned to the stated accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from convlens.learn.recipe import Recipe
from convlens.learn.training.data import Data, Examples
from convlens.learn.training.digits import DIGITS_RECIPE, digits_data, digits_split, train_digits
from convlens.learn.training.epochs import accuracy, train
from convlens.learn.training.progress import Progress
from convlens.zoo import model


def test_the_split_is_fixed_stratified_and_disjoint() -> None:
    data = digits_data()
    labels = torch.cat([data.train.labels, data.held_out.labels]).numpy()
    assert np.bincount(data.held_out.labels.numpy()).tolist() == [
        *(36, 36, 35, 37, 36, 36, 36, 36, 35, 36)
    ]
    train_on, held_out = digits_split(np.sort(labels))
    assert len(train_on) == 1438
    assert sorted([*train_on, *held_out]) == list(range(1797))
    # The draw is frozen: these numbers may never change, or the stated accuracy means nothing.
    assert held_out[:8].tolist() == [4, 5, 7, 8, 18, 26, 33, 37]
    everywhere = {number.numpy().tobytes() for number in data.train.inputs}
    assert not any(number.numpy().tobytes() in everywhere for number in data.held_out.inputs)


def last(reports: Iterator[Progress]) -> Progress:
    for progress in reports:
        final = progress
    return final


def test_one_epoch_of_digits_learns_most_of_them(tmp_path: Path) -> None:
    out = tmp_path / "digits.safetensors"
    progress = last(train_digits(out, replace(DIGITS_RECIPE, epochs=1)))
    assert progress.accuracy > 0.9
    assert accuracy(model("digits", weights=out), digits_data().held_out) == progress.accuracy
    assert out.stat().st_size < 300_000


def test_wrong_labels_teach_nothing() -> None:
    """The accuracy is one of knowledge: trained on labels drawn at random it stays at a tenth."""
    data = digits_data()
    drawn = torch.randint(10, (len(data.train),), generator=torch.Generator().manual_seed(0))
    wrong = Data(Examples(data.train.inputs, drawn), data.held_out)
    assert last(train(model("digits", weights=None), wrong, Recipe(epochs=3))).accuracy < 0.25


@pytest.mark.slow
def test_the_digits_are_learned_again_to_the_stated_accuracy(tmp_path: Path) -> None:
    progress = last(train_digits(tmp_path / "digits.safetensors"))
    assert progress.accuracy >= 0.98
    assert progress.epoch == progress.epochs == DIGITS_RECIPE.epochs
