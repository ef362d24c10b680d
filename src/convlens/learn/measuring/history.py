"""Keep the course of a training as lines of JSON, and show it as a table."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convlens.files import write_whole
from convlens.tables import table

__all__ = ["HistoryLine", "add_line", "cut_history", "read_history", "summary"]

REAL = ("epoch", "loss", "rate", "seconds")


@dataclass(frozen=True)
class HistoryLine:
    """Where a training was, and how good the network was there.

    `step`: how many steps were done; `epoch`: how many passes over the samples, perhaps a part of
    one. `loss`: the mean since the line before. `measures`: those of the samples held out, by name;
    {} if they were not measured. `rate`: the learning rate. `seconds`: since training began,
    without pauses.
    """

    step: int
    epoch: float
    loss: float
    measures: dict[str, float] = field(default_factory=dict)
    rate: float = math.nan
    seconds: float = math.nan

    def json(self) -> str:
        """Return the line as JSON, where null stands for what is not finite.

        >>> HistoryLine(3, 1.0, 0.5, {"accuracy": float("nan")}).json()
        '{"step": 3, "epoch": 1.0, "loss": 0.5, "measures": {"accuracy": null}, "rate": null, ...'
        """
        measures = {name: _finite(value) for name, value in self.measures.items()}
        real = {name: _finite(getattr(self, name)) for name in REAL}
        head = {"step": self.step, "epoch": real["epoch"], "loss": real["loss"]}
        tail = {"measures": measures, "rate": real["rate"], "seconds": real["seconds"]}
        return json.dumps({**head, **tail}, ensure_ascii=False, allow_nan=False)


def add_line(path: str | Path, line: HistoryLine) -> None:
    """Add a line at the end of a history, and wait until the disk holds it.

    A torn last line, which a killed process left, is removed first.
    """
    with open(path, "a+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.truncate(_whole_length(file, size))
        file.write(line.json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_history(path: str | Path) -> list[HistoryLine]:
    """Return the lines of a history, [] if there is no such file; a torn last one is left out.

    Raises ValueError, with the number of the line, for another that is not one of a history.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return []
    whole = content[: content.rfind(b"\n") + 1]
    return [_read(row, path, n) for n, row in enumerate(whole.split(b"\n")[:-1], 1)]


def cut_history(path: str | Path, step: int) -> list[HistoryLine]:
    """Remove the lines after `step`, from which a resumed training goes on, and return the others.

    The file is whole at every moment.
    """
    lines = read_history(path)
    kept = [line for line in lines if line.step <= step]
    if len(kept) < len(lines) or _is_torn(path):
        write_whole(path, "".join(f"{line.json()}\n" for line in kept))
    return kept


def _is_torn(path: str | Path) -> bool:
    """Return whether the last line of a file has no end."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            return _whole_length(file, size) < size
    except FileNotFoundError:
        return False


def summary(lines: Sequence[HistoryLine], *, most: int = 12) -> str:
    """Return a history as a table for a terminal: its first and last lines, `most` at most.

    >>> print(summary([HistoryLine(10, 1, 0.61, {"accuracy": 0.5}, 0.001, 75)]))
    epoch  step    loss  accuracy   rate  time
        1    10  0.6100    0.5000  0.001  1:15
    """
    if not lines:
        return "no line yet"
    names = list(dict.fromkeys(name for line in lines for name in line.measures))
    head = ("epoch", "step", "loss", *names, "rate", "time")
    rows = [_cells(line, names) for line in lines]
    if len(rows) > most:
        gap = ("…", *[""] * (len(head) - 1))
        rows = [*rows[: most // 2], gap, *rows[len(rows) - (most - most // 2) :]]
    return table([head, *rows], right=range(len(head)))


def _cells(line: HistoryLine, names: Sequence[str]) -> tuple[str, ...]:
    measures = (_number(line.measures.get(name, math.nan)) for name in names)
    rate = "–" if math.isnan(line.rate) else f"{line.rate:.3g}"
    head = (f"{line.epoch:g}", f"{line.step:,}", _number(line.loss))
    return (*head, *measures, rate, _clock(line.seconds))


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4f}"


def _clock(seconds: float) -> str:
    """Return seconds as minutes and seconds, or with hours.

    >>> _clock(59.6), _clock(3725)
    ('1:00', '1:02:05')
    """
    if not math.isfinite(seconds):
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


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


def _read(row: bytes, path: str | Path, number: int) -> HistoryLine:
    try:
        values = json.loads(row)
        measures = {str(name): _real(value) for name, value in values["measures"].items()}
        real = {name: _real(values[name]) for name in REAL}
        return HistoryLine(step=int(values["step"]), measures=measures, **real)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"`path` (={str(path)!r}) must be a history, and its line {number} is not one of step, "
            "epoch, loss, measures, rate and seconds; remove that line"
        ) from error


def _real(value: Any) -> float:
    return math.nan if value is None else float(value)
