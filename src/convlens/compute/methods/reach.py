"""Refuse arrays that kernels cannot take, and axes too long for their tables."""

from __future__ import annotations

from convlens.compute.kernels.machine import WIDTHS
from convlens.compute.problems import Problem

__all__ = ["LONGEST", "refuses_arrays", "refuses_lengths"]

LONGEST = 2**28
"""The most positions along an axis, padding included: tables take 8 bytes for each."""


def refuses_arrays(problem: Problem) -> str | None:
    """Return why kernels cannot work on arrays of this type, device and length, or None.

    >>> from convlens.compute.problems import Conv
    >>> refuses_arrays(Conv(space=(4,), windows=(), dtype="int8"))
    'its kernels compute in float32, float64, int32, int64, not in int8'
    """
    if problem.dtype not in WIDTHS:
        return f"its kernels compute in {', '.join(WIDTHS)}, not in {problem.dtype}"
    if problem.device != "cpu":
        return f"its kernels run on the CPU, not on {problem.device}"
    if problem.gradient:
        return "its kernels give no gradient"
    return refuses_lengths(problem)


def refuses_lengths(problem: Problem) -> str | None:
    """Return why the tables of kernels would be too long for a problem, or None."""
    for window, n, outputs in zip(problem.windows, problem.space, problem.outputs, strict=True):
        steps = max(n, outputs) * window.stride + window.extent
        if steps + window.before + window.after > LONGEST:
            return f"its tables go up to {LONGEST} positions along an axis"
    return None
