"""Find for one number what it is made of, value by value, and everything that it reaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from convlens.lens import masks
from convlens.lens.explaining import checked_index
from convlens.lens.fields import Region, as_region, bounded_by, only, step_bound
from convlens.lens.kinds.forward import forward
from convlens.lens.recording import Recording, Step, Value

Loose = tuple[Step, ...]
"""The steps on the way whose kind could only bound what they read."""


@dataclass(frozen=True, eq=False)
class Reach:
    """The way of one number through a recording.

    `earlier` has the region of each value before it that the number is made of, nearest first;
    `later` that of each value after it that it is a part of, in order. Parameters are left out.
    """

    value: Value
    index: tuple[int, ...]
    earlier: tuple[Region, ...] = field(repr=False)
    later: tuple[Region, ...] = field(repr=False)


def reach(recording: Recording, id: int, index: Sequence[int]) -> Reach:
    """Return what element `index` of a value is made of, and what it reaches, for every value.

    It carries a mask backwards through every step, as `region` does, and another one forwards. A
    region is an upper bound, and says so, where a step on the way has no rule that says what it
    reads. What no region holds has no part in the number, whatever its numbers are.

    Raises:
        ValueError: there is no such value or element.
        NotImplementedError: a nested tensor, whose parts differ in size, is on the way.

    >>> import torch
    >>> from convlens.lens import record
    >>> network = torch.nn.Sequential(torch.nn.Conv1d(1, 1, 3), torch.nn.Conv1d(1, 1, 3))
    >>> recording = record(network, torch.ones(1, 1, 9))
    >>> way = reach(recording, recording.made("0")[0], (0, 0, 4))
    >>> [region.box[2] for region in way.earlier], [region.box[2] for region in way.later]
    ([range(4, 7)], [range(2, 5)])
    """
    if not 0 <= id < len(recording.values):
        raise ValueError(
            f"`id` (={id}) must be a value of this recording; use 0 to {len(recording.values) - 1}"
        )
    value = recording.values[id]
    at = checked_index(index, value)
    start = only(value.shape, at)
    return Reach(value, at, _earlier(recording, value, start), _later(recording, value, start))


def _earlier(recording: Recording, value: Value, start: Tensor) -> tuple[Region, ...]:
    """Return the regions of what the masked elements are made of, nearest first."""
    held: dict[int, Tensor] = {value.id: start}
    loose: dict[int, Loose] = {value.id: ()}
    for step in reversed(recording.steps[: value.step + 1]):
        for slot, output in enumerate(step.outputs):
            mask = _computed(recording.values[output], held.get(output))
            if mask is None:
                continue
            kind, given = step_bound(recording, step)
            why = loose[output] if kind.exact else _more(loose[output], step)
            for id, theirs in kind.reads(given, slot, mask).items():
                if not _any(theirs):
                    continue
                held[id] = masks.union(held.get(id), theirs)
                loose[id] = _more(loose.get(id, ()), *why)
    found = sorted(held.keys() - {value.id}, reverse=True)
    return _regions(recording, found, held, loose)


def _later(recording: Recording, value: Value, start: Tensor) -> tuple[Region, ...]:
    """Return the regions of what the masked elements reach, in order."""
    held: dict[int, Tensor] = {value.id: start}
    loose: dict[int, Loose] = {value.id: ()}
    for step in recording.steps[value.step + 1 :]:
        mine = {id: held[id] for id in step.inputs if id in held}
        for slot, output in enumerate(step.outputs if mine else ()):
            step_bound(recording, step)
            here = forward(recording, step, slot, mine)
            mask = _computed(recording.values[output], here.mask)
            if mask is None:
                continue
            held[output] = mask
            ways = [each for id in mine for each in loose[id]]
            loose[output] = _more(tuple(ways), *(() if here.exact else (step,)))
    return _regions(recording, sorted(held.keys() - {value.id}), held, loose)


def _computed(value: Value, mask: Tensor | None) -> Tensor | None:
    """Return the part of a mask that a step computed, not a change; None if there is none."""
    if mask is not None and value.put is not None:
        mask = mask & ~value.put
    return mask if mask is not None and _any(mask) else None


def _any(mask: Tensor) -> bool:
    return bool(masks.narrow(mask).any())


def _more(steps: Loose, *others: Step) -> Loose:
    """Return steps with others, each once."""
    return tuple(dict.fromkeys((*steps, *others))) if others else steps


def _regions(
    recording: Recording, ids: Sequence[int], held: dict[int, Tensor], loose: dict[int, Loose]
) -> tuple[Region, ...]:
    """Return the masks of activations and constants as regions."""
    found = []
    for value in (recording.values[id] for id in ids):
        if value.kind not in ("parameter", "buffer"):
            steps = sorted(loose[value.id], key=lambda step: step.index, reverse=True)
            found.append(as_region(value, held[value.id], bounded_by(steps)))
    return tuple(found)
