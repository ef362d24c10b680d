"""The page's keys are those of the guide."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path


def test_the_guide_names_every_key() -> None:
    keys = (files("convlens.lab") / "web" / "keys.js").read_text()
    guide = (Path(__file__).parents[3] / "docs" / "lab.md").read_text()
    pairs = re.findall(r'\["([^"]+)", "([^"]+)"\]', keys)
    assert len(pairs) > 15
    for key, does in pairs:
        assert f"| {key} | {does} |" in guide
