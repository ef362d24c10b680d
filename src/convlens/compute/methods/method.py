"""Define what a method is: what it computes, what that costs, and how it is prepared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor

from convlens.compute.kernels.speed import Estimate, speed
from convlens.compute.problems import Conv, ConvTranspose, Pool, Problem

__all__ = ["Computed", "ConvMethod", "Fill", "Method", "PoolMethod", "WholeMethod"]

Computed = tuple[Tensor, Tensor | None]
"""A result (n, k, *outputs), and the places of the maxima if they were asked for."""

Fill = Callable[[Tensor, Tensor], None]
"""A function that fills y (n, k, *outputs) from x (n, c, *space), both contiguous."""

P = TypeVar("P", bound=Problem)
W = TypeVar("W", Conv, ConvTranspose)


@dataclass(frozen=True, kw_only=True)
class Method(Generic[P]):
    """A way to compute the problems of one type.

    `exact` says that every output is one sum of products, whose only error is rounding; `repeats`
    that its bits are the same for any number of threads, batch and memory layout; `compiles` that
    kernels must be compiled first, in up to a second, once on each machine; `skips` that products
    with padding are left out. `refuses` returns why it cannot compute a problem of its type, or
    None. `estimate` returns what a problem takes.
    """

    name: str
    solves: type[P]
    exact: bool
    repeats: bool
    compiles: bool
    skips: bool
    refuses: Callable[[P], str | None]
    estimate: Callable[[P], Estimate]

    @property
    def direct(self) -> bool:
        """Whether the bits are the same for any number of threads, batch and layout."""
        return self.exact and self.repeats

    def refused(self, problem: Problem) -> str | None:
        """Return why the method cannot compute a problem of any type, or None."""
        if not isinstance(problem, self.solves):
            return f"it computes {self.solves.plural}, not {problem.operation}"
        return self.refuses(problem)

    def seconds(self, problem: Problem) -> float:
        """Return about how many seconds a problem takes; it must not be refused."""
        return self.estimated(problem).at(speed())

    def estimated(self, problem: Problem) -> Estimate:
        """Return the estimate of a problem that is not refused."""
        return self.estimate(self._own(problem))

    def _own(self, problem: Problem) -> P:
        """Return a problem as the method's own type; raise TypeError for another one."""
        if not isinstance(problem, self.solves):
            raise TypeError(f"{self.name} computes {self.solves.plural}, not {problem.operation}")
        return problem


@dataclass(frozen=True, kw_only=True)
class ConvMethod(Method[W]):
    """A method of convolution, transposed or not, whose `prepare` packs the weights."""

    prepare: Callable[[W, Tensor, Tensor | None], Fill]

    def ready(self, problem: Problem, weight: Tensor | None, bias: Tensor | None) -> Fill:
        """Pack the weights, all contiguous; raise Unsuited if the method cannot use them."""
        if weight is None:
            raise ValueError(f"`weight` is missing; {self.solves.plural} need one")
        return self.prepare(self._own(problem), weight, bias)


@dataclass(frozen=True, kw_only=True)
class PoolMethod(Method[Pool]):
    """A method of pooling."""

    prepare: Callable[[Pool], Fill]

    def ready(self, problem: Problem, weight: Tensor | None, bias: Tensor | None) -> Fill:
        """Prepare for a problem; there are no weights."""
        return self.prepare(self._own(problem))


@dataclass(frozen=True, kw_only=True)
class WholeMethod(Method[Problem]):
    """A method for all problems that allocates its result itself."""

    run: Callable[[Problem, Tensor, Tensor | None, Tensor | None], Computed]
