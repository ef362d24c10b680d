"""A call of ours as torch's function modes and subclasses are shown it: what it computes, and how.

A mode, such as a recording, is told of every public call of torch; ours take part by the same
protocol. Nothing is shown, at next to no cost, where nobody watches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from convlens.compute.problems import Problem

__all__ = ["Shown"]


@dataclass(frozen=True, eq=False)
class Shown:
    """One operation, called with its arrays alone: x, weight and bias, and perhaps `out`.

    `problem` says what it computes; `settled` that it goes the same way in every call.
    """

    problem: Problem
    method: str
    settled: bool
    compute: Callable[..., Any] = field(repr=False)

    @property
    def __name__(self) -> str:
        """Return the operation's name."""
        return self.problem.operation

    def __call__(self, *arrays: Any, **more: Any) -> Any:
        """Compute."""
        return self.compute(self.problem, self.method, *arrays, **more)

    def sloped(self) -> Shown:
        """Return the same for float32, by whichever method torch can go back through."""
        problem = replace(self.problem, dtype="float32", out_dtype=None)
        return replace(self, problem=problem, method="auto")
