"""Make tables of results: columns of text for the terminal, Markdown for the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.compute.standing import Standing, Summary
from convlens.tables import table

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]


def cases_table(rows: Sequence[Standing]) -> Table:
    """Return a row for each case: milliseconds, and ratios, above 1 if we are faster."""
    head = (
        "case",
        "best peer",
        "its ms",
        "plan",
        "out=",
        "one call",
        "best/plan",
        "torch/plan",
        "roofline",
        "method",
    )
    return head, [
        (
            row.name,
            row.best or "none",
            _number(row.best_ms),
            _number(row.plan_ms),
            _number(row.out_ms),
            _number(row.once_ms),
            _ratio(row.ratio),
            _ratio(row.torch_ratio),
            _percent(row.roofline),
            row.method,
        )
        for row in rows
    ]


def summary_table(rows: Sequence[Summary]) -> Table:
    """Return a row for each group: means of best peer / ours, and how many are near 1."""
    head = (
        "group",
        "cases",
        "best/plan",
        "with out=",
        "one call",
        "worst",
        "worst case",
        ">= 0.95",
        ">= 0.90",
        "torch/plan",
        "without figure",
    )
    return head, [
        (
            row.name,
            str(row.cases),
            _ratio(row.mean),
            _ratio(row.out_mean),
            _ratio(row.once_mean),
            _ratio(row.worst),
            row.worst_name,
            _percent(row.almost),
            _percent(row.nearly),
            f"{_ratio(row.torch_mean)} of {row.torch_cases}",
            str(row.missing),
        )
        for row in rows
    ]


def memory_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return a row for each case: memory beyond its arrays, and as a share of input and result."""
    head = (
        "case",
        "in + out MB",
        "weight MB",
        "call MB",
        "of in + out",
        "beyond packed weight",
        "planning MB",
    )
    return head, [
        (
            row["name"],
            _megabytes(row["arrays"]),
            _megabytes(row["weight"]),
            _megabytes(row["extra"]),
            _percent(row["extra"] / row["arrays"]),
            _percent(max(0, row["extra"] - row["weight"]) / row["arrays"]),
            _megabytes(row["planning"]),
        )
        for row in rows
    ]


def cold_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return a row for each case: the first call, when calls became fast, and how fast."""
    head = ("case", "first call ms", "fast after s", "then ms")
    return head, [
        (
            row["name"],
            _number(row["first"] * 1e3),
            _number(row["after"]),
            _number(row["fast"] * 1e3),
        )
        for row in rows
    ]


def dropped_lines(rows: Sequence[Standing]) -> list[str]:
    """Return a line for each contender without a time: wrong, failed, or too slow."""
    return [f"{row.name}: {line}" for row in rows for line in row.dropped]


def as_text(made: Table) -> str:
    head, rows = made
    numbers = [
        column
        for column, cells in enumerate(zip(*rows, strict=True))
        if column and all(cell[:1].isdigit() or cell == "-" for cell in cells)
    ]
    return table([head, *rows], right=numbers)


def as_markdown(made: Table) -> str:
    head, rows = made
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def _megabytes(value: float) -> str:
    return f"{value / 2**20:.1f}"
