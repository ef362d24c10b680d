"""Both lists of cases by name."""

from __future__ import annotations

from bench.compute.cases import Case
from bench.compute.first import FIRST
from bench.compute.second import SECOND

LISTS: dict[str, list[Case]] = {"first": FIRST, "second": SECOND}


def case_named(name: str) -> Case:
    """Return the case of this name from either list."""
    return next(case for cases in LISTS.values() for case in cases if case.name == name)
