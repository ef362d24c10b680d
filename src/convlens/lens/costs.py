"""Count what a network costs: parameters, multiply-adds, other operations and bytes per step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from convlens.lens.kinds import bound, packed
from convlens.lens.memory import memory_of
from convlens.lens.recorder.running import record
from convlens.lens.recording import Recording, Step, Value
from convlens.tables import html_table, table


@dataclass(frozen=True)
class CostRow:
    """One step's cost: `parameters` are those that no earlier step used, `bytes` its outputs'.

    `uncounted` says why multiply-adds may be missing from the row; it is "" if all are counted.
    """

    step: int
    module: str
    op: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    operations: int
    bytes: int
    uncounted: str = ""


@dataclass(frozen=True)
class Costs:
    """The costs of one run, which print as a table.

    `multiply_adds` are those of convolutions, linear layers, recurrent layers and matrix products:
    each kernel element counts once for each position it is laid on. Padding counts; the positions
    of a transposed convolution are those of its input. `operations` are all other elements
    computed: biases, normalizations, activations, pooling (one for each element read). FLOPs in the
    usual sense are 2 x multiply_adds + operations. `warnings` names what is not counted.
    """

    rows: tuple[CostRow, ...]
    parameters: int
    warnings: tuple[str, ...] = ()

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of all steps that are counted; `warnings` names the others."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def operations(self) -> int:
        """Operations of all steps."""
        return sum(row.operations for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the costs ready for JSON."""
        return {
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
            "operations": self.operations,
            "warnings": list(self.warnings),
            "rows": [vars(row) for row in self.rows],
        }

    def __repr__(self) -> str:
        return (
            f"<Costs of {len(self.rows)} steps: {self.parameters:,} parameters, "
            f"{self.multiply_adds:,} multiply-adds>"
        )

    def __str__(self) -> str:
        notes = (f"  {warning}" for warning in self.warnings)
        return "\n".join([table(self._table(), right=(3, 4)), *notes])

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return html_table(self._table(), right=(3, 4), below=self.warnings)

    def _table(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [
            ("module", "operation", "output", "parameters", "multiply-adds")
        ]
        for row in self.rows:
            shape, count = "x".join(map(str, row.shape)), f"{row.multiply_adds:,}"
            if row.uncounted:
                count = f"{count} + ?" if row.multiply_adds else "?"
            rows.append((row.module, row.op, shape, f"{row.parameters:,}", count))
        rows.append(("total", "", "", f"{self.parameters:,}", f"{self.multiply_adds:,}"))
        return rows


def costs(network: Any, *inputs: Any, **kwargs: Any) -> Costs:
    """Run the network once and count what each step costs.

    Raises:
        RuntimeError: the network raised; the message says where.
        NotImplementedError: a step reads or makes a nested tensor, whose parts differ in size.

    >>> import torch
    >>> found = costs(torch.nn.ConvTranspose2d(4, 2, 4, 2, 1), torch.ones(1, 4, 16, 16))
    >>> found.multiply_adds, found.parameters
    (32768, 130)
    """
    recording = record(network, *inputs, **kwargs)
    if recording.error:
        raise RuntimeError(f"the network raised at {recording.error.message}")
    return costs_of(recording)


def costs_of(recording: Recording) -> Costs:
    """Count what a recorded run cost.

    >>> import torch
    >>> from convlens.lens import record
    >>> print(costs_of(record(torch.linalg.inv, torch.eye(2))))
    module  operation   output  parameters  multiply-adds
            linalg_inv  2x2              0              ?
    total                                0              0
      not counted: the multiply-adds of `linalg_inv` (step 0): no rule counts it
    """
    counted = _Parameters(recording)
    rows = [_row(recording, step, counted) for step in recording.steps if step.outputs]
    return Costs(tuple(rows), counted.total(), tuple(_warnings(rows, counted)))


def parameters_of(recording: Recording) -> int:
    """Return how many numbers a network's parameters have, with packed ones, and tied ones once.

    >>> import torch
    >>> from convlens.lens import record
    >>> parameters_of(record(torch.nn.Linear(2, 3), torch.ones(1, 2)))
    9
    """
    counted = _Parameters(recording)
    for step in recording.steps:
        counted.new_in(step)
    return counted.total()


def _row(recording: Recording, step: Step, counted: _Parameters) -> CostRow:
    """Return the cost of one step."""
    _check_not_nested(recording, step)
    out = recording.values[step.outputs[0]]
    kind, given = bound(recording, step)
    cost = kind.cost(given)
    made = [recording.values[i] for i in step.outputs]
    return CostRow(
        step.index,
        step.module,
        step.op,
        out.shape,
        counted.new_in(step),
        cost.multiply_adds,
        cost.operations,
        sum(value.tensor.element_size() * math.prod(value.shape) for value in made),
        cost.uncounted,
    )


def _check_not_nested(recording: Recording, step: Step) -> None:
    """Raise NotImplementedError if a step reads or makes a nested tensor."""
    for id in (*step.inputs, *step.outputs):
        if -1 in recording.values[id].shape:
            raise NotImplementedError(
                f"`{recording.name_of(id)}` is nested: its parts differ in size, so step "
                f"{step.index} (`{step.op}`) cannot be counted; record one part alone"
            )


class _Parameters:
    """The parameters seen so far; tied ones, which share memory, count once."""

    def __init__(self, recording: Recording) -> None:
        self.values = recording.values
        self.seen: set[object] = set()
        self.numbers = 0
        self.hidden: dict[int, str] = {}  # steps whose packed weights torch does not show

    def new_in(self, step: Step) -> int:
        """Return how many numbers this step is the first to use as parameters."""
        new = sum(self._new(self.values[id]) for id in dict.fromkeys(step.inputs))
        for holder in packed.packed(step):
            if packed.weights(holder) is None:
                self.hidden[step.index] = step.op
            elif holder not in self.seen:
                self.seen.add(holder)
                new += packed.parameters(holder)
                self.numbers += packed.parameters(holder)
        return new

    def _new(self, value: Value) -> int:
        """Return how many numbers a value adds; 0 if it is not a parameter, or was seen."""
        if value.kind != "parameter":
            return 0
        place = 0 if value.opaque else value.tensor.storage_offset()
        key = (memory_of(value.tensor)[0], place, value.shape)
        if key in self.seen:
            return 0
        self.seen.add(key)
        self.numbers += math.prod(value.shape)
        return math.prod(value.shape)

    def total(self) -> int:
        """Return the numbers of all steps, and of modules that did not run."""
        for value in self.values:
            self._new(value)
        return self.numbers


def _warnings(rows: list[CostRow], counted: _Parameters) -> Iterator[str]:
    """Yield a sentence for each operation that is not, or not wholly, counted."""
    missing: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        if row.uncounted:
            missing.setdefault((row.op, row.uncounted), []).append(row.step)
    for (op, why), steps in missing.items():
        yield f"not counted: the multiply-adds of `{op}` ({_steps(steps)}): {why}"
    hidden: dict[str, list[int]] = {}
    for step, op in counted.hidden.items():
        hidden.setdefault(op, []).append(step)
    for op, steps in hidden.items():
        yield f"not counted: the parameters of `{op}` ({_steps(steps)}): they are packed"


def _steps(steps: list[int]) -> str:
    """Return steps in words."""
    if len(steps) == 1:
        return f"step {steps[0]}"
    return f"{len(steps)} steps, the first is {steps[0]}"
