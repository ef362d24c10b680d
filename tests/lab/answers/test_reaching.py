"""The boxes of one number in every value, both ways, as the page has them."""

from __future__ import annotations

import pytest

from convlens.lab import Lab
from convlens.lab.answers import reaching
from convlens.lens import reach, region
from convlens.zoo.weights import DATA
from tests.cases.lab_networks import recorded


def test_boxes_lead_both_ways(digits: Lab) -> None:
    seen = recorded("digits", DATA / "digit-3.png")
    id, index = seen.made("conv2")[0], (0, 5, 1, 2)
    answer = digits.reach(1, id, index)
    found = {(row["way"], seen.name_of(row["value"])): row for row in answer["boxes"]}
    made = [name for way, name in found if way == "made"]
    feeds = [name for way, name in found if way == "feeds"]
    assert made == "pool1 relu1 conv1 input".split()
    assert feeds == "relu2 pool2 flatten linear softmax".split()
    seen_by = region(seen, id, index)
    assert found["made", "input"]["box"] == [(span.start, span.stop) for span in seen_by.box]
    assert found["made", "input"]["count"] == seen_by.count
    assert found["feeds", "linear"]["box"] == [(0, 1), (0, 10)]
    assert all(row["exact"] for row in answer["boxes"])
    known = reach(seen, id, index)
    assert len(answer["boxes"]) == len(known.earlier) + len(known.later)


def test_a_way_that_is_not_known_is_a_sentence(
    digits: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise NotImplementedError("its parts differ in size")

    monkeypatch.setattr(reaching, "reach", refuse)
    answer = digits.reach(1, 0, (0, 0, 1, 2))
    assert (answer["boxes"], answer["refusal"]) == ([], "its parts differ in size")
    with pytest.raises(ValueError, match="must lie in the value's shape"):
        digits.reach(1, 0, (0, 0, 9, 9))
