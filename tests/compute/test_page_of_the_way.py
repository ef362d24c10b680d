"""The page on how a call becomes a kernel names files and functions that exist."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "how-a-call-becomes-a-kernel.md"
LINK = re.compile(r"\[`[^`]+`\]\((\.\./src/[^)]+)\)")
NAMED = re.compile(r"`(\w+)`")


def named_and_missing(text: str) -> tuple[set[str], set[str]]:
    """Return the names in backticks, and those that are in no file linked from the page."""
    files = [(PAGE.parent / target).read_text() for target in LINK.findall(text)]
    prose = re.sub(r"```.*?```", "", LINK.sub("", text), flags=re.S)
    names = set(NAMED.findall(prose)) - {"x", "y"}
    whole = "\n".join(files)
    return names, {name for name in names if not re.search(rf"\b{name}\b", whole)}


def test_every_name_is_in_a_file_that_the_page_links() -> None:
    names, missing = named_and_missing(PAGE.read_text())
    assert len(names) > 25
    assert missing == set()


def test_a_name_that_is_gone_is_noticed() -> None:
    text = PAGE.read_text().replace("`recall_conv` looks", "`recall_convolution` looks")
    assert named_and_missing(text)[1] == {"recall_convolution"}


def test_every_link_leads_to_a_file() -> None:
    targets = LINK.findall(PAGE.read_text())
    assert len(targets) > 15
    assert all((PAGE.parent / target).is_file() for target in targets)
