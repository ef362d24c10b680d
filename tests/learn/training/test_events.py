"""TensorBoard's own reader finds each step once, also after a run that was killed and resumed."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest

from convlens.learn.training.events import EventLog
from convlens.learn.training.starting import train
from tests.cases.training_runs import QUICK, shades, small_network
from tests.running.commands import refused, run

accumulating = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def events(folder: Path, name: str) -> list[tuple[int, float]]:
    found = accumulating.EventAccumulator(str(folder))
    found.Reload()
    return [(event.step, event.value) for event in found.Scalars(name)]


def trained(folder: Path, steps: int = 1000) -> list[Any]:
    """Train for some steps, then leave without a checkpoint, as a killed process does."""
    reports = []
    running = train(small_network(), shades(), QUICK, folder).steps()
    with EventLog(folder) as log:
        for _, progress in zip(range(steps), running, strict=False):
            log.add(progress)
            reports.append(progress)
    running.close()
    return reports


def test_each_step_is_there_with_its_numbers(tmp_path: Path) -> None:
    reports = trained(tmp_path / "run")
    assert len(reports) == 15
    for name, field in (("loss", "loss"), ("rate", "rate"), ("gradient", "norm")):
        found = events(tmp_path / "run", name)
        assert [step for step, _ in found] == [one.step for one in reports]
        expected = [getattr(one, field) for one in reports]
        assert [value for _, value in found] == pytest.approx(expected, rel=1e-6)
    assert [step for step, _ in events(tmp_path / "run", "measures/accuracy")] == [5, 10, 15]


def test_no_step_is_shown_twice_after_a_resumption(tmp_path: Path) -> None:
    trained(tmp_path / "run", 8)  # the checkpoint is that of step 5
    assert [step for step, _ in events(tmp_path / "run", "loss")] == list(range(1, 9))
    assert trained(tmp_path / "run")[0].step == 6
    assert [step for step, _ in events(tmp_path / "run", "loss")] == list(range(1, 16))
    trained(tmp_path / "whole")
    assert events(tmp_path / "run", "loss") == events(tmp_path / "whole", "loss")


def test_the_command_writes_them_beside_the_history(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run(capsys, "train", "digits", "--epochs", "2", "--out", str(out), "--tensorboard")
    assert list(out.glob("events.out.tfevents.*"))
    lines = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    shown = events(out, "measures/accuracy")
    assert [step for step, _ in shown] == [one["step"] for one in lines]
    expected = [one["measures"]["accuracy"] for one in lines]
    assert [value for _, value in shown] == pytest.approx(expected)


def test_what_to_install_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = builtins.__import__

    def without(name: str, *rest: Any, **fields: Any) -> Any:
        if name == "torch.utils.tensorboard":
            raise ModuleNotFoundError("No module named 'tensorboard'")
        return whole(name, *rest, **fields)

    monkeypatch.setattr(builtins, "__import__", without)
    said = refused(capsys, "train", "digits", "--out", str(tmp_path / "run"), "--tensorboard")
    assert "pip install 'convlens[tensorboard]'" in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()
