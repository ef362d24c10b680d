"""Answer for several sheets and kernels in one, so that a click on a step is one question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypedDict, TypeVar

from convlens.lab.answers.kernels import KernelsAnswer, kernels_of
from convlens.lab.answers.looking import Look
from convlens.lab.answers.sheets import SheetAnswer, sheet_of
from convlens.lab.guarding import SENTENCES

T = TypeVar("T")


class SheetsAnswer(TypedDict):
    """Several sheets, and kernels; None for one that is refused if asked alone."""

    sheets: list[SheetAnswer | None]
    kernels: KernelsAnswer | None


def together(
    seen: Look, values: Sequence[int], firsts: Sequence[int], made: int | None, map: int
) -> SheetsAnswer:
    """Return the sheets of values, and the kernels that made the value `made`, if that is one.

    Raises ValueError unless `firsts` has an entry for each of `values`.
    """
    if len(values) != len(firsts):
        raise ValueError(f"`firsts` (={firsts}) must have an entry for each of the values {values}")
    sheets = [_sheet(seen, value, first) for value, first in zip(values, firsts, strict=True)]
    return {"sheets": sheets, "kernels": None if made is None else _kernels(seen, made, map)}


def _sheet(seen: Look, value: int, first: int) -> SheetAnswer | None:
    return _unless_refused(lambda: sheet_of(seen.recording, seen.value(value), first))


def _kernels(seen: Look, value: int, map: int) -> KernelsAnswer | None:
    return _unless_refused(lambda: kernels_of(seen.recording, seen.value(value), map))


def _unless_refused(answer: Callable[[], T]) -> T | None:
    try:
        return answer()
    except SENTENCES:
        return None
