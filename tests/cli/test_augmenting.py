"""The sheet of augmentations is one picture, of made-up figures or of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convlens.cli.augmenting import augment


def test_a_sheet_of_made_up_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sheet.png"
    augment(out=str(out), columns=1)
    assert "16 augmentations of made up, 1 draws of each" in capsys.readouterr().out
    with Image.open(out) as sheet:
        assert sheet.height > 16 * 168


def test_a_sheet_of_a_picture(tmp_path: Path) -> None:
    picture, out = tmp_path / "a.png", tmp_path / "sheet.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 500, 3), np.uint8)).save(
        picture
    )
    augment(str(picture), out=str(out), columns=1)
    with Image.open(out) as sheet:
        assert sheet.width < 2 * 192 + 200


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"strength": 0.0}, "`strength`"),
        ({"columns": 0}, "`columns`"),
        ({"out": "a.jpg"}, r"`out` .* must end in .png"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        augment(**options)
