"""Steps of no rule of their own that are made of operators with one: taken apart beneath."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.lens.kinds import moving, pointwise
from convlens.lens.kinds.universal import Universal
from convlens.lens.kinds.walking import carried
from convlens.lens.recorder.running import record_operators
from convlens.lens.recording import Recording, Step
from convlens.lens.repeating import NotRepeated, call_again, without_out
from convlens.lens.terms import PADDING, Account, Cost, Floats, Ints, Terms, unravel
from convlens.lens.trees import replace_refs

_KEPT = 8  # recordings beneath a step kept at a time: they hold all it made on the way
_EXPANDED = 1 << 14  # elements taken apart on the way to a sum's terms, at most

# Products that torch computes element by element; a matrix product with an inner axis of 1, or
# whose outputs are those on the diagonal.
_PRODUCTS = frozenset("outer ger kron linalg_vecdot vecdot".split())
# Kinds whose weights are elements, not made of them.
_BILINEAR = ("linear", "windowed")


@dataclass(frozen=True, eq=False)
class Beneath:
    """The operators a step was made of, recorded when it was run again on what it had read.

    `leaves` gives for each value the step read the value that stood for it; `outputs` likewise.
    """

    recording: Recording
    leaves: dict[int, int]
    outputs: tuple[int, ...]
    origins: dict[int, tuple[Ints, Ints] | None] = field(default_factory=dict)
    kinds: list[Any] = field(default_factory=list)


def beneath(recording: Recording, step: Step) -> Beneath | None:
    """The operators beneath a step; None where running it again gives something else."""
    key = (step.index, -1)
    if key not in recording.replays:
        old = [k for k in recording.replays if k[1] == -1]
        for k in old[: len(old) - _KEPT + 1]:
            recording.replays.pop(k, None)
        recording.replays[key] = _recorded(recording, step)
    found: Beneath | None = recording.replays[key]
    return found


def _recorded(recording: Recording, step: Step) -> Beneath | None:
    values = [recording.values[id] for id in (*step.inputs, *step.outputs)]
    if any(value.opaque and not value.tensor.is_meta for value in values):
        return None
    leaves = {id: recording.values[id].tensor.detach().clone() for id in dict.fromkeys(step.inputs)}
    args, kwargs = replace_refs((step.args, without_out(step)), lambda ref: leaves[ref.id])
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            seen = record_operators([*leaves.values()], lambda: call_again(step, args, kwargs))
        except NotRepeated:
            return None
    if len(seen.outputs) != len(step.outputs) or len(seen.output_ids) != len(seen.outputs):
        return None
    for id, out in zip(step.outputs, seen.outputs, strict=True):
        if not _same(recording.values[id].tensor.detach(), out):
            return None
    return Beneath(seen, {id: own for own, id in enumerate(leaves)}, seen.output_ids)


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.is_meta:
        return True
    return torch.equal(one.nan_to_num(), other.nan_to_num())


class Composed:
    """value = what the operators beneath make of it, told in elements of what the step read."""

    name = "composed"

    def __init__(self, beneath: Beneath, kind_of: Callable[[Recording, Step], Any], why: str):
        self.beneath, self.kind_of, self.why = beneath, kind_of, why
        if not beneath.kinds:
            beneath.kinds.extend(kind_of(beneath.recording, s) for s in beneath.recording.steps)
        self.below = beneath.kinds

    @property
    def exact(self) -> bool:
        """Whether every operator beneath says exactly what it reads."""
        return all(kind.exact for kind in self.below)

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """The terms of the operators together where they make a sum; else slopes of the step."""
        try:
            flat = _Flattening(self.beneath, self.kind_of).of(self.beneath.outputs[slot], index)
        except NotImplementedError:  # of an operator beneath, which nobody called by name
            flat = None
        return flat or Universal(self.why).explain(recording, step, slot, index)

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """The masks carried backwards through the operators."""
        below = self.beneath
        found, _ = carried(
            below.recording,
            {below.outputs[slot]: mask},
            below.leaves.values(),
            below.recording.steps,
            self.kind_of,
        )
        return {id: found[sub] for id, sub in below.leaves.items() if sub in found}

    def cost(self, recording: Recording, step: Step) -> Cost:
        """That of the operators together."""
        sub = self.beneath.recording
        costs = [
            kind.cost(sub, s) for kind, s in zip(self.below, sub.steps, strict=True) if s.outputs
        ]
        multiply_adds = sum(cost.multiply_adds for cost in costs)
        operations = sum(cost.operations for cost in costs)
        if step.op in _PRODUCTS:
            shapes = [recording.values[id].shape for id in step.inputs]
            summed = step.op.endswith("vecdot")
            made = (
                torch.broadcast_shapes(*shapes)
                if summed
                else recording.values[step.outputs[0]].shape
            )
            multiply_adds, operations = math.prod(made), 0
        missing = dict.fromkeys(
            f"`{s.op}`: {cost.uncounted}"
            for s, cost in zip((s for s in sub.steps if s.outputs), costs, strict=True)
            if cost.uncounted
        )
        return Cost(multiply_adds, operations, "; ".join(missing))


class _Flattening:
    """The sum of sums that one element is, gathered as one row of terms."""

    def __init__(self, beneath: Beneath, kind_of: Callable[[Recording, Step], Any]) -> None:
        self.beneath, self.kind_of = beneath, kind_of
        self.recording = beneath.recording
        self.outer = {sub: id for id, sub in beneath.leaves.items()}
        self.rows: list[tuple[Any, ...]] = []
        self.bias, self.bias_source = 0.0, None
        self.formulas: dict[str, None] = {}
        self.left = _EXPANDED

    def of(self, id: int, index: tuple[int, ...]) -> Account | None:
        """The account of an element, in elements of the leaves; None where it is no sum of them."""
        position = int(np.ravel_multi_index(index, self.recording.values[id].shape)) if index else 0
        while True:
            origin = self._origin(id)
            if origin is not None:
                source, at = int(origin[0][position]), int(origin[1][position])
                number = self._number(id, position)
                if source < 0:
                    return Account("given", Terms.none(), number, exact=True, note="a constant")
                return Account.of_copy(Terms.build([source], [at], [number]))
            account = self._account(id, position)
            if account.rule != "copy" or float(account.terms.weight[0]) != 1:
                break
            if account.total != float(account.terms.value[0]):
                break  # a cast that rounds
            id, position = int(account.terms.source[0]), int(account.terms.position[0])
        if account.rule == "sum":
            return self._summed(account, self._bilinear(id))
        return self._renamed(account)

    def _account(self, id: int, position: int) -> Account:
        value = self.recording.values[id]
        step = self.recording.steps[value.step]
        kind = self.kind_of(self.recording, step)
        if kind.name == "universal":
            raise NotImplementedError(step.op)
        account: Account = kind.explain(
            self.recording, step, value.slot, unravel(position, value.shape)
        )
        return account

    def _bilinear(self, id: int) -> bool:
        """Whether the weights of an element's terms are elements themselves."""
        step = self.recording.steps[self.recording.values[id].step]
        return self.kind_of(self.recording, step).name in _BILINEAR or step.op in (
            "mul",
            "multiply",
        )

    def _number(self, id: int, position: int) -> float:
        value = self.recording.values[id]
        return float(value.tensor[unravel(position, value.shape)])

    def _origin(self, id: int) -> tuple[Ints, Ints] | None:
        """For every element of a value the leaf and position it is a copy of; None if computed."""
        known = self.beneath.origins
        if id not in known:
            known[id] = self._moved(id)
        return known[id]

    def _moved(self, id: int) -> tuple[Ints, Ints] | None:
        value = self.recording.values[id]
        size = math.prod(value.shape)
        if id in self.outer:
            return np.full(size, self.outer[id], np.int64), np.arange(size)
        if value.step < 0:
            return np.full(size, PADDING, np.int64), np.full(size, PADDING, np.int64)
        step = self.recording.steps[value.step]
        if step.op in pointwise.CASTS and "offset" not in step.kwargs:  # no alias of ours
            source = self.recording.values[pointwise.cast_source(step)]
            if source.dtype == value.dtype and source.shape == value.shape:
                return self._origin(source.id)
            return None
        if not isinstance(self.kind_of(self.recording, step), moving.Moving):
            return None
        numbers = moving.index_map(self.recording, step, value.slot).reshape(-1).numpy()
        sources = np.full(size, PADDING, np.int64)
        positions = sources.copy()
        for data, first in moving.data_of(self.recording, step).items():
            origin = self._origin(data)
            if origin is None:
                return None
            mine = (numbers >= first) & (numbers < first + len(origin[0]))
            sources[mine] = origin[0][numbers[mine] - first]
            positions[mine] = origin[1][numbers[mine] - first]
        return sources, positions

    def _summed(self, account: Account, bilinear: bool) -> Account | None:
        if not self._add(account, 1.0, (PADDING, PADDING), bilinear):
            return None
        rows = self.rows or [(np.zeros(0, np.int64),) * 6]
        columns = [np.concatenate([np.atleast_1d(row[c]) for row in rows]) for c in range(6)]
        source, position, value, weight, by, at = columns
        terms = Terms.build(source, position, value, weight, weight_source=by, weight_position=at)
        formula = account.formula or "sum of products"
        count = max(len(terms) + 1, account.count) + _EXPANDED - self.left
        return Account.of_sum(terms, self.bias, count=count, formula=formula)

    def _add(self, account: Account, factor: float, by: tuple[int, int], bilinear: bool) -> bool:
        """Add a sum's terms, each times `factor`, which comes from the element `by`."""
        terms = account.terms
        for source in np.unique(terms.source):
            mine = np.flatnonzero(terms.source == source)
            origin = None if source < 0 else self._origin(int(source))
            if source < 0:
                self._rows_of(terms, mine, terms.source[mine], terms.position[mine], factor, by)
            elif origin is None:
                for k in mine:
                    weight = self._weight(terms, int(k), bilinear)
                    inner = weight or by
                    if not self._expand(
                        int(source), int(terms.position[k]), factor * terms.weight[k], inner
                    ):
                        return False
            elif not self._bilinear_rows(terms, mine, origin, factor, by, bilinear):
                return False
        return self._add_bias(account, factor, by)

    def _add_bias(self, account: Account, factor: float, by: tuple[int, int]) -> bool:
        if account.bias_source is not None:
            return self._expand(*account.bias_source, factor, by)
        self.bias += factor * account.bias
        return True

    def _weight(self, terms: Terms, k: int, bilinear: bool) -> tuple[int, int] | None:
        """The leaf's element that a term's weight is."""
        source = int(terms.weight_source[k])
        origin = self._origin(source) if bilinear and source >= 0 else None
        if origin is None:
            return None
        position = int(terms.weight_position[k])
        return int(origin[0][position]), int(origin[1][position])

    def _bilinear_rows(
        self,
        terms: Terms,
        mine: Ints,
        origin: tuple[Ints, Ints],
        factor: float,
        by: tuple[int, int],
        bilinear: bool,
    ) -> bool:
        """Terms whose elements are the leaves'; where a weight is computed, the weight's terms."""
        computed = np.zeros(len(mine), bool)
        if bilinear:
            for source in np.unique(terms.weight_source[mine]):
                if source >= 0 and self._origin(int(source)) is None:
                    computed |= terms.weight_source[mine] == source
        plain = mine[~computed]
        at = terms.position[plain]
        self._rows_of(terms, plain, origin[0][at], origin[1][at], factor, by, bilinear)
        for k in mine[computed]:
            position = int(terms.position[k])
            here = int(origin[0][position]), int(origin[1][position])
            product = factor * float(terms.value[k])
            source, place = int(terms.weight_source[k]), int(terms.weight_position[k])
            if not self._expand(source, place, product, here):
                return False
        return True

    def _rows_of(
        self,
        terms: Terms,
        mine: Ints,
        sources: Ints,
        positions: Ints,
        factor: float,
        by: tuple[int, int],
        bilinear: bool = False,
    ) -> None:
        if not len(mine):
            return
        ids, places = np.full(len(mine), by[0]), np.full(len(mine), by[1])
        if bilinear and by[0] < 0:
            for source in np.unique(terms.weight_source[mine]):
                origin = self._origin(int(source)) if source >= 0 else None
                if origin is not None:
                    these = terms.weight_source[mine] == source
                    at = terms.weight_position[mine][these]
                    ids[these], places[these] = origin[0][at], origin[1][at]
        weights: Floats = factor * terms.weight[mine]
        self.rows.append((sources, positions, terms.value[mine], weights, ids, places))

    def _expand(self, id: int, position: int, factor: float, by: tuple[int, int]) -> bool:
        """Add one element times `factor` as terms; whether it is a sum, or a leaf's element."""
        origin = self._origin(id)
        if origin is not None:
            source, at = int(origin[0][position]), int(origin[1][position])
            number = self._number(id, position)
            self.rows.append(
                (source, at, number, factor, *(by if factor != 1 else (PADDING, PADDING)))
            )
            return True
        self.left -= 1
        if self.left < 0:
            return False
        account = self._account(id, position)
        if account.rule == "copy":
            weight = float(account.terms.weight[0])
            return self._expand(
                int(account.terms.source[0]), int(account.terms.position[0]), factor * weight, by
            )
        return account.rule == "sum" and self._add(account, factor, by, self._bilinear(id))

    def _renamed(self, account: Account) -> Account | None:
        """The account of a function or choice, where all its elements are the leaves'."""
        terms = account.terms
        if account.rule == "slope":
            return None
        sources, positions = terms.source.copy(), terms.position.copy()
        for source in np.unique(terms.source):
            mine = terms.source == source
            origin = self._origin(int(source)) if source >= 0 else None
            if source >= 0 and origin is None:
                return None
            if origin is not None:
                sources[mine] = origin[0][terms.position[mine]]
                positions[mine] = origin[1][terms.position[mine]]
        renamed = Terms.build(
            sources, positions, terms.value, terms.weight, arrangement=terms.arrangement
        )
        return Account(
            account.rule, renamed, account.total, account.magnitude, account.count,
            account.bias, None, account.formula, account.note, account.exact,
        )  # fmt: skip
