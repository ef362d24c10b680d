"""The page's types of the answers are the lab's: the same names, fields and types."""

from __future__ import annotations

import inspect
import re
import types
import typing
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from convlens.lab.answers.answering import LookAnswer
from convlens.lab.questions import QUESTIONS, Question

PAGE = files("convlens.lab") / "web"
SCRIPT = (PAGE / "answers.d.ts").read_text()
PLAIN = {int: "number", float: "number", str: "string", bool: "boolean", type(None): "null"}
ARRAYS = {
    np.uint8: "Uint8Array",
    np.int32: "Int32Array",
    np.float32: "Float32Array",
    np.float64: "Float64Array",
}
ROOTS = [*(question.answered for question in QUESTIONS.values()), LookAnswer]


def javascript(kind: Any) -> str:
    """Return a type of Python as TypeScript writes it."""
    if kind in PLAIN:
        return PLAIN[kind]
    if typing.is_typeddict(kind):
        return str(kind.__name__)
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is np.ndarray:
        return ARRAYS[typing.get_args(parts[1])[0]]
    if origin in (typing.NotRequired, typing.Required):
        return javascript(parts[0])
    if origin in (types.UnionType, typing.Union):
        return " | ".join(javascript(part) for part in parts)
    if origin is list or (origin is tuple and parts[1:] == (...,)):
        inner = javascript(parts[0])
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    assert origin is tuple, kind
    return f"[{', '.join(javascript(part) for part in parts)}]"


def gather(kind: Any, found: dict[str, dict[str, str]]) -> None:
    """Add the fields of the TypedDicts that a type is made of, as TypeScript writes them."""
    if not typing.is_typeddict(kind):
        for part in typing.get_args(kind):
            gather(part, found)
    elif kind.__name__ not in found:
        # Optional names end in a question mark. (With postponed annotations a class of typing does
        # not know by itself which they are.)
        hints = typing.get_type_hints(kind, include_extras=True)
        found[kind.__name__] = {
            f"{name}?" if typing.get_origin(hint) is typing.NotRequired else name: javascript(hint)
            for name, hint in hints.items()
        }
        for hint in hints.values():
            gather(hint, found)


def asked(question: Question) -> str:
    """Return a question as a function type."""
    parts = [
        f"{name}?: {javascript(p.annotation).removesuffix(' | null')}"
        if p.default is not inspect.Parameter.empty
        else f"{name}: {javascript(p.annotation)}"
        for name, p in question.parameters.items()
    ]
    given = f"{{ {', '.join(parts)} }}" if parts else "{}"
    return f"(asked: {given}) => {question.answered.__name__}"


def declared(script: str) -> dict[str, dict[str, str]]:
    """Return the interfaces that a script declares, each with its properties."""
    found: dict[str, dict[str, str]] = {}
    for line in script.splitlines():
        if match := re.match(r"export interface (\w+)", line):
            found[match[1]] = properties = {}
        elif match := re.match(r"  (\w+\??): (.+?);(?: // .*)?$", line):
            properties[match[1]] = match[2]
    return found


def test_the_page_declares_the_answers_as_the_lab_does() -> None:
    known: dict[str, dict[str, str]] = {}
    for root in ROOTS:
        gather(root, known)
    known["QuestionTable"] = {name: asked(question) for name, question in QUESTIONS.items()}
    assert declared(SCRIPT) == known
    assert len(known) > 20


def test_the_page_leaves_few_types_open() -> None:
    scripts = [path for path in PAGE.iterdir() if path.name.endswith(".js")]
    assert len(scripts) > 25
    braces = [brace for path in scripts for brace in re.findall(r"@\w+ \{.*?\}", path.read_text())]
    assert len(braces) > 400
    assert sum(bool(re.search(r"\bany\b", brace)) for brace in braces) <= 10


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("  rank: number;", "  rank: string;"),
        ("  rank: number;", "  rank?: number;"),
        ("  rank: number;", "  ranks: number;"),
        ("  rank: number;\n", ""),
        ("  region: Lit | null;", "  region: Lit;"),
        ("beside?: number", "beside: number"),
    ],
)
def test_a_type_that_differs_is_found(right: str, wrong: str) -> None:
    assert SCRIPT.count(right) == 1
    assert declared(SCRIPT.replace(right, wrong)) != declared(SCRIPT)
