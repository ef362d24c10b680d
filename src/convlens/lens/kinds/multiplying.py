"""Explain linear layers and matrix products: dot products of a row with a column."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.arguments import Arguments, KnownByName, UnboundCall
from convlens.lens.kinds.walking import by_slopes, computed, union_of
from convlens.lens.recording import Recording, Step, Value
from convlens.lens.terms import Account, Cost, Ints, Terms, broadcast_index, floats, ravel

_ADDED = "beta=1, alpha=1"
# The names of the two factors, in order, and the signature that has them.
_CALLS = {
    "linear": ("input", "weight", "input, weight, bias=None"),
    "matmul": ("input", "other", "input, other"),
    "linalg_matmul": ("input", "other", "input, other"),
    "rmatmul": ("other", "input", "input, other"),
    "mm": ("input", "mat2", "input, mat2, out_dtype=None"),
    "bmm": ("input", "mat2", "input, mat2, out_dtype=None"),
    "_int_mm": ("input", "mat2", "input, mat2"),
    "mv": ("input", "vec", "input, vec"),
    "dot": ("input", "tensor", "input, tensor"),
    "vdot": ("input", "other", "input, other"),
    "addmm": ("mat1", "mat2", f"input, mat1, mat2, {_ADDED}"),
    "addmv": ("mat", "vec", f"input, mat, vec, {_ADDED}"),
    "addr": ("vec1", "vec2", f"input, vec1, vec2, {_ADDED}"),
    "baddbmm": ("batch1", "batch2", f"input, batch1, batch2, {_ADDED}"),
    "addbmm": ("batch1", "batch2", f"input, batch1, batch2, {_ADDED}"),
}
SIGNATURES = {op: signature for op, (_, _, signature) in _CALLS.items()}
BILINEAR = {"bilinear": "input1, input2, weight, bias=None"}


class Multiplying:
    """value = sum over the inner axis of row x column, + bias."""

    name = "linear"
    exact = True

    def bind(self, recording: Recording, step: Step) -> Arguments:
        """Bind the call to its signature; both factors must be tensors."""
        left, right, signature = _CALLS[step.op]
        given = Arguments.of(recording, step, signature)
        for name in (left, right):
            if not given.has(name):
                why = f"was called with a `{name}` that is not a tensor"
                raise UnboundCall(step, signature, name, why)
        return given

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return a term for each element of the inner axis."""
        left, right = factors(given)
        row, column = _line(given.step, left, right, index)
        terms = Terms.build(
            left.id,
            row,
            _at(left, row),
            _at(right, column) * given.number("alpha", otherwise=1.0),
            weight_source=right.id if given["alpha"] in (None, 1) else -1,
            weight_position=column,
        )
        formula = "sum of input × weight"
        if given["beta"] is None:
            return _with_bias(given, terms, index, formula)
        added, beta = given.value("input"), given.number("beta")
        at = broadcast_index(index, added.shape)
        term = beta * float(added.tensor[at]) if beta else 0.0  # as torch has it, even of 0 x NaN
        source_of_sum = (added.id, ravel(at, added.shape)) if beta == 1 else None
        return Account.of_sum(terms, term, source_of_sum, formula=f"{formula}, + bias")

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return the row of the left factor and the column of the right, for each output."""
        left, right = factors(given)
        if given.step.op in ("addr", "addmv", "addbmm"):
            return by_slopes(given, slot, mask, given.step.inputs)
        matrix = mask
        if len(left.shape) == 1:
            matrix = matrix.unsqueeze(-1 if len(right.shape) == 1 else -2)
        if len(right.shape) == 1:
            matrix = matrix.unsqueeze(-1)
        inner = left.shape[-1]
        rows = masks.collapse(matrix, (matrix.dim() - 1,))
        rows = rows.expand(*rows.shape[:-1], inner)
        found = {left.id: masks.broadcast_back(rows, left.shape)}
        if given.step.op == "linear":
            rest = computed(given, "weight", "bias")
            return union_of(found, by_slopes(given, slot, mask, rest))
        columns = masks.collapse(matrix, (matrix.dim() - 2,))
        columns = columns.expand(*columns.shape[:-2], inner, columns.shape[-1])
        if len(right.shape) == 1:
            columns = columns.squeeze(-1)
        theirs = masks.broadcast_back(columns, right.shape)
        found[right.id] = masks.union(found.get(right.id), theirs)
        if given["beta"]:
            added = given.value("input")
            found = union_of(found, {added.id: masks.broadcast_back(mask, added.shape)})
        return found

    def cost(self, given: Arguments) -> Cost:
        """Count outputs times the inner axis, of all pairs of matrices that are added up."""
        left, right = factors(given)
        outputs = math.prod(given.output().shape)
        if left.tensor.layout is not torch.strided or right.tensor.layout is not torch.strided:
            return Cost(operations=outputs, uncounted="one of its matrices is sparse")
        inner = 1 if given.step.op == "addr" else left.shape[-1]
        if given.step.op == "addbmm":
            inner *= left.shape[0]
        biased = given.has("bias") or given["beta"] is not None
        return Cost(outputs * inner, outputs if biased else 0)


class Bilinear(KnownByName):
    """value = sum over pairs of element x weight x element of the other input, + bias."""

    name = "bilinear"
    exact = True
    signatures = BILINEAR

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return a term for each pair; its weight is the layer's times the other element."""
        one, two, weight = (given.value(name) for name in ("input1", "input2", "weight"))
        rows = ravel(index[:-1], one.shape[:-1])
        first = rows * one.shape[-1] + np.arange(one.shape[-1])
        second = rows * two.shape[-1] + np.arange(two.shape[-1])
        start = index[-1] * one.shape[-1] * two.shape[-1]
        cells = start + np.arange(one.shape[-1] * two.shape[-1]).reshape(one.shape[-1], -1)
        numbers = np.broadcast_to(_at(one, first)[:, None], cells.shape)
        terms = Terms.build(
            given.id("input1"),
            np.broadcast_to(first[:, None], cells.shape),
            numbers,
            _at(weight, cells) * _at(two, second),
            weight_source=given.id("weight"),
            weight_position=cells,
            arrangement=cells.shape,
        )
        other = given.recording.name_of(two.id)
        formula = f"sum of input × weight × `{other}`"
        return _with_bias(given, terms, index, formula)

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return the rows of both inputs, and what of weights and bias the outputs read."""
        return by_slopes(given, slot, mask, given.step.inputs)

    def cost(self, given: Arguments) -> Cost:
        """Count each weight once for each row the layer is laid on."""
        outputs = math.prod(given.output().shape)
        pairs = math.prod(given.value("weight").shape[1:])
        return Cost(outputs * pairs, outputs if given.has("bias") else 0)


def _with_bias(given: Arguments, terms: Terms, index: tuple[int, ...], formula: str) -> Account:
    """Return the sum of terms, and of the bias of the layer if it has one."""
    if not given.has("bias"):
        return Account.of_sum(terms, formula=formula)
    source = given.id("bias"), index[-1]
    bias = given.number("bias", index[-1:])
    return Account.of_sum(terms, bias, source, formula=f"{formula}, + bias")


def factors(given: Arguments) -> tuple[Value, Value]:
    """Return the two factors of a product, in order."""
    left, right, _ = _CALLS[given.step.op]
    return given.value(left), given.value(right)


def _line(step: Step, left: Value, right: Value, index: tuple[int, ...]) -> tuple[Ints, Ints]:
    """Return the flat positions of the two factors of every term."""
    if step.op == "linear":
        inner = right.shape[-1]
        column = np.arange(inner) + (index[-1] if len(right.shape) > 1 else 0) * inner
        return _row(left, index, len(right.shape) == 1), column
    if step.op == "addr":
        return np.array([index[0]]), np.array([index[1]])
    if step.op == "addbmm":
        pairs = range(left.shape[0])
        rows = [_row(left, (k, *index), False) for k in pairs]
        return np.concatenate(rows), np.concatenate(
            [_column(right, (k, *index), False) for k in pairs]
        )
    vectors = len(left.shape) == 1, len(right.shape) == 1
    return _row(left, index, vectors[1]), _column(right, index, vectors[0])


def _row(left: Value, index: tuple[int, ...], vector_right: bool) -> Ints:
    """Return the flat positions of the left factor's row for an output."""
    inner = left.shape[-1]
    if len(left.shape) == 1:
        return np.arange(inner)
    lead = index if vector_right else index[:-1]
    at = broadcast_index(lead, left.shape[:-1])
    return np.arange(inner) + ravel(at, left.shape[:-1]) * inner


def _column(right: Value, index: tuple[int, ...], vector_left: bool) -> Ints:
    """Return the flat positions of the right factor's column for an output."""
    if len(right.shape) == 1:
        return np.arange(right.shape[0])
    inner, width = right.shape[-2:]
    lead = index[:-1] if vector_left else index[:-2]
    at = ravel(broadcast_index(lead, right.shape[:-2]), right.shape[:-2])
    return at * inner * width + np.arange(inner) * width + index[-1]


def _at(value: Value, positions: Ints) -> np.ndarray:
    """Return the elements of a value at flat positions."""
    index = tuple(np.unravel_index(positions, value.shape))
    return floats(value.tensor[index])
