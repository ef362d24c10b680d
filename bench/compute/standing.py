"""Compare each case with its best peer and torch, and summarise by group."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from bench.compute.cases import GROUPS
from bench.compute.contenders import ONE_CALL, PLAN, PLAN_OUT
from bench.compute.race import OURS, Result

ALMOST, NEARLY = 0.95, 0.90


@dataclass(frozen=True)
class Standing:
    """One case: milliseconds, and how many times as fast as the best peer and torch we are.

    `ratio` is that of a plan called without `out`, as peers allocate their results, too; None
    without a time of ours or of a peer.
    """

    name: str
    group: str
    best: str
    best_ms: float | None
    plan_ms: float | None
    out_ms: float | None
    once_ms: float | None
    ratio: float | None
    out_ratio: float | None
    once_ratio: float | None
    torch_ratio: float | None
    method: str
    roofline: float | None
    dropped: tuple[str, ...]


def standing(result: Result) -> Standing:
    """Return the standing of a case, with those that were wrong, failed or too slow."""
    times = {
        outcome.name: outcome.milliseconds
        for outcome in result.outcomes
        if outcome.stands and outcome.milliseconds is not None
    }
    peers = {name: time for name, time in times.items() if name not in OURS}
    best = min(peers, key=lambda name: peers[name], default="")
    plan = times.get(PLAN)
    dropped = tuple(
        f"{outcome.name} {outcome.status}: {outcome.word}"
        for outcome in result.outcomes
        if not outcome.stands
    )
    return Standing(
        result.name,
        result.group,
        best,
        peers.get(best),
        plan,
        times.get(PLAN_OUT),
        times.get(ONE_CALL),
        _times(peers.get(best), plan),
        _times(peers.get(best), times.get(PLAN_OUT)),
        _times(peers.get(best), times.get(ONE_CALL)),
        _times(times.get("torch"), plan),
        result.method,
        _times(result.roofline, plan),
        dropped,
    )


def _times(theirs: float | None, ours: float | None) -> float | None:
    return None if theirs is None or ours is None else theirs / ours


@dataclass(frozen=True)
class Summary:
    """Several cases: geometric means, the worst ratio, and the shares of ratios near 1."""

    name: str
    cases: int
    mean: float | None
    out_mean: float | None
    once_mean: float | None
    worst: float | None
    worst_name: str
    almost: float | None
    nearly: float | None
    torch_mean: float | None
    torch_cases: int
    missing: int


def summary(name: str, rows: list[Standing]) -> Summary:
    """Summarise cases; those without a ratio count as missing, and as far from 1."""
    ratios = {row.name: row.ratio for row in rows if row.ratio is not None}
    torch = [row.torch_ratio for row in rows if row.torch_ratio is not None]
    worst = min(ratios, key=lambda case: ratios[case], default="")
    return Summary(
        name,
        len(rows),
        _mean(ratios.values()),
        _mean(row.out_ratio for row in rows),
        _mean(row.once_ratio for row in rows),
        ratios.get(worst),
        worst,
        sum(ratio >= ALMOST for ratio in ratios.values()) / len(rows) if rows else None,
        sum(ratio >= NEARLY for ratio in ratios.values()) / len(rows) if rows else None,
        _mean(torch),
        len(torch),
        len(rows) - len(ratios),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.geometric_mean(known) if known else None


def summaries(rows: list[Standing]) -> list[Summary]:
    """Return a summary of every group that has cases, and of all."""
    groups = [(title, [r for r in rows if r.group == name]) for name, title in GROUPS.items()]
    return [*(summary(title, some) for title, some in groups if some), summary("all", rows)]
