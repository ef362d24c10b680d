"""Linear layers and matrix products: dot products of a row with a column."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from convlens.lens import masks
from convlens.lens.arguments import Arguments
from convlens.lens.steps import Recording, Step, Value
from convlens.lens.terms import Account, Cost, Ints, Terms, broadcast_index, floats, ravel

_TWO = "input, other"
SIGNATURES = {
    "linear": "input, weight, bias=None",
    "matmul": _TWO,
    "rmatmul": _TWO,
    "mm": _TWO,
    "bmm": _TWO,
    "mv": _TWO,
    "dot": _TWO,
    "addmm": "input, mat1, mat2, beta=1, alpha=1",
    "baddbmm": "input, batch1, batch2, beta=1, alpha=1",
}
_OTHER_NAMES = ("mat2", "vec", "tensor")


class Multiplying:
    """value = sum over the inner axis of row x column, + bias."""

    name = "linear"

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """One term for each element of the inner axis."""
        given = Arguments(recording, step, SIGNATURES[step.op])
        left, right = _factors(given, step)
        row = _row(left, index, len(right.shape) == 1)
        if step.op == "linear":
            column = np.arange(right.shape[-1]) + index[-1] * right.shape[-1]
        else:
            column = _column(right, index, len(left.shape) == 1)
        terms = Terms.build(
            left.id,
            row,
            _at(left, row),
            _at(right, column) * given.number("alpha", otherwise=1.0),
            weight_source=right.id if given["alpha"] in (None, 1) else -1,
            weight_position=column,
        )
        formula = "sum of input × weight"
        if step.op == "linear" and given.has("bias"):
            bias = given.value("bias")
            return Account.of_sum(
                terms,
                float(bias.tensor[index[-1]]),
                (bias.id, index[-1]),
                formula=formula + ", + bias",
            )
        if step.op in ("addmm", "baddbmm"):
            added = given.value("input")
            at = broadcast_index(index, added.shape)
            beta = given.number("beta")
            bias_source = (added.id, ravel(at, added.shape)) if beta == 1 else None
            term = beta * float(added.tensor[at])
            return Account.of_sum(terms, term, bias_source, formula=formula + ", + bias")
        return Account.of_sum(terms, formula=formula)

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """The row of the left factor and the column of the right, for each output asked for."""
        given = Arguments(recording, step, SIGNATURES[step.op])
        left, right = _factors(given, step)
        matrix = mask
        if len(left.shape) == 1:
            matrix = matrix.unsqueeze(-1 if len(right.shape) == 1 else -2)
        if len(right.shape) == 1:
            matrix = matrix.unsqueeze(-1)
        inner = left.shape[-1]
        rows = masks.collapse(matrix, (matrix.dim() - 1,))
        rows = rows.expand(*rows.shape[:-1], inner)
        found = {left.id: masks.broadcast_back(rows, left.shape)}
        if step.op == "linear":
            return found
        columns = masks.collapse(matrix, (matrix.dim() - 2,))
        columns = columns.expand(*columns.shape[:-2], inner, columns.shape[-1])
        if len(right.shape) == 1:
            columns = columns.squeeze(-1)
        theirs = masks.broadcast_back(columns, right.shape)
        found[right.id] = masks.union(found.get(right.id), theirs)
        if step.op in ("addmm", "baddbmm"):
            added = given.value("input")
            found[added.id] = masks.broadcast_back(mask, added.shape)
        return found

    def cost(self, recording: Recording, step: Step) -> Cost:
        """Outputs times the inner axis."""
        given = Arguments(recording, step, SIGNATURES[step.op])
        left, _ = _factors(given, step)
        outputs = math.prod(recording.values[step.outputs[0]].shape)
        biased = given.has("bias") or step.op in ("addmm", "baddbmm")
        return Cost(outputs * left.shape[-1], outputs if biased else 0)


def _factors(given: Arguments, step: Step) -> tuple[Value, Value]:
    if step.op == "linear":
        return given.value("input"), given.value("weight")
    if step.op == "addmm":
        return given.value("mat1"), given.value("mat2")
    if step.op == "baddbmm":
        return given.value("batch1"), given.value("batch2")
    name = next((name for name in ("other", *_OTHER_NAMES) if given.has(name)), "other")
    left, right = given.value("input"), given.value(name)
    return (right, left) if step.op == "rmatmul" else (left, right)


def _row(left: Value, index: tuple[int, ...], vector_right: bool) -> Ints:
    inner = left.shape[-1]
    if len(left.shape) == 1:
        return np.arange(inner)
    lead = index if vector_right else index[:-1]
    at = broadcast_index(lead, left.shape[:-1])
    return np.arange(inner) + ravel(at, left.shape[:-1]) * inner


def _column(right: Value, index: tuple[int, ...], vector_left: bool) -> Ints:
    if len(right.shape) == 1:
        return np.arange(right.shape[0])
    inner, width = right.shape[-2:]
    lead = index[:-1] if vector_left else index[:-2]
    at = ravel(broadcast_index(lead, right.shape[:-2]), right.shape[:-2])
    return at * inner * width + np.arange(inner) * width + index[-1]


def _at(value: Value, positions: Ints) -> np.ndarray:
    index = tuple(np.unravel_index(positions, value.shape))
    return floats(value.tensor[index])
