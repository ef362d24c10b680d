"""The recording of a run: its values, its steps, its module calls, and their names."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, SupportsIndex, TypeVar

import torch

from convlens.lens.memory import memory_of, opaque, version_of
from convlens.lens.naming import calls_named, step_named, unknown, value_names, values_named
from convlens.tables import html_table, table

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Ref:
    """A recorded value inside the arguments of a step."""

    id: int


def _label(path: str, call: int) -> str:
    """Return a module's path, with the number of its call from the second on."""
    return path if call == 1 else f"{path}#{call}"


# A recording makes thousands of values and steps: frozen, each would take four times as long.
@dataclass(slots=True, eq=False)
class Value:
    """One tensor as it was at one moment of the run.

    `kind` is "input", "parameter", "buffer", "constant" (made outside the run) or "computed".
    `step` is the index of the step that made it (-1 for the other kinds), and `slot` says which of
    that step's outputs it is. `name` is that of a parameter, buffer or input. `version` is how
    often its tensor had been written when it was recorded (-1 for one with memory of its own).
    `graded` says whether its tensor required gradients: torch multiplies matrices differently then.
    `put` is the mask of the numbers that a change put there; None mostly.
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
    graded: bool = False
    put: torch.Tensor | None = field(default=None, repr=False)

    @property
    def opaque(self) -> str:
        """Why its numbers cannot be read one by one ("sparse", "nested", ...); "" mostly."""
        return opaque(self.tensor)

    @property
    def stale(self) -> bool:
        """Whether it was written after the recording, by training or another run."""
        return self.version >= 0 and version_of(self.tensor) != self.version


@dataclass(slots=True, eq=False)
class Step:
    """One public call of torch, in the user's words: its arguments, what it read and what it made.

    `args` and `kwargs` are the call's own, with `Ref` in place of every tensor. `inputs` and
    `outputs` are value ids. `module` is the path of the module it ran in, and `call` the number of
    that module's call, from 1. `source` is the file and line outside torch, `seconds` its time.
    `written` are the inputs whose memory it wrote, such as that of an activation in place.
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
    written: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        """Path of its module, with `#2`, `#3` ... from the second call on."""
        return _label(self.module, self.call)


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of a module, inside which the steps from `first` to before `last` ran."""

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
        """Path of the module, with `#2`, `#3` ... from the second call on."""
        return _label(self.path, self.call)


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """The error that a network raised, and where; `op` is the call of torch, or "" outside one.

    `args` and `kwargs` are what the call was given, as in a `Step`.
    """

    step: int
    module: str
    op: str
    source: tuple[str, int]
    exception: Exception
    args: tuple[Any, ...] = field(default=(), repr=False)
    kwargs: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def message(self) -> str:
        """One line: where it happened, and the first line of what the error says."""
        words = str(self.exception).strip().splitlines() or [""]
        doing = f" in `{self.op}`" if self.op else ""
        line = f" ({self.source[0]}:{self.source[1]})" if self.source[0] else ""
        where = f"module `{self.module}`" if self.module else "the network itself"
        kind = type(self.exception).__name__
        return f"step {self.step}, {where}{doing}{line}: {kind}: {words[0]}"


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """What a network did on its inputs: its steps in order, with every value.

    It prints as a table. `recording["layer1.conv"]` gives the steps that ran inside a module, and
    `recording.step("layer1.conv")` the one that made the module's output. After a network that
    raised, it has the steps that ran, and the `error` at its step. `aliases` maps each other path
    of a module that stands at several to the one that names it. `asked` are the values whose sizes
    the network asked for, `taken` those whose numbers it took by a call that is not a step.
    """

    steps: tuple[Step, ...]
    values: tuple[Value, ...]
    calls: tuple[Call, ...]
    outputs: Any
    output_ids: tuple[int, ...]
    warnings: tuple[str, ...]
    error: Failure | None
    aliases: dict[str, str] = field(default_factory=dict, repr=False)
    asked: frozenset[int] = field(default=frozenset(), repr=False)
    taken: frozenset[int] = field(default=frozenset(), repr=False)
    _kept: dict[str, dict[int, Any]] = field(default_factory=dict, init=False, repr=False)
    _names: dict[int, tuple[str, ...]] = field(default_factory=dict, init=False, repr=False)

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The tensors that the network was given, in order."""
        return tuple(value for value in self.values if value.kind == "input")

    @property
    def output(self) -> Value | None:
        """The first tensor that the network returned; None if it returned none, or raised."""
        return self.values[self.output_ids[0]] if self.output_ids else None

    @property
    def nbytes(self) -> int:
        """Bytes that the computed values hold; memory that they share counts once."""
        return sum(dict(memory_of(v.tensor) for v in self.values if v.kind == "computed").values())

    @property
    def all_names(self) -> dict[int, tuple[str, ...]]:
        """All names of every value, by its id; `explain` takes each of them."""
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
        """Return the step at an index, or the one that made what a name stands for.

        Names are those of `made`.

        Raises:
            ValueError: there is no such step or name, or no step made that value.
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
                    "returned unchanged; use the step before it"
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
        """Return the ids of the values that a step made, or that a name stands for.

        A string that is the path of a module stands for what that module returned in its first
        call; "block.conv#2" is its second call, "" the whole network. Any other string is the name
        of a value in `names`, or a step: "@3" is step 3.

        Raises:
            ValueError: there is no such step, module or value, or the module returned no tensor.
        """
        return values_named(self, where) if isinstance(where, str) else self.step(where).outputs

    def name_of(self, id: int) -> str:
        """Return the best name of a value: its own, or that of its module or step."""
        return self.all_names[id][0]

    def kept(self, what: str, key: int, most: int, make: Callable[[], Made]) -> Made:
        """Return what `make` made for a key; the latest `most` results of a kind are kept."""
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
        """Return a line for every step: index, module, operation, output shapes, milliseconds."""
        return "\n".join([table(self._rows(), right=(0, 4)), *self._notes()])

    __str__ = table

    def _rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [("step", "module", "operation", "output", "ms")]
        for step in self.steps:
            shapes = ", ".join("x".join(map(str, self.values[v].shape)) for v in step.outputs)
            rows.append((str(step.index), step.label, step.op, shapes, f"{step.seconds * 1e3:.2f}"))
        return rows

    def _notes(self) -> list[str]:
        stopped = [f"stopped: {self.error.message}"] if self.error else []
        return [*stopped, *(f"note: {text}" for text in self.warnings)]

    def __repr__(self) -> str:
        ends = [self.steps[0], self.steps[-1]] if self.steps else []
        span = " to ".join(dict.fromkeys(step.label or step.op for step in ends))
        stopped = f", stopped at step {self.error.step}" if self.error else ""
        many = "1 step" if len(self.steps) == 1 else f"{len(self.steps)} steps"
        return f"<Recording of {many}{f', {span}' if span else ''}{stopped}>"

    def _repr_html_(self) -> str:
        """Return the table of steps for a notebook."""
        return html_table(self._rows(), right=(0, 4), below=self._notes())

    def to_dict(self) -> dict[str, Any]:
        """Return the recording without its numbers, ready for JSON."""
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
