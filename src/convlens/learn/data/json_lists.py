"""Read a large JSON file item by item, so that only its text and one item are in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from convlens.learn.sentences import first_line

__all__ = ["items_of"]

_SPACE = re.compile(r"[ \t\n\r]*")


def items_of(text: str, lists: Collection[str], called: str) -> Iterator[tuple[str, Any]]:
    """Yield the members of the object that a JSON text is, and of some lists item by item.

    `lists`: the keys whose lists are read so; each item comes with the list's key.

    Raises ValueError if the text is not one JSON object.

    >>> list(items_of('{"a": [1, {"b": 2}], "c": [3]}', ["a"], "it"))
    [('a', 1), ('a', {'b': 2}), ('c', [3])]
    """
    try:
        yield from _members(text, lists)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{called} must be a JSON object, and is not ({first_line(error)}); write it again"
        ) from error


def _members(text: str, lists: Collection[str]) -> Iterator[tuple[str, Any]]:
    decoder = json.JSONDecoder()
    at = _after(text, 0, "{")
    if text[at : at + 1] == "}":
        at = _skipped(text, at + 1)
    else:
        while True:
            key, at = decoder.raw_decode(text, at)
            if not isinstance(key, str):
                raise ValueError(f"a name is expected at character {at:,}")
            at = _after(text, at, ":")
            if key in lists and text[at : at + 1] == "[":
                at = yield from _items(text, at, key, decoder)
            else:
                value, at = decoder.raw_decode(text, at)
                yield key, value
            at = _skipped(text, at)
            if text[at : at + 1] != ",":
                at = _after(text, at, "}")
                break
            at = _skipped(text, at + 1)
    if at < len(text):
        raise ValueError(f"something follows it at character {at:,}")


def _items(text: str, at: int, key: str, decoder: json.JSONDecoder) -> Any:
    """Yield the items of the list at a place, and return the place after it."""
    at = _after(text, at, "[")
    if text[at : at + 1] == "]":
        return at + 1
    while True:
        item, at = decoder.raw_decode(text, at)
        yield key, item
        at = _skipped(text, at)
        if text[at : at + 1] != ",":
            return _after(text, at, "]")
        at = _skipped(text, at + 1)


def _skipped(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _after(text: str, at: int, expected: str) -> int:
    """Return the place after a character that must come next, and the space around it."""
    at = _skipped(text, at)
    if text[at : at + 1] != expected:
        raise ValueError(f"{expected!r} is expected at character {at:,}")
    return _skipped(text, at + 1)
