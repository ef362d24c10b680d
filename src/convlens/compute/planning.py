"""What was asked for, turned into one decision that can be printed and called: a `Plan`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from torch import Tensor

from convlens.compute import eager, reference
from convlens.compute.arrays import Array, check_out, store, to_tensor
from convlens.compute.problem import Problem
from convlens.compute.reading import describe, needs_gradient, read_conv, read_pool
from convlens.windows import TransposedWindow, Window

__all__ = ["METHODS", "Plan", "plan", "plan_pool"]


class Method(Protocol):
    """What the file of a method defines."""

    def refuses(self, problem: Problem) -> str | None:
        """Return why the method cannot do the problem, or None."""

    def cost(self, problem: Problem) -> float:
        """Return about how long it takes, in seconds."""

    def run(
        self, problem: Problem, x: Tensor, weight: Tensor | None, bias: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the result (n, k, *outputs), and the indices where they are asked for."""


METHODS: dict[str, Method] = {"torch": eager, "reference": reference}
"""Every method by name."""


@dataclass(frozen=True, eq=False)
class Plan:
    """One convolution or pooling, decided: call it with an input, or print it to see why.

    `cost` holds the estimate in seconds of every method that can do it, `refused` the reason of
    every method that cannot; `method` is the one chosen. A plan holds `weight` and `bias`
    themselves, not copies.

    >>> import numpy as np
    >>> p = plan(((1, 1, 5), "float64"), np.ones((1, 1, 3)))
    >>> p(np.arange(5.0).reshape(1, 1, 5))
    array([[[3., 6., 9.]]])
    >>> p.shapes["y"], p.method
    ((1, 1, 3), 'torch')
    """

    problem: Problem
    kind: str
    method: str
    cost: Mapping[str, float]
    refused: Mapping[str, str]
    weight: Array | None = field(default=None, repr=False)
    bias: Array | None = field(default=None, repr=False)

    @property
    def windows(self) -> tuple[Window | TransposedWindow, ...]:
        """Return the window along every axis of space."""
        return self.problem.windows

    @property
    def groups(self) -> int:
        """Return the number of groups the channels are divided into."""
        return self.problem.groups

    @property
    def dtype(self) -> str:
        """Return the name of the element type of input and result."""
        return self.problem.dtype

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of "x", "y" and, for a convolution, "weight"."""
        shapes = {"x": self.problem.x_shape, "y": self.problem.y_shape}
        weight = self.problem.weight_shape
        return shapes if weight is None else {**shapes, "weight": weight}

    def __call__(self, x: Array, *, out: Array | None = None) -> Any:
        """Return the result for `x`, in `out` if given; with indices, the result and these.

        Raises ValueError or TypeError unless `x` is as planned and `out` as the result.

        >>> import numpy as np
        >>> plan_pool("max_pool", np.ones((1, 1, 4)), 2)(np.arange(4.0).reshape(1, 1, 4))
        array([[[1., 3.]]])
        """
        self._check(x, out)
        problem = self.problem
        canonical = to_tensor(x).reshape(problem.batch, problem.channels, *problem.space)
        weight = None if self.weight is None else to_tensor(self.weight)
        bias = None if self.bias is None else to_tensor(self.bias)
        y, places = METHODS[self.method].run(problem, canonical, weight, bias)
        result = self._given_back(y, x)
        if out is not None:
            store(result, out)
            result = out
        if not problem.return_indices or places is None:
            return result
        places = places.reshape(problem.y_shape)
        return result, places if isinstance(x, Tensor) else places.numpy()

    def _check(self, x: Array, out: Array | None) -> None:
        """Raise unless x is as planned, out as the result, and both go with gradients."""
        problem = self.problem
        found = describe("x", x)
        planned = replace(
            found, shape=problem.x_shape, dtype=problem.dtype, kind=self.kind, device=problem.device
        )
        if found != planned:
            raise ValueError(f"`x` is a {found} but the plan is for a {planned}; plan anew")
        given = {"x": x, "weight": self.weight, "bias": self.bias}
        inputs = {name: array for name, array in given.items() if array is not None}
        gradient = needs_gradient(*inputs.values())
        if gradient:
            reason = METHODS[self.method].refuses(replace(problem, gradient=True))
            if reason is not None:
                raise ValueError(f"`x` or `weight` requires a gradient but {reason}; detach it")
        if out is None:
            return
        if gradient:
            raise ValueError("`out` cannot be used where a gradient is required; leave it out")
        check_out(out, x, problem.y_shape, inputs)

    def _given_back(self, y: Tensor, x: Array) -> Array:
        """Return y with the axes of the result, as an array of the kind and byte order of x."""
        y = y.reshape(self.problem.y_shape)
        return y if isinstance(x, Tensor) else y.numpy().astype(x.dtype, copy=False)

    def __str__(self) -> str:
        """Say what is computed and, for every method, its estimate or why it lost."""
        problem, shapes = self.problem, self.shapes
        weight = f" with weight {shapes['weight']}" if "weight" in shapes else ""
        lines = [
            f"{problem.operation} of {shapes['x']}{weight} to {shapes['y']}, "
            f"{problem.dtype} on {problem.device}, groups {problem.groups}, "
            f"padding {problem.padding_mode}"
        ]
        lines += [f"  axis {axis}: {window}" for axis, window in enumerate(self.windows)]
        for name in METHODS:
            lines.append(f"  {name:<10} {self._verdict(name)}")
        return "\n".join(lines)

    def _verdict(self, name: str) -> str:
        """Say in a line what became of one method."""
        if name in self.refused:
            return f"refused: {self.refused[name]}"
        seconds = self.cost[name]
        text = f"about {seconds:.2g} s"
        if name == self.method:
            return f"{text}, chosen"
        times = seconds / self.cost[self.method]
        return f"{text}, {times:.2g} times the cost of {self.method}"


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
) -> Plan:
    """Decide how to compute `conv` or, if `transposed`, `conv_transpose`; compute nothing yet.

    `x` is an array (n, c, *space) or (c, *space), or a (shape, dtype) that stands for one; `weight`
    and the options are those of `conv` and `conv_transpose`. Raises ValueError or TypeError for
    what these refuse.

    >>> import torch
    >>> print(plan(((1, 1, 9), "int8"), torch.ones(1, 1, 3).to(torch.int8)))
    conv of (1, 1, 9) with weight (1, 1, 3) to (1, 1, 7), int8 on cpu, groups 1, padding zeros
      axis 0: Window(size=3, stride=1, dilation=1, before=0, after=0, ceil=False)
      torch      refused: torch has no convolution of int8
      reference  about 0.00021 s, chosen
    """
    problem = read_conv(
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
    )
    return _decide(
        problem, "torch" if isinstance(weight, Tensor) else "numpy", method, weight, bias
    )


def plan_pool(operation: str, x: Array, size: Any, *, method: str = "auto", **options: Any) -> Plan:
    """Decide how to compute "max_pool" or "avg_pool"; the options are those of the function.

    Raises ValueError or TypeError for what these refuse.

    >>> import numpy as np
    >>> plan_pool("avg_pool", np.ones((3, 8, 8)), (2, 2), method="reference").method
    'reference'
    """
    problem = read_pool(operation, x, size, **options)
    return _decide(problem, "torch" if isinstance(x, Tensor) else "numpy", method)


def _decide(
    problem: Problem,
    kind: str,
    method: str,
    weight: Array | None = None,
    bias: Array | None = None,
) -> Plan:
    """Choose the method asked for, or of all that can do it the cheapest."""
    if method != "auto" and method not in METHODS:
        names = ", ".join(f'"{name}"' for name in ("auto", *METHODS))
        raise ValueError(f"`method` (={method!r}) must be one of {names}")
    reasons = {name: candidate.refuses(problem) for name, candidate in METHODS.items()}
    refused = {name: reason for name, reason in reasons.items() if reason is not None}
    cost = {name: METHODS[name].cost(problem) for name in METHODS if name not in refused}
    if method in refused:
        raise ValueError(f'`method` (="{method}") cannot do this: {refused[method]}; use "auto"')
    if not cost:
        told = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        raise ValueError(f"no `method` can do this ({told})")
    chosen = min(cost, key=lambda name: cost[name]) if method == "auto" else method
    return Plan(problem, kind, chosen, cost, refused, weight, bias)
