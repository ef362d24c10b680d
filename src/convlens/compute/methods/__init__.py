"""List the methods by name, and prepare any of them for a problem."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor

from convlens.compute.kernels.speed import Estimate, speed
from convlens.compute.memory.arena import Arena
from convlens.compute.methods import depthwise, eager, lanes, reference, taps
from convlens.compute.methods.borders import meets_zeros, surrounded, without_padding
from convlens.compute.methods.fft.library import METHOD as FFT_LIBRARY
from convlens.compute.methods.fft.method import METHOD as FFT
from convlens.compute.methods.method import Computed, ConvMethod, PoolMethod, WholeMethod
from convlens.compute.methods.pooling.method import METHOD as POOLING
from convlens.compute.methods.pooling.small import METHOD as SMALL_POOLING
from convlens.compute.methods.rows.method import METHOD as ROWS
from convlens.compute.methods.separable.method import METHOD as SEPARABLE
from convlens.compute.methods.shift.method import METHOD as SHIFT
from convlens.compute.methods.transposed.method import METHOD as TRANSPOSED
from convlens.compute.methods.widening import narrow, widen, widen_bias, widen_weight, widened
from convlens.compute.methods.winograd.method import F2, F4
from convlens.compute.problems import DTYPES, Conv, ConvTranspose, Problem
from convlens.integers import shown

__all__ = ["METHODS", "Run", "check_method", "prepared", "refused", "seconds_of"]

Run = Callable[[Tensor, Tensor | None], Computed]
"""A function of x (n, c, *space) and an optional place for the result; it returns a `Computed`."""

AnyMethod = ConvMethod[Conv] | ConvMethod[ConvTranspose] | PoolMethod | WholeMethod

METHODS: dict[str, AnyMethod] = {
    "shift": SHIFT,
    "lanes": lanes.METHOD,
    "rows": ROWS,
    "depthwise": depthwise.METHOD,
    "separable": SEPARABLE,
    "transposed": TRANSPOSED,
    "winograd2": F2,
    "winograd4": F4,
    "fft": FFT,
    "fft_library": FFT_LIBRARY,
    "pooling": POOLING,
    "small_pooling": SMALL_POOLING,
    "taps": taps.METHOD,
    "torch": eager.METHOD,
    "reference": reference.METHOD,
}
"""All methods by name."""


WIDENED = 3.0
"""The cycles it takes to widen an element, or to narrow it again."""


def check_method(method: Any) -> None:
    """Raise TypeError or ValueError unless a method has that name.

    >>> check_method("direct")
    """
    if isinstance(method, str) and method in ("auto", "direct", *METHODS):
        return
    if not isinstance(method, str):
        kind = type(method).__name__
        raise TypeError(f"`method` (={shown(method)}) must be a string, not {kind}")
    names = ", ".join(f'"{name}"' for name in ("auto", "direct", *METHODS))
    raise ValueError(f"`method` (={shown(method)}) must be one of {names}")


def refused(name: str, problem: Problem) -> str | None:
    """Return why a method cannot compute the problem, in its own type or a wider one, or None.

    >>> from convlens.windows import Window
    >>> refused("shift", Conv(space=(4,), windows=(Window(2),), dtype="int8"))
    """
    method = METHODS[name]
    reason = method.refused(problem)
    # A `WholeMethod` computes its result in the type that is given.
    wide = None if isinstance(method, WholeMethod) else widened(problem)
    if reason is not None and wide is not None and method.refused(wide) is None:
        return None
    return reason


def seconds_of(name: str, problem: Problem) -> float:
    """Return about how many seconds a method takes, including one pass to widen everything."""
    method, wide = METHODS[name], widened(problem)
    if wide is None or method.refused(problem) is None:
        return method.seconds(problem)
    moved = prod((problem.channels, *problem.space))
    moved += prod((problem.channels_out, *problem.outputs))
    widening = Estimate(cycles=WIDENED * problem.batch * moved)
    return (method.estimated(wide) + widening).at(speed())


def prepared(
    name: str, problem: Problem, weight: Tensor | None, bias: Tensor | None, arena: Arena
) -> Run:
    """Return `run(x, y)` of a method: the result for x (n, c, *space), in y if given and possible.

    Raises Unsuited where the method finds that it cannot compute with these weights.
    """
    method = METHODS[name]
    if weight is None and problem.weight_shape is not None:
        raise ValueError(f"`weight` is missing; a {problem.spoken} needs one")
    if weight is not None and method.skips and meets_zeros(problem, weight):
        whole = prepared(name, without_padding(problem), weight, bias, arena)
        return lambda x, y: whole(surrounded(problem, x), y)
    if isinstance(method, WholeMethod):
        return lambda x, y: method.run(problem, x, weight, bias)
    wide = None if method.refused(problem) is None else widened(problem)
    working = problem if wide is None else wide
    if weight is not None and wide is not None:
        weight, bias = widen_weight(weight, problem), widen_bias(bias, problem)
    elif weight is not None:
        weight, bias = weight.contiguous(), None if bias is None else bias.contiguous()
    fill = method.ready(working, weight, bias)
    shape = (working.batch, working.channels_out, *working.outputs)
    dtype = DTYPES[working.dtype]

    def run(x: Tensor, y: Tensor | None) -> Computed:
        if wide is not None:
            result = torch.empty(shape, dtype=dtype)
            fill(widen(x, problem).contiguous(), result)
            return narrow(result, problem), None
        if y is not None:
            result = y
        elif problem.device == "cpu":
            result = arena.empty(shape, dtype)
        else:
            result = torch.empty(shape, dtype=dtype, device=problem.device)
        fill(x.contiguous(), result)
        return result, None

    return run
