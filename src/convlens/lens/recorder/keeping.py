"""Keep the value of every tensor at the moment of its use; copy it before it is overwritten."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from convlens.lens.memory import copy_of, memory_of, opaque, version_of
from convlens.lens.recording import Value

_ALIAS_SOURCES = 64
"""The most values an alias looks at: the latest of its memory, which cover the older ones."""

_NOTHING = torch.empty(0)
"""Stands for the tensors that are let go once the budget is passed."""

Placement = tuple[int, tuple[int, ...]]
"""Where a tensor is in its memory: its offset and its strides, in elements."""


@dataclass(frozen=True, slots=True)
class Alias:
    """A tensor whose memory was written through another view after it was recorded.

    `sources` are the values in that memory now, or before it was written, oldest first, each with
    its offset and strides. `offset` and `strides` are the tensor's own.
    """

    sources: tuple[tuple[int, int, tuple[int, ...]], ...]
    offset: int
    strides: tuple[int, ...]


class Keeper:
    """The values of a run: which tensor is which value now, and which memory holds each value.

    `begin` starts a step. Its arguments are then named by `refer`, the memory it is about to write
    is announced to `before_write`, and what it made is kept by `made`. Past a budget of bytes,
    `over_budget` is true: all tensors are let go, and `nbytes` goes on counting.
    """

    def __init__(self, budget: int) -> None:
        self.budget, self.nbytes, self.over_budget = budget, 0, False
        self.values: list[Value] = []
        # Why numbers cannot be read one by one -> the values of which that is true.
        self.opaque: dict[str, list[int]] = {}
        # id(tensor) -> the tensor (kept alive, or its id would be reused), value, version.
        self._identity: dict[int, tuple[Tensor, int, int]] = {}
        # By memory: the values in it now, those in it before a write, and how often it was written.
        self._living: dict[Hashable, list[int]] = {}
        self._history: dict[Hashable, list[int]] = {}
        self._versions: dict[Hashable, int] = {}
        self._memories: list[Hashable] = []  # of each value
        # Where a value was in its memory before it was copied.
        self._placements: dict[int, Placement] = {}
        self._outside: set[Hashable] = set()  # memory that was there before the run
        # Memory that the running step was given, and wrote.
        self._given: set[Hashable] = set()
        self._written: set[Hashable] = set()

    def begin(self) -> None:
        """Start a step: nothing is given to it yet, and it has written nothing."""
        self._given.clear()
        self._written.clear()

    def refer(self, tensor: Tensor) -> int | Alias:
        """Return the value that a tensor is now; a tensor never seen before becomes a constant.

        An alias is not a value yet: the caller makes a step of it, whose output is the tensor.
        """
        key = memory_of(tensor)[0]
        self._given.add(key)
        entry = self._identity.get(id(tensor))
        if entry is not None and entry[2] == self._versions.get(key, 0):
            return entry[1]
        if entry is None and self.over_budget:
            return 0
        if key not in self._living or opaque(tensor):
            return self.keep(tensor, "constant")
        there = [*self._history.get(key, ()), *self._living.get(key, ())]
        sources = tuple((id_, *self._placement(id_)) for id_ in there[-_ALIAS_SOURCES:])
        return Alias(sources, int(tensor.storage_offset()), tensor.stride())

    def known(self, tensors: Iterable[Tensor]) -> tuple[int, ...]:
        """Return the values of those of the tensors that were recorded."""
        found = [self._identity.get(id(t)) for t in tensors]
        return tuple([entry[1] for entry in found if entry is not None])

    def leaf(self, tensor: Tensor, kind: str, name: str = "") -> int:
        """Keep a tensor that no step made, once."""
        entry = self._identity.get(id(tensor))
        return self.keep(tensor, kind, name=name) if entry is None else entry[1]

    def made(
        self, tensors: Sequence[Tensor], step: int, put: Sequence[Tensor | None] = ()
    ) -> tuple[int, ...]:
        """Keep what a step made or changed, in order, with the masks of what was put there."""
        ids = tuple([self.keep(t, "computed", step, slot) for slot, t in enumerate(tensors)])
        for id_, mask in zip(ids, put, strict=False) if put else ():
            if mask is not None:
                self.values[id_].put = mask
        return ids

    def keep(self, tensor: Tensor, kind: str, step: int = -1, slot: int = 0, name: str = "") -> int:
        """Keep a tensor as a new value, and return its id."""
        key, nbytes = memory_of(tensor)
        id_ = len(self.values)
        if kind == "computed" and key not in self._given and key not in self._living:
            self._count(nbytes)
        held = tensor.detach() if kind == "parameter" else tensor
        if self.over_budget and kind == "computed":
            held = _NOTHING
        else:
            self._identity[id(tensor)] = (tensor, id_, self._versions.get(key, 0))
            self._living.setdefault(key, []).append(id_)
        if kind != "computed":
            self._outside.add(key)
        why = opaque(tensor)
        if why:
            self.opaque.setdefault(why, []).append(id_)
        shape = _nested_shape(tensor) if why == "nested" else tuple(tensor.shape)
        version = version_of(held) if kind != "computed" else -1
        graded = tensor.requires_grad
        self.values.append(
            Value(id_, kind, held, shape, tensor.dtype, step, slot, name, version, graded)
        )
        self._memories.append(key)
        return id_

    def before_write(self, tensor: Tensor) -> None:
        """Copy every value in the memory that is about to be written."""
        key, nbytes = memory_of(tensor)
        living = self._living.get(key, ())
        for id_ in living:
            value = self.values[id_]
            if value.tensor is _NOTHING:
                continue
            if not opaque(value.tensor):
                self._placements[id_] = self._placement(id_)
            copy = copy_of(value.tensor)
            value.tensor, value.version = copy, -1
            self._memories[id_], copied = memory_of(copy)
            self._count(copied)
        if living:
            self._history.setdefault(key, []).extend(living)
            self._living[key] = []
        elif self.over_budget:  # the copy that would have been made
            self._count(nbytes)
        self._versions[key] = self._versions.get(key, 0) + 1
        self._written.add(key)

    def written_among(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return those of the tensors whose memory the running step has written."""
        if not self._written:
            return []
        return [tensor for tensor in tensors if memory_of(tensor)[0] in self._written]

    def forget_writes(self) -> None:
        """Treat what the running step has written so far as a side effect, not as an output."""
        self._written.clear()

    def settled(self) -> tuple[Value, ...]:
        """Return the values as a recording holds them; nothing more is followed afterwards.

        They are without a graph, and know the version of memory that others may write.
        """
        self._identity.clear()
        for value, memory in zip(self.values, self._memories, strict=True):
            if value.kind == "computed" and memory in self._outside:
                value.tensor, value.version = value.tensor.detach(), version_of(value.tensor)
            elif value.tensor.requires_grad:
                value.tensor = value.tensor.detach()
        return tuple(self.values)

    def _count(self, nbytes: int) -> None:
        """Add to the bytes kept; past the budget let all computed tensors go."""
        self.nbytes += nbytes
        if self.nbytes <= self.budget or self.over_budget:
            return
        self.over_budget = True
        for value in self.values:
            if value.kind == "computed":
                value.tensor = _NOTHING
        self._identity = {
            key: entry
            for key, entry in self._identity.items()
            if self.values[entry[1]].kind != "computed"
        }
        # Memory that is free again may soon be that of another tensor.
        left = {
            key: [id_ for id_ in ids if self.values[id_].kind != "computed"]
            for key, ids in self._living.items()
        }
        self._living = {key: ids for key, ids in left.items() if ids}

    def _placement(self, id_: int) -> Placement:
        """Return where a value is in its memory, or was before it was copied."""
        tensor = self.values[id_].tensor
        return self._placements.get(id_) or (int(tensor.storage_offset()), tensor.stride())


def _nested_shape(tensor: Tensor) -> tuple[int, ...]:
    """Return the shape of a nested tensor, with -1 along an axis on which its parts differ."""
    shape = []
    for axis in range(tensor.dim()):
        try:
            size = tensor.size(axis)
        except RuntimeError:  # torch refuses an axis on which the parts differ
            size = -1
        shape.append(size if type(size) is int else -1)
    return tuple(shape)
