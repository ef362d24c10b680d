"""Receptive fields: exactly which elements of an input one number was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds import kind_of
from convlens.lens.steps import Recording, Value


@dataclass(frozen=True, eq=False)
class Region:
    """The elements of an input that a number was made from.

    `mask` has the input's shape; `box` is the smallest range of each axis that holds it (empty
    ranges when nothing does); `count` is how many elements there are.
    """

    value: Value
    mask: Tensor = field(repr=False)
    box: tuple[range, ...]
    count: int


def region(recording: Recording, id: int, index: Sequence[int], input: int = 0) -> Region:
    """The region of the network's input number `input` that element `index` of a value reads.

    Every step is walked backwards with a mask of what it reads; what an operation of no known
    kind reads counts as everything.

    Raises:
        ValueError: the network has no such input.
        NotImplementedError: a nested tensor lies on the way, whose parts differ in size.

    >>> import torch
    >>> from convlens.lens import record
    >>> recording = record(torch.nn.Conv1d(1, 1, 3, dilation=2), torch.ones(1, 1, 9))
    >>> region(recording, recording.output.id, (0, 0, 1)).mask.flatten().int().tolist()
    [0, 1, 0, 1, 0, 1, 0, 0, 0]
    """
    inputs = recording.inputs
    if not 0 <= input < len(inputs):
        raise ValueError(
            f"`input` (={input}) must be one of the network's {len(inputs)} inputs; "
            f"use 0 to {len(inputs) - 1}"
        )
    source = inputs[input]
    _sized(recording, (id, source.id))
    if id == source.id:
        return _region(source, _one(source.shape, index))
    wanted = {id: _one(recording.values[id].shape, index)}
    reached = _reached(recording, source.id)
    for step in reversed(recording.steps[: recording.values[id].step + 1]):
        for slot, output in enumerate(step.outputs):
            mask = wanted.pop(output, None)
            if mask is None or not any(i in reached for i in step.inputs):
                continue
            _sized(recording, step.inputs)
            for read, theirs in kind_of(step).reads(recording, step, slot, mask).items():
                if read in reached:
                    wanted[read] = masks.union(wanted.get(read), theirs)
    found = wanted.get(source.id)
    return _region(source, torch.zeros(source.shape, dtype=torch.bool) if found is None else found)


def _sized(recording: Recording, ids: Sequence[int]) -> None:
    """Raise for a value without one size along every axis."""
    for id in ids:
        if -1 in recording.values[id].shape:
            raise NotImplementedError(
                f"`{recording.name_of(id)}` is nested: its parts differ in size, so that no region "
                "is known; record one part alone"
            )


def _one(shape: tuple[int, ...], index: Sequence[int]) -> Tensor:
    mask = torch.zeros(shape, dtype=torch.bool)
    mask[tuple(index)] = True
    return mask


def _reached(recording: Recording, id: int) -> set[int]:
    """The values that depend on a value."""
    reached = {id}
    for step in recording.steps:
        if any(i in reached for i in step.inputs):
            reached.update(step.outputs)
    return reached


def _region(value: Value, mask: Tensor) -> Region:
    box = []
    for axis in range(mask.dim()):
        line = masks.collapse(mask, (a for a in range(mask.dim()) if a != axis)).flatten()
        line = line.expand(mask.shape[axis]) if line.numel() == 1 else line
        at = line.nonzero().flatten().tolist()
        box.append(range(at[0], at[-1] + 1) if at else range(0))
    return Region(value, mask, tuple(box), int(mask.sum()))
