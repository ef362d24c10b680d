"""A stopped run goes on as if it had never been stopped, bit for bit, and nothing is lost."""

from __future__ import annotations

import json
import math
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.learn.kills import kill_and_resume
from convlens.learn.recipe import Recipe
from convlens.learn.run_folder import RunFolder
from convlens.learn.training import run as running
from convlens.learn.training.starting import train
from convlens.zoo.weights import read_weights
from tests.cases.training_runs import QUICK, end_of, shades, small_network

OFTEN = replace(QUICK, save=0.0)

VARIANTS: dict[str, dict[str, Any]] = {
    "adamw": {},
    "sgd, averaged": {"optimizer": "sgd", "ema": 0.9, "clip": 1.0},
    "rmsprop, in parts": {"optimizer": "rmsprop", "accumulate": 3},
    "bfloat16": {"precision": "bfloat16"},
    "augmented": {"augmentations": ("mirror", "affine")},
    "frozen": {"freeze": 2, "layer_decay": 0.5},
}


def stopped(folder: Path, recipe: Recipe, steps: int) -> None:
    """Take so many steps, then leave, as a killed process does: without a word to the training."""
    running = train(small_network(), shades(), recipe, folder).steps()
    for _ in range(steps):
        next(running)
    running.close()


def whole(folder: Path, recipe: Recipe) -> list[bytes]:
    list(train(small_network(), shades(), recipe, folder))
    return end_of(folder)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_resumed_run_is_bit_for_bit_the_whole_one(variant: str, tmp_path: Path) -> None:
    recipe = replace(QUICK, save=0.0, **VARIANTS[variant])
    expected = whole(tmp_path / "whole", recipe)
    for steps in (2, 4, 3):  # within the first epoch, at its end and past it
        stopped(tmp_path / "run", recipe, steps)
    assert whole(tmp_path / "run", recipe) == expected


def test_a_large_checkpoint_waits_and_the_best_weights_are_kept_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if writing one took longer than the whole run may spend on it."""
    expected = whole(tmp_path / "whole", QUICK)
    monkeypatch.setattr(running, "SMALL", 0)
    monkeypatch.setattr(running, "SHARE", 1e-9)
    per_epoch = train(small_network(), shades(), QUICK).places().per_epoch()
    stopped(tmp_path / "run", QUICK, 2 * per_epoch + 1)
    assert [path.name for path in RunFolder.at(tmp_path / "run").checkpoints()] == [
        f"step-{per_epoch:08}.safetensors"
    ]
    best = read_weights(RunFolder.at(tmp_path / "run").best)
    monkeypatch.undo()
    stopped(tmp_path / "often", QUICK, 2 * per_epoch + 1)
    often = read_weights(RunFolder.at(tmp_path / "often").best)
    assert all(torch.equal(best[name], value) for name, value in often.items())
    assert whole(tmp_path / "run", QUICK) == expected


def test_a_measure_that_is_no_number_is_never_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for boxes where none is held out, or none is found in time."""
    said = iter([math.nan, 0.5, 0.4])
    measured = type("Answers", (), {"values": property(lambda self: {"AP": next(said)})})()
    monkeypatch.setattr(running, "measure_all", lambda network, reading: measured)
    with pytest.warns(UserWarning, match="AP is no number, as nothing that is held out"):
        steps = [p for p in train(small_network(), shades(), QUICK, tmp_path).steps() if p.values]
    assert [progress.is_best for progress in steps] == [True, True, False]
    assert steps[-1].best == 0.5


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_no_number(workers: int, tmp_path: Path) -> None:
    """Pictures of another size than the input are read one by one, by workers if there are any."""
    runs = []
    for name, count in (("alone", 0), ("workers", workers)):
        recipe = replace(QUICK, workers=count, epochs=1)
        list(train("shapes_resnet", few(), recipe, tmp_path / name))
        runs.append(end_of(tmp_path / name))
    assert runs[0] == runs[1]


def few() -> Any:
    from convlens.learn.data.shapes.shapes import shapes_data

    return shapes_data("classes", 36, 12, size=64)


def test_a_resume_that_forgets_the_optimizer_is_another_run(tmp_path: Path) -> None:
    """The comparison can fail."""
    recipe = replace(QUICK, save=0.0)
    expected = whole(tmp_path / "whole", recipe)
    stopped(tmp_path / "run", recipe, 7)
    forget_optimizer(sorted((tmp_path / "run" / "checkpoints").iterdir())[-1])
    assert whole(tmp_path / "run", recipe) != expected


def forget_optimizer(path: Path) -> None:
    from convlens.zoo.weights import read_weights
    from convlens.zoo.weights.saving import save_tensors

    tensors = read_weights(path)
    save_tensors({k: v for k, v in tensors.items() if not k.startswith("optimizer")}, path)


def test_killed_runs_end_as_those_that_were_never_killed() -> None:
    found = kill_and_resume(50, seed=int.from_bytes(os.urandom(2), "big"))
    assert found.kills >= 50
    assert found.ended >= 1
    assert found.different == 0


# Damage


