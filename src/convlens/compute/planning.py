"""Plan a convolution or pooling once, with its weights packed, to call it many times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from convlens.compute.calling import answer
from convlens.compute.deciding import Candidate, Decision, Prepared, decide
from convlens.compute.operands.arrays import Array
from convlens.compute.operands.operands import Operands
from convlens.compute.problems import DTYPES, Problem
from convlens.compute.reading.describing import Description, describe
from convlens.compute.reading.options import read_pool, read_weighted
from convlens.compute.reading.values import read_flag, read_tolerance
from convlens.windows import TransposedWindow, Window

__all__ = ["Plan", "plan", "plan_pool"]


@dataclass(frozen=True, eq=False)
class Plan:
    """A convolution or pooling with its chosen method; call it with an input, or print it.

    `decision` holds what every method costs, or why it was refused, and which one was chosen. The
    weights are packed for it: changing the array afterwards has no effect. Several threads may
    call a plan at once.

    >>> import numpy as np
    >>> p = plan(((1, 1, 5), "float64"), np.ones((1, 1, 3)), measure=False)
    >>> p(np.arange(5.0).reshape(1, 1, 5))
    array([[[3., 6., 9.]]])
    >>> p.shapes["y"]
    (1, 1, 3)
    """

    decision: Decision
    kind: str
    prepared: Prepared = field(repr=False)

    @property
    def problem(self) -> Problem:
        """The problem that is computed."""
        return self.decision.problem

    @property
    def asked(self) -> str:
        """The method that was asked for."""
        return self.decision.asked

    @property
    def method(self) -> str:
        """The method chosen."""
        return self.decision.method

    @property
    def candidates(self) -> Mapping[str, Candidate]:
        """The outcome for each method."""
        return self.decision.candidates

    @property
    def windows(self) -> tuple[Window | TransposedWindow, ...]:
        """The window along each axis of space."""
        return self.problem.windows

    @property
    def groups(self) -> int:
        """The number of groups the channels are divided into."""
        return self.problem.groups

    @property
    def dtype(self) -> str:
        """The name of the element type of input and result."""
        return self.problem.dtype

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of "x", "y" and, for a convolution, "weight"."""
        shapes = {"x": self.problem.x_shape, "y": self.problem.y_shape}
        weight = self.problem.weight_shape
        return shapes if weight is None else {**shapes, "weight": weight}

    @property
    def refused(self) -> dict[str, str]:
        """Why each refused method cannot compute this problem."""
        return self.decision.refused

    @property
    def cost(self) -> dict[str, float]:
        """The seconds that each possible method takes, measured or estimated."""
        return self.decision.cost

    @property
    def held(self) -> int:
        """The bytes of the weights kept, as they were given and packed."""
        return self.prepared.held

    def __call__(self, x: Array, *, out: Array | None = None) -> Any:
        """Return the result for `x`, in `out` if given; with indices, a pair of result and indices.

        Raises ValueError or TypeError unless `x` is as planned and `out` fits the result.

        >>> import numpy as np
        >>> plan_pool("max_pool", np.ones((1, 1, 4)), 2)(np.arange(4.0).reshape(1, 1, 4))
        array([[[1., 3.]]])
        """
        prepared, decision = self.prepared, self.decision
        self._check(x, decision.problem)
        given = Operands(x, prepared.weight, prepared.bias, out)
        return answer(decision.problem, given, decision.asked, prepared)

    def _check(self, x: Array, problem: Problem) -> None:
        """Raise ValueError or TypeError unless x is as planned."""
        # A plain tensor is the common case, so it is checked first, at less cost.
        if (
            type(x) is Tensor
            and self.kind == "torch"
            and x.dtype is DTYPES[problem.dtype]
            and tuple(x.shape) == problem.x_shape
            and str(x.device) == problem.device
        ):
            return
        found = describe("x", x)
        planned = Description(problem.x_shape, problem.dtype, self.kind, problem.device)
        if found != planned:
            raise ValueError(
                f"`x` is a {found} but this plan was made for a {planned}; make a new plan for "
                "this input"
            )

    def __str__(self) -> str:
        """Describe what is computed, and what every method costs or why it was refused."""
        return str(self.decision)


def plan(
    x: Any,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    output_padding: Any = 0,
    transposed: bool = False,
    method: str = "auto",
    tolerance: float = 1e-5,
    measure: bool = True,
    out_dtype: Any = None,
) -> Plan:
    """Decide how to compute `conv` or, if `transposed`, `conv_transpose`, and prepare it.

    `x` is an array (n, c, *space) or (c, *space), or a (shape, dtype) in its place; `weight` and
    the options are those of `conv` and `conv_transpose`. The likely methods are compiled (seconds,
    once per machine) and measured on random numbers (once per shape); without `measure` their
    estimates decide. Winograd's, Fourier's and other methods that are not a plain sum are allowed
    if their error with these weights is at most `tolerance` times the output, in root mean
    squares. `convlens.compute.methods.promise` bounds the error of each output.
    Raises ValueError or TypeError where `conv` does.

    >>> import torch
    >>> print(plan(((1, 1, 9), "int8"), torch.ones(1, 1, 3).to(torch.int8), method="reference"))
    conv of (1, 1, 9) with weight (1, 1, 3) to (1, 1, 7), int8 on cpu, groups 1, padding zeros
      axis 0: Window(size=3, stride=1, dilation=1, before=0, after=0, ceil=False)
    ...
      torch       refused: torch has no convolution of int8
      reference   about ... s, chosen
    """
    problem = read_weighted(
        x,
        weight,
        bias,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
        output_padding=output_padding,
        transposed=transposed,
        out_dtype=out_dtype,
    )
    measure, allowed = read_flag("measure", measure), read_tolerance(tolerance)
    found = decide(problem, method, weight, bias, allowed, measure)
    return Plan(found.decision, "torch" if isinstance(weight, Tensor) else "numpy", found)


def plan_pool(
    operation: str, x: Any, size: Any, *, method: str = "auto", measure: bool = True, **options: Any
) -> Plan:
    """Decide how to compute "max_pool" or "avg_pool"; the options are those of the function.

    Raises ValueError or TypeError where these do.

    >>> import numpy as np
    >>> plan_pool("avg_pool", np.ones((3, 8, 8)), (2, 2), method="reference").method
    'reference'
    """
    problem = read_pool(operation, x, size, **options)
    found = decide(problem, method, measure=read_flag("measure", measure))
    return Plan(found.decision, "torch" if isinstance(x, Tensor) else "numpy", found)
