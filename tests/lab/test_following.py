"""The lab puts a newer checkpoint on the stage when it is asked to, and keeps its picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from convlens.lab import Lab
from convlens.lab.following import FollowedRun
from convlens.learn.opening import open_network
from tests.cases.followed_runs import followed, training


def lab_of(run: FollowedRun) -> Lab:
    opened = run.open()
    lab = Lab(opened)
    lab.look(opened.example)
    return lab


def scores(lab: Lab) -> list[float]:
    """Return the scores on show."""
    return sorted(float(row["score"]) for row in lab.network()["scores"])


def test_a_newer_checkpoint_is_put_on_the_stage(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    steps = training(folder, epochs=3)
    epochs = iter(steps)
    next(epochs)
    run = followed(folder)
    lab = lab_of(run)
    assert run.step == 4
    first = scores(lab)
    run.renew(lab)
    assert lab.network()["recording"] == 1  # nothing newer
    next(epochs)
    run.renew(lab)
    assert (run.step, lab.network()["recording"]) == (8, 2)
    expected = open_network(str(folder), weights="last")
    assert scores(lab) == scores(lab_of(followed(folder)))
    assert scores(lab) != first
    assert lab.network()["picture_name"] == Path(str(expected.example)).name
    assert lab.beside(2, "last")["recording"] == 1  # the checkpoint before, to compare with


def test_the_picture_stays_and_another_one_is_opened(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    epochs = iter(training(folder, epochs=3))
    next(epochs)
    run = followed(folder)
    lab = lab_of(run)
    second = run.folder.examples()[1]
    run.show(lab, second)
    assert lab.network()["picture_name"] == "1.npy"
    next(epochs)
    run.renew(lab)
    assert (run.step, lab.network()["picture_name"]) == (8, "1.npy")
    next(epochs)
    run.show(lab, run.folder.examples()[2])
    assert (run.step, lab.network()["picture_name"]) == (12, "2.npy")


def test_another_network_on_the_stage_is_left_alone_until_the_run_is_asked_for(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    epochs = iter(training(folder))
    next(epochs)
    run = followed(folder)
    lab = lab_of(run)
    lab.reopen(open_network("digits"))
    next(epochs)
    run.renew(lab)
    assert lab.shows("digits")
    run.show(lab, None)
    assert lab.shows(str(folder))
    assert run.step == 8


def test_a_damaged_checkpoint_leaves_the_stage_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    epochs = iter(training(folder))
    next(epochs)
    run = followed(folder)
    lab = lab_of(run)
    next(epochs)
    for path in run.folder.checkpoints():
        path.write_bytes(b"torn")
    with (
        pytest.warns(UserWarning, match="is left out, as it is damaged"),
        pytest.raises(ValueError, match="must have a checkpoint"),
    ):
        run.renew(lab)
    assert (run.step, lab.network()["recording"]) == (4, 1)


def test_the_best_weights_stay_on_the_stage(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    epochs = iter(training(folder))
    next(epochs)
    run = followed(folder, newest=False)
    lab = lab_of(run)
    next(epochs)
    run.renew(lab)
    assert (run.step, lab.network()["recording"]) == (None, 1)
