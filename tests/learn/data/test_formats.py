"""The table of formats is the one that the documentation has."""

from __future__ import annotations

import re
from pathlib import Path

from convlens.learn.data.formats import DATA_FORMATS
from convlens.learn.data.parts import PARTS_OF

DATA = (Path(__file__).parents[3] / "docs" / "data.md").read_text()


def test_the_documentation_lists_the_formats_in_their_order() -> None:
    assert re.findall(r"^\| `(\w+)` \|", DATA, re.M) == [format.name for format in DATA_FORMATS]


def test_the_documentation_has_every_word_for_a_part() -> None:
    section = DATA.partition("## Parts")[2].partition("##")[0]
    for words in PARTS_OF.values():
        for word in words:
            assert f"`{word}`" in section
