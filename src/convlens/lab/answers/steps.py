"""List what ran, as the page draws it: every step with its windows, every call of a module."""

from __future__ import annotations

from typing import TypedDict

from convlens.lab.answers.arithmetic import SourceLine, source_line
from convlens.lab.answers.forms import form_of
from convlens.lab.answers.windowing import WindowRow
from convlens.lens import Call, Recording, Step
from convlens.lens.kinds import packed


class StepRow(TypedDict):
    """One step.

    `label`: the module that it ran in. `type`: that module's type, where the module has no others
    in it. `name`: that of its first output. `inputs` and `outputs`: ids of values. `family`, `x`,
    `weight`, `bias`, `windows`, `groups`, `reach`, `plumbing` and `multiply_adds` are those of
    `StepForm`. `weights`: how many numbers its parameters have.
    """

    index: int
    op: str
    family: str
    label: str
    type: str
    name: str
    inputs: list[int]
    outputs: list[int]
    x: list[int]
    weight: int | None
    bias: int | None
    windows: list[WindowRow]
    groups: int
    reach: str
    plumbing: bool
    source: SourceLine | None
    seconds: float
    multiply_adds: int
    weights: int
    note: str


class CallRow(TypedDict):
    """One call of a module, in which the steps from `first` to before `last` ran.

    `parent` is the place of the call around it in the list, -1 where there is none.
    """

    path: str
    label: str
    type: str
    parent: int
    first: int
    last: int
    outputs: list[int]


def step_rows(recording: Recording) -> list[StepRow]:
    """Return every step, in the order they ran."""
    above = {call.parent for call in recording.calls}
    leaves = {call.label: call.type for i, call in enumerate(recording.calls) if i not in above}
    names = recording.names
    return [_row(recording, step, names, leaves) for step in recording.steps]


def _row(
    recording: Recording, step: Step, names: dict[int, str], leaves: dict[str, str]
) -> StepRow:
    form = form_of(recording, step)
    return {
        "index": step.index,
        "op": step.op,
        "family": form.family,
        "label": step.label,
        "type": leaves.get(step.label, "") if step.module else "",
        "name": names[step.outputs[0]] if step.outputs else f"{step.op}@{step.index}",
        "inputs": list(step.inputs),
        "outputs": list(step.outputs),
        "x": list(form.x),
        "weight": form.weight,
        "bias": form.bias,
        "windows": list(form.windows),
        "groups": form.groups,
        "reach": form.reach,
        "plumbing": form.plumbing,
        "source": source_line(step.source),
        "seconds": step.seconds,
        "multiply_adds": form.multiply_adds,
        "weights": _weights(recording, step),
        "note": step.note,
    }


def _weights(recording: Recording, step: Step) -> int:
    """Return how many numbers the parameters hold that a step reads, packed ones too."""
    read = [recording.values[id] for id in dict.fromkeys(step.inputs)]
    plain = sum(v.tensor.numel() for v in read if v.kind == "parameter" and not v.opaque)
    return plain + sum(packed.parameters(holder) for holder in packed.packed(step))


def call_rows(recording: Recording) -> list[CallRow]:
    """Return every call of a module, in the order in which they began."""
    return [_call(call) for call in recording.calls]


def _call(call: Call) -> CallRow:
    return {
        "path": call.path,
        "label": call.label,
        "type": call.type,
        "parent": call.parent,
        "first": call.first,
        "last": call.last,
        "outputs": list(call.outputs),
    }
