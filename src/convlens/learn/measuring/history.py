"""Keep the course of a training as lines of JSON, and show it as a table."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from convlens.learn.measuring.lines import LineKind, cut_lines, finite, read_lines, real
from convlens.tables import table

__all__ = ["HistoryLine", "clock", "cut_history", "number", "read_history", "summary"]

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
        measures = {name: finite(value) for name, value in self.measures.items()}
        known = {name: finite(getattr(self, name)) for name in REAL}
        head = {"step": self.step, "epoch": known["epoch"], "loss": known["loss"]}
        tail = {"measures": measures, "rate": known["rate"], "seconds": known["seconds"]}
        return json.dumps({**head, **tail}, ensure_ascii=False, allow_nan=False)


def read_history(path: str | Path) -> list[HistoryLine]:
    """Return the lines of a history, [] if there is no such file; a torn last one is left out.

    Raises ValueError, with the number of the line, for another that is not one of a history.
    """
    return read_lines(path, _KIND)


def cut_history(path: str | Path, step: int) -> list[HistoryLine]:
    """Remove the lines after `step`, from which a resumed training goes on, and return the others.

    The file is whole at every moment.
    """
    return cut_lines(path, step, _KIND)


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
    measures = (number(line.measures.get(name, math.nan)) for name in names)
    rate = "–" if math.isnan(line.rate) else f"{line.rate:.3g}"
    head = (f"{line.epoch:g}", f"{line.step:,}", number(line.loss))
    return (*head, *measures, rate, clock(line.seconds))


def number(value: float) -> str:
    """Return a measure in four decimals, "–" for one that is not a number."""
    return "–" if math.isnan(value) else f"{value:.4f}"


def clock(seconds: float) -> str:
    """Return seconds as minutes and seconds, or with hours.

    >>> clock(59.6), clock(3725)
    ('1:00', '1:02:05')
    """
    if not math.isfinite(seconds):
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _read(row: bytes) -> HistoryLine:
    values = json.loads(row)
    measures = {str(name): real(value) for name, value in values["measures"].items()}
    numbers = {name: real(values[name]) for name in REAL}
    return HistoryLine(step=int(values["step"]), measures=measures, **numbers)


_KIND = LineKind("a history", "step, epoch, loss, measures, rate and seconds", _read)
