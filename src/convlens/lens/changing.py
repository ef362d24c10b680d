"""Say what is to be changed in a recorded run: numbers, tensors, arguments, maps."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from convlens.lens.kinds import bound
from convlens.lens.kinds.arguments import Arguments
from convlens.lens.kinds.convolving import SIGNATURES as CONVOLUTIONS
from convlens.lens.kinds.pooling import SIGNATURES as POOLINGS
from convlens.lens.memory import copy_of, memory_of
from convlens.lens.recording import Recording, Ref, Step, Value

Setting = int | bool | str | tuple[int, ...] | None
"""What an argument of a convolution or pooling may be set to."""


@dataclass(frozen=True)
class SetNumber:
    """One number of a value, an input or a weight becomes another."""

    value: int | str
    index: tuple[int, ...]
    to: float


@dataclass(frozen=True, eq=False)
class SetValue:
    """A value becomes another tensor of its dtype."""

    value: int | str
    tensor: Tensor = field(repr=False)


@dataclass(frozen=True)
class SetArgument:
    """An argument of a convolution or pooling, such as `stride` or `dilation`, becomes another."""

    step: int | str
    name: str
    to: Setting


@dataclass(frozen=True)
class Mute:
    """One map of a value becomes 0."""

    value: int | str
    channel: int


Change = SetNumber | SetValue | SetArgument | Mute


@dataclass(frozen=True, eq=False)
class Changes:
    """What changes, by the id of a value and by the index of a step, in the order given."""

    recording: Recording
    values: dict[int, list[SetNumber | SetValue | Mute]]
    arguments: dict[int, list[SetArgument]]

    @classmethod
    def of(cls, recording: Recording, changes: Sequence[Change]) -> Changes:
        """Find what the changes name.

        Raises:
            ValueError: there is no such value or step, or it cannot be changed in this way.
        """
        found = cls(recording, {}, {})
        for change in changes:
            if isinstance(change, SetArgument):
                step = recording.step(change.step)
                found.arguments.setdefault(step.index, []).append(change)
            else:
                id = _value(recording, change.value)
                found._check(recording.values[id])
                found.values.setdefault(id, []).append(change)
        return found

    def _check(self, value: Value) -> None:
        """Raise for a value of which a changed copy would not stand for all that shares it."""
        name, values = self.recording.name_of(value.id), self.recording.values
        if value.opaque:
            raise ValueError(
                f"`{name}` is {value.opaque}, so its numbers cannot be set; change one before it"
            )
        if value.kind == "computed":
            aliases = (s for s in self.recording.steps if s.op == "alias" and value.id in s.inputs)
            shared = next((step.outputs[0] for step in aliases), None)
        else:
            others = (v.id for v in values if v.kind != "computed" and v is not value)
            shared = next((id for id in others if _overlap(values[id].tensor, value.tensor)), None)
        if shared is not None:
            raise ValueError(
                f"`{name}` shares its memory with `{self.recording.name_of(shared)}`, which would "
                "change with it; run the changed network"
            )

    def value(self, id: int, tensor: Tensor) -> tuple[Tensor, Tensor]:
        """Return a tensor with the changes of its value, and the mask of what was put there."""
        value = replace(self.recording.values[id], tensor=tensor, shape=tuple(tensor.shape))
        put = torch.zeros(tensor.shape, dtype=torch.bool)
        for change in self.values[id]:
            if isinstance(change, SetValue):
                tensor = _whole(self.recording, value, change.tensor)
                put = torch.ones(tensor.shape, dtype=torch.bool)
            elif isinstance(change, SetNumber):
                tensor, at = copy_of(tensor), _index(change.index, tuple(tensor.shape))
                tensor[at], put[at] = _number(change.to, tensor.dtype), True
            else:
                tensor = copy_of(tensor)
                axis = _channel_axis(self.recording, value)
                channel = _channel(change.channel, axis, tensor)
                tensor.select(axis, channel).zero_()
                put.select(axis, channel).fill_(True)
        return tensor, put

    def step(self, step: Step) -> Step:
        """Return a step with its changed arguments."""
        for change in self.arguments.get(step.index, ()):
            step = _with_argument(self.recording, step, change)
        return step


def _value(recording: Recording, where: int | str) -> int:
    """Return the id of a value, given by itself or by a name."""
    if isinstance(where, str):
        ids = recording.made(where)
        if len(ids) != 1:
            raise ValueError(f"`value` (={where!r}) stands for {len(ids)} values; name one of them")
        return ids[0]
    id = operator.index(where)
    if not 0 <= id < len(recording.values):
        raise ValueError(
            f"`value` (={where}) must be a value of this recording; use 0 to "
            f"{len(recording.values) - 1}"
        )
    return id


def _overlap(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors may have an element in common."""
    if not one.numel() or not other.numel() or memory_of(one)[0] != memory_of(other)[0]:
        return False
    (start, end), (first, last) = _range(one), _range(other)
    return start <= last and first <= end


