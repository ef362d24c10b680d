"""The documentation has every command and option, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

from convlens.cli import COMMANDS as IN_ORDER
from convlens.cli import app

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "convlens"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = (ROOT / "docs" / "commands.md").read_text()


def options(command: str) -> set[str]:
    """The long options of a command, from its own parser."""
    found = set()
    for argument in app[command].assemble_argument_collection():
        found |= {name for name in argument.names if name.startswith("--")}
    return found


def names() -> list[str]:
    return [name for name in app if not name.startswith("-")]


def test_there_are_commands() -> None:
    assert set(names()) >= {"lab", "record", "explain", "train"}
    assert {"--at", "--index", "--json"} <= options("explain")
    assert {"--port", "--no-open"} <= options("lab")


@pytest.mark.parametrize("command", names())
def test_every_command_and_option_is_documented(command: str) -> None:
    section = re.search(rf"^## `convlens {command}\b.*?(?=^## |\Z)", COMMANDS, re.M | re.S)
    assert section, f"docs/commands.md has no section for `convlens {command}`"
    for option in options(command):
        assert f"`{option}" in section.group(), f"{command} {option}"


def test_the_commands_are_documented_in_the_order_of_the_help() -> None:
    sections = re.findall(r"^## `convlens (\w+)", COMMANDS, re.M)
    assert sections == [command.__name__ for command in IN_ORDER]


def test_no_option_is_documented_that_is_not_there() -> None:
    known = {"--help", "--version"}.union(*(options(command) for command in names()))
    assert set(re.findall(r"`(--[a-z-]+)", COMMANDS)) <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_two_commands_of_the_readme_are_those_of_the_run_script() -> None:
    readme, script = (ROOT / "README.md").read_text(), (ROOT / "run").read_text()
    for command in ("./run lab", "./run test"):
        assert command in readme
        assert command in script
    assert "./run check" in (ROOT / ".ci" / "run").read_text()


def rows() -> list[str]:
    """The rows of CONTRIBUTING's table: what you want to do, and where to go."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = text.partition("| you want to | go to |\n|---|---|\n")[2].partition("\n\n")[0]
    return table.splitlines()


def places(row: str) -> list[Path]:
    """The files and folders that a row names; a file's name alone is beside the path before it."""
    found: list[Path] = []
    for word in re.findall(r"`([^`]+)`", row.split("|")[2]):
        if not re.fullmatch(r"[\w./-]+(/|\.(py|js|md))", word):
            continue
        above = [SOURCE, ROOT, *(path if path.is_dir() else path.parent for path in found[-1:])]
        there = [folder / word for folder in above if (folder / word).exists()]
        assert there, f"CONTRIBUTING.md leads to {word}, which is not there"
        found.append(there[-1])
    return found


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.split("|")[1].strip())
def test_the_table_of_contributing_leads_somewhere(row: str) -> None:
    found = places(row)
    assert found
    files = [file for path in found for file in ([path] if path.is_file() else path.rglob("*.py"))]
    text = "\n".join(file.read_text() for file in files)
    for name in re.findall(r"`([A-Z]\w+)`", row.split("|")[2]):
        assert name in text, f"CONTRIBUTING.md looks for {name} in {[str(path) for path in found]}"


def test_the_table_of_contributing_has_rows() -> None:
    assert len(rows()) > 15
    assert places("| a window | `windows/` |") == [SOURCE / "windows"]
    with pytest.raises(AssertionError, match=r"leads to nowhere\.py"):
        places("| a window | `nowhere.py` |")
