"""The lab's page as a widget of a notebook: the same modules, the same questions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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

_RUNS = frozenset(("look", "open", "sample", "replay", "beside"))
"""The questions that run the network."""

# As many as the page asks at a time, and one for the cancelling of a run.
_THREADS = ThreadPoolExecutor(4, thread_name_prefix="convlens-widget")

Sent = tuple[dict[str, object], list[bytes]]
"""What is sent back to the page, and its envelope."""


class Widget(anywidget.AnyWidget):
    """The page on a lab; `state` is where the reader stands, as the page's address says it.

    `alone`: the network is the lab's own, so that it may run beside the notebook's cells and its
    run can be cancelled. Any other one runs between the cells, which may train it.
    """

    _esm = linked("widget.js", _TEXTS) + "\nexport default { render };"
    _css = styles(_TEXTS["index.html"], _TEXTS, without=["styles/page.css"])
    state = traitlets.Unicode("").tag(sync=True)

    def __init__(self, lab: Lab, state: str = "", *, alone: bool = False) -> None:
        super().__init__(state=state)
        self.lab = lab
        self.alone = alone
        self.cells = _loop()
        self.on_msg(_answer)


def _answer(widget: Widget, message: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
    """Answer a question of the page: the envelope goes back with the number of the question."""
    if message.get("ask") == "":  # the page only looks whether its kernel is still there
        return
    here = _loop()

    def answer() -> None:
        widget.send(*_reply(widget.lab, message, buffers))

    def answer_aside(loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon_threadsafe(widget.send, *_reply(widget.lab, message, buffers))

    if widget.alone and here is not None:
        _THREADS.submit(answer_aside, here)
    elif widget.cells is not None and message.get("ask") in _RUNS:
        widget.cells.call_soon_threadsafe(answer)  # a notebook may hand messages to another thread
    else:
        answer()


def _loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _reply(lab: Lab, message: Mapping[str, Any], buffers: Sequence[bytes]) -> Sent:
    """Return what goes back to the page, and the envelope if there is an answer."""
    asked = {name: part for name, part in message.items() if part is not None}
    number, question = asked.pop("id", None), str(asked.pop("ask", ""))
    try:
        return {"id": number}, [_envelope(lab, question, asked, buffers)]
    except StaleRecordingError as error:
        return {"id": number, "error": str(error), "status": 409}, []
    except SENTENCES as error:
        said = str(error) or type(error).__name__
        return {"id": number, "error": said, "status": 400}, []


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
