"""Answer what the page asks about one number: its terms, what it sees, what it feeds, its map."""

from __future__ import annotations

from typing import TypedDict

from convlens.lab.answers.arithmetic import Explained, explained
from convlens.lab.answers.facts import FactsRow, facts_of
from convlens.lab.answers.looking import Look
from convlens.lab.answers.marking import Lit, lit_region
from convlens.lab.answers.readers import ReadersAnswer, readers_of
from convlens.lab.guarding import SENTENCES
from convlens.lens import Feeds, Value, explain_value, feeds_value, region


class NumberAnswer(TypedDict):
    """One number: its explanation, or the `refusal` that says why it cannot be explained.

    The explanation has one group: the strongest of all terms, at most 200. `region`: the part of
    the first input that the number depends on. `readers`: what it feeds. `facts`: the numbers
    around it.
    """

    explanation: Explained | None
    refusal: str
    region: Lit | None
    readers: ReadersAnswer
    facts: FactsRow | None


def number_of(seen: Look, id: int, index: tuple[int, ...]) -> NumberAnswer:
    """Return what is known of one number.

    Raises ValueError for a value that is not there, or an index that lies outside of it.
    """
    value = seen.element(id, index)
    answer: NumberAnswer = {
        "explanation": None,
        "refusal": "",
        "region": None,
        "readers": readers_of(_feeds(seen, value, index)),
        "facts": facts_of(seen.recording, value, index),
    }
    try:
        found = explain_value(seen.recording, id, index)
    except SENTENCES as error:
        return answer | {"refusal": str(error) or type(error).__name__}
    standing = seen.standing(id, index)
    answer["explanation"] = explained(seen.recording, found, standing, single=True)
    answer["region"] = _region(seen, id, index)
    return answer


def _feeds(seen: Look, value: Value, index: tuple[int, ...]) -> Feeds:
    """Return what a number feeds; nothing, and why, where that cannot be found."""
    try:
        return feeds_value(seen.recording, value.id, index)
    except SENTENCES as error:
        return Feeds(seen.recording, value, index, (), (str(error) or type(error).__name__,))


def _region(seen: Look, id: int, index: tuple[int, ...]) -> Lit | None:
    """Return the part of the first input that a number depends on, if it can be found."""
    if not seen.recording.inputs:
        return None
    try:
        return lit_region(seen.recording, region(seen.recording, id, index))
    except SENTENCES:
        return None
