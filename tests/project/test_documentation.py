"""The documentation tells of every command and option, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

from convlens.cli import app

ROOT = Path(__file__).parents[2]
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
