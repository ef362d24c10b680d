"""Say where a network raised an error, what the call was given, and how it came to these sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypedDict

from convlens.lab.answers.arithmetic import SourceLine, source_line
from convlens.lens import Failure, Recording, Value
from convlens.lens.kinds.pointwise import SUMS
from convlens.lens.trees import refs_in

Shape = tuple[int, ...]


class OperandRow(TypedDict):
    """A value that the failing call was given."""

    value: int
    name: str
    shape: list[int]


class SizeRow(TypedDict):
    """A size on the way to the failing call: of a value, and the step that made it, if one did."""

    step: int | None
    value: int
    name: str
    shape: list[int]


class FaultRow(TypedDict):
    """The call that failed.

    `step` is the index it would have had, `op` is "" where the error was raised outside torch.
    `message` says where, and what torch said; `sentence` is for people. `chain` has the sizes that
    led from an input of the network to the call: the values along the way whose size is new.
    """

    step: int
    op: str
    label: str
    message: str
    sentence: str
    source: SourceLine | None
    operands: list[OperandRow]
    chain: list[SizeRow]


def fault_of(recording: Recording) -> FaultRow | None:
    """Return the call that failed; None if the network raised no error."""
    error = recording.error
    if error is None:
        return None
    read = [recording.values[id] for id in refs_in((error.args, error.kwargs))]
    return {
        "step": error.step,
        "op": error.op,
        "label": error.module,
        "message": error.message,
        "sentence": _sentence(error, read),
        "source": source_line(error.source),
        "operands": [
            {"value": v.id, "name": recording.name_of(v.id), "shape": list(v.shape)} for v in read
        ],
        "chain": _chain(recording, read),
    }


def _chain(recording: Recording, read: Sequence[Value]) -> list[SizeRow]:
    """Return the sizes that led to the first activation that a call read, the input's first."""
    way: list[Value] = []
    value = _first_activation(read)
    while value is not None:
        way.append(value)
        inputs = recording.steps[value.step].inputs if value.step >= 0 else ()
        value = _first_activation([recording.values[id] for id in inputs])
    way.reverse()
    kept = way[:1] + [after for before, after in pairwise(way) if after.shape != before.shape]
    return [
        {
            "step": None if value.step < 0 else value.step,
            "value": value.id,
            "name": recording.name_of(value.id),
            "shape": list(value.shape),
        }
        for value in kept
    ]


def _first_activation(values: Sequence[Value]) -> Value | None:
    return next((value for value in values if value.kind in ("computed", "input")), None)


def _sentence(error: Failure, read: Sequence[Value]) -> str:
    """Return what went wrong: sizes that do not fit, or the first line of the error's own words."""
    shapes = [value.shape for value in read]
    rule = _RULES.get(error.op)
    said = rule(error, shapes) if rule is not None and len(shapes) > 1 else ""
    if said:
        return said
    words = str(error.exception).strip().splitlines()
    return words[0] if words else type(error.exception).__name__


def _linear(error: Failure, shapes: Sequence[Shape]) -> str:
    x, weight = shapes[:2]
    if not x or not weight or x[-1] == weight[-1]:
        return ""
    return f"`{error.op}` multiplies {x[-1]} numbers with weights for {weight[-1]}."


def _product(error: Failure, shapes: Sequence[Shape]) -> str:
    x, other = shapes[:2]
    if not x or not other or x[-1] == other[-2:][0]:
        return ""
    return f"`{error.op}` multiplies rows of {x[-1]} numbers with columns of {other[-2:][0]}."


def _convolution(error: Failure, shapes: Sequence[Shape]) -> str:
    x, weight = shapes[:2]
    axes = len(weight) - 2
    if len(x) not in (axes + 1, axes + 2):
        return ""
    groups = error.kwargs.get("groups", error.args[6] if len(error.args) > 6 else 1)
    wanted = weight[1] * groups
    if "transpose" in error.op:
        wanted = weight[0]
    channels = x[-axes - 1]
    if channels == wanted or not isinstance(wanted, int):
        return ""
    return f"`{error.op}` reads {_maps(channels)} with kernels for {wanted}."


def _joined(error: Failure, shapes: Sequence[Shape]) -> str:
    first = shapes[0]
    dim = error.kwargs.get("dim", error.args[1] if len(error.args) > 1 else 0)
    for shape in shapes[1:]:
        if len(shape) != len(first):
            return f"`{error.op}` joins {_sizes(first)} with {_sizes(shape)}: the axes differ."
        for axis, (n, m) in enumerate(zip(first, shape, strict=True)):
            if n != m and axis != dim % len(first):
                return (
                    f"`{error.op}` joins {_sizes(first)} with {_sizes(shape)} along axis {dim}: "
                    f"{n} and {m} differ on axis {axis}."
                )
    return ""


def _broadcast(error: Failure, shapes: Sequence[Shape]) -> str:
    x, other = shapes[:2]
    for n, m in zip(reversed(x), reversed(other), strict=False):
        if n != m and 1 not in (n, m):
            return f"`{error.op}` takes {_sizes(x)} and {_sizes(other)}: {n} and {m} do not fit."
    return ""


def _maps(count: int) -> str:
    return f"{count} map" if count == 1 else f"{count} maps"


def _sizes(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a single number"


_RULES: dict[str, Callable[[Failure, Sequence[Shape]], str]] = {
    "linear": _linear,
    **dict.fromkeys(("matmul", "mm", "bmm"), _product),
    **{f"conv{axes}d": _convolution for axes in (1, 2, 3)},
    **{f"conv_transpose{axes}d": _convolution for axes in (1, 2, 3)},
    **dict.fromkeys(("cat", "concat", "concatenate"), _joined),
    **dict.fromkeys(SUMS, _broadcast),
}
"""What may be said better than torch says it, by the operation; "" where the sizes do fit."""
