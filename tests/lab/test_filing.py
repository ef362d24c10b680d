"""The page as one file holds the answers on a number's way to the pixels, as the lab gives them."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from torch import nn

from convlens.lab import Lab
from convlens.lab.answers.envelope import pack
from convlens.lab.filing import page_file
from convlens.lab.showing import lab_on
from convlens.lens import explain


def held(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="held">(.*?)</script>', page, re.S)
    assert found
    content: dict[str, Any] = json.loads(found[1])
    return content


@pytest.fixture(scope="module")
def lab() -> Lab:
    return lab_on("digits")


def test_the_file_holds_the_number_and_its_way(lab: Lab) -> None:
    value, index = lab.recording.made("pool2")[0], (0, 8, 1, 1)
    content = held(page_file(lab, "at=pool2&index=0,8,1,1", (value, index), "convlens lab digits"))
    assert content["place"] == "at=pool2&index=0,8,1,1"
    assert content["command"] == "convlens lab digits"
    answers = content["answers"]
    asked = f"index=0,8,1,1&recording=1&value={value}"
    assert base64.b64decode(answers[f"bench?{asked}"]) == pack(lab.bench(1, value, index))
    assert base64.b64decode(answers[f"number?{asked}"]) == pack(lab.number(1, value, index))
    assert {"network?", "atlas?recording=1", "picture?recording=1"} <= set(answers)
    steps = {int(re.findall(r"value=(\d+)", key)[0]) for key in answers if key.startswith("bench")}
    names = {lab.recording.name_of(id) for id in steps}
    assert names == {"pool2", "relu2", "conv2", "pool1", "relu1", "conv1", "input"}
    strongest = explain(lab.recording, "pool2", index).open(
        int(explain(lab.recording, "pool2", index).terms.weight.argmax())
    )
    place = ",".join(map(str, strongest.index))
    assert f"bench?index={place}&recording=1&value={strongest.value.id}" in answers
    for name in ("pool2", "relu2", "conv1", "input"):
        assert f"sheet?first=0&recording=1&value={lab.recording.made(name)[0]}" in answers


def test_without_a_number_it_opens_where_the_page_does(lab: Lab) -> None:
    door = lab.network()["door"]
    assert door is not None
    index = ",".join(map(str, door["index"]))
    answers = held(page_file(lab))["answers"]
    assert f"bench?index={index}&recording=1&value={door['value']}" in answers


def test_what_stands_in_the_file_cannot_end_its_scripts() -> None:
    class Evil(nn.Module):
        categories = ("</script><b>", "<!--")

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 8)

        def forward(self, x: Any) -> Any:
            return self.conv(x).flatten(1)

    page = page_file(lab_on(Evil().eval()))
    assert page.count("</script>") == 2
    assert "<!--" not in page
