"""The questions that the page asks of the lab, in one table.

A question's parameters are those of the method that answers it, read from its annotations.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from convlens.lab.answers.answering import Lab

Answer = Mapping[str, object]
"""A TypedDict: what a question's method returns."""


def _whole(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise ValueError(f"`{name}` (={text!r}) must be a whole number")
    return int(text)


def _index(name: str, text: str) -> tuple[int, ...]:
    parts = text.split(",") if text else []
    if len(text) > 400 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"`{name}` must be whole numbers joined by commas, one for each axis")
    return tuple(int(part) for part in parts)


def _truth(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"`{name}` (={text!r}) must be true or false")
    return text == "true"


def _text(name: str, text: str) -> str:
    if len(text) > 100_000 or not text.isprintable():
        raise ValueError(f"`{name}` must be at most 100,000 printable characters")
    return text


READERS: dict[Any, Callable[[str, str], Any]] = {
    int: _whole,
    int | None: _whole,
    tuple[int, ...]: _index,
    bool: _truth,
    str: _text,
}
"""The types that a parameter may have, and how each is read from the text of an address."""


@dataclass(frozen=True)
class Question:
    """One question: its name in the address, the method that answers it, what it asks for.

    Raises TypeError where a parameter has no type that `READERS` knows, or the answer is not a
    TypedDict.
    """

    name: str
    answer: Callable[..., Answer]
    says: str

    def __post_init__(self) -> None:
        for name, parameter in self.parameters.items():
            if parameter.annotation not in READERS:
                known = ", ".join(map(str, READERS))
                raise TypeError(
                    f"`{name}` of the question {self.name!r} must have a type that an address can "
                    f"carry; annotate it as one of {known}"
                )
        if not typing.is_typeddict(self.answered):
            raise TypeError(
                f"the question {self.name!r} must be answered by a TypedDict, not "
                f"{self.answered}; annotate what its method returns"
            )

    @cached_property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The parameters of the question, each with its resolved type."""
        hints = typing.get_type_hints(self.answer)
        _, *parameters = inspect.signature(self.answer).parameters.values()
        return {p.name: p.replace(annotation=hints.get(p.name)) for p in parameters}

    @cached_property
    def answered(self) -> Any:
        """The type of the answer."""
        return typing.get_type_hints(self.answer).get("return")

    def ask(self, lab: Lab, query: Mapping[str, str]) -> Answer:
        """Return the lab's answer to the question with the parameters of a query.

        Raises ValueError, one sentence, for a parameter that is missing, unknown or malformed.
        """
        for name in query:
            if name not in self.parameters:
                known = ", ".join(f"`{known}`" for known in self.parameters) or "no parameters"
                raise ValueError(f"`{name}` is not a parameter of {self.name!r}; it takes {known}")
        given = {}
        for name, parameter in self.parameters.items():
            if name in query:
                given[name] = READERS[parameter.annotation](name, query[name])
            elif parameter.default is parameter.empty:
                raise ValueError(f"`{name}` is missing; the question {self.name!r} needs it")
        return self.answer(lab, **given)


def questions(*table: Question) -> dict[str, Question]:
    """Return questions by their names."""
    return {question.name: question for question in table}


QUESTIONS = questions(
    Question("network", Lab.network, "The network's steps, values and answer on the picture"),
    Question("number", Lab.number, "One number: its terms, what it feeds, its pixels, its map"),
    Question("reach", Lab.reach, "The box of every value that a number comes from or reaches"),
    Question("bench", Lab.bench, "One number with the maps and the kernel that it is made with"),
    Question("python", Lab.python, "Python that computes one number again"),
    Question("figure", Lab.figure, "The figure of one number, as a file"),
    Question("atlas", Lab.atlas, "A thumbnail of every activation"),
    Question("kernels", Lab.kernels, "The kernels that make the maps, of a large weight one"),
    Question("sheets", Lab.sheets, "The maps of several values, and the kernels of a convolution"),
    Question("sheet", Lab.sheet, "The maps of one value, a byte a number"),
    Question("walk", Lab.walk, "A detection walked back, station by station"),
    Question("mask", Lab.mask, "The pixels that belong to a detection"),
    Question("segments", Lab.segments, "The class of every pixel"),
    Question("pixel", Lab.pixel, "The scores of all classes at one pixel"),
    Question("picture", Lab.picture, "The picture as the network sees it"),
    Question("replay", Lab.replay, "The network with some of its numbers changed"),
    Question("beside", Lab.beside, "Another run, to compare with"),
    Question("compare", Lab.compare, "Where two runs differ"),
    Question("choices", Lab.choices, "The networks and pictures to choose from"),
    Question("open", Lab.open, "Open another network"),
    Question("sample", Lab.sample, "Run the network on a sample picture"),
    Question("cancel", Lab.cancel, "Stop the network that runs"),
)
"""Every question, by its name in the address: `/api/NAME?recording=1&...`."""
