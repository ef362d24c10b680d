"""Workers need shared memory; without it a thread reads the same, and a death is one sentence."""

from __future__ import annotations

import os
import shutil
import signal
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from convlens.learn.recipe import Recipe
from convlens.learn.training import worker_processes
from convlens.learn.training.starting import train
from convlens.learn.training.worker_processes import shared_memory_lacks
from tests.cases.labelled import class_folders
from tests.cases.training_runs import end_of
from tests.learn.training.test_torch_data_sets import Noisy, network
from tests.running.commands import refused

RECIPE = Recipe(epochs=1, batch=4, rate=1e-2, threads=1, size=32, workers=2)
Usage = namedtuple("Usage", "total used free")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no fork")


@pytest.fixture
def photos(tmp_path: Path) -> str:
    return str(class_folders(tmp_path / "photos", {"cat": 5, "dog": 5}))


def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_processes, "MEMORY", Path(os.sep))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100, 0, 100))


def test_the_need_is_that_of_all_batches_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_processes, "MEMORY", Path(os.sep))
    one = [torch.zeros(100), (torch.zeros(50, dtype=torch.uint8), "key")]  # 450 bytes
    for free, fits in ((450 * 8 * 5, True), (450 * 8 * 5 - 1, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: Usage(free, 0, free))
        assert (shared_memory_lacks(one, batch=8, workers=2) is None) == fits
    monkeypatch.setattr(worker_processes, "MEMORY", Path("/nowhere"))
    assert shared_memory_lacks(one, 8, 2) is None


def test_with_little_memory_a_thread_reads_the_same(
    photos: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(train("shapes_resnet", photos, RECIPE, tmp_path / "workers"))
    small_memory(monkeypatch)
    with pytest.warns(UserWarning, match=r"`workers` \(=2\) need about .* read without them"):
        list(train("shapes_resnet", photos, RECIPE, tmp_path / "thread"))
    assert end_of(tmp_path / "thread") == end_of(tmp_path / "workers")


def test_a_data_set_of_torch_is_then_read_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, recipe = (Noisy(), Noisy(4)), replace(RECIPE, size=8)
    list(train(network(), data, recipe, tmp_path / "workers"))
    small_memory(monkeypatch)
    with pytest.warns(UserWarning, match="read without them"):
        list(train(network(), data, recipe, tmp_path / "turn"))
    assert end_of(tmp_path / "turn") == end_of(tmp_path / "workers")


class Dying(Noisy):
    """A data set whose reader is killed, as the system does when memory runs out."""

    parent = os.getpid()

    def __getitem__(self, index: int) -> Any:
        if index == 7 and os.getpid() != self.parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


def test_a_worker_that_dies_is_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"`workers` \(=2\) must stay alive, and one died") as said:
        list(train(network(), (Dying(), Noisy(4)), RECIPE, size=8))
    assert "killed by signal: Killed" in str(said.value)
    assert "\n" not in str(said.value)


def test_a_damaged_picture_is_one_sentence_from_a_worker_too(
    photos: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("train", "shapes_resnet", photos, "--size", "32", "--epochs", "1")
    said = []
    for workers in ("0", "1"):
        for path in sorted(Path(photos).rglob("*.png")):
            path.write_bytes(b"no picture")
        out = str(tmp_path / workers)
        said.append(refused(capsys, *words, "--workers", workers, "--out", out).strip())
    assert said[0].startswith("convlens: ")
    assert said[0] == said[1]
    assert len(said[0].splitlines()) == 1
