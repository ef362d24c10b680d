"""Explain a step without a rule of its own by the operators beneath it, which have one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from convlens.lens.kinds.arguments import Arguments
from convlens.lens.kinds.flattening import Flattening
from convlens.lens.kinds.refusing import StepRefused
from convlens.lens.kinds.universal import Universal
from convlens.lens.kinds.walking import carried
from convlens.lens.recorder.running import record_operators
from convlens.lens.recording import Recording, Step
from convlens.lens.repeating import NotRepeated, call_again, without_out
from convlens.lens.terms import Account, Cost, Origin
from convlens.lens.trees import replace_refs

if TYPE_CHECKING:
    from convlens.lens.kinds import Kind

_KEPT = 8
"""The recordings of operators kept at a time: each holds all that its step made on the way."""

# torch computes these products element by element. They count as a matrix product with an inner
# axis of 1, or, of "vecdot", as one of which only the diagonal is made.
_PRODUCTS = frozenset("outer ger kron linalg_vecdot vecdot".split())

Bind = Callable[[Recording, Step], "tuple[Kind, Arguments]"]


@dataclass(frozen=True, eq=False)
class Beneath:
    """The operators that a step is made of, recorded as the step ran again on what it had read.

    `leaves` gives for each value that the step read the value that stood for it.
    """

    recording: Recording
    leaves: dict[int, int]
    binding: Bind
    origins: dict[int, Origin | None] = field(default_factory=dict)
    _bound: dict[int, tuple[Kind, Arguments]] = field(default_factory=dict)

    def bind(self, recording: Recording, step: Step) -> tuple[Kind, Arguments]:
        """Return the kind and arguments of an operator, which are found once."""
        if step.index not in self._bound:
            self._bound[step.index] = self.binding(recording, step)
        return self._bound[step.index]

    @property
    def bound(self) -> list[tuple[Kind, Arguments]]:
        """The kinds and arguments of all operators."""
        return [self.bind(self.recording, step) for step in self.recording.steps]


def beneath(recording: Recording, step: Step, bind: Bind) -> Beneath | None:
    """Return the operators beneath a step; None if it gives something else when it runs again."""
    return recording.kept("operators", step.index, _KEPT, lambda: _recorded(recording, step, bind))


def _recorded(recording: Recording, step: Step, bind: Bind) -> Beneath | None:
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
    return Beneath(seen, {id: own for own, id in enumerate(leaves)}, bind)


def _same(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are equal bit for bit, with NaN equal to NaN."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return one.is_meta or torch.equal(one.nan_to_num(), other.nan_to_num())


class Composed:
    """value = what the operators beneath make of it, in elements of what the step read.

    `why` is what did not fit, if the call has a kind whose signature it does not fit.
    """

    name = "composed"

    def __init__(self, beneath: Beneath, why: str) -> None:
        self.beneath, self.why = beneath, why

    @property
    def exact(self) -> bool:
        """Whether every operator beneath names only what matters."""
        return all(kind.exact for kind, _ in self.beneath.bound)

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return the terms of all operators together if they make a sum; else slopes."""
        below = self.beneath
        flattening = Flattening(below.recording, below.leaves, below.bind, below.origins)
        try:
            flat = flattening.of(below.recording.output_ids[slot], index)
        except StepRefused:  # an operator beneath, of which the user knows nothing
            flat = None
        if flat is None:
            return Universal(self.why).explain(given, slot, index)
        note = "; ".join(filter(None, (flat.note, self.why)))
        return replace(flat, note=note)

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return the mask carried backwards through the operators."""
        below = self.beneath
        found, _ = carried(
            below.recording,
            {below.recording.output_ids[slot]: mask},
            below.leaves.values(),
            below.recording.steps,
            below.bind,
        )
        return {id: found[sub] for id, sub in below.leaves.items() if sub in found}

    def cost(self, given: Arguments) -> Cost:
        """Count what the operators cost together."""
        costs = [
            (operator.step.op, kind.cost(operator))
            for kind, operator in self.beneath.bound
            if operator.step.outputs
        ]
        multiply_adds = sum(cost.multiply_adds for _, cost in costs)
        operations = sum(cost.operations for _, cost in costs)
        if given.step.op in _PRODUCTS:
            multiply_adds, operations = math.prod(_products(given)), 0
        missing = dict.fromkeys(f"`{op}`: {cost.uncounted}" for op, cost in costs if cost.uncounted)
        return Cost(multiply_adds, operations, "; ".join(missing))


def _products(given: Arguments) -> tuple[int, ...]:
    """Return the shape of the products that a step makes element by element."""
    if not given.step.op.endswith("vecdot"):
        return given.output().shape
    shapes = [given.recording.values[id].shape for id in given.step.inputs]
    return np.broadcast_shapes(*shapes)
