"""Outline a recording: module calls as a tree, every step in it once, each with a name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NotRequired, TypedDict

from convlens.lens import Call, Recording, Step


class OutlineNode(TypedDict):
    """A module call or a step.

    A step has `step`, `op`, `given` (the values it reads that are not activations), `seconds` and
    sometimes a `note`. A module call has its `path`, its `type` and its `children`; a call that ran
    a single step is one node with the fields of both. `values` are those it made, `parameters` how
    many numbers it reads. Where the network raised an error there is a node with its `error` alone.
    """

    name: str
    path: NotRequired[str]
    type: NotRequired[str]
    step: NotRequired[int]
    op: NotRequired[str]
    values: NotRequired[list[int]]
    given: NotRequired[list[int]]
    parameters: NotRequired[int]
    seconds: NotRequired[float]
    note: NotRequired[str]
    error: NotRequired[str]
    children: NotRequired[list[OutlineNode]]


def outline(recording: Recording) -> list[OutlineNode]:
    """Return the module calls as nested nodes in the order they ran; each step is in one node."""
    children: dict[int, list[int]] = {}
    for i, call in enumerate(recording.calls):
        children.setdefault(call.parent, []).append(i)
    roots = children.get(-1, [])
    if len(roots) == 1 and not recording.calls[roots[0]].path:
        nodes = _inside(recording, roots[0], children)
    else:
        nodes = _between(recording, 0, len(recording.steps), roots, children)
    if recording.error is not None:
        _at_failure(recording, nodes, recording.error.module).append(
            {"name": recording.error.op or "error", "error": recording.error.message}
        )
    return nodes


def _inside(recording: Recording, index: int, children: dict[int, list[int]]) -> list[OutlineNode]:
    call = recording.calls[index]
    return _between(recording, call.first, call.last, children.get(index, []), children)


def _between(
    recording: Recording,
    first: int,
    last: int,
    inner: Sequence[int],
    children: dict[int, list[int]],
) -> list[OutlineNode]:
    """Return nodes of steps `first` to `last`, with the steps of `inner` calls under their call."""
    nodes: list[OutlineNode] = []
    at = first
    for index in inner:
        call = recording.calls[index]
        nodes += [_step_node(recording, recording.steps[i]) for i in range(at, call.first)]
        nodes.append(_call_node(recording, index, children))
        at = max(at, call.last)
    nodes += [_step_node(recording, recording.steps[i]) for i in range(at, last)]
    return nodes


def _call_node(recording: Recording, index: int, children: dict[int, list[int]]) -> OutlineNode:
    """Return a module call; one that ran a single step is that step under the module's name."""
    call = recording.calls[index]
    inside = _inside(recording, index, children)
    made = [id for id in call.outputs if recording.values[id].step >= 0]
    node: OutlineNode = {"name": ""}
    if len(inside) == 1 and "children" not in inside[0] and made:
        node |= inside[0]
        node["values"] = list(dict.fromkeys([*made, *inside[0].get("values", ())]))
    else:
        node |= {"name": "", "children": inside, "values": made}
    node["name"] = _local_name(recording, call)
    node["path"], node["type"] = call.label, call.type
    node["parameters"] = _parameters(recording, recording.steps[call.first : call.last])
    return node


def _local_name(recording: Recording, call: Call) -> str:
    above = recording.calls[call.parent].path if call.parent >= 0 else ""
    return call.label.removeprefix(f"{above}.") if above else call.label


def _parameters(recording: Recording, steps: Sequence[Step]) -> int:
    """Return how many numbers the parameters hold that some steps read."""
    used = {id for step in steps for id in step.inputs}
    return sum(
        recording.values[id].tensor.numel()
        for id in used
        if recording.values[id].kind == "parameter"
    )


def _step_node(recording: Recording, step: Step) -> OutlineNode:
    given = [
        id
        for id in dict.fromkeys(step.inputs)
        if recording.values[id].kind in ("parameter", "buffer", "constant")
    ]
    name = recording.all_names[step.outputs[0]][-1] if step.outputs else step.op
    node: OutlineNode = {
        "name": name.removeprefix(f"{step.label}.") if step.module else name,
        "step": step.index,
        "op": step.op,
        "values": list(step.outputs),
        "given": given,
        "seconds": step.seconds,
        "parameters": _parameters(recording, [step]),
    }
    if step.note:
        node["note"] = step.note
    return node


def _at_failure(recording: Recording, nodes: list[OutlineNode], module: str) -> list[OutlineNode]:
    """Return the list that the failing step would have joined: its module's, in the last call."""
    found = nodes
    labels = {call.label for call in recording.calls if module and call.path == module}
    for node in _walk(nodes):
        if node.get("path") in labels:
            found = node.setdefault("children", [])
    return found


def _walk(nodes: Sequence[OutlineNode]) -> Iterator[OutlineNode]:
    for node in nodes:
        yield node
        yield from _walk(node.get("children", ()))
