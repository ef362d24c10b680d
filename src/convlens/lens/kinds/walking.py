"""Masks carried backwards through the steps of a recording, from what was made to what it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.arguments import Arguments
from convlens.lens.recording import Recording, Ref, Step
from convlens.lens.repeating import run_again


class Reading(Protocol):
    """What of a kind the walk needs."""

    @property
    def exact(self) -> bool:
        """Whether `reads` names only what matters."""

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """For each input, by value id, the mask of the elements the masked outputs read."""


def carried(
    recording: Recording,
    wanted: dict[int, Tensor],
    targets: Iterable[int],
    steps: Sequence[Step],
    kind_of: Callable[[Recording, Step], Reading],
) -> tuple[dict[int, Tensor], list[Step]]:
    """The masks of the `targets` that the masks of `wanted` read, through `steps`, last to first.

    Second, the steps on the way whose kind could only bound what they read.
    """
    targets = set(targets)
    reached = _reached(steps, targets)
    wanted, loose = dict(wanted), []
    for step in reversed(steps):
        for slot, output in enumerate(step.outputs):
            if output in targets or not any(i in reached for i in step.inputs):
                continue
            mask = wanted.pop(output, None)
            if mask is None or not bool(masks.narrow(mask).any()):
                continue
            kind = kind_of(recording, step)
            if not kind.exact and step not in loose:
                loose.append(step)
            for read, theirs in kind.reads(recording, step, slot, mask).items():
                if read in reached:
                    wanted[read] = masks.union(wanted.get(read), theirs)
    return {id: wanted[id] for id in targets if id in wanted}, loose


def _reached(steps: Sequence[Step], targets: set[int]) -> set[int]:
    """The values that depend on any of the targets."""
    reached = set(targets)
    for step in steps:
        if any(i in reached for i in step.inputs):
            reached.update(step.outputs)
    return reached


def computed(given: Arguments, *names: str) -> list[int]:
    """Of arguments that are mostly parameters, those a network may have computed."""
    made = ("computed", "input")
    return [given.id(n) for n in names if given.has(n) and given.value(n).kind in made]


def by_slopes(
    recording: Recording, step: Step, slot: int, mask: Tensor, ids: Sequence[int]
) -> dict[int, Tensor]:
    """The elements of `ids` read by the masked outputs of a step that is linear in each input.

    Run on ones instead of numbers, so that no product and no sum of products is 0 by chance.
    """
    found = {}
    for id in ids:
        leaf = torch.ones(recording.values[id].shape, requires_grad=True)

        def tensor(ref: Ref, id: int = id, leaf: Tensor = leaf) -> Tensor:
            if ref.id == id:
                return leaf.clone()
            return torch.ones(recording.values[ref.id].shape)

        with torch.enable_grad():
            out = run_again(step, tensor, slot)
            (slope,) = torch.autograd.grad(out, leaf, mask.to(out.dtype), materialize_grads=True)
        found[id] = slope != 0
    return found


def union_of(one: dict[int, Tensor], other: dict[int, Tensor]) -> dict[int, Tensor]:
    """Both, united where they speak of the same value."""
    return {**one, **{id: masks.union(one.get(id), mask) for id, mask in other.items()}}
