"""Large JSON files item by item."""

from __future__ import annotations

import json

import pytest

from convlens.learn.data.json_lists import items_of


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    "content",
    [
        {},
        {"a": []},
        {"a": [1, [2], {"a": [3]}], "b": [4, 5], "c": {"a": [6]}, "d": None},
        {"b": "[", "a": ["}", "]", '"', "é"]},
        {"a": {"not": "a list"}},
    ],
)
def test_items_are_those_of_the_whole(content: dict[str, object], indent: int | None) -> None:
    expected: list[tuple[str, object]] = []
    for key, value in content.items():
        if key == "a" and isinstance(value, list):
            expected += [("a", item) for item in value]
        else:
            expected.append((key, value))
    text = f" {json.dumps(content, indent=indent)}\n"
    assert list(items_of(text, ["a"], "it")) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", '{"a"}', '{"a": [1', '{"a": [1 2]}', '{"a": [1,]}', "{} x", "{1: 2}"),
        *('{"a": 1,}', '{"a": [1}', '{"a": [' + "[" * 100_000, "nul"),
    ],
)
def test_texts_that_are_no_object(text: str) -> None:
    with pytest.raises(ValueError, match=r"^`data` \(x\) must be a JSON object, and is not \("):
        list(items_of(text, ["a"], "`data` (x)"))
