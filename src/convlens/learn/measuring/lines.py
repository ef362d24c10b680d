"""Keep lines of JSON in a file that grows as a training does, and is whole at every moment."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from convlens.files import write_whole

__all__ = ["LineKind", "StepLine", "add_line", "cut_lines", "finite", "read_lines", "real"]


class StepLine(Protocol):
    """What is known after a number of steps."""

    @property
    def step(self) -> int:
        """The number of steps that were done."""

    def json(self) -> str:
        """Return the line as JSON, without its end."""


Line = TypeVar("Line", bound=StepLine)


@dataclass(frozen=True)
class LineKind(Generic[Line]):
    """What a file of lines is, such as "a history", what each line `holds`, and how it is read."""

    name: str
    holds: str
    read: Callable[[bytes], Line]


def add_line(path: str | Path, line: StepLine) -> None:
    """Add a line at the end of a file, and wait until the disk holds it.

    A torn last line, which a killed process left, is removed first.
    """
    with open(path, "a+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.truncate(_whole_length(file, size))
        file.write(line.json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: str | Path, kind: LineKind[Line], *, last: int | None = None) -> list[Line]:
    """Return the lines of a file, [] if there is no such file; a torn last one is left out.

    `last`: read only this many, at the end.

    Raises ValueError, with the number of the line, for another that is not of this kind.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return []
    found = []
    rows = content.split(b"\n")[:-1]
    first = 0 if last is None else max(0, len(rows) - last)
    for number, row in enumerate(rows[first:], first + 1):
        try:
            found.append(kind.read(row))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"`path` (={str(path)!r}) must be {kind.name}, and its line {number} is not one of "
                f"{kind.holds}; remove that line"
            ) from error
    return found


def cut_lines(path: str | Path, step: int, kind: LineKind[Line]) -> list[Line]:
    """Remove the lines after `step`, from which a resumed training goes on, and return the others.

    The file is whole at every moment.
    """
    lines = read_lines(path, kind)
    kept = [line for line in lines if line.step <= step]
    if len(kept) < len(lines) or _is_torn(path):
        write_whole(path, "".join(f"{line.json()}\n" for line in kept))
    return kept


def finite(value: float) -> float | None:
    """Return a number as JSON can hold it: None for one that is not finite.

    >>> finite(0.5), finite(math.nan)
    (0.5, None)
    """
    return float(value) if math.isfinite(value) else None


def real(value: Any) -> float:
    """Return what `finite` was given, nan for None."""
    return math.nan if value is None else float(value)


def _is_torn(path: str | Path) -> bool:
    """Return whether the last line of a file has no end."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            return _whole_length(file, size) < size
    except FileNotFoundError:
        return False


def _whole_length(file: Any, size: int) -> int:
    """Return the length of an open file up to the end of its last whole line."""
    at = size
    while at > 0:
        start = max(at - 4096, 0)
        file.seek(start)
        found = file.read(at - start).rfind(b"\n")
        if found >= 0:
            return int(start + found + 1)
        at = start
    return 0
