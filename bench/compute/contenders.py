"""Contenders: ways to compute a case, ready to be called; three are ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from bench.compute.cases import Case
from bench.compute.truth import Floats, Inputs
from convlens import Plan, avg_pool, conv, conv_transpose, max_pool, plan
from convlens.compute.planning import plan_pool

__all__ = [
    "ONE_CALL",
    "PLAN",
    "PLAN_OUT",
    "Contender",
    "convlens",
    "one_call",
    "our_plan",
    "threads",
]

PLAN, PLAN_OUT, ONE_CALL = "convlens plan", "convlens plan, out", "convlens one call"
CALLS: dict[str, Callable[..., Any]] = {
    "conv": conv,
    "conv_transpose": conv_transpose,
    "max_pool": max_pool,
    "avg_pool": avg_pool,
}


def as_it_is(y: Any) -> Floats:
    return np.asarray(y)


@dataclass(frozen=True)
class Contender:
    """`run` computes the case once; `read` turns what it gives into an array (n, k, *outputs).

    Its calls happen within `around`. After `patience` seconds it is not waited for.
    """

    name: str
    run: Callable[[], Any]
    read: Callable[[Any], Floats] = as_it_is
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
    patience: float = 2.0
    plan: Plan | None = None


def threads() -> int:
    """Return how many threads each contender may use: those of torch, which we use, too."""
    return torch.get_num_threads()


def options(case: Case) -> dict[str, Any]:
    """Return the options of a case by the names that convlens and torch share."""
    shared: dict[str, Any] = {"stride": case.stride, "padding": case.padding}
    if case.operation == "avg_pool":
        return shared
    shared["dilation"] = case.dilation
    return shared if case.pools else {**shared, "groups": case.groups}


def our_plan(given: Inputs) -> Plan:
    """Return a plan for the input as a tensor."""
    case, x = given.case, torch.from_numpy(given.x)
    if given.weight is None:
        return plan_pool(case.operation, x, case.size, **options(case))
    transposed = case.operation == "conv_transpose"
    return plan(x, torch.from_numpy(given.weight), transposed=transposed, **options(case))


def one_call(given: Inputs) -> Callable[[], Any]:
    """Return the operation as a user calls it, without a plan."""
    case, x = given.case, torch.from_numpy(given.x)
    what = case.size if given.weight is None else torch.from_numpy(given.weight)
    return partial(CALLS[case.operation], x, what, **options(case))


def convlens(given: Inputs) -> Iterator[Contender]:
    """Return a plan made beforehand, the same with a reused result, and a call without a plan."""
    case, x = given.case, torch.from_numpy(given.x)
    planned = our_plan(given)
    yield Contender(PLAN, partial(planned, x), plan=planned)
    yield Contender(PLAN_OUT, partial(planned, x, out=torch.empty(case.y)))
    yield Contender(ONE_CALL, one_call(given))
