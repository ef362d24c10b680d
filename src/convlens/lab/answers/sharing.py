"""Write a number of the page as Python that computes and explains it again."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from convlens.lab.answers.looking import Look


class PythonAnswer(TypedDict):
    """Lines of Python that compute one number again and print what it is made of."""

    text: str


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