def _range(tensor: Tensor) -> tuple[int, int]:
    """Return the first and the last byte of a tensor in its memory."""
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    span, size = sum((n - 1) * s for n, s in steps), tensor.element_size()
    start = int(tensor.storage_offset()) * size
    return start, start + (span + 1) * size - 1


def _whole(recording: Recording, value: Value, tensor: Tensor) -> Tensor:
    """Return a copy of the tensor that a value becomes; it must be of the same sort."""
    name, old = recording.name_of(value.id), value.tensor
    if tensor.dtype != old.dtype or tensor.device != old.device or tensor.dim() != old.dim():
        raise ValueError(
            f"`tensor` ({tensor.dtype}, {tensor.dim()} axes, on {tensor.device}) must be like "
            f"`{name}` ({old.dtype}, {old.dim()} axes, on {old.device}); convert it"
        )
    return copy_of(tensor)


def _index(index: Sequence[int], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return an index counted from the front, or raise for one outside."""
    at = tuple(operator.index(i) for i in index)
    if len(at) != len(shape) or any(not -n <= i < n for i, n in zip(at, shape, strict=True)):
        size = "x".join(map(str, shape)) or "a single number"
        raise ValueError(f"`index` (={at}) must be an element of {size}; use one integer an axis")
    return tuple(i % n for i, n in zip(at, shape, strict=True))


def _number(to: float, dtype: torch.dtype) -> float | int:
    """Return a number as its tensor takes it; whole ones for integers."""
    if dtype.is_floating_point or dtype.is_complex:
        return float(to)
    if float(to) != int(to) or (dtype == torch.bool and to not in (0, 1)):
        raise ValueError(f"`to` (={to}) must be a number of {dtype}; use a whole one")
    if dtype != torch.bool and not torch.iinfo(dtype).min <= int(to) <= torch.iinfo(dtype).max:
        raise ValueError(f"`to` (={to}) must be a number of {dtype}; use a smaller one")
    return int(to)


def _channel_axis(recording: Recording, value: Value) -> int:
    """Return the axis of a value's maps: that of the convolution or pooling which it follows."""
    rank = len(value.shape)
    if value.kind not in ("computed", "input"):
        raise ValueError(
            f"`{recording.name_of(value.id)}` is a {value.kind}, which has no maps; set its numbers"
        )
    at: Value | None = value
    while at is not None and at.step >= 0:
        step = recording.steps[at.step]
        kind, given = bound(recording, step)
        windows = getattr(kind, "geometry", None)
        if windows is not None:
            return rank - len(windows(given).windows) - 1
        same = (recording.values[i] for i in step.inputs if i < value.id)
        at = next((v for v in same if len(v.shape) == rank and v.kind != "parameter"), None)
    return min(1, rank - 1)


def _channel(channel: int, axis: int, tensor: Tensor) -> int:
    """Return the number of a map, or raise for one that a value lacks."""
    count = tensor.shape[axis] if axis >= 0 else 0
    if not 0 <= operator.index(channel) < count:
        raise ValueError(
            f"`channel` (={channel}) must be a map of the value; "
            + (f"use 0 to {count - 1}" if count else "it has none")
        )
    return operator.index(channel)


def _with_argument(recording: Recording, step: Step, change: SetArgument) -> Step:
    """Return a convolution or pooling with another argument."""
    _, given = bound(recording, step)
    names = _settings(step, given)
    if change.name not in names:
        use = f"use {', '.join(names)}" if names else "change a convolution or a pooling"
        raise ValueError(
            f"`name` (={change.name!r}) must be an argument of step {step.index} (`{step.op}`) "
            f"that can be set; {use}"
        )
    place = _order(step).index(change.name)
    if place < len(step.args):
        args = (*step.args[:place], change.to, *step.args[place + 1 :])
        return replace(step, args=args)
    return replace(step, kwargs={**step.kwargs, change.name: change.to})


def _settings(step: Step, given: Arguments) -> list[str]:
    """Return the names of the arguments that can be set: those of torch that are not tensors."""
    fixed = ("input", "weight", "bias", "return_indices", "transposed")
    names = [name for name in _order(step) if name not in fixed and name in given.named]
    return [name for name in names if not isinstance(given[name], Ref)]


def _order(step: Step) -> list[str]:
    """Return the arguments of a convolution or pooling of torch in order; [] of another step."""
    signature = {**CONVOLUTIONS, **POOLINGS}.get(step.op, "")
    return [part.partition("=")[0].strip() for part in signature.split(",") if part]
