"""Keeping what is seen: every tensor's value at its moment, copied before it is overwritten."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from convlens.lens.memory import memory_of, opaque, version_of
from convlens.lens.recording import Ref, Step, Value
from convlens.lens.trees import tensors_in

# An alias looks at the latest values of its storage; older ones are covered by these.
_ALIAS_SOURCES = 64
# Stands for the tensors let go once the budget is passed.
_NOTHING = torch.empty(0)


@dataclass(slots=True)
class OpenCall:
    """A module call that may not have returned yet."""

    path: str
    type: str
    call: int
    parent: int
    first: int
    inputs: tuple[int, ...]
    last: int = 0
    outputs: tuple[int, ...] = ()


class Fault(BaseException):
    """An error of our own bookkeeping, on its way past the network that it is none of."""


class Ours:
    """Around bookkeeping: not recorded, and its errors are `Fault`s, which no network handles."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.plain: list[Any] = []

    def __enter__(self) -> None:
        self.keeper.depth += 1
        self.plain.append(torch._C.DisableTorchFunctionSubclass())
        self.plain[-1].__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.plain.pop().__exit__(kind, error, trace)
        self.keeper.depth -= 1
        if isinstance(error, Exception):
            self.keeper.fault = error
            raise Fault from error


class Keeper:
    """The values and steps seen so far, and in which memory each value lies."""

    def __init__(self, budget: int) -> None:
        super().__init__()
        self.budget = budget
        # More than 0 inside a step and in our own bookkeeping, which are not to be recorded.
        self.depth, self.expanding = 0, ""
        self.ours = Ours(self)
        self.fault: Exception | None = None
        self.nbytes, self.over_budget = 0, False
        self.warnings: dict[str, None] = {}
        self.steps: list[Step] = []
        self.values: list[Value] = []
        self.calls: list[OpenCall] = []
        self.stack: list[int] = []
        self.opaque: dict[
            str, list[int]
        ] = {}  # why -> values that cannot be read element by element
        # Where a copied value lay in its storage: offset and strides.
        self.lain: dict[int, tuple[int, tuple[int, ...]]] = {}
        # id(tensor) -> the tensor (kept alive, or its id would be reused), value, version
        self.identity: dict[int, tuple[Tensor, int, int]] = {}
        # By memory: values whose tensor lies in it, those that lay in it before a write, writes.
        self.living: dict[Hashable, list[int]] = {}
        self.history: dict[Hashable, list[int]] = {}
        self.versions: dict[Hashable, int] = {}
        self.outside: set[Hashable] = set()  # memory that was there before the run
        self.written: list[Hashable] = []  # memory the running step wrote

    @property
    def place(self) -> tuple[str, int]:
        """Path and call of the module that is running."""
        if not self.stack:
            return ("", 1)
        call = self.calls[self.stack[-1]]
        return (call.path, call.call)

    def known(self, tree: Any) -> tuple[int, ...]:
        """The value ids of the tensors in `tree` that were recorded."""
        tensors = tensors_in(tree)
        return tuple(self.identity[id(t)][1] for t in tensors if id(t) in self.identity)

    def returned(self, tree: Any) -> tuple[int, ...]:
        """The value ids of the tensors in `tree` as they are now, kept if they were not yet."""
        return tuple(self.now(t, memory_of(t)[0]) for t in tensors_in(tree) if not is_lazy(t))

    def leaf(self, tensor: Tensor, kind: str, name: str = "") -> int:
        """Keep a tensor no step made."""
        if id(tensor) in self.identity:
            return self.identity[id(tensor)][1]
        return self.keep(tensor, kind, name=name)

    def keep(
        self,
        tensor: Tensor,
        kind: str,
        step: int = -1,
        slot: int = 0,
        name: str = "",
        shared: bool = False,
    ) -> int:
        """Keep a tensor under a new id; `shared`: in memory that its step was given."""
        key, nbytes = memory_of(tensor)
        id_ = len(self.values)
        if kind == "computed" and not shared and key not in self.living:
            self._count(nbytes)
        held = tensor.detach() if kind == "parameter" else tensor
        if self.over_budget and kind == "computed":
            held = _NOTHING
        else:
            self.identity[id(tensor)] = (tensor, id_, self.versions.get(key, 0))
            self.living.setdefault(key, []).append(id_)
        if kind != "computed":
            self.outside.add(key)
        why = opaque(tensor)
        if why:
            self.opaque.setdefault(why, []).append(id_)
        shape = tuple(tensor.shape) if not tensor.is_nested else _nested_shape(tensor)
        version = version_of(held) if kind != "computed" else -1
        self.values.append(Value(id_, kind, held, shape, tensor.dtype, step, slot, name, version))
        return id_

    def _count(self, nbytes: int) -> None:
        """Add to what is kept; past the budget let everything go, and go on only counting."""
        self.nbytes += nbytes
        if self.nbytes > self.budget and not self.over_budget:
            self.over_budget = True
            self.values = [
                replace(value, tensor=_NOTHING) if value.kind == "computed" else value
                for value in self.values
            ]
            self.identity = {
                key: entry
                for key, entry in self.identity.items()
                if self.values[entry[1]].kind != "computed"
            }

    def now(self, tensor: Tensor, key: Hashable) -> int:
        """The value a tensor is now; `key` is its memory."""
        entry = self.identity.get(id(tensor))
        if entry is not None and entry[2] == self.versions.get(key, 0):
            return entry[1]
        if entry is None and self.over_budget:
            return 0
        if key not in self.living or opaque(tensor):
            return self.keep(tensor, "constant")
        return self._alias(tensor, key)

    def _lay(self, id_: int) -> tuple[int, tuple[int, ...]]:
        """Offset and strides of a value in its storage; of a copied one, those it had before."""
        tensor = self.values[id_].tensor
        return self.lain.get(id_) or (int(tensor.storage_offset()), tensor.stride())

    def _alias(self, tensor: Tensor, key: Hashable) -> int:
        """A tensor whose storage was changed through another: a step that says by whom."""
        lain = [*self.history.get(key, ()), *self.living.get(key, ())]
        sources = tuple((Ref(i), *self._lay(i)) for i in lain[-_ALIAS_SOURCES:])
        index = len(self.steps)
        made = self.keep(tensor, "computed", index)
        self.steps.append(
            Step(
                index,
                "alias",
                torch.Tensor.as_strided,
                sources,
                {"offset": tensor.storage_offset(), "strides": tensor.stride()},
                tuple(ref.id for ref, _, _ in sources),
                (made,),
                *self.place,
                ("", 0),
                0.0,
                "the same memory, written through another view",
            )
        )
        return made

    def before_write(self, tensor: Tensor) -> None:
        """Copy every recorded value that lies in the memory about to be written."""
        key, nbytes = memory_of(tensor)
        living = self.living.get(key, ())
        if living:
            self.depth, expanding = self.depth + 1, self.expanding
            self.expanding = ""
            for id_ in living:
                value = self.values[id_]
                if value.tensor is _NOTHING:
                    continue
                if not opaque(value.tensor):
                    self.lain[id_] = self._lay(id_)
                copy = value.tensor.detach().clone()
                self.values[id_] = replace(value, tensor=copy, version=-1)
                self._count(memory_of(copy)[1])
            self.history.setdefault(key, []).extend(living)
            self.living[key] = []
            self.depth, self.expanding = self.depth - 1, expanding
        elif self.over_budget:  # the copy that would have been made
            self._count(nbytes)
        self.versions[key] = self.versions.get(key, 0) + 1
        self.written.append(key)


def _nested_shape(tensor: Tensor) -> tuple[int, ...]:
    """The shape of a nested tensor, -1 along an axis on which its parts differ."""
    shape = []
    for axis in range(tensor.dim()):
        try:
            size = tensor.size(axis)
        except RuntimeError:  # torch's word for parts that differ
            size = -1
        shape.append(size if type(size) is int else -1)
    return tuple(shape)
