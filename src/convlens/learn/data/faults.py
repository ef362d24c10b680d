"""Count what is wrong with labels, and keep the first examples of each kind."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["EXAMPLES", "Faults"]

EXAMPLES = 5
"""The examples of each kind of fault that are kept."""


class Faults:
    """How often each kind of fault was found, with the first examples.

    >>> faults = Faults()
    >>> faults.add("boxes have no area and are left out", "a.jpg, box 3")
    >>> faults.warnings("train.json")
    ['`data` (train.json): 1 boxes have no area and are left out, the first: a.jpg, box 3']
    """

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, list[str]]] = {}
        self._noted: set[str] = set()

    def add(self, what: str, example: str, count: int = 1, *, note: bool = False) -> None:
        """Count a fault; one that is only a `note` gives no warning."""
        before, examples = self._found.get(what, (0, []))
        if len(examples) < EXAMPLES:
            examples.append(example)
        self._found[what] = (before + count, examples)
        if note:
            self._noted.add(what)

    def __iter__(self) -> Iterator[tuple[str, int, list[str]]]:
        return ((what, count, examples) for what, (count, examples) in self._found.items())

    def warnings(self, called: str) -> list[str]:
        """Return a sentence on each kind of fault; `called` is the data's name."""
        return [
            f"`data` ({called}): {count:,} {what}, the first: {examples[0]}"
            for what, count, examples in self
            if what not in self._noted
        ]
