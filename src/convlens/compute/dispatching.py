"""Answer calls without a plan at once, while a thread makes the plan that they would have wanted.

A method that needs no compiling computes the first call of a shape. If the shape is worth it, a
background thread compiles and measures the likely methods, and later calls use the best. Kept are
the decision for each problem, and the packed weights last used with it.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from convlens.compute import background
from convlens.compute.deciding import Prepared, decide
from convlens.compute.kernels.launching import threads
from convlens.compute.memory.arena import MOST_SHARED, Arena
from convlens.compute.methods import METHODS, prepared, refused, seconds_of
from convlens.compute.problems import Problem, Unfit, Unsuited

__all__ = ["execute"]

Computed = tuple[Tensor, Tensor | None]

SHAPES, WEIGHTS = 512, 4
"""The most problems whose decision is kept, and the most packed weights for each."""

MOST_HELD = 2**29
"""The most bytes of kept weights, given and packed, of all problems together and of each."""

MOST_BYTES = 2**28
"""The most bytes of weights that wait for their plans, and of results' memory kept for reuse."""

LONG, OFTEN, ENOUGH = 3e-4, 20, 2e-3
"""A plan is made once the quick method is estimated to take `LONG` seconds, or after `OFTEN`
calls, or when all calls after the first have taken `ENOUGH` seconds."""

COMPILING = 1.0
"""The most seconds that compiling a kernel takes, once per machine."""

LONG_SUM, SOONER = 1e-3, 2.0
"""A method other than a plain sum answers first calls if the plain sum takes `LONG_SUM` seconds,
and `SOONER` times as long as that method."""


@dataclass
class _Entry:
    """The state of one problem: the plans of its last weights, and how often it was called.

    `held`: the bytes that these plans keep.
    """

    tolerance: float
    calls: int = 0
    spent: float = 0.0
    asked: bool = False
    quick: str | None = None
    exact: str | None = None
    plans: list[Prepared] = field(default_factory=list)
    held: int = 0


# Shared by all problems: an arena for each would hold memory for the results of every shape seen.
_arena = Arena(MOST_SHARED, MOST_BYTES)

# In order of use, the latest last. An OrderedDict would hash every problem again when iterated.
_entries: dict[tuple[object, ...], _Entry] = {}
_lock = threading.Lock()

_waiting: dict[int, int] = {}
"""The bytes of the copied weights of each entry whose plan is still to be made, by its id."""


def execute(
    problem: Problem,
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    method: str = "auto",
    y: Tensor | None = None,
    exact: bool = False,
) -> Computed:
    """Return the result (n, k, *outputs) for x (n, c, *space), and the indices if asked for.

    `y`, if given, is where the result is put, if the method can. `exact` leaves out the methods
    `y`, if given, receives the result if the method can write there. `exact` excludes the methods
    that are not a plain sum. The problem must have been read, and x, weight and bias must fit it.
    No gradient is recorded.
    >>> from convlens.compute.problems import MaxPool
    >>> from convlens.windows import Window
    >>> problem = MaxPool(space=(4,), windows=(Window(2, 2),), dtype="float32")
    >>> execute(problem, torch.tensor([[[1.0, 5.0, 2.0, 3.0]]]))[0]
    tensor([[[5., 3.]]])
    """
    entry = _entry(problem, method, exact)
    for plan in entry.plans:
        if _same(plan.weight, weight) and _same(plan.bias, bias):
            before = len(plan.plain)
            found = plan.compute(x, y)
            if len(plan.plain) > before:  # these weights were packed for another method, too
                _keep(entry, plan)
            return found
    if method != "auto" or problem.device != "cpu":
        return _keep(entry, _plan(entry, problem, method, weight, bias)).compute(x, y)
    if entry.quick is None:
        entry.quick = _quick(problem, entry.tolerance == 0)
    if entry.exact is not None:
        # Decided, but for other weights: pack these for this call, and keep them for the next.
        return _keep(entry, _plan(entry, problem, entry.exact, weight, bias)).compute(x, y)
    began = time.perf_counter()
    try:
        found = prepared(entry.quick, problem, weight, bias, Arena())(x, y)
    except (Unfit, Unsuited):
        found = prepared(_quick(problem, exact=True), problem, weight, bias, Arena())(x, y)
    if entry.calls > 1:  # the first call is slowed down by touching new pages
        entry.spent += time.perf_counter() - began
    often = entry.calls >= OFTEN or entry.spent > ENOUGH
    worth = often or seconds_of(entry.quick, problem) > LONG
    if worth and not entry.asked:  # after the answer, which a compiler at work would delay
        _ask(problem, entry, weight, bias)
    return found


