"""A recording as the page's outline: module calls as a tree, every step and value with a name."""

from __future__ import annotations

import linecache
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from convlens.lens import Call, Recording, Step

Node = dict[str, Any]


def outline(recording: Recording) -> list[Node]:
    """The module calls as nested nodes in the order they ran; each step is in exactly one node."""
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


def _inside(recording: Recording, index: int, children: dict[int, list[int]]) -> list[Node]:
    call = recording.calls[index]
    return _between(recording, call.first, call.last, children.get(index, []), children)


def _between(
    recording: Recording,
    first: int,
    last: int,
    inner: Sequence[int],
    children: dict[int, list[int]],
) -> list[Node]:
    """Nodes of steps `first` to `last`, those of the `inner` calls gathered under their call."""
    nodes: list[Node] = []
    at = first
    for index in inner:
        call = recording.calls[index]
        nodes += [_step_node(recording, recording.steps[i]) for i in range(at, call.first)]
        nodes.append(_call_node(recording, index, children))
        at = max(at, call.last)
    nodes += [_step_node(recording, recording.steps[i]) for i in range(at, last)]
    return nodes


def _call_node(recording: Recording, index: int, children: dict[int, list[int]]) -> Node:
    """A module call; one that ran a single step is that step under the module's name."""
    call = recording.calls[index]
    inside = _inside(recording, index, children)
    made = [id for id in call.outputs if recording.values[id].step >= 0]
    if len(inside) == 1 and "children" not in inside[0] and made:
        node = inside[0] | {"values": list(dict.fromkeys([*made, *inside[0]["values"]]))}
    else:
        node = {"children": inside, "values": made}
    return node | {
        "name": _local_name(recording, call),
        "path": call.label,
        "type": call.type,
        "parameters": _parameters(recording, recording.steps[call.first : call.last]),
    }


def _local_name(recording: Recording, call: Call) -> str:
    above = recording.calls[call.parent].path if call.parent >= 0 else ""
    return call.label.removeprefix(f"{above}.") if above else call.label


def _parameters(recording: Recording, steps: Sequence[Step]) -> int:
    used = {id for step in steps for id in step.inputs}
    return sum(
        recording.values[id].tensor.numel()
        for id in used
        if recording.values[id].kind == "parameter"
    )


def _step_node(recording: Recording, step: Step) -> Node:
    given = [
        id
        for id in dict.fromkeys(step.inputs)
        if recording.values[id].kind in ("parameter", "buffer", "constant")
    ]
    name = recording.all_names[step.outputs[0]][-1] if step.outputs else step.op
    node: Node = {
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


def _at_failure(recording: Recording, nodes: list[Node], module: str) -> list[Node]:
    """The list of nodes the failing step would have joined: its module's, in the last call."""
    found = nodes
    labels = {call.label for call in recording.calls if module and call.path == module}
    for node in _walk(nodes):
        if node.get("path") in labels:
            found = node.setdefault("children", [])
    return found


def _walk(nodes: Sequence[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from _walk(node.get("children", ()))


def source_line(step: Step) -> dict[str, Any] | None:
    """Where in the user's own code a step was called: short file name, line and its text."""
    file, line = step.source
    if not file:
        return None
    short = "/".join(PurePath(file).parts[-2:])
    code = linecache.getline(file, line).split("  # ")[0].strip()
    return {"file": short, "line": line, "text": code}
