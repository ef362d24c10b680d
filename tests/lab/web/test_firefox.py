"""The page in Firefox, as it draws it: the window is lit, the kernel has its colours."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convlens.lab.filing import page_file
from convlens.lab.showing import lab_on, place_of

pytestmark = pytest.mark.slow

ACCENT = (0xC2, 0x00, 0x6B)
STRONGEST = (0x7F, 0x3B, 0x08)
"""The colour of the most negative weight of kernel 5, -0.81."""


def test_firefox_draws_the_door(tmp_path: Path) -> None:
    firefox = shutil.which("firefox-esr") or shutil.which("firefox")
    if firefox is None:
        pytest.skip("needs Firefox (apt-get install firefox-esr)")
    lab = lab_on("digits")
    index = (0, 5, 6, 4)
    number = lab.recording.made("conv1")[0], index
    page, shot = tmp_path / "page.html", tmp_path / "shot.png"
    page.write_text(page_file(lab, place_of(lab.recording, "conv1", index), number))
    command = [firefox, "--headless", "--window-size", "1280,800", "--screenshot", str(shot)]
    own = os.environ | {"HOME": str(tmp_path)}
    subprocess.run([*command, page.as_uri()], env=own, check=True, timeout=120)
    with Image.open(shot) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    lit = (pixels == ACCENT).all(-1)
    assert lit.sum() > 1000  # the window, its cell, the card and play
    left, right = np.flatnonzero(lit.any(0))[[0, -1]]
    assert left < 300
    assert right > 800
    near = np.abs(pixels - STRONGEST).max(-1) <= 2
    assert near.sum() > 1500  # a cell of 56 x 56 pixels, with its number
