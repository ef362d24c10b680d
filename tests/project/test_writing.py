"""What docs/writing.md asks for and can be checked: opening words, banned phrases, sentences."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "convlens"
FILES = sorted(SOURCE.rglob("*.py"))
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "decisions").glob("*.md")),
]

BANNED = re.compile(
    r"\bso[ -]many\b|\btold\b|\btells? of\b|\bof ours\b|\banew\b|\balike\b|\bnobody\b|\bwhoever\b"
    r"|[Rr]eturn of (every|each|all)\b|\bis no integer\b|\ba line a picture\b"
)

NO_IMPERATIVE = re.compile(
    r"(The|An?|Whether|What|Where|How|Which|Of|Tell|Nothing|All|Every|There|It|This|If|When|Each"
    r"|Those|Flat|With|For|As|One|In|By|To) "
)

MOST_WORDS = 30


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def prose(text: str) -> Iterator[str]:
    """The strings and comments of a file."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"\s+", " ", node.value)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def banned(text: str) -> list[str]:
    return [found.group() for part in prose(text) for found in BANNED.finditer(part)]


def is_property(node: ast.FunctionDef) -> bool:
    return any("property" in ast.unparse(decorator) for decorator in node.decorator_list)


def openings(text: str) -> list[str]:
    """The first words of the functions' docstrings that are no imperative."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and not is_property(node):
            docstring = ast.get_docstring(node) or ""
            if NO_IMPERATIVE.match(docstring):
                found.append(f"{node.name}: {docstring.splitlines()[0]}")
    return found


def long_sentences(text: str) -> list[str]:
    """The sentences of the docstrings with too many words; examples and lists are left out."""
    docstrings = [
        re.sub(r"(?m)^ *(>>>|\.\.\.).*$", "", ast.get_docstring(node) or "")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)
    ]
    sentences = [s for d in docstrings for s in re.split(r"(?<=[.!?:;])\s|\n\n|\n- ", d)]
    return [" ".join(s.split()) for s in sentences if len(s.split()) > MOST_WORDS]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_prose_of_a_file_is_plain(path: Path) -> None:
    text = path.read_text()
    assert banned(text) == []
    assert openings(text) == []
    assert long_sentences(text) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_prose_of_a_page_is_plain(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    if page.name != "writing.md":
        assert [found.group() for found in BANNED.finditer(text)] == []


def test_a_riddle_is_noticed() -> None:
    assert banned('def f():\n    """Return of every X the Y."""\n') == ["Return of every"]
    assert banned("x = 1  # so many of ours\n") == ["so many", "of ours"]
    assert openings('def f():\n    """Whether it is so."""\n') == ["f: Whether it is so."]
    assert openings('@property\ndef f(self):\n    """The size."""\n') == []
    assert len(long_sentences('"""' + "word " * 31 + '."""\n')) == 1
