"""The package as a whole: its names, its floors, its start, its files."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import convlens

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "convlens"
FILES = sorted(SOURCE.rglob("*.py"))


def run(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **env}, check=False, timeout=250
    )


def python(code: str) -> str:
    done = run(sys.executable, "-W", "error", "-c", code)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_loads_neither_torch_nor_numpy() -> None:
    code = "import sys, convlens; print({'torch', 'numpy', 'PIL'} & set(sys.modules))"
    assert python(code) == "set()"


def test_windows_load_no_torch() -> None:
    code = "import sys, convlens; convlens.Window(3); print('torch' in sys.modules)"
    assert python(code) == "False"


def test_public_names_are_the_same_three_times_and_exist() -> None:
    tree = ast.parse((SOURCE / "__init__.py").read_text())
    typed = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        for part in node.body
        if isinstance(part, ast.ImportFrom)
        for alias in part.names
    }
    assert typed == set(convlens._HOME) == set(convlens.__all__)
    for name in convlens.__all__:
        assert getattr(convlens, name).__doc__
    assert set(dir(convlens)) == {*convlens.__all__, "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        convlens.nonsense  # noqa: B018


def test_rooms_list_what_they_export() -> None:
    for room in ("compute", "lens", "zoo", "lab"):
        module = __import__(f"convlens.{room}", fromlist=["__all__"])
        assert len(set(module.__all__)) == len(module.__all__) > 0
        assert all(hasattr(module, name) for name in module.__all__)


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("lint-imports")
    return run(
        str(tool), "--config", str(folder / "pyproject.toml"), "--no-cache",
        PYTHONPATH=str(folder / "src"),
    )  # fmt: skip


def test_the_floors_can_be_broken(tmp_path: Path) -> None:
    shutil.copytree(SOURCE, tmp_path / "src" / "convlens")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert lint_imports(tmp_path).returncode == 0
    windows = tmp_path / "src" / "convlens" / "windows" / "checks.py"
    windows.write_text(windows.read_text() + "\nimport convlens.lens\n")
    broken = lint_imports(tmp_path)
    assert broken.returncode != 0
    assert "convlens.windows.checks -> convlens.lens" in broken.stdout


def test_rooms_of_one_floor_are_strangers(tmp_path: Path) -> None:
    shutil.copytree(SOURCE, tmp_path / "src" / "convlens")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    room = tmp_path / "src" / "convlens" / "lens" / "fields.py"
    room.write_text(room.read_text() + "\nimport convlens.zoo\n")
    assert lint_imports(tmp_path).returncode != 0


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_each_file_says_why_it_exists_and_stays_readable(path: Path) -> None:
    text = path.read_text()
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring, "its first line says its one reason to exist"
    assert docstring.splitlines()[0].rstrip().endswith((".", "?"))
    assert len(text.splitlines()) <= 520
    assert path.stem not in {"utils", "common", "helpers", "types", "errors", "base"}


def test_nothing_is_left_to_do_or_commented_out() -> None:
    for path in [*FILES, *SOURCE.rglob("lab/web/*.js")]:
        text = path.read_text()
        assert not re.search(r"\b(TODO|FIXME|XXX)\b", text), path
        code = r"^\s*#\s*(def |class |import |return |for .*:$|if .*:$)"
        assert not re.search(code, text, re.M), path
