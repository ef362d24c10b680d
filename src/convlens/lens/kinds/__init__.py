"""The kinds of steps: for each family its terms, what it reads, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from convlens.lens.kinds import (
    attending,
    composed,
    convolving,
    indexing,
    moving,
    multiplying,
    normalizing,
    own,
    packed,
    pointwise,
    pooling,
    putting,
    recurring,
    reducing,
    regions,
    resampling,
    selecting,
    suppressing,
    universal,
)
from convlens.lens.kinds.arguments import UnboundCall
from convlens.lens.recording import Recording, Ref, Step
from convlens.lens.terms import Account, Cost


class Kind(Protocol):
    """A family of steps that are explained alike."""

    @property
    def name(self) -> str:
        """What the family is called."""

    @property
    def exact(self) -> bool:
        """Whether `reads` names only what matters; else it is an upper bound."""

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """How one element of output `slot` is made."""

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """For each input, by value id, the mask of the elements the masked outputs read."""

    def cost(self, recording: Recording, step: Step) -> Cost:
        """What the whole step costs."""


GIVEN = universal.Given()
PACKED = packed.Packed()
REDUCING, SELECTING = reducing.Reducing(), selecting.Selecting()
POINTWISE, FINDING = pointwise.Pointwise(), selecting.FindingNonzero()

KINDS: dict[str, Kind] = {
    **dict.fromkeys(convolving.SIGNATURES, convolving.Convolving()),
    **dict.fromkeys(pooling.SIGNATURES, pooling.Pooling()),
    **dict.fromkeys(multiplying.SIGNATURES, multiplying.Multiplying()),
    "bilinear": multiplying.Bilinear(),
    **dict.fromkeys(normalizing.SIGNATURES, normalizing.Normalizing()),
    **moving.MOVERS,
    "setitem": putting.Putting(),
    **dict.fromkeys(reducing.SIGNATURES, REDUCING),
    **dict.fromkeys(resampling.OPS, resampling.Resampling()),
    **dict.fromkeys(attending.SOFTMAX, attending.Softmax()),
    **dict.fromkeys(attending.ATTENTION, attending.Attending()),
    **dict.fromkeys(pointwise.OPS, POINTWISE),
    **dict.fromkeys(selecting.SIGNATURES, SELECTING),
    **dict.fromkeys(suppressing.SIGNATURES, suppressing.Suppressing()),
    "roi_align": regions.Aligning(),
    "roi_pool": regions.RegionPooling(),
    "alias": moving.Aliasing(),
    "nonzero": FINDING,
    **dict.fromkeys(recurring.OPS, recurring.Recurring()),
    **dict.fromkeys(universal.FACTORIES, GIVEN),
}
"""Which kind an operation is; of what is not here, the operators beneath have kinds."""


BINDINGS: dict[str, Callable[[Step], None]] = {
    **dict.fromkeys(convolving.SIGNATURES, convolving.bound),
    **dict.fromkeys(pooling.SIGNATURES, pooling.bound),
    **dict.fromkeys((*multiplying.SIGNATURES, "bilinear"), multiplying.bound),
    **dict.fromkeys(normalizing.SIGNATURES, normalizing.bound),
    **dict.fromkeys(indexing.SIGNATURES, indexing.bound),
    "view": moving.bound,
    **dict.fromkeys(reducing.SIGNATURES, reducing.bound),
    **dict.fromkeys(attending.SOFTMAX, attending.bound),
    **dict.fromkeys(attending.ATTENTION, attending.bound),
    **dict.fromkeys(pointwise.BOUND, pointwise.bound),
    **dict.fromkeys(selecting.SIGNATURES, selecting.bound),
    **dict.fromkeys(suppressing.SIGNATURES, suppressing.bound),
    **dict.fromkeys(regions.SIGNATURES, regions.bound),
    **dict.fromkeys(recurring.OPS, recurring.bound),
}
"""Raises UnboundCall for a call that the rule of this name does not know."""


def kind_of(recording: Recording, step: Step) -> Kind:
    """The kind of a step: the same for its terms, its region and its cost.

    Overloads of one name are told apart by their arguments. Where no rule has the name, or the
    call fits none of its signatures, the operators beneath are the rule, and where those have none
    either, the universal one.
    """
    kind, why = _named(step), ""
    if kind is not None:
        try:
            if kind is KINDS.get(step.op) and step.op in BINDINGS:
                BINDINGS[step.op](step)
            return kind
        except UnboundCall as error:
            why = str(error)
    if step.op in universal.RANDOM | universal.WHOLE or not step.outputs:
        return universal.Universal(why)
    tags = getattr(step.function, "tags", ()) if not why else ()
    if torch.Tag.pointwise in tags:
        return POINTWISE
    below = composed.beneath(recording, step)
    if below is None or _opaque(step, below):
        return universal.Universal(why)
    return composed.Composed(below, kind_of, why)


def _named(step: Step) -> Kind | None:
    """The rule that has a step's name."""
    if not step.inputs:
        return GIVEN
    if own.is_own(step):
        return own.own_kind(step)
    if packed.packed(step):
        return PACKED
    if _namespace(step) not in ("", "aten", "prims") and step.op not in _ANYONES:
        return None
    tensors = [a for a in (*step.args, *step.kwargs.values()) if isinstance(a, Ref)]
    if step.op == "where" and len(step.args) + len(step.kwargs) == 1:
        return FINDING
    if step.op in ("max", "min") and len(tensors) > 1:
        return POINTWISE
    if step.op == "alias" and "offset" not in step.kwargs:
        return POINTWISE  # the operator of that name, not our own step
    return KINDS.get(step.op)


# Known by name, whoever wrote them.
_ANYONES = frozenset((*regions.SIGNATURES, *suppressing.SIGNATURES))


def _namespace(step: Step) -> str:
    """Of an operator, the library it is of; "" for a function."""
    if isinstance(step.function, torch._ops.OpOverload):
        return step.function.namespace
    if isinstance(step.function, torch._ops.OpOverloadPacket):
        return step.function._qualified_op_name.split("::")[0]
    return ""


def _opaque(step: Step, below: composed.Beneath) -> bool:
    """Whether beneath a step is nothing, the step itself, or one operator without a rule."""
    steps = below.recording.steps
    if not steps or any(each.function is step.function for each in steps):
        return True
    return len(steps) == 1 and kind_of(below.recording, steps[0]).name == "universal"
