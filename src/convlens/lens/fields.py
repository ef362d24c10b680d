"""Find receptive fields: exactly which elements of an input one number was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds import Kind, bound
from convlens.lens.kinds.arguments import Arguments
from convlens.lens.kinds.walking import carried
from convlens.lens.recording import Recording, Step, Value
from convlens.tables import html_table


@dataclass(frozen=True, eq=False)
class Region:
    """The elements of a value that a number was made from, or that it reaches.

    `mask` has the value's shape, `box` the smallest range along each axis that holds it (empty
    ranges for an empty mask), and `count` the number of elements. Some of them may not matter if a
    step on the way has no rule that says what it reads: `warning` names it then, and is "" if not.
    """

    value: Value
    mask: Tensor = field(repr=False)
    box: tuple[range, ...]
    count: int
    warning: str = ""

    @property
    def upper_bound(self) -> bool:
        """Whether some of the elements may not matter."""
        return bool(self.warning)

    def __repr__(self) -> str:
        spans = " × ".join(f"{span.start}:{span.stop}" for span in self.box)
        most = "at most " if self.upper_bound else ""
        return f"<Region of {most}{self.count:,} elements of {self.value.name}, within {spans}>"

    def _repr_html_(self) -> str:
        """Return the box as a table for a notebook."""
        rows = [("axis", "from", "to before", "of")]
        for axis, (span, size) in enumerate(zip(self.box, self.value.shape, strict=True)):
            rows.append((str(axis), str(span.start), str(span.stop), str(size)))
        below = [self.warning] if self.warning else []
        return html_table(rows, right=(1, 2, 3), above=repr(self)[1:-1], below=below)


def region(recording: Recording, id: int, index: Sequence[int], input: int = 0) -> Region:
    """Return the region of an input of the network that element `index` of a value reads.

    A mask is carried backwards through every step, from what was made to what was read. An
    operation without a rule gives an upper bound, and the region says so: all of its inputs, except
    along axes (a batch) where other numbers elsewhere were seen to change nothing.

    Raises:
        ValueError: the network has no such input.
        NotImplementedError: a nested tensor, whose parts differ in size, is on the way.

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
        return as_region(source, only(source.shape, index))
    wanted = {id: only(recording.values[id].shape, index)}
    steps = recording.steps[: recording.values[id].step + 1]
    found, loose = carried(recording, wanted, (source.id,), steps, step_bound)
    mask = found.get(source.id, torch.zeros(source.shape, dtype=torch.bool))
    return as_region(source, mask, bounded_by(loose) if bool(masks.narrow(mask).any()) else "")


def bounded_by(loose: Sequence[Step]) -> str:
    """Return which steps made a region an upper bound, the first ones named; "" if none did."""
    if not loose:
        return ""
    named = [f"`{step.op}` (step {step.index})" for step in reversed(loose)]
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    which = ", ".join(named[:3]) + more
    return f"an upper bound: {which} may read fewer elements than these"


def step_bound(recording: Recording, step: Step) -> tuple[Kind, Arguments]:
    """Return the kind and arguments of a step whose inputs have one size along every axis."""
    _sized(recording, step.inputs)
    return bound(recording, step)


def _sized(recording: Recording, ids: Sequence[int]) -> None:
    """Raise for a value that has several sizes along an axis."""
    for id in ids:
        if -1 in recording.values[id].shape:
            raise NotImplementedError(
                f"`{recording.name_of(id)}` is nested: its parts differ in size, so its region is "
                "unknown; record one part alone"
            )


def only(shape: tuple[int, ...], index: Sequence[int]) -> Tensor:
    """Return the mask of one element."""
    mask = torch.zeros(shape, dtype=torch.bool)
    mask[tuple(index)] = True
    return mask


def as_region(value: Value, mask: Tensor, warning: str = "") -> Region:
    """Return a mask as a region, with the box that holds it."""
    narrow = masks.narrow(mask)
    box, count = [], int(narrow.sum())
    for axis, size in enumerate(mask.shape):
        if narrow.shape[axis] < size:
            box.append(range(size if count else 0))
            continue
        others = [a for a in range(mask.dim()) if a != axis]
        at = (narrow.any(others) if others else narrow).nonzero().flatten()
        box.append(range(int(at[0]), int(at[-1]) + 1) if count else range(0))
    times = mask.numel() // max(narrow.numel(), 1)
    return Region(value, mask, tuple(box), count * times, warning)
