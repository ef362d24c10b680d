"""A figure that was measured repeatedly: its median, its spread and its target."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from convlens.tables import table


@dataclass(frozen=True)
class Figure:
    """`median`, `low` and `high` of `runs` runs, in `unit`; `target` is the most it may be."""

    name: str
    median: float
    low: float
    high: float
    runs: int
    unit: str
    target: float | None = None
    note: str = ""

    @classmethod
    def of(
        cls, name: str, samples: list[float], unit: str, target: float | None = None, note: str = ""
    ) -> "Figure":
        return cls(
            name,
            statistics.median(samples),
            min(samples),
            max(samples),
            len(samples),
            unit,
            target,
            note,
        )

    def row(self) -> tuple[str, ...]:
        target = "" if self.target is None else f"< {self.target:g}"
        met = "" if self.target is None else ("yes" if self.median < self.target else "NO")
        spread = f"{self.low:.3g} .. {self.high:.3g}"
        return (self.name, f"{self.median:.3g} {self.unit}", spread, target, met, self.note)


def as_text(figures: Sequence[Figure]) -> str:
    """Return figures as columns of text."""
    head = ("what", "median", "spread", "target", "met", "")
    return table([head, *(figure.row() for figure in figures)])


def repeat(action: Callable[[], object], runs: int, warmups: int = 1) -> list[float]:
    """Return the seconds of each of `runs` calls, after some that are not counted."""
    for _ in range(warmups):
        action()
    samples = []
    for _ in range(runs):
        began = time.perf_counter()
        action()
        samples.append(time.perf_counter() - began)
    return samples