def _entry(problem: Problem, method: str, exact: bool) -> _Entry:
    key = (problem, method, exact, threads())
    with _lock:
        entry = _entries.pop(key, None) or _Entry(0.0 if exact else 1e-5)
        _entries[key] = entry
        if len(_entries) > SHAPES:
            del _entries[next(iter(_entries))]
        entry.calls += 1
    return entry


def _plan(
    entry: _Entry, problem: Problem, method: str, weight: Tensor | None, bias: Tensor | None
) -> Prepared:
    kept = None if weight is None else weight.detach().clone()
    added = None if bias is None else bias.detach().clone()
    return decide(problem, method, kept, added, entry.tolerance)


def _keep(entry: _Entry, plan: Prepared) -> Prepared:
    plan.share(_arena)
    others = [other for other in entry.plans if other is not plan]
    _hold(entry, [plan, *others[: WEIGHTS - 1]])
    with _lock:
        kept = sum(other.held for other in _entries.values())
        for other in _entries.values():  # the one used longest ago comes first
            if kept <= MOST_HELD:
                break
            kept -= other.held
            _hold(other, [plan] if other is entry else [])
    return plan


def _hold(entry: _Entry, plans: list[Prepared]) -> None:
    entry.held = sum(plan.held for plan in plans)
    entry.plans = plans


def _same(kept: object, given: Tensor | None) -> bool:
    """Return whether these weights equal, bit for bit, the ones that a plan has packed."""
    if kept is None or given is None:
        return kept is given
    return isinstance(kept, Tensor) and torch.equal(_bits(kept), _bits(given))


def _bits(weight: Tensor) -> Tensor:
    whole = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    real = torch.view_as_real(weight.resolve_conj()) if weight.is_complex() else weight
    return real.detach().resolve_neg().view(whole[real.element_size()])


def _quick(problem: Problem, exact: bool) -> str:
    """Return the method, probably the fastest, that needs no compiling; with `exact`, a plain sum.

    A method that is not exact must be worth it, as its error has not been measured yet. A plain sum
    may be compiled where that and the sum take less time than the sums that are there.
    """
    every = [name for name in METHODS if refused(name, problem) is None]
    able = [name for name in every if not METHODS[name].compiles]
    plain = [name for name in every if METHODS[name].exact]
    if not set(plain) & set(able):
        return decide(problem, tolerance=0.0, measure=False).decision.method
    compiling = {name: COMPILING * METHODS[name].compiles for name in every}
    seconds = {name: compiling[name] + seconds_of(name, problem) for name in every}
    best, safe = (min(names, key=lambda name: seconds[name]) for names in (able, plain))
    worth = seconds[safe] > max(LONG_SUM, SOONER * seconds[best])
    return best if worth and not exact else safe


def _ask(problem: Problem, entry: _Entry, weight: Tensor | None, bias: Tensor | None) -> None:
    """Ask once for the plan of a problem; ask at a later call if too many weights are waiting."""
    size = sum(part.nbytes for part in (weight, bias) if part is not None)
    with _lock:
        if entry.asked or (_waiting and sum(_waiting.values()) + size > MOST_BYTES):
            return
        entry.asked = True
        _waiting[id(entry)] = size
    copies = [None if part is None else part.detach().clone() for part in (weight, bias)]
    background.ask(partial(_make, problem, entry, *copies))


def _make(problem: Problem, entry: _Entry, weight: Tensor | None, bias: Tensor | None) -> None:
    try:
        plan = decide(problem, "auto", weight, bias, entry.tolerance)
    finally:
        with _lock:
            _waiting.pop(id(entry), None)
    entry.exact = plan.decision.exact
    _keep(entry, plan)


def _before_fork() -> None:
    background.stand_still()  # first, because its thread may be waiting for the lock
    _lock.acquire()


def _after_fork() -> None:
    _lock.release()
    background.go_on()


def _in_child() -> None:
    """Mark as not asked the plans that the parent's thread has not made yet."""
    _after_fork()
    _waiting.clear()
    for entry in _entries.values():
        entry.asked = bool(entry.plans)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
