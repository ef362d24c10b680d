"""Write the page on one number as a single file, which opens without a server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from html import escape

from convlens.lab.answers.answering import Lab
from convlens.lab.answers.envelope import pack
from convlens.lab.guarding import SENTENCES
from convlens.lab.linking import linked, styles
from convlens.lab.questions import QUESTIONS
from convlens.lab.server import page_texts
from convlens.lens import explain_value

__all__ = ["page_file"]

LONGEST_WAY = 64
"""The numbers that are followed from the one shown back to the input."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="content-security-policy" content="default-src 'none'; \
script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src blob: data:">
<title>{title}</title>
<style>
{styles}
</style>
</head>
<body>
<div id="stage"></div>
<script type="application/json" id="held">{held}</script>
<script type="module">
{module}
</script>
</body>
</html>
"""

Number = tuple[int, tuple[int, ...]]
"""The id of a value, and an index in it."""


def page_file(
    lab: Lab, place: str = "", number: Number | None = None, command: str = "convlens.show(...)"
) -> str:
    """Return the page on a lab as one file of HTML, with the answers around one number.

    The file holds the network, a thumbnail of every step, the picture, and on the strongest way
    from the number back to the input each number with its maps. Other questions are refused with
    the command that answers them.

    `place`: where the page opens, as its address says it. `number`: the one it opens at; by default
    the one that the page itself opens at. `command`: what opens the whole page.
    """
    texts = page_texts()
    network = lab.network()
    if number is None and network["door"] is not None:
        number = network["door"]["value"], tuple(network["door"]["index"])
    held = {
        "place": place,
        "command": command,
        "answers": {
            key: base64.b64encode(envelope).decode()
            for key, envelope in _answers(lab, network["recording"], number)
        },
    }
    return _PAGE.format(
        title=escape(f"{network['name']} · convlens"),
        styles=styles(texts["index.html"], texts),
        held=json.dumps(held, separators=(",", ":")).replace("<", "\\u003c"),
        module=_inline(linked("offline.js", texts)),
    )


def _answers(lab: Lab, recording: int, number: Number | None) -> Iterator[tuple[str, bytes]]:
    """Yield the envelope of every question that the file answers, under the question's key."""
    asked: dict[str, tuple[str, Mapping[str, object]]] = {}

    def hold(question: str, **given: object) -> None:
        asked[_key(question, given)] = (question, given)

    hold("network")
    for question in ("atlas", "picture"):
        hold(question, recording=recording)
    for value, index in _way(lab, number) if number else ():
        at = {"recording": recording, "value": value}
        for question in ("bench", "number", "python"):
            hold(question, **at, index=index)
        hold("kernels", **at, map=index[1] if len(index) > 1 else 0)
        for id in (value, *_read(lab, value)):
            for first in {0, index[0] if index else 0}:
                hold("sheet", recording=recording, value=id, first=first)
    for key, (question, given) in asked.items():
        try:
            query = {name: _text(part) for name, part in given.items()}
            yield key, pack(QUESTIONS[question].ask(lab, query))
        except SENTENCES:  # such as the kernels of a step that has none: the file says so
            continue


def _way(lab: Lab, number: Number) -> Iterator[Number]:
    """Yield a number, its strongest term, the strongest term of that, as far as the input."""
    value, index = number
    for _ in range(LONGEST_WAY):
        yield value, index
        try:
            explanation = explain_value(lab.recording, value, index)
        except SENTENCES:
            return
        terms = explanation.terms
        sizes = abs(terms.weight if explanation.rule == "chosen" else terms.product)
        order = [int(k) for k in (-sizes).argsort(kind="stable") if terms.source[k] >= 0]
        if not order:
            return
        value = int(terms.source[order[0]])
        index = terms.index(order[0], lab.recording)


def _read(lab: Lab, value: int) -> tuple[int, ...]:
    """Return the activations that the step of a value read."""
    values, step = lab.recording.values, lab.recording.values[value].step
    inputs = lab.recording.steps[step].inputs if step >= 0 else ()
    return tuple(id for id in inputs if values[id].kind in ("input", "computed"))


def _key(question: str, given: Mapping[str, object]) -> str:
    """Return what `offline.js` finds an answer under.

    >>> _key("bench", {"value": 7, "index": (0, 5)})
    'bench?index=0,5&value=7'
    """
    return f"{question}?{'&'.join(sorted(f'{name}={_text(part)}' for name, part in given.items()))}"


def _text(part: object) -> str:
    return ",".join(map(str, part)) if isinstance(part, tuple) else str(part)


def _inline(module: str) -> str:
    r"""Return a module that may stand inside a page.

    >>> _inline("'</script><!--'")
    "'<\\/script><\\!--'"
    """
    return module.replace("</script", "<\\/script").replace("<!--", "<\\!--")
