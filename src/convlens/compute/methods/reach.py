"""Which arrays the kernels of ours can take, and how far their tables of positions go."""

from __future__ import annotations

from convlens.compute.kernels.machine import WIDTHS
from convlens.compute.problems import Problem

__all__ = ["LONGEST", "refuses_arrays", "refuses_lengths"]

LONGEST = 2**28
"""Positions along an axis, padding included: their tables take 8 bytes each."""


def refuses_arrays(problem: Problem) -> str | None:
    """Return why no kernel of ours can work on arrays of this kind, place and length, or None.

    >>> from convlens.compute.problems import Conv
    >>> refuses_arrays(Conv(space=(4,), windows=(), dtype="int8"))
    'its kernels compute in float32, float64, int32, int64, not in int8'
    """
    if problem.dtype not in WIDTHS:
        return f"its kernels compute in {', '.join(WIDTHS)}, not in {problem.dtype}"
    if problem.device != "cpu":
        return f"its kernels run on the CPU, not on {problem.device}"
    if problem.gradient:
        return "its kernels give no gradient by themselves"
    return refuses_lengths(problem)


def refuses_lengths(problem: Problem) -> str | None:
    """Return why the tables of our methods would be too long for a problem, or None."""
    for window, n, outputs in zip(problem.windows, problem.space, problem.outputs, strict=True):
        steps = max(n, outputs) * window.stride + window.extent
        if steps + window.before + window.after > LONGEST:
            return f"its tables go up to {LONGEST} positions along an axis"
    return None
