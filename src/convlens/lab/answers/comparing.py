"""Compare two recordings of one shape, step by step, and find where they first differ."""

from __future__ import annotations

from typing import TypedDict

import torch

from convlens.lab.answers.failing import fault_of
from convlens.lab.answers.looking import Look
from convlens.lab.answers.others import short_name
from convlens.lab.guarding import SENTENCES
from convlens.lens import Recording, Step, Value, explain_value


class DifferenceRow(TypedDict):
    """How far two recordings are apart in one step.

    `largest` is the largest difference of its first output, at `index`. A difference of NaN means
    that one of two unlike numbers is not finite. `bound` is what rounding allows at that number,
    None where that is unknown.
    """

    step: int
    value: int
    largest: float
    index: list[int]
    bound: float | None


class CompareAnswer(TypedDict):
    """The steps in which two recordings differ, and the `first` that differs beyond its rounding.

    `refusal` says why they cannot be compared.
    """

    first: int | None
    rows: list[DifferenceRow]
    refusal: str


def compare(
    one: Recording,
    other: Recording,
    names: tuple[str, str] = ("the first run", "the second run"),
) -> CompareAnswer:
    """Return where two recordings of one shape differ; `names`: what a refusal calls them.

    >>> from convlens.lens import record
    >>> relu = torch.nn.ReLU()
    >>> found = compare(record(relu, torch.ones(2)), record(relu, torch.tensor([1.0, 3.0])))
    >>> found["first"], found["rows"][0]["largest"], found["rows"][0]["index"]
    (0, 2.0, [1])
    """
    misfit = _misfit(one, other)
    if misfit:
        refusal = f"{' and '.join(names)} cannot be compared: {misfit}"
        return {"first": None, "rows": [], "refusal": refusal}
    rows = [row for step in range(len(one.steps)) if (row := _row(one, other, step)) is not None]
    first = next((row["step"] for row in rows if _beyond(row, one, other)), None)
    return {"first": first, "rows": rows, "refusal": ""}


def names_apart(one: Look, other: Look) -> tuple[str, str]:
    """Return what two looks are called: by their networks, or by their pictures if these differ."""
    if one.opened.name != other.opened.name:
        return short_name(one.opened.name), short_name(other.opened.name)
    if one.name and other.name and one.name != other.name:
        return one.name, other.name
    return "the first run", "the second run"


def _misfit(one: Recording, other: Recording) -> str:
    """Return why two recordings do not have the same steps, and the cure; "" if they do."""
    fault = fault_of(other)
    if fault and not one.error:
        where = fault["label"] or fault["op"] or "its own code"
        why = fault["sentence"].rstrip(".")
        return f"the second stops at {where} ({why}); compare with one that runs to its end"
    cure = "compare networks with the same steps"
    pairs = list(zip(one.steps, other.steps, strict=False))
    for a, b in pairs:
        if a.op != b.op:
            return f"step {a.index} is `{a.op}` in the first and `{b.op}` in the second; {cure}"
    if len(one.steps) != len(other.steps):
        return f"the first has {len(one.steps)} steps and the second {len(other.steps)}; {cure}"
    for a, b in pairs:
        made, also = _sizes(one, a), _sizes(other, b)
        if made != also:
            return (
                f"step {a.index}, `{a.op}`, makes {made} in the first and {also} in the second; "
                "compare networks with the same sizes, on inputs of one size"
            )
    if any(a.outputs != b.outputs for a, b in pairs):
        return f"{_parameters_apart(one, other)}; {cure} and parameters"
    return ""


def _sizes(recording: Recording, step: Step) -> str:
    """Return the sizes of what a step makes, such as 1×24×8×8."""
    shapes = (recording.values[id].shape for id in step.outputs)
    return ", ".join("×".join(map(str, shape)) for shape in shapes)


def _parameters_apart(one: Recording, other: Recording) -> str:
    """Return which parameters only one of two networks has."""
    first, second = (
        {value.name for value in run.values if value.kind == "parameter"} for run in (one, other)
    )
    for which, names in (("first", first - second), ("second", second - first)):
        if names:
            return f"only the {which} has {min(names)}"
    return "the second reads its parameters in another order"


def _row(one: Recording, other: Recording, step: int) -> DifferenceRow | None:
    """Return how far two recordings are apart in a step; None if they are equal."""
    if not one.steps[step].outputs:
        return None
    id = one.steps[step].outputs[0]
    a, b = one.values[id], other.values[id]
    if a.tensor is b.tensor or a.opaque or b.opaque or not a.tensor.numel():
        return None
    x, y = (_numbers(each).flatten() for each in (a, b))
    apart = (x - y).abs_()
    at = int(apart.argmax())  # a NaN counts as the largest
    if not torch.isfinite(apart[at]):
        alike = (x == y) | (x.isnan() & y.isnan())
        apart = torch.where(x.isfinite() & y.isfinite(), apart, torch.where(alike, 0, torch.nan))
        at = int(apart.argmax())
    largest = float(apart[at])
    if largest == 0:
        return None
    index = [int(i) for i in torch.unravel_index(torch.tensor(at), a.shape)] if a.shape else []
    return {"step": step, "value": id, "largest": largest, "index": index, "bound": None}


def _numbers(value: Value) -> torch.Tensor:
    tensor = value.tensor.detach()
    if tensor.is_complex():
        return tensor.abs()
    return tensor if tensor.dtype == torch.float64 else tensor.to(torch.float32)


def _beyond(row: DifferenceRow, one: Recording, other: Recording) -> bool:
    """Return whether a difference is more than the rounding of both, which is kept in the row."""
    try:
        bounds = [explain_value(each, row["value"], row["index"]).bound for each in (one, other)]
    except SENTENCES:
        return True
    row["bound"] = bound = sum(bounds)
    return not row["largest"] <= bound
