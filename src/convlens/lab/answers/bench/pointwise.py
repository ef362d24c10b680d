"""Seat what is computed place by place: functions of one number, sums and products of two."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from convlens.lab.answers.bench.seats import Benched, Seats, Unseated
from convlens.lens import Value
from convlens.lens.kinds.arguments import Arguments, UnboundCall
from convlens.lens.kinds.pointwise import DROPOUTS
from convlens.lens.recording import Ref
from convlens.lens.repeating import NotRepeated, run_again
from convlens.lens.terms import broadcast_index, floats

POINTS = 129
"""The points of a curve."""

_WIDER = 0.1  # of the span of a map on either side, so that no point lies on the curve's end

# The constants of functions that the page writes out.
_CONSTANTS = {
    "leaky_relu": "input, negative_slope=0.01, inplace=False",
    "clamp": "input, min=None, max=None",
    "clip": "input, min=None, max=None",
    "clamp_min": "input, min",
    "clamp_max": "input, max",
    "hardtanh": "input, min_val=-1.0, max_val=1.0, inplace=False",
    "relu6": "input, inplace=False, min=0.0, max=6.0",
}


def function(number: Benched, seats: Seats) -> None:
    """Seat the map before and after, and the curve of the function between them."""
    source = number.recording.values[number.step.inputs[0]]
    seats.map("in", source, number.lead)
    seats.map("out", number.value, number.lead)
    curve = curve_of(number, source)
    if curve is not None:
        seats.add("curve", curve)
    _state_constants(number.given, seats)


def curve_of(number: Benched, source: Value) -> Tensor | None:
    """Return points of a step's function as x and y, (2, POINTS); None where it has no curve.

    Their x run from the lowest to the highest number of the map, and a little further: y is NaN
    where the function has no value.
    """
    step, part = number.step, source.tensor[number.lead].detach()
    if not part.is_floating_point() or _draws_lots(number):
        return None
    numbers = floats(part)
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        return None
    low, high = float(finite.min()), float(finite.max())
    wider = _WIDER * (high - low) or max(1.0, abs(low))
    x = torch.linspace(low - wider, high + wider, POINTS, dtype=torch.float64)
    slope = int(number.explanation.terms.position[-1])  # of `prelu`, the one of this channel

    def points(ref: Ref) -> Tensor:
        if ref.id == source.id:
            return x.clone()
        slopes = number.recording.values[ref.id].tensor.detach().double()
        return slopes.reshape(-1)[slope : slope + 1]

    with torch.no_grad():
        try:
            y = run_again(step, points, number.value.slot)
        except NotRepeated:
            return None
    return torch.stack([x, y.to(x)]) if y.shape == x.shape and not y.is_complex() else None


def _draws_lots(number: Benched) -> bool:
    """Return whether each number is kept or dropped at random."""
    return number.step.op in DROPOUTS and number.given["training"] is not False


def _state_constants(given: Arguments, seats: Seats) -> None:
    """State the constants of a function that the page writes out."""
    step = given.step
    if step.op in _CONSTANTS:
        try:
            given = Arguments.of(given.recording, step, _CONSTANTS[step.op])
        except UnboundCall:
            return
    constants = {
        "scalar": given["input" if given.has("other") else "other"],
        "negative_slope": given["negative_slope"],
        "low": given["min"] if given["min_val"] is None else given["min_val"],
        "high": given["max"] if given["max_val"] is None else given["max_val"],
    }
    for name in ("scalar", "negative_slope", "low", "high"):
        if isinstance(constants[name], int | float):
            seats.detail[name] = float(constants[name])


def addition(number: Benched, seats: Seats) -> None:
    """Seat both operands, the second times a sign, and their sum."""
    given = number.given
    turned = number.step.op == "rsub"
    _operands(number, seats, turned)
    seats.detail["sign"] = "+" if number.step.op == "add" else "-"
    if given["alpha"] not in (None, 1):
        seats.detail["alpha"] = float(given["alpha"])


def product(number: Benched, seats: Seats) -> None:
    """Seat both operands and their product, or the first over the second."""
    _operands(number, seats, number.step.op == "rdiv")
    seats.detail["sign"] = "/" if "div" in number.step.op else "×"


def _operands(number: Benched, seats: Seats, turned: bool) -> None:
    """Seat both operands as they are broadcast to the map of the result, and this."""
    if not number.value.dtype.is_floating_point:
        raise Unseated(f"numbers of type {number.value.dtype} are not added as others are")
    names = ("other", "input") if turned else ("input", "other")
    lead, shape = number.lead, number.value.shape
    for role, name in zip(("in", "in2"), names, strict=True):
        operand = number.given.value(name)
        own = operand.shape[: max(len(operand.shape) - (len(shape) - len(lead)), 0)]
        at = broadcast_index(lead, own) if own else ()
        seats.cut(role, operand, at, lambda tensor: tensor.expand(shape)[lead])
    seats.map("out", number.value, lead)
