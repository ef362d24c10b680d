"""The kinds of steps: for each family its terms, what it reads, and what it costs."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from convlens.lens.kinds import (
    attending,
    convolving,
    moving,
    multiplying,
    normalizing,
    pointwise,
    pooling,
    putting,
    reducing,
    regions,
    resampling,
    selecting,
    suppressing,
    universal,
)
from convlens.lens.steps import Recording, Ref, Step
from convlens.lens.terms import Account, Cost


class Kind(Protocol):
    """A family of steps that are explained alike."""

    name: str

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """How one element of output `slot` is made."""

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """For each input, by value id, the mask of the elements the masked outputs read."""

    def cost(self, recording: Recording, step: Step) -> Cost:
        """What the whole step costs."""


GIVEN, UNIVERSAL = universal.Given(), universal.Universal()
REDUCING, SELECTING = reducing.Reducing(), selecting.Selecting()
POINTWISE, FINDING = pointwise.Pointwise(), selecting.FindingNonzero()

KINDS: dict[str, Kind] = {
    **dict.fromkeys(convolving.SIGNATURES, convolving.Convolving()),
    **dict.fromkeys(pooling.SIGNATURES, pooling.Pooling()),
    **dict.fromkeys(multiplying.SIGNATURES, multiplying.Multiplying()),
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
    **dict.fromkeys(universal.FACTORIES, GIVEN),
}
"""Which kind an operation is; what is not here goes by the universal rule."""


def kind_of(step: Step) -> Kind:
    """The kind of a step; overloads of one name are told apart by their arguments."""
    if not step.inputs:
        return GIVEN
    tensors = [a for a in (*step.args, *step.kwargs.values()) if isinstance(a, Ref)]
    if step.op == "where" and len(step.args) + len(step.kwargs) == 1:
        return FINDING
    if step.op in ("max", "min") and len(tensors) > 1:
        return POINTWISE
    if step.op == "alias" and "offset" not in step.kwargs:
        return POINTWISE  # the operator of that name, not our own step
    return KINDS.get(step.op, UNIVERSAL)
