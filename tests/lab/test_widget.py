"""The widget answers the page's questions with the server's own envelopes and sentences."""

from __future__ import annotations

from typing import Any

import pytest

from convlens.lab import Lab
from convlens.lab.answers.envelope import pack
from convlens.lab.questions import QUESTIONS
from convlens.lab.widget import Widget
from convlens.zoo.weights import DATA
from tests.running.serving import unpacked

Replies = list[tuple[dict[str, Any], list[bytes]]]


@pytest.fixture
def widget(digits: Lab) -> Widget:
    return Widget(digits)


def ask(widget: Widget, monkeypatch: pytest.MonkeyPatch, message: object, *buffers: bytes) -> Any:
    """The only reply to a message from the page."""
    replies: Replies = []
    monkeypatch.setattr(
        widget, "send", lambda content, buffers=None: replies.append((content, buffers or []))
    )
    widget._handle_custom_msg(message, list(buffers))
    ((content, given),) = replies
    return content, given


def test_a_question_gets_the_servers_envelope(
    widget: Widget, digits: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = digits.network()["recording"]
    value = digits.recording.made("conv1")[0]
    asked = {"recording": number, "value": value, "index": [0, 5, 6, 4], "channel": None}
    content, (envelope,) = ask(widget, monkeypatch, {"id": 7, "ask": "bench", **asked})
    assert content == {"id": 7}
    query = {"recording": str(number), "value": str(value), "index": "0,5,6,4"}
    assert bytes(envelope) == pack(QUESTIONS["bench"].ask(digits, query))


def test_a_refusal_is_its_sentence(widget: Widget, monkeypatch: pytest.MonkeyPatch) -> None:
    for message, status, said in (
        ({"ask": "nonsense"}, 400, "must be a question of the page"),
        ({"ask": "picture", "recording": 99}, 409, "recording 99 is gone"),
        ({"ask": "picture", "recording": "x"}, 400, "must be a whole number"),
        ({"ask": "picture", "recording": 1, "more": 1}, 400, "is not a parameter of"),
    ):
        content, buffers = ask(widget, monkeypatch, {"id": 1, **message})
        assert (content["id"], content["status"], buffers) == (1, status, [])
        assert said in content["error"]


def test_a_dropped_picture_is_looked_at(monkeypatch: pytest.MonkeyPatch, digits: Lab) -> None:
    widget = Widget(digits)
    picture = (DATA / "digit-3.png").read_bytes()
    before = digits.network()["recording"]
    _, (envelope,) = ask(widget, monkeypatch, {"id": 1, "ask": "look", "name": "mine.png"}, picture)
    assert unpacked(envelope)["recording"] == before + 1
    assert digits.network()["picture_name"] == "mine.png"
