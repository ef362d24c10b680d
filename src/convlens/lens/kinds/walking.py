"""Carry masks backwards through the steps of a recording, from what was made to what it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.arguments import Arguments
from convlens.lens.recording import Recording, Ref, Step
from convlens.lens.repeating import run_again


class ReadingKind(Protocol):
    """What the walk needs of a kind."""

    @property
    def exact(self) -> bool:
        """Whether `reads` names only what matters."""

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return for each input, by value id, the mask of what the masked outputs read."""


def carried(
    recording: Recording,
    wanted: dict[int, Tensor],
    targets: Iterable[int],
    steps: Sequence[Step],
    bound: Callable[[Recording, Step], tuple[ReadingKind, Arguments]],
) -> tuple[dict[int, Tensor], list[Step]]:
    """Carry the masks of `wanted` through `steps`, last to first, to the values `targets`.

    Second, return the steps on the way whose kind could only bound what they read.
    """
    targets = set(targets)
    reached = _reached(steps, targets)
    wanted, loose = dict(wanted), []
    for step in reversed(steps):
        for slot, output in enumerate(step.outputs):
            if output in targets or not any(i in reached for i in step.inputs):
                continue
            mask = wanted.pop(output, None)
            put = recording.values[output].put
            if mask is not None and put is not None:
                mask = mask & ~put
            if mask is None or not bool(masks.narrow(mask).any()):
                continue
            kind, given = bound(recording, step)
            if not kind.exact and step not in loose:
                loose.append(step)
            for read, theirs in kind.reads(given, slot, mask).items():
                if read in reached:
                    wanted[read] = masks.union(wanted.get(read), theirs)
    return {id: wanted[id] for id in targets if id in wanted}, loose


def _reached(steps: Sequence[Step], targets: set[int]) -> set[int]:
    """Return the values that depend on any of the targets."""
    reached = set(targets)
    for step in steps:
        if any(i in reached for i in step.inputs):
            reached.update(step.outputs)
    return reached


def computed(given: Arguments, *names: str) -> list[int]:
    """Return the ids of those arguments that are not parameters, as they usually are."""
    made = ("computed", "input")
    return [given.id(n) for n in names if given.has(n) and given.value(n).kind in made]


def by_slopes(given: Arguments, slot: int, mask: Tensor, ids: Iterable[int]) -> dict[int, Tensor]:
    """Return which elements of `ids` the masked outputs of a step read that is linear in each.

    The step runs on ones, so that neither a product nor a sum of products is 0 by chance.
    """
    values, found = given.recording.values, {}
    for id in dict.fromkeys(ids):
        leaf = torch.ones(values[id].shape, requires_grad=True)

        def tensor(ref: Ref, id: int = id, leaf: Tensor = leaf) -> Tensor:
            return leaf.clone() if ref.id == id else torch.ones(values[ref.id].shape)

        with torch.enable_grad():
            out = run_again(given.step, tensor, slot)
            (slope,) = torch.autograd.grad(out, leaf, mask.to(out.dtype), materialize_grads=True)
        found[id] = slope != 0
    return found


def union_of(one: dict[int, Tensor], other: dict[int, Tensor]) -> dict[int, Tensor]:
    """Return the masks of both; where both have one of the same value, their union."""
    return {**one, **{id: masks.union(one.get(id), mask) for id, mask in other.items()}}
