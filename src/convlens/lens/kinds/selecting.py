"""Selections: which element was chosen, and its rank among the scores it was chosen from."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.arguments import Arguments, bind
from convlens.lens.recording import Recording, Step
from convlens.lens.terms import Account, Cost, Floats, Terms, floats, lane, unravel

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
# Steps whose only output is the place of the chosen element.
_PLACES = ("argmax", "argmin", "argsort")
# Of these NaN comes first, as the largest and as the smallest; of others it ranks above all.
_EXTREMES = ("max", "min", "argmax", "argmin")


def bound(step: Step) -> None:
    """Raise UnboundCall unless the call fits its signature."""
    bind(step, SIGNATURES[step.op])


class Selecting:
    """value = one of the elements along an axis, by its rank (or the place it stood at)."""

    name = "selecting"
    exact = True

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """One term a candidate; the chosen one has weight 1."""
        given = Arguments(recording, step, SIGNATURES[step.op])
        x = given.tensor("input")
        positions, numbers, rank = self._lane(given, step, index)
        order = _order(numbers, _descending(given, step), step.op in _EXTREMES)
        place = slot == 1 or step.op in _PLACES
        wanted = numbers[order[rank]]
        chosen = int(order[rank])
        if place or len(step.outputs) > 1:  # among equals, the one torch took
            told = recording.values[step.outputs[-1]].tensor[index]
            if _same(numbers[int(told)], wanted):
                chosen = int(told)
        total = float(chosen) if place else float(wanted)
        if place and given["dim"] is None and x.dim() != 1:
            total = float(positions[chosen])
        what = "the place of rank" if place else "rank"
        note = f"chosen: {what} {rank + 1} of {numbers.size} scores"
        return Account.of_choice(
            given.id("input"), positions, numbers, chosen, total, formula=step.op, note=note
        )

    def _lane(
        self, given: Arguments, step: Step, index: tuple[int, ...]
    ) -> tuple[np.ndarray, Floats, int]:
        """Positions and numbers of the candidates, and the rank asked for."""
        x = given.tensor("input")
        if given["dim"] is None or not x.dim():
            return np.arange(x.numel()), floats(x).reshape(-1), 0
        dim = int(given["dim"]) % x.dim()
        ranked = step.op in ("topk", "sort", "argsort")
        rank = index[dim] if ranked else 0
        if step.op == "kthvalue":
            rank = int(given["k"]) - 1
        at = list(index)
        if not ranked and not given["keepdim"]:
            at.insert(dim, 0)
        return *lane(x, at, dim), rank

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """All the candidates."""
        given = Arguments(recording, step, SIGNATURES[step.op])
        shape = given.value("input").shape
        if given["dim"] is None or not shape:
            return {given.id("input"): masks.everything(mask, shape)}
        dim = int(given["dim"]) % len(shape)
        if mask.dim() < len(shape):
            mask = mask.unsqueeze(dim)
        return {given.id("input"): masks.collapse(mask, (dim,)).expand(shape)}

    def cost(self, recording: Recording, step: Step) -> Cost:
        """One comparison an element."""
        return Cost(operations=recording.values[step.inputs[0]].tensor.numel())


class FindingNonzero:
    """value = the index of the r-th element that is not zero (`nonzero`, `where(mask)`)."""

    name = "selecting"
    exact = False

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """The one element that is not zero."""
        source = recording.values[step.inputs[0]]
        numbers = floats(source.tensor).reshape(-1)
        rows = np.flatnonzero(numbers)
        position = int(rows[index[0]])
        axis = index[1] if len(index) > 1 else slot
        total = float(unravel(position, source.shape)[axis])
        terms = Terms.build([source.id], [position], [numbers[position]])
        note = f"chosen: number {index[0] + 1} of {rows.size} elements that are not zero"
        return Account("chosen", terms, total, exact=True, formula="nonzero", note=note)

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Everything: each element before it counts."""
        id = step.inputs[0]
        return {id: masks.everything(mask, recording.values[id].shape)}

    def cost(self, recording: Recording, step: Step) -> Cost:
        """One comparison an element."""
        return Cost(operations=recording.values[step.inputs[0]].tensor.numel())


def _descending(given: Arguments, step: Step) -> bool:
    if step.op in ("max", "argmax"):
        return True
    if step.op == "topk":
        return bool(given["largest"])
    return bool(given["descending"])


def _order(numbers: Floats, descending: bool, extreme: bool) -> np.ndarray:
    """Candidates from first to last, NaN at the end where torch ranks it."""
    nan = np.isnan(numbers)
    keys = np.where(nan, 0.0, -numbers if descending else numbers)
    return np.lexsort((keys, ~nan if descending or extreme else nan))


def _same(a: float, b: float) -> bool:
    return bool(a == b or (np.isnan(a) and np.isnan(b)))
