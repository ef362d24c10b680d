"""Seat a row of numbers: linear layers and matrix products, softmax, and reductions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from convlens.lab.answers.bench.seats import Benched, BenchOrigin, Seats, Unseated, places_of
from convlens.lab.answers.sheets import layout_in
from convlens.lens import Recording, Value
from convlens.lens.kinds.moving import RESHAPES
from convlens.lens.kinds.multiplying import factors
from convlens.lens.kinds.pointwise import DROPOUTS
from convlens.lens.kinds.reducing import reduced_axes
from convlens.lens.terms import broadcast_index, unravel

# Each term of these is of another row.
_OF_MANY_ROWS = ("addr", "addbmm")
ALL_ROWS = 2**17
"""All rows of a layer with up to this many weights come at once."""

PLACES = 3
"""The most axes of a seat."""

# These hand the same numbers on in the same order.
_SAME = RESHAPES | DROPOUTS | frozenset(("contiguous", "clone", "detach", "identity"))


def linear(number: Benched, seats: Seats) -> None:
    """Seat the row of the input, the row of the weight, the bias, and all outputs of that row.

    Of a layer with few weights all rows come, and the bias of each.
    """
    terms, given, index = number.explanation.terms, number.given, number.index
    if not len(terms) or number.step.op in _OF_MANY_ROWS:
        raise Unseated("its products are not those of one row")
    values = number.recording.values
    source = values[int(terms.source[0])]
    row = unravel(int(terms.position[0]), source.shape)[:-1]
    seats.map("in", source, row)
    weight = factors(given)[1]
    at = unravel(int(terms.weight_position[0]), weight.shape)
    if len(weight.shape) == 1 or number.step.op == "linear":
        seats.map("kernel", weight, at[:-1] if math.prod(weight.shape) > ALL_ROWS else ())
    else:
        seats.cut("kernel", weight, at[:-2], lambda tensor: tensor[at[:-2]][:, at[-1]])
        seats.detail["column"] = at[-1]
    _add_bias(number, seats)
    if given["alpha"] not in (None, 1):
        seats.detail["alpha"] = float(given["alpha"])
    seats.map("out", number.value, index if len(weight.shape) == 1 else index[:-1])
    if origin := origin_of(number.recording, source):
        seats.detail["origin"] = origin


def _add_bias(number: Benched, seats: Seats) -> None:
    """Seat the bias of a layer, or the number that a product is added to."""
    given, index = number.given, number.index
    if given.has("bias"):
        few = math.prod(given.tensor("weight").shape) <= ALL_ROWS
        seats.map("bias", given.value("bias"), () if few else index[-1:])
    elif given["beta"]:
        added = given.value("input")
        seats.map("bias", added, broadcast_index(index, added.shape))
        seats.detail["beta"] = float(given["beta"])


def origin_of(recording: Recording, value: Value) -> BenchOrigin | None:
    """Return the maps that a row was before it was flattened; None for any other row."""
    row, made = value, recording.steps[value.step] if value.step >= 0 else None
    while made is not None and made.op in _SAME:
        before = recording.values[made.inputs[0]]
        if made.op in DROPOUTS and not torch.equal(before.tensor, value.tensor):
            return None
        value, made = before, recording.steps[before.step] if before.step >= 0 else None
    axes = layout_in(recording, value).axes
    maps = value.shape[-places_of(recording, value) - 1 :]
    whole = len(maps) > 1 and math.prod(maps) == row.shape[-1] != maps[0]
    if value is row or not whole or axes[-len(maps)] != "channel":
        return None
    return {"value": value.id, "shape": list(maps)}


def softmax(number: Benched, seats: Seats) -> None:
    """Seat the scores along the axis, and their shares."""
    given, op = number.given, number.step.op
    x = given.value("input")
    dim = int(given["dim"]) % max(len(x.shape), 1)
    for role, value in (("in", x), ("out", number.value)):
        lane(seats, role, value, number.index, dim)
    seats.detail["dim"] = dim
    seats.detail["log"] = "log" in op
    seats.detail["negated"] = op == "softmin"


def lane(seats: Seats, role: str, value: Value, index: Sequence[int], dim: int) -> None:
    """Seat the numbers of a value along one axis; `at` is the index along the others."""
    if not value.shape:
        seats.cut(role, value, (), lambda tensor: tensor.reshape(1))
        return
    rest = (*index[:dim], *index[dim + 1 :])
    seats.cut(role, value, rest, lambda tensor: tensor.movedim(dim, -1)[rest])


def reduction(number: Benched, seats: Seats) -> None:
    """Seat the numbers along the reduced axes, and what they were reduced to."""
    given, value = number.given, number.value
    x = given.value("input")
    axes = reduced_axes(given, len(x.shape))
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    rest = [i for axis, i in enumerate(number.index) if axis in kept or not given["keepdim"]]

    def reduced(tensor: Tensor) -> Tensor:
        block = tensor.permute(*kept, *axes)[tuple(rest)]
        return block if len(axes) <= PLACES else block.reshape(-1)

    seats.cut("in", x, rest, reduced)
    seats.map("out", value, number.lead)
    if len(axes) == 1:
        seats.detail["dim"] = axes[0]
