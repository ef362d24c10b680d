"""Print answers on the output stream, and remarks, errors and progress on the error stream."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Protocol

from convlens.files import printed

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "error_stream",
    "print_answer",
    "print_error",
    "print_json",
    "print_remark",
    "print_warning",
]


class Printable(Protocol):
    """An answer that prints as text and as JSON."""

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON needs."""


def print_answer(answer: Printable, as_json: bool) -> None:
    """Print an answer as text or as JSON."""
    if as_json:
        print_json(answer.to_dict())
    else:
        print(answer)


def print_json(answer: dict[str, Any]) -> None:
    """Print an answer as one line of JSON."""
    json.dump(answer, sys.stdout, allow_nan=False)
    print()


def print_remark(remark: str | None) -> None:
    """Print a remark, if there is one, on the error stream, so that programs read answers only."""
    if remark is not None:
        print(printed(remark), file=sys.stderr)


def print_error(sentence: str) -> None:
    """Print why the command failed."""
    print(f"convlens: {printed(sentence)}", file=sys.stderr)


def print_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning of Python's as one line, like an error, without its place in our code."""
    print_error(f"warning: {message}")


def error_stream() -> Console:
    """Return where progress is shown.

    It raises BrokenPipeError if the other end is closed; rich would end the process with status 1.
    """
    from rich.console import Console

    class Unread(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Unread(stderr=True)
