"""The guide has every key, every word and every part of the address that the page has."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

WEB = files("convlens.lab") / "web"
GUIDE = (Path(__file__).parents[3] / "docs" / "lab.md").read_text()


def rows(section: str) -> list[list[str]]:
    """The cells of the table in a section of the guide, without its head."""
    text = re.search(rf"^## {section}$(.*?)(?=^## |\Z)", GUIDE, re.M | re.S)
    assert text, f"docs/lab.md has no section {section}"
    return [
        re.split(r"(?<!\\) \| ", line[2:-2]) for line in re.findall(r"^\| .* \|$", text[1], re.M)
    ][1:]


def test_the_guide_has_the_keys_of_the_page() -> None:
    text = (WEB / "keys.js").read_text()
    pairs = re.findall(r'^  \["[^"]+", "([^"]+)", "([^"]+)",', text, re.M)
    assert len(pairs) > 10
    assert rows("Keys") == [list(pair) for pair in pairs]


def test_the_guide_has_the_words_of_the_page() -> None:
    pairs = re.findall(r"^(\w+): ([^`\n]+)", (WEB / "words.js").read_text(), re.M)
    assert len(pairs) > 20
    assert rows("Words") == [list(pair) for pair in pairs]


def test_the_guide_has_the_parts_of_the_address() -> None:
    forms = re.search(r"FORMS = \{(.*?)^\};", (WEB / "state.js").read_text(), re.M | re.S)
    assert forms
    parts = re.findall(r"\b(\w+): ?(?:[A-Z]+\b|choice|whole|list)", forms[1])
    assert len(parts) > 12
    named = [name for cells in rows("The address") for name in re.findall(r"`(\w+)`", cells[0])]
    assert sorted(named) == sorted(parts)
