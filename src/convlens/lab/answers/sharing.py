"""Write a number of the page as Python, as a command, as a figure."""

from __future__ import annotations

import ast
import shlex
from pathlib import Path
from typing import TypedDict

import numpy as np

from convlens.draw.figures import number_figure
from convlens.lab.answers.envelope import Bytes
from convlens.lab.answers.looking import Look
from convlens.lab.answers.slots import InputSources
from convlens.lens import explain_value


class PythonAnswer(TypedDict):
    """Lines of Python that compute one number again and print what it is made of.

    `command`: what writes the page at this number to a file; "" where no command names the network
    or the picture.
    """

    text: str
    command: str


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


def command(look: Look, value: int, index: tuple[int, ...]) -> str:
    """Return the command that writes the page at a number to a file.

    Returns "" where no command can name the network, its options or its picture.
    """
    called = ast.parse(look.opened.call, mode="eval").body
    if not isinstance(called, ast.Call) or not isinstance(called.args[0], ast.Constant):
        return ""  # a module that is only in memory
    if look.source is None:
        return ""  # a recording that was given, or changed
    options = [(each.arg, ast.literal_eval(each.value)) for each in called.keywords]
    picture = "" if look.source == look.opened.example else _named(look)
    if picture is None or not all(isinstance(given, str | int) for _, given in options):
        return ""
    words = ["convlens", "show", str(called.args[0].value), *filter(None, [picture])]
    words += [f"--{name}={given}" for name, given in options]
    words += ["--at", look.recording.name_of(value), "--index", ",".join(map(str, index))]
    return shlex.join([*words, "--out", "number.html"])


def _named(look: Look) -> str | None:
    """Return the name of a look's picture, None where it has none."""
    if isinstance(look.source, str | Path):
        return str(look.source)
    return look.name if isinstance(look.source, bytes) else None


def _recorded(look: Look) -> list[str]:
    """Return the lines that make the recording."""
    opened, source = look.opened, look.source
    if source is None or isinstance(source, InputSources):
        return ["# recording: what convlens.record returned, with the changes made on the page"]
    lines = [f"opened = {opened.call}"]
    if opened.call.startswith("convlens.open_network(network"):
        lines = [f"network.eval()  # network: your {opened.name}", *lines]
    named = _named(look)
    if named is not None:
        given = "" if source == opened.example else f", {named!r}"
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
