"""What a recording is made of: values, steps, module calls, and the recording that holds them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch


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
    had been written when it was recorded.
    """

    id: int
    kind: str
    tensor: torch.Tensor = field(repr=False)
    shape: tuple[int, ...]
    dtype: torch.dtype
    step: int = -1
    slot: int = 0
    name: str = ""
    version: int = 0

    @property
    def stale(self) -> bool:
        """Whether a given tensor was written after it was recorded, as training does."""
        return self.kind != "computed" and version_of(self.tensor) != self.version


def version_of(tensor: torch.Tensor) -> int:
    """How often a tensor was written; 0 for those of inference mode, which do not count."""
    return 0 if tensor.is_inference() else tensor._version


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
    gives the steps that ran, with the `error` at its step.
    """

    steps: tuple[Step, ...]
    values: tuple[Value, ...]
    calls: tuple[Call, ...]
    outputs: Any
    output_ids: tuple[int, ...]
    warnings: tuple[str, ...]
    error: Failure | None
    # Index maps of data movement, kept once made: (step, slot) -> tensor.
    replays: dict[tuple[int, int], Any] = field(default_factory=dict, repr=False)

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
        storages = {
            value.tensor.untyped_storage()._cdata: value.tensor.untyped_storage().nbytes()
            for value in self.values
            if value.kind == "computed"
        }
        return sum(storages.values())

    def __getitem__(self, path: str) -> tuple[Step, ...]:
        calls = self._calls(path)
        return tuple(step for call in calls for step in self.steps[call.first : call.last])

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def step(self, where: Step | int | str) -> Step:
        """The step meant by an index, a module path, or a path with its call: "block.conv#2".

        A module path means the step that made the module's output (in its first call).

        Raises:
            ValueError: no such step or module, or a module that made nothing of its own.
        """
        if isinstance(where, Step):
            return where
        if isinstance(where, str) and where.isdigit():
            where = int(where)
        if isinstance(where, int):
            if not 0 <= where < len(self.steps):
                raise ValueError(
                    f"`where` (={where}) must be a step of this recording; "
                    f"use 0 to {len(self.steps) - 1}"
                )
            return self.steps[where]
        return self._made_by(self._calls(where)[0])

    def name_of(self, id: int) -> str:
        """A value as a person would name it: its own name, or its module or step."""
        value = self.values[id]
        if value.step < 0:
            return value.name or f"{value.kind} {id}"
        step = self.steps[value.step]
        path = step.module if step.call == 1 else f"{step.module}#{step.call}"
        name = f"{path}.{step.op}" if path else f"{step.op}@{step.index}"
        if path and self.calls:
            made = [c for c in self.calls if c.path == step.module and c.call == step.call]
            if made and id in made[0].outputs:
                name = path
        return name if value.slot == 0 else f"{name}:{value.slot}"

    def _made_by(self, call: Call) -> Step:
        for id in call.outputs:
            if self.values[id].step >= 0:
                return self.steps[self.values[id].step]
        if call.last > call.first:
            return self.steps[call.last - 1]
        raise ValueError(
            f"`where` (={call.label!r}) made no value of its own: it handed its input on; "
            "use the step before it"
        )

    def _calls(self, where: str) -> list[Call]:
        path, _, nth = where.partition("#")
        found = [call for call in self.calls if call.path == path]
        if nth:
            found = [call for call in found if str(call.call) == nth]
        if found:
            return found
        known = list(dict.fromkeys(call.label for call in self.calls if call.path))
        near = difflib.get_close_matches(where, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"use one of {known}"
        raise ValueError(f"`where` (={where!r}) must be a module that ran or a step index; {hint}")

    def table(self) -> str:
        """Every step in a line: index, module, operation, output shapes, milliseconds."""
        rows = [("step", "module", "operation", "output", "ms")]
        for step in self.steps:
            shapes = ", ".join("x".join(map(str, self.values[v].shape)) for v in step.outputs)
            label = step.module if step.call == 1 else f"{step.module}#{step.call}"
            rows.append((str(step.index), label, step.op, shapes, f"{step.seconds * 1e3:.2f}"))
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        right = (0, 4)
        lines = [
            "  ".join(
                cell.rjust(widths[i]) if i in right else cell.ljust(widths[i])
                for i, cell in enumerate(row)
            ).rstrip()
            for row in rows
        ]
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


# Most arguments by far: told apart first, as every step of a recording goes through here.
_ATOMS = frozenset({int, float, bool, str, type(None), torch.dtype, torch.device, torch.Size})


def replace_tensors(tree: Any, replace: Callable[[torch.Tensor], Any]) -> Any:
    """The same nest of lists, tuples, dicts and slices with every tensor replaced."""
    kind = type(tree)
    if kind in _ATOMS:
        return tree
    if kind is tuple or kind is list:
        parts = [p if type(p) in _ATOMS else replace_tensors(p, replace) for p in tree]
        return parts if kind is list else tuple(parts)
    if isinstance(tree, torch.Tensor):
        return replace(tree)
    return _rebuild(tree, lambda part: replace_tensors(part, replace))


def replace_refs(tree: Any, replace: Callable[[Ref], Any]) -> Any:
    """The same nest of lists, tuples, dicts and slices with every `Ref` replaced."""
    if isinstance(tree, Ref):
        return replace(tree)
    return _rebuild(tree, lambda part: replace_refs(part, replace))


def run_again(step: Step, substitute: Callable[[Ref], torch.Tensor], slot: int = 0) -> torch.Tensor:
    """Call a step's function on other tensors; what it makes, or else what it changes in place."""
    kwargs = {key: argument for key, argument in step.kwargs.items() if key != "out"}
    args, kwargs = replace_refs((step.args, kwargs), substitute)
    made = step.function(*args, **kwargs)
    return tensors_in(args[:1] if made is None else made)[slot]


def _rebuild(tree: Any, each: Callable[[Any], Any]) -> Any:
    if isinstance(tree, torch.Size):
        return tree
    if isinstance(tree, tuple):
        parts = [each(part) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    if isinstance(tree, list):
        return [each(part) for part in tree]
    if isinstance(tree, dict):
        return {key: each(part) for key, part in tree.items()}
    if isinstance(tree, slice):
        return slice(each(tree.start), each(tree.stop), each(tree.step))
    return tree


def tensors_in(tree: Any) -> list[torch.Tensor]:
    """Every tensor in a nest of lists, tuples, dicts and slices, in order."""
    found: list[torch.Tensor] = []
    _collect(tree, found)
    return found


def _collect(tree: Any, found: list[torch.Tensor]) -> None:
    if isinstance(tree, torch.Tensor):
        found.append(tree)
    elif isinstance(tree, (list, tuple)):
        for part in tree:
            if type(part) not in _ATOMS:
                _collect(part, found)
    elif isinstance(tree, dict):
        for part in tree.values():
            _collect(part, found)
    elif isinstance(tree, slice):
        _collect((tree.start, tree.stop, tree.step), found)
