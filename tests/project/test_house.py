"""The house stays easy to enter: floors, lengths, names that mean one thing, imports in sight."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "convlens"
FILES = sorted(SOURCE.rglob("*.py"))

LONGEST_FILE, LONGEST_FUNCTION = 420, 60
"""In lines, docstrings counted."""

NINETIETH, NINETY_NINTH = 22, 45
"""The lengths that 90 and 99 of 100 functions do not exceed."""

LATE = {
    "torch": "it takes a second to load",
    "llvmlite": "it takes as long as a small convolution",
    "convlens.compute.kernels.language": "it loads llvmlite",
    "av": "it is an optional extra",
    "faster_coco_eval": "it loads OpenCV where that is installed, and only detectors need it",
    "convlens.lab.widget": "it loads anywidget, an optional extra",
    "rich": "it draws what most commands do not show",
    "psutil": "it is asked on rare occasions",
}
"""What may be imported inside a function, and why."""

STARTING = ("__init__.py", "cli/", "lab/__init__.py", "lab/serving.py")
"""Files that are loaded before torch, and load it as late as they can."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def length(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def hidden_imports(text: str) -> list[str]:
    """The modules that functions of a file import, but for those that may be loaded late."""
    found = []
    for function in functions(ast.parse(text)):
        for node in ast.walk(function):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "."]
            found += [n for n in names if not any(f"{n}.".startswith(f"{late}.") for late in LATE)]
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_are_at_the_top(path: Path) -> None:
    if not name_of(path).startswith(STARTING):
        assert hidden_imports(path.read_text()) == []


def test_a_hidden_import_is_seen() -> None:
    assert hidden_imports("def f():\n    from convlens.lens import record\n") == ["convlens.lens"]
    assert hidden_imports("def f():\n    import torch.nn, numpy\n") == ["numpy"]
    assert hidden_imports("import numpy\n") == []


def test_a_name_of_a_type_means_one_thing() -> None:
    places = defaultdict(list)
    for path in FILES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(name_of(path))
    assert {name for name, files in places.items() if len(files) > 1} == set()


def test_files_are_short() -> None:
    long = {name_of(path) for path in FILES if len(path.read_text().splitlines()) > LONGEST_FILE}
    assert long == set()


def test_the_page_does_not_grow() -> None:
    """Its size is bounded by a decision: docs/decisions/0020-the-size-of-the-page.md."""
    web = SOURCE / "lab" / "web"
    own = [path for path in web.rglob("*") if path.suffix in (".js", ".css")]
    assert sum(path.stat().st_size for path in own if "vendor" not in path.parts) <= 360_000


def test_functions_are_short() -> None:
    long = {
        f"{name_of(path)}:{node.name}"
        for path in FILES
        for node in functions(ast.parse(path.read_text()))
        if length(node) > LONGEST_FUNCTION
    }
    assert long == set()


def test_most_functions_are_shorter_still() -> None:
    lengths = sorted(length(n) for path in FILES for n in functions(ast.parse(path.read_text())))
    assert lengths[int(0.90 * (len(lengths) - 1))] <= NINETIETH
    assert lengths[int(0.99 * (len(lengths) - 1))] <= NINETY_NINTH


def arrows(room: str) -> dict[str, set[str]]:
    """Which of the files and folders at the top of a room import which others, anywhere."""
    folder = SOURCE / room
    top = {p.stem for p in folder.glob("*.py") if p.stem != "__init__"}
    top |= {p.parent.name for p in folder.glob("*/__init__.py")}
    found: dict[str, set[str]] = {name: set() for name in top}
    prefix = f"convlens.{room}."
    for path in folder.rglob("*.py"):
        here = path.relative_to(folder).parts[0].removesuffix(".py")
        if here not in top:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    there = f"{node.module}.{alias.name}".removeprefix(prefix).split(".")[0]
                    if f"{node.module}.{alias.name}".startswith(prefix) and there in top - {here}:
                        found[here].add(there)
    return found


def circles(graph: dict[str, set[str]]) -> set[str]:
    """The rooms that can be reached from themselves."""
    reached = {room: set(others) for room, others in graph.items()}
    for _ in graph:
        for room, others in reached.items():
            reached[room] = others.union(*(reached[other] for other in others))
    return {room for room, others in reached.items() if room in others}


def test_compute_can_be_taken_in_at_a_glance() -> None:
    graph = arrows("compute")
    assert len(graph) <= 16
    assert sum(map(len, graph.values())) <= 60
    assert circles(graph) == set()
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == {"a", "b", "c"}


def test_compute_has_one_name() -> None:
    """LLVM's engine, torch's and the name of a file format are others."""
    other = re.compile(
        r"LLVM engine|engine = llvm|engine\.|return engine|\.engine\b|Engines of LLVM"
    )
    for path in FILES:
        assert not re.search(r"\bengine\b", re.sub(other, "", path.read_text()), re.IGNORECASE), (
            path
        )
