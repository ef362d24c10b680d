"""Data sets of torch are trained on; what their transforms draw depends on the place alone."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from convlens.learn.data.wrapped import TorchSamples
from convlens.learn.recipe import Recipe
from convlens.learn.training.loading import SampleReader
from convlens.learn.training.named_data import data_for
from convlens.learn.training.starting import train
from convlens.learn.training.validating import measure_all
from tests.cases.training_runs import end_of

QUICK = Recipe(epochs=2, batch=4, rate=1e-2, threads=1, size=8, save=0.0, augment=0.0)


class Noisy(Dataset[tuple[Tensor, int]]):
    """Pictures of one grey, to which a transform adds from all three generators."""

    classes = ("dark", "bright")

    def __init__(self, count: int = 12, generators: str = "random numpy torch") -> None:
        self.targets = [k % 2 for k in range(count)]
        self.generators = generators

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        label = self.targets[index]
        picture = torch.full((3, 8, 8), 0.2 + 0.4 * label)
        if "random" in self.generators:
            picture[0] += 0.2 * random.random()
        if "numpy" in self.generators:
            picture[1] += 0.2 * np.random.rand()
        if "torch" in self.generators:
            picture[2] += 0.2 * torch.rand(8, 8)
        return picture, label


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return nn.Sequential(nn.Flatten(), nn.Linear(192, 2))


def run(folder: Path, recipe: Recipe, data: Any) -> list[bytes]:
    list(train(network(), data, recipe, folder))
    return end_of(folder)


def global_states() -> str:
    return repr((random.getstate(), np.random.get_state(), torch.random.get_rng_state().tolist()))


@pytest.mark.parametrize("generators", ["random", "numpy", "torch", "random numpy torch"])
def test_workers_change_no_number_and_the_global_generators_stay(
    generators: str, tmp_path: Path
) -> None:
    data = (Noisy(12, generators), Noisy(4, generators))
    runs = []
    for seed, workers in ((1, 0), (2, 2)):
        for seeder in (random.seed, np.random.seed, torch.manual_seed):
            seeder(seed)
        before = global_states()
        runs.append(run(tmp_path / str(workers), replace(QUICK, workers=workers), data))
        assert global_states() == before
    assert runs[0] == runs[1]
    assert run(tmp_path / "other", replace(QUICK, seed=1), data) != runs[0]


def test_a_stopped_run_draws_the_same(tmp_path: Path) -> None:
    data = (Noisy(), Noisy(4))
    expected = run(tmp_path / "whole", QUICK, data)
    running = train(network(), data, QUICK, tmp_path / "run").steps()
    for _ in range(2):
        next(running)
    running.close()
    assert run(tmp_path / "run", QUICK, data) == expected


def test_every_epoch_and_sample_draws_other_numbers_and_what_is_held_out_the_same() -> None:
    training = train(network(), (Noisy(), Noisy(4)), QUICK)
    reading = SampleReader(training.data.train, training.task, training.preparation, QUICK)
    numbers = np.arange(4)
    first, second = (reading.batch(numbers, epoch).inputs for epoch in (0, 1))
    assert torch.is_tensor(first)
    assert torch.is_tensor(second)
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[2])  # both dark
    held_out = SampleReader(training.data.held_out, training.task, training.preparation, QUICK)
    values = [measure_all(training.network, held_out).values for _ in range(2)]
    assert values[0] == values[1]


def test_one_data_set_is_split() -> None:
    data = data_for(Noisy(20), None)
    assert (len(data.train), len(data.held_out)) == (16, 4)
    assert data.train.classes == ("dark", "bright")
    assert len(list(train(network(), Noisy(20), QUICK))) == 2


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must have the same categories twice, and has a, b"):
        data_for((TorchSamples(Noisy(), ("a", "b")), Noisy()), None)
    with pytest.raises(ValueError, match="must have `classes`"):
        data_for(torch.utils.data.TensorDataset(torch.zeros(4, 3, 2, 2), torch.zeros(4)), None)
    with pytest.raises(TypeError, match=r"`data` \(=int\) must be a path.*data set of torch"):
        data_for(3, None)
