"""Explain an assignment, `x[key] = value`: an element was put there, or was there before."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds import indexing
from convlens.lens.kinds.arguments import Arguments
from convlens.lens.kinds.moving import Moving
from convlens.lens.recording import Recording, Ref, Step
from convlens.lens.terms import Account, Cost, Terms, broadcast_index, ravel
from convlens.lens.trees import replace_refs


class Putting:
    """value = an element of what was assigned, or the one that stood here before."""

    name = "moving"
    exact = True

    def bind(self, recording: Recording, step: Step) -> Arguments:
        """Bind the call to its signature."""
        return indexing.bound(recording, step)

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return the one element; for a key of numbers and slices without a run of the step."""
        items = given["key"] if isinstance(given["key"], tuple) else (given["key"],)
        if not all(map(_plain, items)):
            return Moving().explain(given, slot, index)
        out = given.output(slot)
        place = _place(items, index, out.shape)
        if place is None:
            source, at = given.value("input"), index
        elif given.has("value"):
            source = given.value("value")
            at = broadcast_index((0,) * len(source.shape) + place, source.shape)
        else:
            note = "a constant put here, not an element of anything"
            recorded = given.recorded(slot, index)
            return Account("given", Terms.none(), recorded, exact=True, note=note)
        number = float(source.tensor[at])
        terms = Terms.build([source.id], [ravel(at, source.shape)], [number])
        rounded = float(torch.tensor(number, dtype=torch.float64).to(out.dtype))
        return Account("copy", terms, rounded, exact=True)

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return what was assigned under the mask, and what was there before elsewhere."""
        values = given.recording.values
        key = replace_refs(given["key"], lambda ref: values[ref.id].tensor.cpu())
        before, put = mask.clone(memory_format=torch.contiguous_format), mask[key]
        before[key] = False
        found = {given.id("input"): before}
        if given.has("value"):
            source = given.value("value")
            put = put.reshape((1,) * max(len(source.shape) - put.dim(), 0) + tuple(put.shape))
            theirs = masks.broadcast_back(put, source.shape)
            found[source.id] = masks.union(found.get(source.id), theirs)
        return found

    def cost(self, given: Arguments) -> Cost:
        """Count nothing."""
        return Cost()


def _plain(item: Any) -> bool:
    """Return whether an item of a key is a number, a slice of numbers, `...` or None."""
    if isinstance(item, slice):
        return not any(isinstance(part, Ref) for part in (item.start, item.stop, item.step))
    return (
        item is None or item is Ellipsis or (isinstance(item, int) and not isinstance(item, bool))
    )


def _place(
    items: tuple[Any, ...], index: tuple[int, ...], shape: tuple[int, ...]
) -> tuple[int, ...] | None:
    """Return where in `x[key]` element `index` of x stands; None if it is not there."""
    skipped = len(shape) - sum(item is not None and item is not Ellipsis for item in items)
    place: list[int] = []
    axis = 0
    for item in items:
        if item is None:
            place.append(0)
        elif item is Ellipsis:
            place += index[axis : axis + skipped]
            axis += skipped
        else:
            picked = range(shape[axis])[item]
            positions = picked if isinstance(picked, range) else (picked,)
            if index[axis] not in positions:
                return None
            if isinstance(picked, range):
                place.append(picked.index(index[axis]))
            axis += 1
    return (*place, *index[axis:])
