"""The script `run`: help installs and runs nothing, and unknown names are refused."""

from __future__ import annotations

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
        told = run(house, word).stdout
        assert all(f"./run {name} " in told for name in (*NAMES, "test", "real", "check"))
    for name, ask in zip(NAMES, 4 * ("-h", "--help"), strict=True):
        done = run(house, name, "x", ask)
        assert done.returncode == 0, done.stderr
        assert [line.split()[2].strip("`") for line in titles(done.stdout)] == [name]
    for name in ("test", "real", "check", "format"):
        assert run(house, name, "--help").stdout.startswith(f"./run {name} ")
    assert files(house) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--help"], "  boxes "),
        (["-h", "boxes"], "  boxes "),
        (["networks", "--json", "--help"], "  networks "),
        (["compute", "--only", "x", "-h"], "--peers NAME"),
    ],
)
def test_help_of_the_benchmarks_starts_none(house: Path, words: list[str], told: str) -> None:
    before = files(house)
    done = run(house, "bench", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert told in done.stdout
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
    # Nothing stands in `.installed-*`: told help, it must not install all the same.
    assert run(house, "lab", "--help").stdout == "convlens lab --help\n"
    assert run(house, "bench", "--help").stdout == "python -m bench --help\n"
    settled = (house / "pyproject.toml").read_bytes() + (house / "constraints.txt").read_bytes()
    (house / ".venv" / ".installed-dev").write_bytes(settled)
    assert run(house, "real").stdout == f"python {house}/tests/data/real.py\n"
    assert run(house, "predict", "digits", "a.png").stdout == "convlens predict digits a.png\n"


def test_ci_fetches_the_real_files_before_it_checks() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert -1 < script.index("./run real\n") < script.index("./run check\n")
