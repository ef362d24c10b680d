"""The kinds of steps: how each family makes its numbers, what it reads, and what it costs."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from convlens.lens.kinds import (
    attending,
    composed,
    convolving,
    moving,
    multiplying,
    normalizing,
    own,
    packed,
    pointwise,
    pooling,
    putting,
    recurrent_layers,
    recurring,
    reducing,
    regions,
    resampling,
    selecting,
    suppressing,
    universal,
)
from convlens.lens.kinds.arguments import Arguments, UnboundCall, library_of
from convlens.lens.recording import Recording, Ref, Step
from convlens.lens.terms import Account, Cost


class Kind(Protocol):
    """A family of steps with one rule for terms, for what is read, and for cost."""

    @property
    def name(self) -> str:
        """Name of the family."""

    @property
    def exact(self) -> bool:
        """Whether `reads` names only what matters; else it is an upper bound."""

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return how one element of output `slot` is made."""

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return for each input, by value id, the mask of what the masked outputs read."""

    def cost(self, given: Arguments) -> Cost:
        """Return what the whole step costs."""


class NamedKind(Kind, Protocol):
    """A kind that knows its operations by name, and their arguments by signature."""

    def bind(self, recording: Recording, step: Step) -> Arguments:
        """Return the step's arguments, or raise UnboundCall if the kind does not know the call."""


GIVEN = universal.Given()
PACKED = packed.Packed()
POINTWISE, FINDING = pointwise.Pointwise(), selecting.FindingNonzero()

KINDS: dict[str, NamedKind] = {
    **dict.fromkeys(convolving.SIGNATURES, convolving.Convolving()),
    **dict.fromkeys(pooling.SIGNATURES, pooling.Pooling()),
    **dict.fromkeys(multiplying.SIGNATURES, multiplying.Multiplying()),
    **dict.fromkeys(multiplying.BILINEAR, multiplying.Bilinear()),
    **dict.fromkeys(normalizing.SIGNATURES, normalizing.Normalizing()),
    **moving.MOVERS,
    "setitem": putting.Putting(),
    **dict.fromkeys(reducing.SIGNATURES, reducing.Reducing()),
    **dict.fromkeys(resampling.OPS, resampling.Resampling()),
    **dict.fromkeys(attending.SOFTMAX, attending.Softmax()),
    **dict.fromkeys(attending.ATTENTION, attending.Attending()),
    **dict.fromkeys(pointwise.OPS, POINTWISE),
    **dict.fromkeys(selecting.SIGNATURES, selecting.Selecting()),
    **dict.fromkeys(suppressing.SIGNATURES, suppressing.Suppressing()),
    "roi_align": regions.Aligning(),
    "roi_pool": regions.RegionPooling(),
    "alias": moving.Aliasing(),
    "nonzero": FINDING,
    **dict.fromkeys(recurrent_layers.OPS, recurring.Recurring()),
    **dict.fromkeys(universal.FACTORIES, GIVEN),
}
"""The kind of each operation. An operation that is not here goes by the operators beneath it."""

# These are known by name alone, in any library.
_IN_ANY_LIBRARY = frozenset((*regions.SIGNATURES, *suppressing.SIGNATURES))


def bound(recording: Recording, step: Step) -> tuple[Kind, Arguments]:
    """Return a step's kind, and its arguments as that kind knows them.

    Terms, regions and costs all begin here, so that they agree. A call that no kind knows by its
    name and its signature goes by the operators beneath it. If these have no kind either, it goes
    by the universal one.
    """
    kind, why = _named(step), ""
    if kind is not None:
        try:
            return kind, kind.bind(recording, step)
        except UnboundCall as error:
            why = str(error)
    return _unnamed(recording, step, why), Arguments.as_called(recording, step)


def _named(step: Step) -> NamedKind | None:
    """Return the kind that has a step's name; its arguments decide between overloads."""
    if not step.inputs:
        return GIVEN
    if own.is_own(step):
        return own.own_kind(step)
    if packed.packed(step):
        return PACKED
    if library_of(step) not in ("", "aten", "prims") and step.op not in _IN_ANY_LIBRARY:
        return None
    if step.op == "where" and len(step.args) + len(step.kwargs) == 1:
        return FINDING
    if step.op in ("max", "min") and _tensors(step) > 1:
        return POINTWISE
    if step.op == "alias" and "offset" not in step.kwargs:
        return POINTWISE  # the operator of that name, not a step of the recorder
    return KINDS.get(step.op)


def _tensors(step: Step) -> int:
    """Return how many tensors were given to a call, side by side."""
    return sum(isinstance(each, Ref) for each in (*step.args, *step.kwargs.values()))


def _unnamed(recording: Recording, step: Step, why: str) -> Kind:
    """Return the kind of a call that none knows; `why` says what did not fit a known name."""
    if step.op in universal.RANDOM | universal.WHOLE or not step.outputs:
        return universal.Universal(why)
    if not why and torch.Tag.pointwise in getattr(step.function, "tags", ()):
        return POINTWISE
    below = composed.beneath(recording, step, bound)
    if below is None or _opaque(step, below):
        return universal.Universal(why)
    return composed.Composed(below, why)


def _opaque(step: Step, below: composed.Beneath) -> bool:
    """Return whether a step is made of nothing, of itself, or of one operator without a kind."""
    steps = below.recording.steps
    if not steps or any(each.function is step.function for each in steps):
        return True
    return len(steps) == 1 and below.bound[0][0].name == "universal"
