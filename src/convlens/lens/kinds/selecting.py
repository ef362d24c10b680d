"""Explain selections: the element that was chosen, and its rank among the scores."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.arguments import Arguments, KnownAsCalled, KnownByName
from convlens.lens.recording import Value
from convlens.lens.terms import Account, Cost, Floats, Ints, Terms, floats, lane, unravel

_LANE = "input, dim=None, keepdim=False"
SIGNATURES = {
    "max": _LANE,
    "min": _LANE,
    "argmax": _LANE,
    "argmin": _LANE,
    "topk": "input, k, dim=-1, largest=True, sorted=True",
    "sort": "input, dim=-1, descending=False, stable=False",
    "argsort": "input, dim=-1, descending=False, stable=False",
    "kthvalue": "input, k, dim=-1, keepdim=False",
}
# The only output of these is the place of the chosen element.
_PLACES = ("argmax", "argmin", "argsort")
# For these NaN comes first, as the largest and as the smallest; for others it ranks above all.
_EXTREMES = ("max", "min", "argmax", "argmin")


class Selecting(KnownByName):
    """value = one of the elements along an axis, by its rank, or the place where it stood."""

    name = "selecting"
    exact = True
    signatures = SIGNATURES

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return a term for each candidate; the chosen one has weight 1."""
        step, x = given.step, given.tensor("input")
        positions, numbers, rank = _candidates(given, index)
        order = _order(numbers, _descending(given), step.op in _EXTREMES)
        place = slot == 1 or step.op in _PLACES
        wanted = numbers[order[rank]]
        chosen = int(order[rank])
        if place or len(step.outputs) > 1:  # among equals, the one torch took
            recorded = int(given.output(-1).tensor[index])
            if _same(numbers[recorded], wanted):
                chosen = recorded
        total = float(chosen) if place else float(wanted)
        if place and given["dim"] is None and x.dim() != 1:
            total = float(positions[chosen])
        what = "the place of rank" if place else "rank"
        note = f"chosen: {what} {rank + 1} of {numbers.size} scores"
        return Account.of_choice(
            given.id("input"), positions, numbers, chosen, total, formula=step.op, note=note
        )

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return all candidates."""
        shape = given.value("input").shape
        if given["dim"] is None or not shape:
            return {given.id("input"): masks.everything(mask, shape)}
        dim = int(given["dim"]) % len(shape)
        if mask.dim() < len(shape):
            mask = mask.unsqueeze(dim)
        return {given.id("input"): masks.collapse(mask, (dim,)).expand(shape)}

    def cost(self, given: Arguments) -> Cost:
        """Count one comparison an element."""
        return Cost(operations=given.tensor("input").numel())


class FindingNonzero(KnownAsCalled):
    """value = the index of the r-th element that is not zero (`nonzero`, `where(mask)`)."""

    name = "selecting"
    exact = False

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return the one element that is not zero."""
        source = _searched(given)
        numbers = floats(source.tensor).reshape(-1)
        rows = np.flatnonzero(numbers)
        position = int(rows[index[0]])
        axis = index[1] if len(index) > 1 else slot
        total = float(unravel(position, source.shape)[axis])
        terms = Terms.build([source.id], [position], [numbers[position]])
        note = f"chosen: number {index[0] + 1} of {rows.size} elements that are not zero"
        return Account("chosen", terms, total, exact=True, formula="nonzero", note=note)

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return everything: each element before it counts."""
        source = _searched(given)
        return {source.id: masks.everything(mask, source.shape)}

    def cost(self, given: Arguments) -> Cost:
        """Count one comparison an element."""
        return Cost(operations=_searched(given).tensor.numel())


def _searched(given: Arguments) -> Value:
    """Return the value whose elements are looked through."""
    return given.recording.values[given.step.inputs[0]]


def _candidates(given: Arguments, index: tuple[int, ...]) -> tuple[Ints, Floats, int]:
    """Return positions and numbers of the candidates, and the rank that was chosen."""
    op, x = given.step.op, given.tensor("input")
    if given["dim"] is None or not x.dim():
        return np.arange(x.numel()), floats(x).reshape(-1), 0
    dim = int(given["dim"]) % x.dim()
    ranked = op in ("topk", "sort", "argsort")
    rank = index[dim] if ranked else 0
    if op == "kthvalue":
        rank = int(given["k"]) - 1
    at = list(index)
    if not ranked and not given["keepdim"]:
        at.insert(dim, 0)
    return *lane(x, at, dim), rank


def _descending(given: Arguments) -> bool:
    """Return whether the largest candidate comes first."""
    if given.step.op in ("max", "argmax"):
        return True
    if given.step.op == "topk":
        return bool(given["largest"])
    return bool(given["descending"])


def _order(numbers: Floats, descending: bool, extreme: bool) -> np.ndarray:
    """Return the candidates from first to last, with NaN at the end where torch ranks it."""
    nan = np.isnan(numbers)
    keys = np.where(nan, 0.0, -numbers if descending else numbers)
    return np.lexsort((keys, ~nan if descending or extreme else nan))


def _same(a: float, b: float) -> bool:
    return bool(a == b or (np.isnan(a) and np.isnan(b)))