@pytest.mark.parametrize("damage", ["flipped", "torn", "empty"])
def test_a_damaged_checkpoint_is_left_out_and_the_one_before_it_goes_on(
    damage: str, tmp_path: Path
) -> None:
    recipe = replace(QUICK, save=0.0)
    expected = whole(tmp_path / "whole", recipe)
    stopped(tmp_path / "run", recipe, 7)
    path = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(
        {"flipped": bytes(content), "torn": bytes(content[:500]), "empty": b""}[damage]
    )
    with pytest.warns(UserWarning, match=rf"{path.name} is left out, as it is damaged"):
        assert whole(tmp_path / "run", recipe) == expected


def test_a_full_disk_ends_the_run_in_a_sentence_and_the_last_checkpoint_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(QUICK, save=0.0)
    expected = whole(tmp_path / "whole", recipe)
    stopped(tmp_path / "run", recipe, 7)
    kept = sorted((tmp_path / "run").rglob("*.safetensors"))
    before = [path.read_bytes() for path in kept]

    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    training = train(small_network(), shades(), recipe, tmp_path / "run")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left.*make room"):
        list(training)
    monkeypatch.undo()
    assert [path.read_bytes() for path in kept] == before
    assert whole(tmp_path / "run", recipe) == expected


@pytest.mark.parametrize("name", ["history.jsonl", "layers.jsonl"])
def test_a_torn_line_is_cut(name: str, tmp_path: Path) -> None:
    recipe = replace(QUICK, save=0.0)
    expected = whole(tmp_path / "whole", recipe)
    stopped(tmp_path / "run", recipe, 7)
    with (tmp_path / "run" / name).open("a") as lines:
        lines.write('{"epoch": 2, "st')
    assert whole(tmp_path / "run", recipe) == expected


# Ctrl-C


class Interrupting(nn.Module):
    """A network during whose given forward pass somebody presses Ctrl-C; two are a trial."""

    def __init__(self, passes: int) -> None:
        super().__init__()
        self.network = small_network()
        self.passes = passes

    def forward(self, x: Tensor) -> Tensor:
        self.passes -= 1
        if self.passes == 0:
            os.kill(os.getpid(), signal.SIGINT)
        scores: Tensor = self.network(x)
        return scores


def test_ctrl_c_ends_the_step_keeps_it_and_the_run_goes_on(tmp_path: Path) -> None:
    expected = tmp_path / "whole"
    list(train(Interrupting(0), shades(), QUICK, expected))
    with pytest.raises(KeyboardInterrupt):
        list(train(Interrupting(5), shades(), QUICK, tmp_path / "run"))
    [checkpoint] = (tmp_path / "run" / "checkpoints").iterdir()
    assert checkpoint.name == "step-00000003.safetensors"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    list(train(Interrupting(0), shades(), QUICK, tmp_path / "run"))
    assert end_of(tmp_path / "run") == end_of(expected)


# What a resumed run must agree on


@pytest.mark.parametrize("field", ["rate", "epochs", "seed", "batch"])
def test_a_flag_that_differs_is_named(field: str, tmp_path: Path) -> None:
    stopped(tmp_path / "run", OFTEN, 2)
    other: Any = {"rate": 0.5, "epochs": 4, "seed": 9, "batch": 6}[field]
    with pytest.raises(ValueError, match=rf"`{field}` \(={other}\) must be .*name another folder"):
        train(small_network(), shades(), replace(QUICK, **{field: other}), tmp_path / "run")


def test_data_that_changed_is_refused(tmp_path: Path) -> None:
    stopped(tmp_path / "run", OFTEN, 2)
    changed = shades()
    changed.train.inputs[0, 0, 0, 0] += 1  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"`data` .*has changed since"):
        train(small_network(), changed, QUICK, tmp_path / "run")


def test_two_runs_into_one_folder_are_refused(tmp_path: Path) -> None:
    first = train(small_network(), shades(), QUICK, tmp_path / "run").steps()
    next(first)
    with pytest.raises(ValueError, match=r"`out` .*another run is writing into it"):
        next(train(small_network(), shades(), QUICK, tmp_path / "run").steps())
    first.close()


def test_another_torch_is_said(tmp_path: Path) -> None:
    stopped(tmp_path / "run", OFTEN, 2)
    path = RunFolder(tmp_path / "run").facts_file
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": "2.0"}))
    with pytest.warns(UserWarning, match=r"torch was 2.0 .*no longer bit for bit"):
        train(small_network(), shades(), QUICK, tmp_path / "run")


def test_threads_belong_to_the_run(tmp_path: Path) -> None:
    recipe = replace(OFTEN, threads=0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        stopped(tmp_path / "run", recipe, 2)
        torch.set_num_threads(2)
        training = train(small_network(), shades(), recipe, tmp_path / "run")
    finally:
        torch.set_num_threads(before)
    assert training.recipe.threads == 1


def test_a_finished_run_has_nothing_left(tmp_path: Path) -> None:
    expected = whole(tmp_path / "run", QUICK)
    assert list(train(small_network(), shades(), QUICK, tmp_path / "run")) == []
    assert end_of(tmp_path / "run") == expected


def test_patience_ends_a_run_and_a_later_one_agrees(tmp_path: Path) -> None:
    recipe = replace(QUICK, epochs=40, patience=2, rate=1e-9)
    reports = list(train(small_network(), shades(), recipe, tmp_path / "run"))
    assert len(reports) == 3  # the first is the best
    assert list(train(small_network(), shades(), recipe, tmp_path / "run")) == []
