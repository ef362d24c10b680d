"""Decide which method computes a problem: ask every method, and measure the likely ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod

from torch import Tensor

from convlens.compute import background, measuring
from convlens.compute.kernels.launching import one_thread
from convlens.compute.kernels.machine import nominal
from convlens.compute.kernels.speed import measure_speed
from convlens.compute.memory.arena import Arena
from convlens.compute.memory.holding import bytes_held
from convlens.compute.methods import (
    METHODS,
    Run,
    check_method,
    prepared,
    refused,
    seconds_of,
)
from convlens.compute.methods.promise import promised
from convlens.compute.operands.arrays import Array, to_tensor
from convlens.compute.operands.autocast import autocast_off
from convlens.compute.operands.operands import needs_gradient
from convlens.compute.problems import DTYPES, Problem, Unfit, Unsuited

__all__ = ["Candidate", "Decision", "Prepared", "decide"]

SHORTLIST = 4.0
"""Methods estimated to take this many times as long as the best one are not measured."""

LARGEST_MEASURED = 2**31
"""The most bytes that input and result of a measured problem may take together."""

Computed = tuple[Tensor, Tensor | None]


@dataclass(frozen=True)
class Candidate:
    """The outcome for one method: why it was refused, or its estimate, time and error.

    `estimate` and `seconds` are in seconds; `error` is relative to the root mean square of the
    output. What was not measured is None.
    """

    refused: str | None = None
    estimate: float | None = None
    seconds: float | None = None
    error: float | None = None

    @property
    def cost(self) -> float:
        """The measured time or, without one, the estimate, in seconds."""
        known = self.seconds if self.seconds is not None else self.estimate
        return float("inf") if known is None else known

    def __str__(self) -> str:
        if self.refused is not None:
            return f"refused: {self.refused}"
        text = f"about {self.estimate:.2g} s" if self.estimate is not None else ""
        text += f", measured {self.seconds:.3g} s" if self.seconds is not None else ""
        return text + (f", error {self.error:.1e}" if self.error is not None else "")


@dataclass(frozen=True)
class Decision:
    """The method chosen for a problem, and what the others would cost, or why they were refused.

    It holds none of the user's arrays. `asked` is the method that was asked for, `method` the one
    chosen for these weights.
    """

    problem: Problem
    asked: str
    tolerance: float
    candidates: Mapping[str, Candidate] = field(repr=False)
    method: str

    @property
    def refused(self) -> dict[str, str]:
        """Why each refused method cannot compute this problem."""
        return {n: c.refused for n, c in self.candidates.items() if c.refused is not None}

    @property
    def cost(self) -> dict[str, float]:
        """The seconds that each possible method takes, measured or estimated."""
        return {n: c.cost for n, c in self.candidates.items() if c.refused is None}

    @property
    def exact(self) -> str | None:
        """The fastest method that is right for any weights, because it is a plain sum."""
        names = [name for name in self.cost if METHODS[name].exact]
        return min(names, key=lambda name: self.cost[name], default=None)

    def __str__(self) -> str:
        """Describe what is computed, and what every method costs or why it was refused."""
        problem = self.problem
        shape = problem.weight_shape
        weight = "" if shape is None else f" with weight {shape}"
        lines = [
            f"{problem.operation} of {problem.x_shape}{weight} to {problem.y_shape}, "
            f"{problem.dtype} on {problem.device}, groups {problem.groups}, "
            f"padding {problem.padding_mode}"
        ]
        lines += [f"  axis {axis}: {window}" for axis, window in enumerate(problem.windows)]
        promise = promised(problem, self.method, METHODS[self.method].exact)
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


@dataclass(frozen=True, eq=False)
class Prepared:
    """A decision with the weights packed for its method, and memory for its results.

    Changing the arrays that it was made from has no effect. Several threads may use it at once.
    """

    decision: Decision
    weight: Tensor | None
    bias: Tensor | None
    _run: Run = field(repr=False)
    _arena: Arena = field(default_factory=Arena, repr=False)
    plain: list[Prepared] = field(default_factory=list, repr=False)
    _held: dict[int, int] = field(default_factory=dict, repr=False)

    @property
    def held(self) -> int:
        """The bytes of the weights kept, as they were given and packed."""
        count = len(self.plain)  # 1 once some numbers needed another method
        if count not in self._held:
            self._held[count] = bytes_held(self.weight, self.bias, self._run, self.plain)
        return self._held[count]

    def serves(self, problem: Problem, weight: object, bias: object) -> bool:
        """Return whether a call has this very problem and these weights."""
        own = weight is self.weight and bias is self.bias
        return own and problem is self.decision.problem

    def compute(self, x: Tensor, y: Tensor | None = None) -> Computed:
        """Return the result (n, k, *outputs) of x (n, c, *space), and the indices if asked for.

        `y`, if given, receives the result if the method can write there. Nothing is checked.
        """
        try:
            return self._run(x, y)
        except Unfit:
            return self._direct().compute(x, y)

    def share(self, arena: Arena) -> None:
        """Use the memory of an arena, which others use as well, for results."""
        self._arena.share(arena)

    def _direct(self) -> Prepared:
        """Return the same problem prepared once by a method that is right for all numbers."""
        if not self.plain:
            problem = self.decision.problem
            self.plain.append(decide(problem, "direct", self.weight, self.bias, measure=False))
        return self.plain[0]


@autocast_off
def decide(
    problem: Problem,
    method: str = "auto",
    weight: Array | None = None,
    bias: Array | None = None,
    tolerance: float = 1e-5,
    measure: bool = True,
) -> Prepared:
    """Choose the method asked for, or the best one for "auto" or "direct", and pack its weights.

    With a `tolerance` of 0, methods that are not a plain sum are tried only by name. Raises
    ValueError if the method, or every method, cannot compute the problem.
    """
    check_method(method)
    if measure and method == "auto" and problem.device == "cpu":
        measure_speed()
    candidates = _considered(problem, method, tolerance)
    able = [name for name, candidate in candidates.items() if candidate.refused is None]
    contest = MethodContest(problem, _own(weight), _own(bias), tolerance, candidates)
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
    found = Decision(problem, method, tolerance, contest.candidates, chosen)
    return Prepared(found, contest.weight, contest.bias, contest.runs[chosen], contest.arena)


def _considered(problem: Problem, method: str, tolerance: float) -> dict[str, Candidate]:
    """Return every method with its estimate or refusal; raise ValueError if none is left."""
    candidates = {}
    for name in METHODS:
        reason = refused(name, problem)
        if reason is None and method == "direct" and not METHODS[name].direct:
            reason = "it does not promise the same bits for any number of threads"
        if reason is None and not (tolerance or name == method or METHODS[name].exact):
            reason = "it is not one plain sum, as a tolerance of 0 requires"
        found = None if reason is not None else seconds_of(name, problem)
        candidates[name] = Candidate(refused=reason, estimate=found)
    if method in METHODS and candidates[method].refused is not None:
        reason = candidates[method].refused
        raise ValueError(f'`method` (="{method}") cannot do this: {reason}; use "auto"')
    if all(candidate.refused is not None for candidate in candidates.values()):
        reasons = "; ".join(f"{name}: {c.refused}" for name, c in candidates.items())
        raise ValueError(f"no `method` can do this ({reasons})")
    return candidates


def _measurable(problem: Problem) -> bool:
    """Return whether a problem may be run on random numbers to measure the error of a method."""
    arrays = prod(problem.x_shape) + prod(problem.y_shape)
    whole = problem.device != "meta" and problem.batch > 0 and not problem.gradient
    return whole and arrays * DTYPES[problem.dtype].itemsize <= LARGEST_MEASURED


def _own(array: Array | None) -> Tensor | None:
    """Return a copy of the values as a tensor, or the tensor itself if it needs a gradient."""
    if array is None:
        return None
    tensor = to_tensor(array)
    return tensor if needs_gradient(tensor) or tensor.is_meta else tensor.detach().clone()


class MethodContest:
    """A contest of the methods for one problem, which it prepares and measures."""

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
        """Return the best for one image and nominal thread: threads and batch change no bits."""
        one = replace(self.problem, batch=1)
        with one_thread(), nominal():
            able = sorted(able, key=lambda name: seconds_of(name, one))
        return next(name for name in able if self._suits(name))

    def by_estimate(self, able: list[str]) -> str:
        """Return the method of the least estimate whose error is small enough."""
        for name in sorted(able, key=lambda name: self.candidates[name].cost):
            if self._fit(name):
                return name
        raise ValueError(f"no `method` stays within `tolerance` (={self.tolerance}); raise it")

    def by_time(self, able: list[str]) -> str:
        """Return the method that took the least time, now or in an earlier measurement."""
        able = sorted(able, key=lambda name: self.candidates[name].cost)
        while len(able) > 1 and not self._fit(able[0]):
            del able[0]  # a method that cannot be used sets no limit
        best = self.candidates[able[0]].cost
        # torch compiles nothing, and users compare with it: it always takes part, unless slow.
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
        """Return whether the weights suit a method, and prepare it; otherwise note the reason."""
        try:
            self.ready(name)
        except Unsuited as reason:
            self.candidates[name] = replace(self.candidates[name], refused=str(reason))
            return False
        return True

    def _fit(self, name: str) -> bool:
        """Return whether a method's error is small enough, and prepare it; else note the reason."""
        candidate = self.candidates[name]
        if candidate.refused is not None or name in self.runs:
            return candidate.refused is None
        background.pause()
        if not self._suits(name):
            return False
        if METHODS[name].exact or self.weight is None:
            return True
        if not _measurable(self.problem):
            self.candidates[name] = replace(candidate, refused="its error cannot be measured here")
            return False
        try:
            y, _ = self.runs[name](self._example(), None)
        except Unfit as reason:
            self.candidates[name] = replace(candidate, refused=f"for random numbers, {reason}")
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
