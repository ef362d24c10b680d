"""The script `run`: help installs and runs nothing, and unknown names are refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("lab", "record", "explain", "costs", "predict", "models", "convert", "train")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A fresh checkout, as far as `run` reads it."""
    for name in ("run", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "bench", tmp_path / "bench")
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "commands.md", tmp_path / "docs")
    return tmp_path


def run(house: Path, *words: str) -> subprocess.CompletedProcess[str]:
    # What is measured needs torch: a python without site packages cannot begin to.
    env = {**os.environ, "PYTHONNOUSERSITE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    env.pop("PYTHONPATH", None)
    return subprocess.run(
        ["sh", str(house / "run"), *words],
        capture_output=True, text=True, env=env, check=False, timeout=250,
    )  # fmt: skip


def titles(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith("## ")]


def files(house: Path) -> list[str]:
    return sorted(str(path) for path in house.rglob("*"))


def test_help_is_told_in_a_fresh_checkout_and_nothing_is_made(house: Path) -> None:
    before = files(house)
    for word in ("-h", "--help", "help"):
        printed = run(house, word).stdout
        assert all(f"./run {name} " in printed for name in (*NAMES, "test", "real", "check"))
    for name, ask in zip(NAMES, 4 * ("-h", "--help"), strict=True):
        done = run(house, name, "x", ask)
        assert done.returncode == 0, done.stderr
        assert [line.split()[2].strip("`") for line in titles(done.stdout)] == [name]
    for name in ("test", "real", "check", "format"):
        assert run(house, name, "--help").stdout.startswith(f"./run {name} ")
    assert files(house) == before


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--help"], "  boxes "),
        (["-h", "boxes"], "  boxes "),
        (["networks", "--json", "--help"], "  networks "),
        (["compute", "--only", "x", "-h"], "--peers NAME"),
    ],
)
def test_help_of_the_benchmarks_starts_none(house: Path, words: list[str], expected: str) -> None:
    before = files(house)
    done = run(house, "bench", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert expected in done.stdout
    assert files(house) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["labs"], "`COMMAND` (=labs) must be one of convlens"),
        (["labs", "--help"], "`COMMAND` (=labs) must be one of convlens"),
        ([".*", "-h"], "`COMMAND` (=.*) must be one of convlens"),
        (["bench", "boxs", "--help"], "`NAME` (=boxs) must be one of compute, starting"),
        (["bench", "--help", "--jsno"], "`OPTION` (=--jsno) must be --json or --help"),
    ],
)
def test_unknown_names_are_a_sentence(house: Path, words: list[str], said: str) -> None:
    before = files(house)
    done = run(house, *words)
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
    assert files(house) == before


def test_what_is_installed_answers_for_itself(house: Path) -> None:
    programs = house / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("convlens", "python"):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $*"\n')
        (programs / name).chmod(0o755)
    # There is no `.installed-*` file, but asking for help must not install anything.
    assert run(house, "lab", "--help").stdout == "convlens lab --help\n"
    assert run(house, "bench", "--help").stdout == "python -m bench --help\n"
    settled = (house / "pyproject.toml").read_bytes() + (house / "constraints.txt").read_bytes()
    (house / ".venv" / ".installed-dev").write_bytes(settled)
    assert run(house, "real").stdout == f"python {house}/tests/data/real.py\n"
    assert run(house, "predict", "digits", "a.png").stdout == "convlens predict digits a.png\n"


def write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def ready(house: Path) -> Path:
    """A checkout where everything is installed but Node.js; each program prints its name."""
    for folder in (".venv/bin", "tools", "tests/lab/web"):
        (house / folder).mkdir(parents=True)
    for name in ("python", "ruff", "mypy", "lint-imports"):
        write_program(house / ".venv" / "bin" / name, f"echo {name}")
    settled = (house / "pyproject.toml").read_bytes() + (house / "constraints.txt").read_bytes()
    (house / ".venv" / ".installed-dev").write_bytes(settled)
    for name in ("sh", "cat", "cmp", "cp", "dirname", "mkdir", "sed"):
        (house / "tools" / name).symlink_to(str(shutil.which(name)))
    (house / "tests" / "lab" / "web" / "package-lock.json").write_text("1")
    return house


@pytest.fixture
def with_node(ready: Path) -> Path:
    """The same with Node.js, whose npm installs a compiler."""
    tools = ready / "tools"
    write_program(tools / "node", 'echo "ℹ pass 7 of $*"; exit ${NODE:-0}')
    write_program(tools / "compiler", "echo tsc; exit ${TSC:-0}")
    install = 'mkdir -p node_modules/.bin; cp "${0%npm}compiler" node_modules/.bin/tsc'
    write_program(tools / "npm", f'echo "npm $1"; {install}')
    return ready


def check(house: Path, **env: str) -> tuple[int, list[str], str]:
    """The status, lines and errors of `./run check` where only the checkout's tools are found."""
    done = subprocess.run(
        [str(house / "tools" / "sh"), str(house / "run"), "check"], capture_output=True, text=True,
        env={"PATH": str(house / "tools"), **env}, check=False, timeout=250,
    )  # fmt: skip
    return done.returncode, done.stdout.splitlines(), done.stderr


FIRST, LAST = ["ruff", "ruff", "mypy", "lint-imports"], ["python"]
TESTED = "7 of --test --test-reporter=spec ./*.test.js tests of the page passed"


def test_the_page_is_checked_and_its_compiler_is_installed_when_the_lock_changes(
    with_node: Path,
) -> None:
    lock = with_node / "tests" / "lab" / "web" / "package-lock.json"
    for version in ("1", "2"):
        lock.write_text(version)
        assert check(with_node) == (0, [*FIRST, "npm ci", "tsc", TESTED, *LAST], "")
        assert check(with_node) == (0, [*FIRST, "tsc", TESTED, *LAST], "")


def test_a_mistake_on_the_page_ends_the_check(with_node: Path) -> None:
    check(with_node)
    assert check(with_node, TSC="2")[:2] == (2, [*FIRST, "tsc"])
    status, lines, _ = check(with_node, NODE="1")
    assert (status, lines[:5]) == (1, [*FIRST, "tsc"])
    assert lines[5].startswith("ℹ pass 7")  # what the tests said


def test_without_node_the_page_is_skipped_in_a_sentence_but_not_in_ci(ready: Path) -> None:
    status, lines, errors = check(ready)
    assert (status, lines) == (0, FIRST + LAST)
    assert errors.startswith("The page's JavaScript is not checked: node is missing; install it")
    assert errors.count("\n") == 1
    assert check(ready, CI="true") == (1, FIRST, errors)
    write_program(ready / "tools" / "node", "exit 0")
    assert check(ready)[2] == errors.replace("node is", "npm is")


def test_the_lock_of_the_page_names_no_registry() -> None:
    lock = json.loads((ROOT / "tests" / "lab" / "web" / "package-lock.json").read_text())
    for package in lock["packages"].values():
        assert package.get("resolved", "https://registry.npmjs.org/").startswith(
            "https://registry.npmjs.org/"
        )
    assert lock["packages"]["node_modules/typescript"]["integrity"]


def test_ci_brings_what_the_check_needs() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    for program, package in (("chromium", "chromium"), ("node", "nodejs"), ("npm", "npm")):
        line = f"command -v {program} >/dev/null 2>&1 || missing+=({package})\n"
        assert -1 < script.index(line) < script.index("apt-get install")


def test_ci_fetches_the_real_files_before_it_checks() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert -1 < script.index("./run real\n") < script.index("./run check\n")
