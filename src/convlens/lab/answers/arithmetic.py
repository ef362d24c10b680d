"""Show an explanation as the page does: terms in groups, ranked, with the rest closing the sum."""

from __future__ import annotations

import linecache
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import TypedDict

import numpy as np

from convlens.lab.answers.envelope import Doubles
from convlens.lab.answers.segments import Standing
from convlens.lens import Explanation, Recording
from convlens.lens.terms import Ints

GROUPS = 24
"""The groups (input channels, or single terms) that one answer holds at most."""

WINDOWS = ("windowed", "region")
"""The kinds whose terms lie as a window does: a convolution's, or those under a detector's box."""

STRONGEST = 200
"""The terms that one answer holds at most where each is ranked by itself."""

_NUMBERS = 6_000  # the most terms of one answer, so that wide windows do not make it heavy


class SourceLine(TypedDict):
    """The line of the user's own code that called a step: its file's name, number and text."""

    file: str
    line: int
    text: str


class TermGroup(TypedDict):
    """The terms shown together: the window of one input channel, one term, or the strongest terms.

    The lists have an entry for each term, as `convlens.lens.Terms` describes them; `first` is the
    number of the first term, `channel` the input channel of a window.
    """

    first: int
    channel: int | None
    sum: float
    source: list[int]
    position: list[int]
    value: list[float]
    weight: list[float]
    product: list[float]
    weight_source: list[int]
    weight_position: list[int]


class TermsAnswer(TypedDict):
    """The groups of terms from some rank on, and the sum of all groups that rank behind them."""

    groups: list[TermGroup]
    rest: float
    rest_count: int


class Explained(TermsAnswer):
    """An explanation with its terms ranked: sums of `groups` + `rest` + `bias` = `total`.

    `window`: the shape of a group's terms, empty where each term stands alone. `standing`: how the
    score of a class stands among all scores at its pixel, where the number is one.
    """

    value: int
    index: list[int]
    step: int | None
    op: str | None
    source: SourceLine | None
    kind: str
    rule: str
    formula: str
    note: str
    call: str
    recorded: float
    total: float
    bound: float
    bias: float
    bias_source: tuple[int, int] | None
    window: list[int]
    count: int
    products: float
    group_count: int
    standing: Standing | None


def explained(
    recording: Recording,
    explanation: Explanation,
    standing: Standing | None = None,
    *,
    single: bool = False,
) -> Explained:
    """Return an explanation with the groups of its terms that weigh most.

    Where `single`, each term is ranked by itself, and there is one group: the strongest terms.
    """
    step = explanation.step
    ranking = Ranking(recording, explanation, single)
    with np.errstate(invalid="ignore", over="ignore"):
        products = float(explanation.terms.product.sum())
    return {
        "value": explanation.value.id,
        "index": list(explanation.index),
        "step": step.index if step else None,
        "op": step.op if step else None,
        "source": source_line(step.source) if step else None,
        "kind": explanation.kind,
        "rule": explanation.rule,
        "formula": explanation.formula,
        "note": explanation.note,
        "call": explanation.call,
        "recorded": float(explanation.recorded),
        "total": float(explanation.total),
        "bound": float(explanation.bound),
        "bias": float(explanation.bias),
        "bias_source": _element(explanation.bias_source),
        "window": list(ranking.window),
        "count": len(explanation.terms),
        "products": products,
        "group_count": len(ranking.sums),
        "standing": standing,
        **(ranking.strongest() if single else ranking.terms(0)),
    }


