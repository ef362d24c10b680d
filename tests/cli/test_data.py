"""The command that checks data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.cases.labelled import class_folders
from tests.running.commands import refused, run


def test_a_report_as_text_json_and_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = class_folders(tmp_path / "data", {"cat": 3, "dog": 2})
    text = run(capsys, "data", "check", str(root))
    assert "cat          3" in text
    assert text.endswith("nothing is wrong\n")
    sheet = tmp_path / "sheet.png"
    said = run(capsys, "data", "check", str(root), "--json", "--sheet", str(sheet))
    assert json.loads(said)["counts"] == {"whole": [3, 2]}
    with Image.open(sheet) as drawn:
        assert drawn.size == (5 * 256, 298)


def test_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(class_folders(tmp_path / "data", {"cat": 3, "dog": 2}))
    assert "must end in .png or .jpg" in refused(capsys, "data", "check", root, "--sheet", "a.gif")
    assert "did you mean 'folders'" in refused(capsys, "data", "check", root, "--format", "folder")
    assert "`kind` (='detect')" in refused(capsys, "data", "check", root, "--kind", "detect")
    assert "there is none" in refused(capsys, "data", "check", str(tmp_path / "nowhere"))
