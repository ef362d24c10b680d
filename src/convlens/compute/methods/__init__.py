"""The methods by name, and one way to get any of them ready for a problem.

A method that fills a given result defines `prepare(problem, weight, bias)`, which packs the weights
and returns `run(x, y)`; one that makes its result itself defines `run(problem, x, weight, bias)`.
All define `refuses(problem)` and `cost(problem)`. `EXACT` says that every output is one sum of
products; `REPEATS`, unless it is False, that its bits are the same for any number of threads, batch
and layout; `COMPILES` that kernels must be compiled first, a second or less, once a machine.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor

from convlens.compute.memory.arena import Arena
from convlens.compute.methods import depthwise, eager, lanes, reference, taps
from convlens.compute.methods.borders import meets_zeros, surrounded, without_padding
from convlens.compute.methods.fft import library as fft_library
from convlens.compute.methods.fft import method as fft
from convlens.compute.methods.pooling import method as pooling
from convlens.compute.methods.pooling import small as small_pooling
from convlens.compute.methods.rows import method as rows
from convlens.compute.methods.separable import method as separable
from convlens.compute.methods.shift import method as shift
from convlens.compute.methods.transposed import method as transposed
from convlens.compute.methods.widening import narrow, widen, widen_bias, widen_weight, widened
from convlens.compute.methods.winograd import method as winograd
from convlens.compute.operands.arrays import DTYPES
from convlens.compute.problems import Problem
from convlens.compute.reading.windows import shown

__all__ = [
    "METHODS",
    "check_method",
    "compiles",
    "estimate",
    "is_direct",
    "is_exact",
    "prepared",
    "refused",
]

Computed = tuple[Tensor, Tensor | None]
Run = Callable[[Tensor, Tensor | None], Computed]

METHODS: dict[str, Any] = {
    "shift": shift,
    "lanes": lanes,
    "rows": rows,
    "depthwise": depthwise,
    "separable": separable,
    "transposed": transposed,
    "winograd2": winograd.F2,
    "winograd4": winograd.F4,
    "fft": fft,
    "fft_library": fft_library,
    "pooling": pooling,
    "small_pooling": small_pooling,
    "taps": taps,
    "torch": eager,
    "reference": reference,
}
"""Every method by name."""


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


def is_exact(name: str) -> bool:
    """Tell whether a method's only error is the rounding of a sum of products.

    >>> is_exact("shift")
    True
    """
    return bool(getattr(METHODS[name], "EXACT", True))


def is_direct(name: str) -> bool:
    """Tell whether a method gives the same bits for any number of threads, batch and layout.

    >>> is_direct("shift"), is_direct("torch")
    (True, False)
    """
    return is_exact(name) and bool(getattr(METHODS[name], "REPEATS", True))


def compiles(name: str) -> bool:
    """Tell whether a method needs kernels that may have to be compiled.

    >>> compiles("shift"), compiles("torch")
    (True, False)
    """
    return bool(getattr(METHODS[name], "COMPILES", False))


def refused(name: str, problem: Problem) -> str | None:
    """Return why a method cannot do the problem, in its own type or a wider one, or None.

    >>> from convlens.windows import Window
    >>> refused("shift", Problem("conv", 1, 1, (4,), 1, (Window(2),), "int8"))
    """
    reason: str | None = METHODS[name].refuses(problem)
    # What makes its result itself does so in the type that is given.
    wide = widened(problem) if hasattr(METHODS[name], "prepare") else None
    if reason is not None and wide is not None and METHODS[name].refuses(wide) is None:
        return None
    return reason


def estimate(name: str, problem: Problem) -> float:
    """Return about how long a method takes, in seconds; widening is a pass over everything."""
    method, wide = METHODS[name], widened(problem)
    if wide is None or method.refuses(problem) is None:
        return float(method.cost(problem))
    moved = prod((problem.channels, *problem.space))
    moved += prod((problem.channels_out, *problem.outputs))
    return float(method.cost(wide)) + 1e-9 * problem.batch * moved


def prepared(
    name: str, problem: Problem, weight: Tensor | None, bias: Tensor | None, arena: Arena
) -> Run:
    """Return `run(x, y)` of a method: the result for x (n, c, *space), in y if it can be, if given.

    Raises `Unsuited` where the method finds that it cannot, on seeing the weights.
    """
    method = METHODS[name]
    if weight is not None and getattr(method, "SKIPS", False) and meets_zeros(problem, weight):
        whole = prepared(name, without_padding(problem), weight, bias, arena)
        return lambda x, y: whole(surrounded(problem, x), y)
    if not hasattr(method, "prepare"):
        return lambda x, y: method.run(problem, x, weight, bias)
    wide = None if method.refuses(problem) is None else widened(problem)
    working = problem if wide is None else wide
    if wide is not None and weight is not None:
        weight, bias = widen_weight(weight, problem), widen_bias(bias, problem)
    elif weight is not None:
        weight, bias = weight.contiguous(), None if bias is None else bias.contiguous()
    fill = method.prepare(working, weight, bias)
    shape = (working.batch, working.channels_out, *working.outputs)
    dtype = DTYPES[working.dtype]

    def run(x: Tensor, y: Tensor | None) -> Computed:
        if wide is not None:
            given = widen(x, problem).contiguous()
            result = torch.empty(shape, dtype=dtype)
            places = fill(given, result)
            return narrow(result, problem), places
        if y is not None:
            result = y
        elif problem.device == "cpu":
            result = arena.empty(shape, dtype)
        else:
            result = torch.empty(shape, dtype=dtype, device=problem.device)
        places = fill(x.contiguous(), result)
        return result, places

    return run
