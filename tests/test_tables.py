"""Columns of text stand straight, and only one file makes them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from convlens.tables import table

ROOT = Path(__file__).parents[1]


def test_cells_begin_below_each_other_and_numbers_end_there() -> None:
    rows = [("what", "ms", "note"), ("a", "1.5", ""), ("longer", "12", "x")]
    assert table(rows, right=[1]).splitlines() == [
        "what     ms  note",
        "a       1.5",
        "longer   12  x",
    ]
    assert table(rows).splitlines()[1] == "a       1.5"


def test_a_row_with_other_cells_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        table([("a", "b"), ("c",)])


def test_cells_are_padded_in_one_place() -> None:
    padding = {
        path.relative_to(ROOT).as_posix()
        for folder in ("src", "bench")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"\.[lr]just\(", path.read_text())
    }
    assert padding == {"src/convlens/tables.py"}
