"""`convlens show` writes the figure of one number, or opens the page at it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from convlens.cli import main


def test_a_figure_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("number.svg", "number.PNG"):
        out = tmp_path / name
        asked = ["show", "digits", "--at", "conv1", "--index", "0,5,6,4", "--out", str(out)]
        with pytest.raises(SystemExit) as ended:
            main([*asked, "--theme", "dark"])
        assert ended.value.code == 0
        assert capsys.readouterr().out == f"{out}: conv1, map 5, row 6, column 4 = 1.677\n"
    assert "#131518" in (tmp_path / "number.svg").read_text()
    with Image.open(tmp_path / "number.PNG") as image:
        assert image.format == "PNG"


def test_the_page_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "number.html"
    for asked, said in (([], "digits"), (["--at", "conv1", "--index=0,-1,6,4"], "digits at conv1")):
        with pytest.raises(SystemExit) as ended:
            main(["show", "digits", *asked, "--weights", "none", "--out", str(out)])
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(f"{out}: {said}")
        assert '"command":"convlens lab digits --weights=none"' in out.read_text()
    assert '"place":"at=conv1&index=0,23,6,4"' in out.read_text()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--at", "conv1"], "must name the number together"),
        (["--out", "a.svg"], "must name the number together"),
        (
            ["--at", "conv1", "--index", "0,5,6,4", "--out", "a.gif"],
            "must end in .svg, .png or .html",
        ),
        (["--at", "conv1", "--index", "0,99,6,4", "--out", "a.svg"], "has 99 on axis 1"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(
    asked: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["show", "digits", *asked])
    assert ended.value.code == 1
    assert said in capsys.readouterr().err


def test_without_a_file_the_page_opens_there(monkeypatch: pytest.MonkeyPatch) -> None:
    served = []
    monkeypatch.setattr("convlens.lab.serve", lambda *_, place: served.append(place))
    monkeypatch.setattr("os._exit", lambda status: None)
    for asked in (["--at", "layer 1", "--index", "0,5,6,4"], []):
        with pytest.raises(SystemExit):
            main(["show", "digits", *asked])
    assert served == ["at=layer%201&index=0,5,6,4", ""]
