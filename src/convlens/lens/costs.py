"""What a network costs: parameters, multiply-adds, other operations and bytes, step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from convlens.lens.kinds import kind_of
from convlens.lens.recording import record
from convlens.lens.steps import Recording


@dataclass(frozen=True)
class CostRow:
    """One step's cost; `parameters` counts those no earlier step has used, `bytes` its outputs."""

    step: int
    module: str
    op: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    operations: int
    bytes: int


@dataclass(frozen=True)
class Costs:
    """The costs of one run. Prints as a table.

    `multiply_adds` are those of convolutions, linear layers and matrix products, each kernel
    element once for each position it is laid on (padding counts; for a transposed convolution the
    positions are those of its input). `operations` are all other elements computed: biases,
    normalizations, activations, pooling (one for each element read). FLOPs in the usual sense are
    2 x multiply_adds + operations.
    """

    rows: tuple[CostRow, ...]
    parameters: int

    @property
    def multiply_adds(self) -> int:
        """Of all steps."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def operations(self) -> int:
        """Of all steps."""
        return sum(row.operations for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
            "operations": self.operations,
            "rows": [vars(row) for row in self.rows],
        }

    def __str__(self) -> str:
        lines = [f"{'module':28} {'operation':16} {'output':18} {'parameters':>12} multiply-adds"]
        for row in self.rows:
            shape = "x".join(map(str, row.shape))
            lines.append(
                f"{row.module:28} {row.op:16} {shape:18} {row.parameters:12,} "
                f"{row.multiply_adds:13,}"
            )
        lines.append(f"{'total':64} {self.parameters:12,} {self.multiply_adds:13,}")
        return "\n".join(lines)


def costs(network: Any, *inputs: Any, **kwargs: Any) -> Costs:
    """Run the network once and count what each step costs.

    Raises:
        RuntimeError: the network raised; says where.
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
    """The costs of what was recorded."""
    seen: set[int] = set()
    rows = []
    for step in recording.steps:
        if not step.outputs:
            continue
        own = [i for i in dict.fromkeys(step.inputs) if recording.values[i].kind == "parameter"]
        new = [i for i in own if i not in seen]
        seen.update(new)
        for id in (*step.inputs, *step.outputs):
            if -1 in recording.values[id].shape:
                raise NotImplementedError(
                    f"`{recording.name_of(id)}` is nested: its parts differ in size, so that step "
                    f"{step.index} (`{step.op}`) cannot be counted; record one part alone"
                )
        out = recording.values[step.outputs[0]]
        cost = kind_of(step).cost(recording, step)
        rows.append(
            CostRow(
                step.index,
                step.module,
                step.op,
                out.shape,
                sum(math.prod(recording.values[i].shape) for i in new),
                cost.multiply_adds,
                cost.operations,
                sum(
                    recording.values[i].tensor.element_size() * math.prod(recording.values[i].shape)
                    for i in step.outputs
                ),
            )
        )
    everything = sum(
        math.prod(value.shape) for value in recording.values if value.kind == "parameter"
    )
    return Costs(tuple(rows), everything)
