"""What was asked for, turned into one decision that can be printed and called: a `Plan`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from typing import Any

from torch import Tensor

from convlens.compute import background, measuring
from convlens.compute.calling import answer
from convlens.compute.kernels.launching import one_thread
from convlens.compute.memory.arena import Arena
from convlens.compute.memory.holding import bytes_held
from convlens.compute.methods import (
    METHODS,
    Run,
    check_method,
    estimate,
    is_direct,
    is_exact,
    prepared,
    refused,
)
from convlens.compute.methods.promise import promised
from convlens.compute.operands.arrays import DTYPES, Array, to_tensor
from convlens.compute.operands.autocast import autocast_off
from convlens.compute.problems import Problem, Unfit, Unsuited
from convlens.compute.reading.options import (
    Description,
    describe,
    needs_gradient,
    read_conv,
    read_flag,
    read_pool,
    read_tolerance,
)
from convlens.windows import TransposedWindow, Window

__all__ = ["METHODS", "Candidate", "Plan", "decide", "plan", "plan_pool"]

SHORTLIST = 4.0
"""Methods whose estimate is so many times the best one's are not measured."""

LARGEST_MEASURED = 2**31
"""In bytes: input and result of a problem that is measured take no more together."""

Computed = tuple[Tensor, Tensor | None]


@dataclass(frozen=True)
class Candidate:
    """What became of one method: why it cannot, or its estimate, time and error, and its verdict.

    `estimate` and `seconds` are in seconds; `error` is relative to the root mean square of the
    output. What was not measured is None.
    """

    refused: str | None = None
    estimate: float | None = None
    seconds: float | None = None
    error: float | None = None

    @property
    def cost(self) -> float:
        """Return the time measured, or else the one estimated, in seconds."""
        known = self.seconds if self.seconds is not None else self.estimate
        return float("inf") if known is None else known

    def __str__(self) -> str:
        if self.refused is not None:
            return f"refused: {self.refused}"
        text = f"about {self.estimate:.2g} s" if self.estimate is not None else ""
        text += f", measured {self.seconds:.3g} s" if self.seconds is not None else ""
        return text + (f", error {self.error:.1e}" if self.error is not None else "")


