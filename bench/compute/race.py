"""Race a case: check every contender, then call them in turn, round after round."""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any

from bench.compute.cases import Case
from bench.compute.contenders import ONE_CALL, PLAN, PLAN_OUT, Contender, convlens
from bench.compute.limits import Limits
from bench.compute.options import ROUNDS
from bench.compute.peers import PEERS
from bench.compute.truth import Floats, errors, fault, inputs, truth

OURS = (PLAN, PLAN_OUT, ONE_CALL)
HOPELESS = 20.0  # times the best: measured once, not raced
LARGE = 10**9  # multiplications from which a filter's contenders are tried on a part first
PART = 32
TURN = 2e-3  # seconds of calls that are timed in a turn, at least, and before them of others
MOST = 20  # calls timed in a turn


@dataclass(frozen=True)
class Outcome:
    """The result of one contender: "raced", "once", "skipped", "wrong" or "failed", and why.

    `milliseconds` is the median of its `turns`, `low` and `high` the fastest and slowest turn;
    `error` the root mean square of its errors, in units of the result.
    """

    name: str
    status: str
    milliseconds: float | None = None
    low: float | None = None
    high: float | None = None
    turns: int = 0
    error: float | None = None
    word: str = ""

    @property
    def stands(self) -> bool:
        """Return whether a contender has a time, and so a right result."""
        return self.status in ("raced", "once")


@dataclass(frozen=True)
class Result:
    """A case and its outcomes; our plan chose `method`, which took `planned` seconds."""

    name: str
    group: str
    method: str
    planned: float
    roofline: float
    outcomes: tuple[Outcome, ...]

    def outcome(self, name: str) -> Outcome | None:
        return next((outcome for outcome in self.outcomes if outcome.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Result:
        outcomes = tuple(Outcome(**outcome) for outcome in fields["outcomes"])
        return cls(**{**fields, "outcomes": outcomes})


def race(
    case: Case, peers: Iterable[str], limits: Limits, rounds: int = ROUNDS, seconds: float = 1.0
) -> Result:
    """Race a case for at least these rounds and seconds."""
    given = inputs(case)
    expected = truth(given)
    began = time.perf_counter()
    ours, failed = _ready(PLAN, convlens(given))
    planned = time.perf_counter() - began
    outcomes = {outcome.name: outcome for outcome in failed}
    contenders = list(ours)
    for peer in peers:
        ready, failed = _ready(peer, PEERS[peer][1](given))
        contenders += ready
        outcomes |= {outcome.name: outcome for outcome in (*failed, *_too_slow(case, peer))}
    for contender in contenders:
        if contender.name not in outcomes:
            outcomes[contender.name] = _tried(contender, case, expected)
    _leave_out(outcomes)
    racing = [c for c in contenders if outcomes[c.name].status == "raced"]
    samples = run_rounds(racing, rounds, seconds)
    for name, times in samples.items():
        outcomes[name] = replace(
            outcomes[name],
            milliseconds=statistics.median(times),
            low=min(times),
            high=max(times),
            turns=len(times),
        )
    plan = next((contender.plan for contender in ours if contender.plan), None)
    method = "" if plan is None else plan.method
    roofline = limits.seconds(case) * 1e3
    return Result(case.name, case.group, method, planned, roofline, tuple(outcomes.values()))


def _ready(name: str, made: Iterator[Contender]) -> tuple[list[Contender], list[Outcome]]:
    """Return the contenders that can be made, and why others cannot."""
    ready: list[Contender] = []
    try:
        ready.extend(made)
    except Exception as problem:  # a peer may refuse a case in whatever way it likes
        return ready, [Outcome(name, "failed", word=_sentence(problem))]
    return ready, []


def _sentence(problem: Exception) -> str:
    said = str(problem).strip().splitlines()
    return f"{type(problem).__name__}: {said[0][:160] if said else ''}"


def _too_slow(case: Case, peer: str) -> list[Outcome]:
    """Return the outcomes of a peer's contenders whose time on a part of the case is too long."""
    if case.group != "filters" or prod(case.y) * prod(case.size) < LARGE:
        return []
    longest = case.space.index(max(case.space))
    space = list(case.space)
    space[longest] = max(space[longest] // PART, case.size[longest])
    share = case.space[longest] / space[longest]
    part = inputs(replace(case, x=(*case.x[:2], *space)))
    outcomes = []
    for small in _ready(peer, PEERS[peer][1](part))[0]:
        seconds = _timed(small)[0] * share
        if seconds > small.patience:
            seconds = _timed(small)[0] * share  # the first call may have compiled
        if seconds > small.patience:
            outcomes.append(Outcome(small.name, "skipped", word=f"about {seconds:.0f} s"))
    return outcomes


def _tried(contender: Contender, case: Case, expected: Floats) -> Outcome:
    """Check one call of a contender, time another, and return its outcome."""
    try:
        found = contender.read(_timed(contender)[1])
        wrong = fault(case, found, expected)
        if wrong:
            return Outcome(contender.name, "wrong", word=wrong)
        seconds = _timed(contender)[0]  # the first call may have compiled
    except Exception as problem:
        return Outcome(contender.name, "failed", word=_sentence(problem))
    error = errors(found, expected)[0]
    return Outcome(contender.name, "raced", seconds * 1e3, turns=1, error=error)


def _leave_out(outcomes: dict[str, Outcome]) -> None:
    """Race those that may win, and always the best peers; for others one time is enough."""
    times = {name: o.milliseconds for name, o in outcomes.items() if o.milliseconds is not None}
    peers = [ms for name, ms in times.items() if name not in OURS]
    limit = max(HOPELESS * min(times.values(), default=0), 2 * min(peers, default=0))
    for name, ms in times.items():
        if ms > limit and name not in OURS:
            outcomes[name] = replace(outcomes[name], status="once")


def _timed(contender: Contender) -> tuple[float, Any]:
    """Return the seconds of one call, and its result."""
    with contender.around():
        began = time.perf_counter()
        y = contender.run()
        return time.perf_counter() - began, y


def run_rounds(contenders: list[Contender], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return the milliseconds of every contender's turns, one in each round."""
    samples: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    order, dice = list(contenders), random.Random(0)
    began = time.perf_counter()
    gc.collect()
    gc.disable()
    try:
        while contenders and (
            len(samples[contenders[0].name]) < rounds or time.perf_counter() - began < seconds
        ):
            dice.shuffle(order)  # no contender should always follow the same one
            for contender in order:
                samples[contender.name].append(_turn(contender) * 1e3)
    finally:
        gc.enable()
    return samples


def _turn(contender: Contender) -> float:
    """Return the median seconds of a few calls, after some that wake threads and load caches.

    A thread that has slept, and a core that has idled, need some milliseconds to be as fast as
    before.
    """
    _settle()
    with contender.around():
        _calls(contender)
        return statistics.median(_calls(contender))


def _calls(contender: Contender) -> list[float]:
    """Return the seconds of each of a few calls."""
    times: list[float] = []
    while len(times) < MOST and sum(times) < TURN:
        began = time.perf_counter()
        contender.run()
        times.append(time.perf_counter() - began)
    return times


def _settle() -> None:
    """Wait, at most 30 ms, until threads that wait for more work by spinning have gone to sleep."""
    for _ in range(15):
        used = time.process_time()
        time.sleep(2e-3)
        if time.process_time() - used < 3e-4:
            return
