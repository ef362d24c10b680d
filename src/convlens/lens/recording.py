"""What a recording is made of: values, steps, module calls, and the recording that holds them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, SupportsIndex, TypeVar

import torch

from convlens.lens.memory import memory_of, opaque, version_of
from convlens.lens.naming import calls_named, step_named, unknown, value_names, values_named
from convlens.tables import table

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Ref:
    """Stands for a recorded value inside the arguments of a step."""

    id: int


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """One tensor as it was at one moment of the run.

    `kind` is "input", "parameter", "buffer", "constant" (made outside the run) or "computed";
    `step` is the index of the step that made it (-1 for the others), `slot` which of that step's
    outputs it is, `name` the parameter's, buffer's or input's name, `version` how often its tensor
    had been written when it was recorded (-1: in memory of its own, which nobody else writes).
    """

    id: int
    kind: str
    tensor: torch.Tensor = field(repr=False)
    shape: tuple[int, ...]
    dtype: torch.dtype
    step: int = -1
    slot: int = 0
    name: str = ""
    version: int = -1

    @property
    def opaque(self) -> str:
        """What makes its numbers unreadable one by one ("sparse", "nested", ...); "" mostly."""
        return opaque(self.tensor)

    @property
    def stale(self) -> bool:
        """Whether it was written after the recording, as training and running again may do."""
        return self.version >= 0 and version_of(self.tensor) != self.version


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One public call of torch, in the user's words: its arguments, what it read and what it made.

    `args` and `kwargs` are the call's own, with `Ref` in place of every tensor; `inputs` and
    `outputs` are value ids; `module` is the path of the module it ran in and `call` the how many-th
    call of that module (from 1); `source` is the file and line outside torch; `seconds` its time.
    """

    index: int
    op: str
    function: Callable[..., Any] = field(repr=False)
    args: tuple[Any, ...] = field(repr=False)
    kwargs: dict[str, Any] = field(repr=False)
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    module: str
    call: int
    source: tuple[str, int]
    seconds: float
    note: str = ""

    @property
    def label(self) -> str:
        """The module's path, with `#2`, `#3` ... from its second call on."""
        return self.module if self.call == 1 else f"{self.module}#{self.call}"


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of a module: steps `first` up to but not including `last` ran inside it."""

    path: str
    type: str
    call: int
    parent: int
    first: int
    last: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def label(self) -> str:
        """The path, with `#2`, `#3` ... from the second call on."""
        return self.path if self.call == 1 else f"{self.path}#{self.call}"


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """The error a network raised: where, in which call of torch (if in one), and what it said."""

    step: int
    module: str
    op: str
    source: tuple[str, int]
    exception: Exception

    @property
    def message(self) -> str:
        """One line: where it happened and the first line of what the error says."""
        words = str(self.exception).strip().splitlines() or [""]
        doing = f" in `{self.op}`" if self.op else ""
        line = f" ({self.source[0]}:{self.source[1]})" if self.source[0] else ""
        where = f"module `{self.module}`" if self.module else "the network itself"
        kind = type(self.exception).__name__
        return f"step {self.step}, {where}{doing}{line}: {kind}: {words[0]}"


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """What a network did on its inputs: steps in order, every value kept.

    Prints as a table. `recording["layer1.conv"]` gives the steps that ran inside a module,
    `recording.step("layer1.conv")` the one that made the module's output. A network that raised
    gives the steps that ran, with the `error` at its step. `aliases`: the other paths of a module
    that stands at several, with the one it is named by.
    """

    steps: tuple[Step, ...]
    values: tuple[Value, ...]
    calls: tuple[Call, ...]
    outputs: Any
    output_ids: tuple[int, ...]
    warnings: tuple[str, ...]
    error: Failure | None
    aliases: dict[str, str] = field(default_factory=dict, repr=False)
    _kept: dict[str, dict[int, Any]] = field(default_factory=dict, init=False, repr=False)
    _names: dict[int, tuple[str, ...]] = field(default_factory=dict, init=False, repr=False)

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The tensors the network was given, in order."""
        return tuple(value for value in self.values if value.kind == "input")

    @property
    def output(self) -> Value | None:
        """The first tensor the network returned; None when it returned none, or raised."""
        return self.values[self.output_ids[0]] if self.output_ids else None

    @property
    def nbytes(self) -> int:
        """Bytes held by the computed values, storages counted once."""
        return sum(dict(memory_of(v.tensor) for v in self.values if v.kind == "computed").values())

    @property
    def all_names(self) -> dict[int, tuple[str, ...]]:
        """The names of every value, by its id; each of them means that value to `explain`."""
        if not self._names:
            self._names.update(value_names(self))
        return self._names

    @property
    def names(self) -> dict[int, str]:
        """The best name of every value, by its id."""
        return {id: names[0] for id, names in self.all_names.items()}

    def __getitem__(self, path: str) -> tuple[Step, ...]:
        calls = calls_named(self, path)
        if not calls and path:
            raise unknown(self, path)
        if not calls:
            return self.steps
        return tuple(step for call in calls for step in self.steps[call.first : call.last])

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def step(self, where: Step | int | str) -> Step:
        """The step meant by an index, or the one that made what a name means.

        Names are those of `made`.

        Raises:
            ValueError: no such step or name, or a value that no step made.
        """
        if isinstance(where, Step):
            return where
        if isinstance(where, bool) or not isinstance(where, (str, SupportsIndex)):
            raise TypeError(
                f"`where` (={where!r}) must be a step, its index or a name; use one of these"
            )
        if isinstance(where, str):
            index = step_named(where)
            if index is None or calls_named(self, where):
                made = [self.values[id].step for id in self.made(where)]
                index = next((i for i in made if i >= 0), None)
            if index is None:
                raise ValueError(
                    f"`where` (={where!r}) must be something that a step made; this was given, or "
                    "handed on as it was: use the step before it"
                )
        else:
            index = operator.index(where)
        if not 0 <= index < len(self.steps):
            raise ValueError(
                f"`where` (={where!r}) must be a step of this recording; "
                + (f"use 0 to {len(self.steps) - 1}" if self.steps else "it has none")
            )
        return self.steps[index]

    def made(self, where: Step | int | str) -> tuple[int, ...]:
        """The ids of the values that a step made, or that a name means.

        A string is a module's path wherever such a module ran, and means what the module returned
        in its first call; "block.conv#2" is its second call, "" the whole network. Else it is the
        name of a value, as `names` has them, or a step: "@3" is step 3.

        Raises:
            ValueError: no such step, module or value, or a module that returned no tensor.
        """
        return values_named(self, where) if isinstance(where, str) else self.step(where).outputs

    def name_of(self, id: int) -> str:
        """A value as a person would name it: its own name, or its module or step."""
        return self.all_names[id][0]

    def kept(self, what: str, key: int, most: int, make: Callable[[], Made]) -> Made:
        """Return what `make` made for a key before, of the latest `most`; else call it now."""
        held = self._kept.setdefault(what, {})
        try:
            found: Made = held[key]
            return found
        except KeyError:
            made = make()
        for old in list(held)[: max(len(held) - most + 1, 0)]:
            held.pop(old, None)
        held[key] = made
        return made

    def table(self) -> str:
        """Every step in a line: index, module, operation, output shapes, milliseconds."""
        rows = [("step", "module", "operation", "output", "ms")]
        for step in self.steps:
            shapes = ", ".join("x".join(map(str, self.values[v].shape)) for v in step.outputs)
            rows.append((str(step.index), step.label, step.op, shapes, f"{step.seconds * 1e3:.2f}"))
        lines = [table(rows, right=(0, 4))]
        if self.error:
            lines.append(f"stopped: {self.error.message}")
        lines += [f"note: {text}" for text in self.warnings]
        return "\n".join(lines)

    __str__ = table

    def to_dict(self) -> dict[str, Any]:
        """The recording without its numbers, ready for JSON."""
        return {
            "steps": [
                {
                    "index": step.index,
                    "op": step.op,
                    "module": step.module,
                    "call": step.call,
                    "inputs": list(step.inputs),
                    "outputs": list(step.outputs),
                    "source": list(step.source),
                    "seconds": step.seconds,
                    "note": step.note,
                }
                for step in self.steps
            ],
            "values": [
                {
                    "id": value.id,
                    "kind": value.kind,
                    "shape": list(value.shape),
                    "dtype": str(value.dtype).removeprefix("torch."),
                    "step": value.step,
                    "slot": value.slot,
                    "name": value.name,
                }
                for value in self.values
            ],
            "outputs": list(self.output_ids),
            "warnings": list(self.warnings),
            "error": self.error.message if self.error else None,
        }