@dataclass(frozen=True, eq=False)
class Ranking:
    """The terms of an explanation in groups, the group with the largest sum first.

    Terms of a window are grouped by input channel; other terms stand alone. Of a choice the chosen
    term comes first, then the others in the order of their numbers, from the end nearer to it.
    Where `single`, all terms stand alone.
    """

    recording: Recording
    explanation: Explanation
    single: bool = False

    @property
    def window(self) -> tuple[int, ...]:
        """The shape of one group's terms: the window, or () where every term stands alone."""
        arrangement = self.explanation.terms.arrangement
        if not self.single and self.explanation.kind in WINDOWS and len(arrangement) > 1:
            return tuple(arrangement[1:])
        return ()

    @cached_property
    def sums(self) -> Doubles:
        """The sum of each group's products, in the order of the terms."""
        terms = self.explanation.terms
        size = math.prod(self.window)
        products = terms.product.reshape(-1, size) if len(terms) else np.zeros((0, 1))
        with np.errstate(invalid="ignore", over="ignore"):
            sums: Doubles = products.sum(1)
        return sums

    def terms(self, start: int) -> TermsAnswer:
        """Return the groups of rank `start` on, and the sum of those behind them."""
        order = self._order()
        end = start + max(1, min(GROUPS, _NUMBERS // max(math.prod(self.window), 1)))
        size = math.prod(self.window)
        groups = [
            self._group(slice(group * size, (group + 1) * size), self._channel(group, size))
            for group in order[start:end].tolist()
        ]
        return self._answer(groups, order[end:])

    def strongest(self) -> TermsAnswer:
        """Return the terms that weigh most as one group, where all stand alone."""
        order = self._order()
        first = order[:STRONGEST]
        return self._answer([self._group(first)] if len(first) else [], order[STRONGEST:])

    def _answer(self, groups: list[TermGroup], behind: Ints) -> TermsAnswer:
        with np.errstate(invalid="ignore", over="ignore"):
            rest = float(self.sums[behind].sum())
        return {"groups": groups, "rest": rest, "rest_count": len(behind)}

    def _order(self) -> Ints:
        terms = self.explanation.terms
        if self.explanation.rule != "chosen" or self.window or not terms.weight.any():
            return np.argsort(-np.abs(self.sums), kind="stable")
        chosen = terms.value[terms.weight.argmax()]
        ascending = (terms.value < chosen).sum() < (terms.value > chosen).sum()
        return np.lexsort((terms.value if ascending else -terms.value, terms.weight == 0))

    def _group(self, part: slice | Ints, channel: int | None = None) -> TermGroup:
        terms = self.explanation.terms
        with np.errstate(invalid="ignore", over="ignore"):
            products = float(terms.product[part].sum())
        return {
            "first": part.start if isinstance(part, slice) else 0,
            "channel": channel,
            "sum": products,
            "source": terms.source[part].tolist(),
            "position": terms.position[part].tolist(),
            "value": terms.value[part].tolist(),
            "weight": terms.weight[part].tolist(),
            "product": terms.product[part].tolist(),
            "weight_source": terms.weight_source[part].tolist(),
            "weight_position": terms.weight_position[part].tolist(),
        }

    def _channel(self, group: int, size: int) -> int | None:
        """Return the input channel that a window reads, None where the terms are no window."""
        if self.explanation.kind not in WINDOWS:
            return None
        terms = self.explanation.terms
        inside = np.flatnonzero(terms.source[group * size : (group + 1) * size] >= 0)
        if not len(inside):
            return group
        at = terms.index(group * size + int(inside[0]), self.recording)
        axes = len(terms.arrangement) - 1
        return at[-axes - 1] if len(at) > axes else group


def _element(source: tuple[int, int] | None) -> tuple[int, int] | None:
    """Return a value's number and a position in it, which may be NumPy's, as integers of Python."""
    return None if source is None else (int(source[0]), int(source[1]))


def source_line(source: tuple[str, int]) -> SourceLine | None:
    """Return a file and line of the user's own code with its text; None where no file is known."""
    file, line = source
    if not file:
        return None
    short = "/".join(PurePath(file).parts[-2:])
    code = linecache.getline(file, line).split("  # ")[0].strip()
    return {"file": short, "line": line, "text": code}
