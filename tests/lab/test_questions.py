"""The table of questions: parameters are read from annotations and checked, answers are typed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypedDict

import httpx
import pytest

from convlens.lab import Lab
from convlens.lab.questions import QUESTIONS, Question


class Asked(TypedDict):
    asked: tuple[int, tuple[int, ...], int | None, bool]


class Answers:
    """Answers whatever it is asked."""

    def typed(
        self, number: int, index: tuple[int, ...] = (), first: int | None = None, all: bool = True
    ) -> Asked:
        return {"asked": (number, index, first, all)}

    def untyped(self, number, index=()) -> Asked:  # type: ignore[no-untyped-def]
        return {"asked": (number, index, None, True)}

    def untold(self, number: int):  # type: ignore[no-untyped-def]
        return {"asked": number}

    def loose(self, number: int) -> dict[str, Any]:
        return {"asked": number}

    def wide(self, number: float) -> Asked:
        return {"asked": (int(number), (), None, True)}


TYPED = Question("typed", Answers.typed, "whatever")


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ({"number": "7"}, (7, (), None, True)),
        ({"number": "7", "index": "0,12,3", "first": "2"}, (7, (0, 12, 3), 2, True)),
        ({"index": "", "number": "0", "all": "false"}, (0, (), None, False)),
    ],
)
def test_parameters_are_read_by_their_types(query: dict[str, str], asked: Any) -> None:
    lab: Any = Answers()
    assert TYPED.ask(lab, query) == {"asked": asked}


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({}, "`number` is missing; the question 'typed' needs it"),
        ({"number": ""}, "`number` (='') must be a whole number"),
        ({"number": "-1"}, "`number` (='-1') must be a whole number"),
        ({"number": "1.0"}, "`number` (='1.0') must be a whole number"),
        ({"number": "9" * 16}, "must be a whole number"),
        ({"number": "1", "first": "x"}, "`first` (='x') must be a whole number"),
        ({"number": "1", "index": "1,,2"}, "`index` must be whole numbers joined by commas"),
        ({"number": "1", "all": "1"}, "`all` (='1') must be true or false"),
        (
            {"number": "1", "frist": "1"},
            "`frist` is not a parameter of 'typed'; it takes `number`, ",
        ),
    ],
)
def test_a_bad_parameter_is_one_sentence(query: dict[str, str], says: str) -> None:
    lab: Any = Answers()
    with pytest.raises(ValueError, match=re.escape(says)) as raised:
        TYPED.ask(lab, query)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            Answers.untyped,
            "`number` of the question 'x' must have a type that an address can carry",
        ),
        (Answers.wide, "`number` of the question 'x' must have a type that an address can carry"),
        (Answers.untold, "the question 'x' must be answered by a TypedDict, not None"),
        (Answers.loose, "the question 'x' must be answered by a TypedDict, not dict"),
    ],
)
def test_a_question_without_its_types_is_refused(answer: Any, says: str) -> None:
    with pytest.raises(TypeError, match=re.escape(says)):
        Question("x", answer, "whatever")


def test_every_question_is_a_method_of_the_lab_under_its_name() -> None:
    for name, question in QUESTIONS.items():
        assert name == question.name
        assert question.answer is getattr(Lab, name)
        assert question.says


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("value=99999&index=0", "`value` (=99999)"),
        ("value=-1&index=0", "`value`"),
        ("value=0&index=0,0", "`index`"),
        ("value=0&index=0,0,0,99", "`index`"),
        ("value=0&index=-1,0,0,0", "`index`"),
        ("value=0&index=a", "`index`"),
        ("value=０&index=0", "`value`"),
        ("index=0", "`value`"),
        ("value=0&index=" + "1," * 300, "`index`"),
        ("value=" + "9" * 400, "`value`"),
    ],
)
def test_bad_questions_get_a_sentence(client: httpx.Client, query: str, says: str) -> None:
    for question in ("number?", "bench?"):
        answer = client.get(f"/api/{question}recording=1&{query}")
        assert answer.status_code == 400
        assert says in answer.json()["error"]


def test_the_guide_lists_every_question_with_its_parameters() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "lab.md").read_text()
    for name, question in QUESTIONS.items():
        parameters = " ".join(
            f"`{each.name}`" if each.default is each.empty else f"[`{each.name}`]"
            for each in question.parameters.values()
        )
        assert f"| `{name}` | {parameters} | {question.says} |" in guide
