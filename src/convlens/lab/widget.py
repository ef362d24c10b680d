"""The lab's page as a widget of a notebook: the same modules, the same questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anywidget
import traitlets

from convlens.lab.answers.answering import Lab
from convlens.lab.answers.envelope import pack
from convlens.lab.guarding import SENTENCES, StaleRecordingError
from convlens.lab.linking import linked, styles
from convlens.lab.questions import QUESTIONS
from convlens.lab.server import page_texts

__all__ = ["Widget"]

_TEXTS = page_texts()


class Widget(anywidget.AnyWidget):
    """The page on a lab; `state` is where the reader stands, as the page's address says it."""

    _esm = linked("widget.js", _TEXTS) + "\nexport default { render };"
    _css = styles(_TEXTS["index.html"], _TEXTS, without=["styles/page.css"])
    state = traitlets.Unicode("").tag(sync=True)

    def __init__(self, lab: Lab, state: str = "") -> None:
        super().__init__(state=state)
        self.lab = lab
        self.on_msg(_answer)


def _answer(widget: Widget, message: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
    """Answer a question of the page: the envelope goes back with the number of the question."""
    asked = {name: part for name, part in message.items() if part is not None}
    number, question = asked.pop("id", None), str(asked.pop("ask", ""))
    try:
        envelope = _envelope(widget.lab, question, asked, buffers)
    except StaleRecordingError as error:
        widget.send({"id": number, "error": str(error), "status": 409})
    except SENTENCES as error:
        said = str(error) or type(error).__name__
        widget.send({"id": number, "error": said, "status": 400})
    else:
        widget.send({"id": number}, buffers=[envelope])


def _envelope(lab: Lab, question: str, asked: Mapping[str, Any], buffers: Sequence[bytes]) -> bytes:
    """Return the envelope of an answer; parameters are read as the server reads an address."""
    if question == "look":
        name = str(asked.get("name", ""))[:200]
        return pack({"recording": lab.look(bytes(buffers[0]), name)})
    if question not in QUESTIONS:
        raise ValueError(f"`ask` (={question!r}) must be a question of the page")
    query = {name: _text(part) for name, part in asked.items()}
    return pack(QUESTIONS[question].ask(lab, query))


def _text(part: object) -> str:
    """Return a parameter as an address carries it.

    >>> _text([0, 3]), _text(True), _text("relu1")
    ('0,3', 'true', 'relu1')
    """
    if isinstance(part, bool):
        return "true" if part else "false"
    if isinstance(part, list | tuple):
        return ",".join(map(str, part))
    return str(part)
