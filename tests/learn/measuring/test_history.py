"""A history survives being torn and cut, and reads as a table."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from convlens.learn.measuring.history import (
    HistoryLine,
    cut_history,
    read_history,
    summary,
)
from convlens.learn.measuring.lines import add_line

LINES = [
    HistoryLine(10 * n, n, 1 / n, {"accuracy": 1 - 1 / n, "größe": n}, 0.001 * n, 60.0 * n)
    for n in range(1, 6)
]


def written(path: Path) -> Path:
    for line in LINES:
        add_line(path, line)
    return path


def test_lines_are_read_as_written(tmp_path: Path) -> None:
    path = written(tmp_path / "history.jsonl")
    assert read_history(path) == LINES
    assert read_history(tmp_path / "none.jsonl") == []


def test_it_may_be_torn_anywhere(tmp_path: Path) -> None:
    path = written(tmp_path / "history.jsonl")
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        whole = content[:size].count(b"\n")
        assert read_history(path) == LINES[:whole]
        if size % 29 == 0:
            add_line(path, LINES[-1])
            assert read_history(path) == [*LINES[:whole], LINES[-1]]


def test_a_long_torn_line_is_removed(tmp_path: Path) -> None:
    path = written(tmp_path / "history.jsonl")
    with open(path, "ab") as file:
        file.write(b"x" * 10_000)
    add_line(path, LINES[0])
    assert read_history(path) == [*LINES, LINES[0]]


def test_a_resumed_run_cuts_what_came_after(tmp_path: Path) -> None:
    path = written(tmp_path / "history.jsonl")
    assert cut_history(path, 35) == LINES[:3] == read_history(path)
    assert cut_history(tmp_path / "none.jsonl", 35) == []
    assert not (tmp_path / "none.jsonl").exists()


def test_what_is_not_finite_is_null(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    add_line(path, HistoryLine(1, 1, math.inf, {"AP": math.nan}))
    assert path.read_text().count("null") == 4
    (line,) = read_history(path)
    assert all(map(math.isnan, (line.loss, line.rate, line.seconds, line.measures["AP"])))


@pytest.mark.parametrize("row", ["{}", "[1]", "x", '{"step": "a"}', "[" * 100_000])
def test_another_file_is_refused(row: str, tmp_path: Path) -> None:
    path = written(tmp_path / "history.jsonl")
    path.write_text(f"{path.read_text()}{row}\n")
    with pytest.raises(ValueError, match="and its line 6 is not one of step"):
        read_history(path)


def test_a_long_history_shows_its_ends() -> None:
    many = [HistoryLine(n, n / 2, 0.5, {"AP": math.nan}, 1e-5, 60 * n) for n in range(100)]
    rows = summary(many, most=5).splitlines()
    assert [row.split()[0] for row in rows] == ["epoch", "0", "0.5", "…", "48.5", "49", "49.5"]
    assert rows[-1].split() == ["49.5", "99", "0.5000", "–", "1e-05", "1:39:00"]
    assert summary([]) == "no line yet"
