"""Reductions of whole axes: sum, mean, extremes, variance, norms, products."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from convlens.lens.kinds.arguments import Arguments, UnboundCall, bind
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


_EUCLIDEAN = (None, "fro")


def bound(step: Step) -> None:
    """Raise UnboundCall unless the call fits its signature, and reduces elements, not matrices."""
    named = bind(step, SIGNATURES[step.op])
    order = named.get("p", named.get("ord"))
    if "norm" in step.op and order not in _EUCLIDEAN and not isinstance(order, (int, float)):
        raise UnboundCall(f"`{step.op}` of order {order!r} is no norm of the elements alone")
    dim = named.get("dim")
    if isinstance(dim, str) or (
        isinstance(dim, (list, tuple)) and any(isinstance(d, str) for d in dim)
    ):
        raise UnboundCall(f"`{step.op}` was called with an axis by name ({dim!r})")


class Reducing:
    """value = one number of the elements along the reduced axes."""

    name = "reducing"
    exact = True

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """One term for each element reduced."""
        given = Arguments(recording, step, SIGNATURES[step.op])
        positions, numbers = _lane(given, step, index)
        n = numbers.size
        id = given.id("input")
        if step.op in ("sum", "mean", "nansum", "nanmean"):
            if step.op in ("nansum", "nanmean"):
                counted = ~np.isnan(numbers)
                positions, numbers, n = positions[counted], numbers[counted], int(counted.sum())
            weight = 1.0 if "sum" in step.op else 1 / max(n, 1)
            terms = Terms.build(id, positions, numbers, weight)
            rest = math.nan if "mean" in step.op and not n else 0.0  # the mean of nothing
            return Account.of_sum(terms, rest, formula="sum" if weight == 1 else f"sum / {n}")
        if step.op in ("amax", "amin", "any", "all"):
            return _extreme(step, id, positions, numbers)
        total, slopes, magnitude, formula = _nonlinear(given, step, numbers)
        terms = Terms.build(id, positions, numbers, slopes)
        inside = "the logarithm is of a sum of at least 1" if step.op == "logsumexp" else ""
        if "norm" in step.op:
            least = math.sqrt(n) * math.sqrt(flushed(given.tensor("input").dtype))
            if 0 < total < least:  # rounding where numbers are not normal any more
                magnitude += least
                inside = "squares as small as these are rounded to 0, or nearly"
        return Account("function", terms, total, magnitude, n, formula=formula, inside=inside)

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """All along the reduced axes."""
        given = Arguments(recording, step, SIGNATURES[step.op])
        shape = given.value("input").shape
        if not _kept(given) and shape:
            for dim in _dims(given, len(shape)):
                mask = mask.unsqueeze(dim)
        return {given.id("input"): mask.expand(shape)}

    def cost(self, recording: Recording, step: Step) -> Cost:
        """One operation for each element reduced."""
        return Cost(operations=recording.values[step.inputs[0]].tensor.numel())


def _dims(given: Arguments, rank: int) -> tuple[int, ...]:
    if isinstance(given["dim"], bool):  # var(x, unbiased): no dimension was given
        return tuple(range(rank))
    return given.dims(rank)


def _kept(given: Arguments) -> bool:
    return bool(given["keepdim"])


def _lane(given: Arguments, step: Step, index: tuple[int, ...]) -> tuple[Ints, Floats]:
    """Positions and numbers of the elements reduced into one."""
    x = given.tensor("input")
    dims = _dims(given, x.dim())
    at = list(index)
    if not _kept(given):
        for dim in dims:
            at.insert(dim, 0)
    parts = [np.arange(x.shape[d]) if d in dims else np.array([at[d]]) for d in range(x.dim())]
    block = x[tuple(slice(None) if d in dims else slice(at[d], at[d] + 1) for d in range(x.dim()))]
    if not parts:
        return np.zeros(1, np.int64), floats(x).reshape(1)
    positions = np.ravel_multi_index(np.ix_(*parts), tuple(x.shape))
    return positions.reshape(-1), floats(block).reshape(-1)


def _extreme(step: Step, id: int, positions: Ints, numbers: Floats) -> Account:
    if not numbers.size:  # torch refuses the extreme of nothing
        total = float(step.op == "all")
        return Account("given", Terms.none(), total, exact=True, note="of no elements")
    largest = step.op in ("amax", "any")
    if np.isnan(numbers).any():
        winner = int(np.flatnonzero(np.isnan(numbers))[0])
    else:
        winner = int(numbers.argmax() if largest else numbers.argmin())
    total = float(numbers[winner])
    if step.op in ("any", "all"):
        total = float(bool(total))
    note = f"chosen: the {'largest' if largest else 'smallest'} of {numbers.size}"
    return Account.of_choice(id, positions, numbers, winner, total, formula=step.op, note=note)


def _nonlinear(given: Arguments, step: Step, numbers: Floats) -> tuple[float, Floats, float, str]:
    """Total, slopes, magnitude and formula of a reduction that is no sum."""
    n = numbers.size
    if step.op in ("var", "std"):
        return _spread(given, step, numbers)
    if step.op == "prod":
        total = float(numbers.prod())
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = np.where(numbers != 0, total / numbers, 0.0)
        return total, slopes, abs(total) * n, f"product of {n}"
    if step.op == "logsumexp":
        top = float(numbers.max(initial=-math.inf))
        if not math.isfinite(top):
            return top, np.zeros(n), abs(top), "log(sum(exp))"
        shares = np.exp(numbers - top)
        total = top + math.log(shares.sum())
        return total, shares / shares.sum(), abs(total) + abs(top) + 1, "log(sum(exp))"
    order = given["p"] if "p" in given.named else given["ord"]
    order = 2.0 if order in (None, "fro") else float(order)
    total = float(np.linalg.norm(numbers, order))
    leaf = torch.from_numpy(numbers).requires_grad_()
    with torch.enable_grad():
        norm = torch.linalg.vector_norm(leaf, order)
        (slope,) = torch.autograd.grad(norm, leaf, materialize_grads=True)
        slopes = slope.numpy() if total else np.zeros(n)
    return total, slopes, abs(total), f"norm of order {order:g}"


def _spread(given: Arguments, step: Step, numbers: Floats) -> tuple[float, Floats, float, str]:
    correction = given["correction"]
    if correction is None:
        unbiased = given["dim"] if isinstance(given["dim"], bool) else given["unbiased"]
        correction = 1 if unbiased else 0
    divisor = max(numbers.size - float(correction), 0.0)
    centred = numbers - numbers.mean()
    variance = float((centred**2).sum()) / divisor if divisor else math.nan
    slopes = 2 * centred / divisor if divisor else centred * math.nan
    size = variance + float(np.abs(numbers).mean() * np.abs(centred).mean())
    if step.op == "var":
        return variance, slopes, size, "mean square distance from the mean"
    deviation = math.sqrt(variance)
    slopes = slopes / (2 * deviation) if deviation else slopes * 0
    return deviation, slopes, size / deviation if deviation else size, "root of the variance"
