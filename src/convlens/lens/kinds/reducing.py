"""Explain reductions of whole axes: sum, mean, extremes, variance, norms, products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.lens.kinds.arguments import Arguments, UnboundCall
from convlens.lens.recording import Recording, Step
from convlens.lens.terms import Account, Cost, Floats, Ints, Terms, floats, flushed

_PLAIN = "input, dim=None, keepdim=False, dtype=None"
_SPREAD = "input, dim=None, unbiased=True, keepdim=False, correction=None"
SIGNATURES = {
    "sum": _PLAIN,
    "mean": _PLAIN,
    "nansum": _PLAIN,
    "nanmean": _PLAIN,
    "prod": _PLAIN,
    "amax": _PLAIN,
    "amin": _PLAIN,
    "logsumexp": _PLAIN,
    "var": _SPREAD,
    "std": _SPREAD,
    "norm": "input, p=2, dim=None, keepdim=False, out=None, dtype=None",
    "linalg_vector_norm": "input, ord=2, dim=None, keepdim=False, dtype=None",
    "any": _PLAIN,
    "all": _PLAIN,
}

_SUMS = ("sum", "mean", "nansum", "nanmean")
_EXTREMES = ("amax", "amin", "any", "all")
_EUCLIDEAN = (None, "fro")


class Reducing:
    """value = one number of the elements along the reduced axes."""

    name = "reducing"
    exact = True

    def bind(self, recording: Recording, step: Step) -> Arguments:
        """Bind the call to its signature.

        Raises UnboundCall too for a norm of matrices, and for an axis given by name.
        """
        signature = SIGNATURES[step.op]
        given = Arguments.of(recording, step, signature)
        if "norm" in step.op and not isinstance(_order(given), (int, float)):
            why = f"of order {_order(given)!r} is not a norm of the elements alone"
            raise UnboundCall(step, signature, "p", why)
        dims = given["dim"] if isinstance(given["dim"], (list, tuple)) else (given["dim"],)
        if any(isinstance(dim, str) for dim in dims):
            why = f"was called with an axis by name ({given['dim']!r})"
            raise UnboundCall(step, signature, "dim", why)
        return given

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return a term for each element reduced."""
        op, id = given.step.op, given.id("input")
        positions, numbers = _lane(given, index)
        if op in _SUMS:
            return _summed(op, id, positions, numbers)
        if op in _EXTREMES:
            return _extreme(op, id, positions, numbers)
        total, slopes, magnitude, formula = _nonlinear(given, numbers)
        terms, n = Terms.build(id, positions, numbers, slopes), numbers.size
        inside = "the logarithm is of a sum of at least 1" if op == "logsumexp" else ""
        if "norm" in op:
            least = math.sqrt(n) * math.sqrt(flushed(given.tensor("input").dtype))
            if 0 < total < least:  # rounding where numbers are not normal any more
                magnitude += least
                inside = "squares as small as these are rounded to 0, or nearly"
        return Account("function", terms, total, magnitude, n, formula=formula, inside=inside)

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return all along the reduced axes."""
        shape = given.value("input").shape
        if not given["keepdim"] and shape:
            for dim in reduced_axes(given, len(shape)):
                mask = mask.unsqueeze(dim)
        return {given.id("input"): mask.expand(shape)}

    def cost(self, given: Arguments) -> Cost:
        """Count one operation for each element reduced."""
        return Cost(operations=given.tensor("input").numel())


def reduced_axes(given: Arguments, rank: int) -> tuple[int, ...]:
    """Return the reduced axes."""
    if isinstance(given["dim"], bool):  # var(x, unbiased): no dimension was given
        return tuple(range(rank))
    return given.dims(rank)


def _order(given: Arguments) -> Any:
    """Return the order of a norm, 2 for the Euclidean one however it was asked for."""
    order = given["p"] if "p" in given.named else given["ord"]
    return 2.0 if order in _EUCLIDEAN else order


def _lane(given: Arguments, index: tuple[int, ...]) -> tuple[Ints, Floats]:
    """Return positions and numbers of the elements reduced into one."""
    x = given.tensor("input")
    dims = reduced_axes(given, x.dim())
    at = list(index)
    if not given["keepdim"]:
        for dim in dims:
            at.insert(dim, 0)
    parts = [np.arange(x.shape[d]) if d in dims else np.array([at[d]]) for d in range(x.dim())]
    block = x[tuple(slice(None) if d in dims else slice(at[d], at[d] + 1) for d in range(x.dim()))]
    if not parts:
        return np.zeros(1, np.int64), floats(x).reshape(1)
    positions = np.ravel_multi_index(np.ix_(*parts), tuple(x.shape))
    return positions.reshape(-1), floats(block).reshape(-1)


def _summed(op: str, id: int, positions: Ints, numbers: Floats) -> Account:
    """Return a sum or mean, of which some operations leave NaN out."""
    if op.startswith("nan"):
        counted = ~np.isnan(numbers)
        positions, numbers = positions[counted], numbers[counted]
    n = numbers.size
    weight = 1.0 if "sum" in op else 1 / max(n, 1)
    terms = Terms.build(id, positions, numbers, weight)
    rest = math.nan if "mean" in op and not n else 0.0  # the mean of nothing
    return Account.of_sum(terms, rest, formula="sum" if weight == 1 else f"sum / {n}")


def _extreme(op: str, id: int, positions: Ints, numbers: Floats) -> Account:
    """Return the largest or smallest element, or whether any or all are true."""
    if not numbers.size:  # torch refuses the extreme of nothing
        total = float(op == "all")
        return Account("given", Terms.none(), total, exact=True, note="of no elements")
    largest = op in ("amax", "any")
    if np.isnan(numbers).any():
        winner = int(np.flatnonzero(np.isnan(numbers))[0])
    else:
        winner = int(numbers.argmax() if largest else numbers.argmin())
    total = float(numbers[winner])
    if op in ("any", "all"):
        total = float(bool(total))
    note = f"chosen: the {'largest' if largest else 'smallest'} of {numbers.size}"
    return Account.of_choice(id, positions, numbers, winner, total, formula=op, note=note)


def _nonlinear(given: Arguments, numbers: Floats) -> tuple[float, Floats, float, str]:
    """Return total, slopes, magnitude and formula of a reduction that is not a sum."""
    n, op = numbers.size, given.step.op
    if op in ("var", "std"):
        return _spread(given, numbers)
    if op == "prod":
        total = float(numbers.prod())
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = np.where(numbers != 0, total / numbers, 0.0)
        return total, slopes, abs(total) * n, f"product of {n}"
    if op == "logsumexp":
        top = float(numbers.max(initial=-math.inf))
        if not math.isfinite(top):
            return top, np.zeros(n), abs(top), "log(sum(exp))"
        shares = np.exp(numbers - top)
        total = top + math.log(shares.sum())
        return total, shares / shares.sum(), abs(total) + abs(top) + 1, "log(sum(exp))"
    return _norm(float(_order(given)), numbers)


def _norm(order: float, numbers: Floats) -> tuple[float, Floats, float, str]:
    """Return total, slopes, magnitude and formula of a norm."""
    total = float(np.linalg.norm(numbers, order))
    leaf = torch.from_numpy(numbers).requires_grad_()
    with torch.enable_grad():
        norm = torch.linalg.vector_norm(leaf, order)
        (slope,) = torch.autograd.grad(norm, leaf, materialize_grads=True)
        slopes = slope.numpy() if total else np.zeros(numbers.size)
    return total, slopes, abs(total), f"norm of order {order:g}"


def _spread(given: Arguments, numbers: Floats) -> tuple[float, Floats, float, str]:
    """Return the same of a variance or standard deviation."""
    correction = given["correction"]
    if correction is None:
        unbiased = given["dim"] if isinstance(given["dim"], bool) else given["unbiased"]
        correction = 1 if unbiased else 0
    divisor = max(numbers.size - float(correction), 0.0)
    centred = numbers - numbers.mean()
    variance = float((centred**2).sum()) / divisor if divisor else math.nan
    slopes = 2 * centred / divisor if divisor else centred * math.nan
    size = variance + float(np.abs(numbers).mean() * np.abs(centred).mean())
    if given.step.op == "var":
        return variance, slopes, size, "mean square distance from the mean"
    deviation = math.sqrt(variance)
    slopes = slopes / (2 * deviation) if deviation else slopes * 0
    return deviation, slopes, size / deviation if deviation else size, "root of the variance"