@dataclass(frozen=True, eq=False)
class Plan:
    """One convolution or pooling, decided: call it with an input, or print it to see why.

    `candidates` says of every method what it would cost, or why it cannot; `method` is the one
    chosen. The weights are packed for it: changing the array afterwards changes nothing. A plan may
    be called from several threads at once.

    >>> import numpy as np
    >>> p = plan(((1, 1, 5), "float64"), np.ones((1, 1, 3)), measure=False)
    >>> p(np.arange(5.0).reshape(1, 1, 5))
    array([[[3., 6., 9.]]])
    >>> p.shapes["y"]
    (1, 1, 3)
    """

    problem: Problem
    kind: str
    asked: str
    method: str
    candidates: Mapping[str, Candidate]
    weight: Array | None = field(default=None, repr=False)
    bias: Array | None = field(default=None, repr=False)
    _run: Run | None = field(default=None, repr=False)
    _arena: Arena = field(default_factory=Arena, repr=False)
    plain: list[Plan] = field(default_factory=list, repr=False, compare=False)
    _held: dict[int, int] = field(default_factory=dict, repr=False, compare=False)

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

    @property
    def refused(self) -> dict[str, str]:
        """Return of every method that cannot do it the reason."""
        return {n: c.refused for n, c in self.candidates.items() if c.refused is not None}

    @property
    def cost(self) -> dict[str, float]:
        """Return of every method that can do it the seconds it takes, measured or estimated."""
        return {n: c.cost for n, c in self.candidates.items() if c.refused is None}

    @property
    def held(self) -> int:
        """Return the bytes of the weights kept, as they were given and packed."""
        count = len(self.plain)  # one more if numbers were met that want another method
        if count not in self._held:
            self._held[count] = bytes_held(self.weight, self.bias, self._run, self.plain)
        return self._held[count]

    def __call__(self, x: Array, *, out: Array | None = None) -> Any:
        """Return the result for `x`, in `out` if given; with indices, the result and these.

        Raises ValueError or TypeError unless `x` is as planned and `out` as the result.

        >>> import numpy as np
        >>> plan_pool("max_pool", np.ones((1, 1, 4)), 2)(np.arange(4.0).reshape(1, 1, 4))
        array([[[1., 3.]]])
        """
        self._check(x)
        return answer(self.problem, self.compute, x, self.weight, self.bias, out, self.asked)

    def compute(self, x: Tensor, y: Tensor | None = None) -> Computed:
        """Return the result (n, k, *outputs) of x (n, c, *space), and the indices if asked for.

        `y`, if given, is where it is put, if the method can. Nothing is checked.
        """
        run = self._run
        if run is None:
            raise RuntimeError("this plan was made without a method")
        try:
            return run(x, y)
        except Unfit:
            return self._direct().compute(x, y)

    def share(self, arena: Arena) -> None:
        """Put results into the memory of an arena that other plans use as well."""
        self._arena.share(arena)

    def _direct(self) -> Plan:
        """Return the plan of the same by a method that is right for all numbers, made once."""
        if not self.plain:
            weight, bias = self.weight, self.bias
            self.plain.append(
                decide(self.problem, self.kind, "direct", weight, bias, measure=False)
            )
        return self.plain[0]

    def _check(self, x: Array) -> None:
        """Raise unless x is as planned."""
        problem = self.problem
        # The common case first, at less cost: a plain tensor.
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
            raise ValueError(f"`x` is a {found} but the plan is for a {planned}; plan anew")

    def __str__(self) -> str:
        """Say what is computed and of every method what it costs, measured, or why it lost."""
        problem, shapes = self.problem, self.shapes
        weight = f" with weight {shapes['weight']}" if "weight" in shapes else ""
        lines = [
            f"{problem.operation} of {shapes['x']}{weight} to {shapes['y']}, "
            f"{problem.dtype} on {problem.device}, groups {problem.groups}, "
            f"padding {problem.padding_mode}"
        ]
        lines += [f"  axis {axis}: {window}" for axis, window in enumerate(self.windows)]
        promise = promised(problem, self.method, is_exact(self.method))
        lines += [f"  {promise}"] if promise else []
        chosen = self.candidates[self.method].cost
        for name, candidate in self.candidates.items():
            text = str(candidate)
            if name == self.method:
                text += ", chosen"
            elif candidate.refused is None and chosen > 0:
                text += f", {candidate.cost / chosen:.2g} times {self.method}"
            lines.append(f"  {name:<11} {text}")
        return "\n".join(lines)


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
    """Decide how to compute `conv` or, if `transposed`, `conv_transpose`, and get ready for it.

    `x` is an array (n, c, *space) or (c, *space), or a (shape, dtype) that stands for one; `weight`
    and the options are those of `conv` and `conv_transpose`. The likely methods are compiled,
    seconds once a machine, and measured on random numbers, once a shape; without `measure` their
    estimates decide. Methods that are not one plain sum, as Winograd's and Fourier's, are taken if
    the root mean square of their error, measured with these weights, is at most `tolerance` times
    that of the output; whatever the input, they are right beside each output's own products (see
    `convlens.compute.methods.promise`). Raises ValueError or TypeError for what `conv` refuses.

    >>> import torch
    >>> print(plan(((1, 1, 9), "int8"), torch.ones(1, 1, 3).to(torch.int8), method="reference"))
    conv of (1, 1, 9) with weight (1, 1, 3) to (1, 1, 7), int8 on cpu, groups 1, padding zeros
      axis 0: Window(size=3, stride=1, dilation=1, before=0, after=0, ceil=False)
    ...
      torch       refused: torch has no convolution of int8
      reference   about 0.00021 s, chosen
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
        out_dtype=out_dtype,
    )
    kind = "torch" if isinstance(weight, Tensor) else "numpy"
    measure = read_flag("measure", measure)
    return decide(problem, kind, method, weight, bias, read_tolerance(tolerance), measure)


def plan_pool(
    operation: str, x: Any, size: Any, *, method: str = "auto", measure: bool = True, **options: Any
) -> Plan:
    """Decide how to compute "max_pool" or "avg_pool"; the options are those of the function.

    Raises ValueError or TypeError for what these refuse.

    >>> import numpy as np
    >>> plan_pool("avg_pool", np.ones((3, 8, 8)), (2, 2), method="reference").method
    'reference'
    """
    problem = read_pool(operation, x, size, **options)
    kind = "torch" if isinstance(x, Tensor) else "numpy"
    return decide(problem, kind, method, measure=read_flag("measure", measure))


@autocast_off
def decide(
    problem: Problem,
    kind: str,
    method: str = "auto",
    weight: Array | None = None,
    bias: Array | None = None,
    tolerance: float = 1e-5,
    measure: bool = True,
) -> Plan:
    """Return the plan of a problem, by the method asked for or the best of "auto" or "direct".

    `kind` is that of the arrays, "numpy" or "torch". With a `tolerance` of 0 methods that are not
    one plain sum are not even tried, unless named.
    """
    candidates = _considered(problem, method, tolerance)
    able = [name for name, candidate in candidates.items() if candidate.refused is None]
    contest = _Contest(problem, _own(weight), _own(bias), tolerance, candidates)
    if method in METHODS:
        chosen = method
        try:
            contest.ready(method)
        except Unsuited as reason:
            raise Unsuited(
                f'`method` (="{method}") cannot do this with `weight`: {reason}; use "auto"'
            ) from None
    elif method == "direct":
        chosen = contest.always(able)
    elif measure and problem.device == "cpu" and _measurable(problem):
        chosen = contest.by_time(able)
    else:
        chosen = contest.by_estimate(able)
    return Plan(
        problem,
        kind,
        method,
        chosen,
        contest.candidates,
        contest.weight,
        contest.bias,
        contest.runs[chosen],
        contest.arena,
    )


def _considered(problem: Problem, method: str, tolerance: float) -> dict[str, Candidate]:
    """Return every method with its estimate or refusal; raise when none is left."""
    check_method(method)
    candidates = {}
    for name in METHODS:
        reason = refused(name, problem)
        if reason is None and method == "direct" and not is_direct(name):
            reason = "it does not promise the same bits for any number of threads"
        if reason is None and not (tolerance or name == method or is_exact(name)):
            reason = "it is not one plain sum, as a tolerance of 0 asks"
        found = None if reason is not None else estimate(name, problem)
        candidates[name] = Candidate(refused=reason, estimate=found)
    if method in METHODS and candidates[method].refused is not None:
        reason = candidates[method].refused
        raise ValueError(f'`method` (="{method}") cannot do this: {reason}; use "auto"')
    if all(candidate.refused is not None for candidate in candidates.values()):
        told = "; ".join(f"{name}: {c.refused}" for name, c in candidates.items())
        raise ValueError(f"no `method` can do this ({told})")
    return candidates


def _measurable(problem: Problem) -> bool:
    """Tell whether a problem may be run on random numbers, to see how far off a method is."""
    arrays = prod(problem.x_shape) + prod(problem.y_shape)
    whole = problem.device != "meta" and problem.batch > 0 and not problem.gradient
    return whole and arrays * DTYPES[problem.dtype].itemsize <= LARGEST_MEASURED


def _own(array: Array | None) -> Tensor | None:
    """Return a tensor of the values that later changes do not reach, unless a gradient must."""
    if array is None:
        return None
    tensor = to_tensor(array)
    return tensor if needs_gradient(tensor) or tensor.is_meta else tensor.detach().clone()


class _Contest:
    """The methods of one problem got ready, measured, and told apart."""

    def __init__(
        self,
        problem: Problem,
        weight: Tensor | None,
        bias: Tensor | None,
        tolerance: float,
        candidates: Mapping[str, Candidate],
    ) -> None:
        self.problem, self.weight, self.bias, self.tolerance = problem, weight, bias, tolerance
        self.candidates = dict(candidates)
        self.runs: dict[str, Run] = {}
        self.arena = Arena()
        self._x: Tensor | None = None

    def ready(self, name: str) -> None:
        """Pack the weights for a method, or raise Unsuited."""
        if name not in self.runs:
            self.runs[name] = prepared(name, self.problem, self.weight, self.bias, self.arena)

    def always(self, able: list[str]) -> str:
        """Return the least by an estimate for one thread and image: others must not change bits."""
        one = replace(self.problem, batch=1)
        with one_thread():
            able = sorted(able, key=lambda name: estimate(name, one))
        return next(name for name in able if self._suits(name))

    def by_estimate(self, able: list[str]) -> str:
        """Return the method of the least estimate whose error is small enough."""
        for name in sorted(able, key=lambda name: self.candidates[name].cost):
            if self._fit(name):
                return name
        raise ValueError(f"no `method` stays within `tolerance` (={self.tolerance}); raise it")

    def by_time(self, able: list[str]) -> str:
        """Return the method that took the least time, now or when it was measured before."""
        able = sorted(able, key=lambda name: self.candidates[name].cost)
        while len(able) > 1 and not self._fit(able[0]):
            del able[0]  # the others are not to be compared with what cannot be
        best = self.candidates[able[0]].cost
        # torch compiles nothing and is what we are compared with: it is always heard, unless slow.
        limits = {name: max(SHORTLIST * best, 1e-2 if name == "torch" else 0) for name in able}
        likely = [name for name in able if self.candidates[name].cost <= limits[name]]
        known = measuring.recalled(self.problem)
        if any(name not in known and self._fit(name) for name in likely):
            fit = [name for name in likely if self._fit(name)]
            known |= measuring.measured_seconds(
                {name: partial(self.runs[name], self._example(), None) for name in fit}
            )
            measuring.remember(self.problem, known)
        for name in likely:
            if name in known:
                self.candidates[name] = replace(self.candidates[name], seconds=known[name])
        return self.by_estimate([name for name in likely if name in known])

    def _suits(self, name: str) -> bool:
        """Get a method ready if the weights suit it; say why if not."""
        try:
            self.ready(name)
        except Unsuited as reason:
            self.candidates[name] = replace(self.candidates[name], refused=str(reason))
            return False
        return True

    def _fit(self, name: str) -> bool:
        """Get a method ready and tell whether its error is small enough; say why if not."""
        candidate = self.candidates[name]
        if candidate.refused is not None or name in self.runs:
            return candidate.refused is None
        background.pause()
        if not self._suits(name):
            return False
        if is_exact(name) or self.weight is None:
            return True
        if not _measurable(self.problem):
            self.candidates[name] = replace(candidate, refused="its error cannot be measured here")
            return False
        try:
            y, _ = self.runs[name](self._example(), None)
        except Unfit as reason:
            self.candidates[name] = replace(candidate, refused=f"of random numbers, {reason}")
            return False
        y = y if self.bias is None else y - self.bias.reshape(-1, *[1] * len(self.problem.space))
        error = measuring.measured_error(self.problem, self._example(), self.weight, y)
        found = replace(candidate, error=error)
        if not error <= self.tolerance:
            found = replace(found, refused=f"its error {error:.1e} exceeds {self.tolerance:.1e}")
        self.candidates[name] = found
        return found.refused is None

    def _example(self) -> Tensor:
        if self._x is None:
            self._x = measuring.example(self.problem)
        return self._x
