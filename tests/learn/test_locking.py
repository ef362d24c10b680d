"""A folder that a run writes into is seen to be in use, and a dead run's is not."""

from __future__ import annotations

from pathlib import Path

from convlens.learn.locking import LOCK, alone, in_use


def test_a_folder_is_in_use_while_a_run_writes_into_it(tmp_path: Path) -> None:
    assert not in_use(tmp_path)
    with alone(tmp_path):
        assert in_use(tmp_path)
        assert in_use(tmp_path)
    assert not in_use(tmp_path)


def test_what_a_killed_run_left_is_not_in_use(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    assert not in_use(tmp_path)
    with alone(tmp_path):
        assert in_use(tmp_path)


def test_a_folder_that_is_not_there_is_not_in_use(tmp_path: Path) -> None:
    assert not in_use(tmp_path / "none")
