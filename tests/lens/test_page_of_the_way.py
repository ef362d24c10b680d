"""The functions that the page on how a number becomes terms names are where its links lead."""

import ast
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "how-a-number-becomes-terms.md"
LINKS = re.findall(r"\[`([^`\]]+)`\]\(([^)]+\.py)\)", PAGE.read_text())


def names_in(file: Path) -> set[str]:
    """Return what a module defines, also in its classes: "record", "Keeper.refer"."""
    found = {file.stem}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        if isinstance(node, ast.ClassDef):
            inside = [n for n in node.body if isinstance(n, ast.FunctionDef)]
            found |= {f"{node.name}.{n.name}" for n in inside}
    return found


@pytest.mark.parametrize(("name", "target"), LINKS, ids=[name for name, _ in LINKS])
def test_each_name_is_in_the_file_its_link_leads_to(name: str, target: str) -> None:
    file = (PAGE.parent / target).resolve()
    assert file.is_file(), target
    assert name in names_in(file), f"{target} has no `{name}`"


def test_the_page_names_the_whole_way() -> None:
    assert len(LINKS) >= 35
    files = {Path(target).name for _, target in LINKS}
    assert {"running.py", "watching.py", "keeping.py", "calls.py", "explaining.py"} <= files


def test_a_name_that_is_elsewhere_is_seen() -> None:
    explaining = (PAGE.parent / "../src/convlens/lens/explaining.py").resolve()
    assert "explain" in names_in(explaining)
    assert not {"record", "Explanation.close", "Keeper.refer"} & names_in(explaining)
