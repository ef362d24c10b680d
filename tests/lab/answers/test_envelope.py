"""The envelope: what is read out of it is what was packed, whatever the numbers."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convlens.lab.answers.envelope import ALIGNMENT, pack
from tests.cases.lab_networks import lab_of, noise
from tests.running.serving import unpacked

ANSWER: dict[str, Any] = {
    "text": "é",
    "none": None,
    "bits": np.array([1, 2, 3], np.uint8),
    "inner": {"numbers": np.array([np.nan, np.inf]), "rows": [[1, 2.5], [float("nan"), 3]]},
    "empty": np.zeros(0, np.float32),
    "most": float("-inf"),
    "box": (1.0, float("inf")),
}


def test_an_envelope_gives_back_what_was_packed() -> None:
    found = unpacked(pack(ANSWER))
    assert found["text"] == "é"
    assert found["none"] is None
    for name, array in (("bits", found["bits"]), ("empty", found["empty"])):
        np.testing.assert_array_equal(array, ANSWER[name])
        assert array.dtype == ANSWER[name].dtype
    np.testing.assert_array_equal(found["inner"]["numbers"], [np.nan, np.inf])
    assert str(found["inner"]["rows"]) == "[[1, 2.5], [nan, 3]]"
    assert (found["most"], found["box"]) == (-np.inf, [1.0, np.inf])


def test_arrays_are_aligned_and_the_head_is_strict_json() -> None:
    content = pack(ANSWER)
    (length,) = struct.unpack("<I", content[:4])
    assert (4 + length) % ALIGNMENT == len(content) % ALIGNMENT == 0
    head = json.loads(content[4 : 4 + length], parse_constant=lambda word: pytest.fail(word))
    assert [name for name, *_ in head["buffers"]] == ["bits", "inner.numbers", "empty"]
    assert [name for name, _ in head["odd"]] == ["inner.rows.1.0", "most", "box.1"]


def test_arrays_of_the_other_byte_order_arrive_as_their_numbers() -> None:
    found = unpacked(pack({"x": np.array([1.5, -2], ">f8")}))
    np.testing.assert_array_equal(found["x"], [1.5, -2])


def test_what_was_packed_is_left_as_it_was() -> None:
    answer = {"x": np.ones(2), "inner": {"y": float("nan")}}
    pack(answer)
    assert isinstance(answer["x"], np.ndarray)
    assert str(answer["inner"]) == "{'y': nan}"


def test_numbers_that_are_not_finite_travel_as_what_they_are(networks: Path) -> None:
    lab = lab_of(f"{networks}:Strange", noise(), 24)
    divided = next(v["id"] for v in lab.network()["values"] if v["name"].startswith("div"))
    found = set()
    for row in range(24):
        answer = unpacked(pack(lab.number(1, divided, (0, 0, row, 3))))
        found.add(str(answer["explanation"]["recorded"]))
    assert found & {"nan", "inf", "-inf"}
