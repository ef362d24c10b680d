"""Write a number of the page as Python that computes and explains it again."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import numpy as np

from convlens.draw.figures import number_figure
from convlens.lab.answers.envelope import Bytes
from convlens.lab.answers.looking import Look
from convlens.lens import explain_value


class PythonAnswer(TypedDict):
    """Lines of Python that compute one number again and print what it is made of."""

    text: str


class FigureAnswer(TypedDict):
    """The figure of a number as the bytes of a file."""

    content: Bytes


def figure(look: Look, value: int, index: tuple[int, ...], form: str, dark: bool) -> FigureAnswer:
    """Return the figure of a number, `form` "svg" or "png".

    Raises ValueError for another form, and for a number that cannot be explained.
    """
    if form not in ("svg", "png"):
        raise ValueError(f"`form` (={form!r}) must be 'svg' or 'png'; use one of them")
    explanation = explain_value(look.recording, value, index)
    drawn = number_figure(explanation, theme="dark" if dark else "light")
    content = drawn.svg().encode() if form == "svg" else drawn.png()
    return {"content": np.frombuffer(content, np.uint8)}


def python(look: Look, value: int, index: tuple[int, ...]) -> str:
    """Return the Python that opens the network of a look, runs it and explains one number.

    A module, a recording or a picture that only the caller has keeps a name, and a comment says
    what it stands for.
    """
    return "\n".join(["import convlens", "", *_recorded(look), _explained(look, value, index), ""])


def _recorded(look: Look) -> list[str]:
    """Return the lines that make the recording."""
    opened, source = look.opened, look.source
    if source is None:
        return ["# recording: what convlens.record returned, with the changes made on the page"]
    lines = [f"opened = {opened.call}"]
    if opened.call.startswith("convlens.open_network(network"):
        lines = [f"network.eval()  # network: your {opened.name}", *lines]
    if isinstance(source, str | Path):
        given = "" if source == opened.example else f", {str(source)!r}"
    elif isinstance(source, bytes):
        given = f", {look.name!r}"
    else:
        given = ", picture"
        lines.append(f"# picture: your {type(source).__name__}")
    lines.append(f"x, _ = convlens.read_inputs(opened{given})")
    return [*lines, "recording = convlens.record(opened.network, x)"]


def _explained(look: Look, value: int, index: tuple[int, ...]) -> str:
    """Return the line that explains the number."""
    name = look.recording.name_of(value)
    slot = look.recording.made(name).index(value)
    more = f", slot={slot}" if slot else ""
    return f"print(convlens.explain(recording, {name!r}, {index!r}{more}))"
