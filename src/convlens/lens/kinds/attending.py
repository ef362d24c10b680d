"""Explain softmax and attention: shares that add up to one."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.arguments import Arguments, KnownByName
from convlens.lens.kinds.refusing import StepRefused
from convlens.lens.terms import (
    Account,
    Cost,
    Floats,
    Terms,
    broadcast_index,
    floats,
    flushed,
    lane,
    ravel,
)

SOFTMAX = dict.fromkeys(
    ("softmax", "log_softmax", "_softmax", "_log_softmax", "softmin"),
    "input, dim=-1, _stacklevel=3, dtype=None",
)
_ATTENTION = (
    "query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, "
    "enable_gqa=False"
)
ATTENTION = {
    "scaled_dot_product_attention": _ATTENTION,
    "_scaled_dot_product_attention_math": _ATTENTION,
    "_scaled_dot_product_flash_attention_for_cpu": (
        "query, key, value, dropout_p=0.0, is_causal=False, attn_mask=None, scale=None"
    ),
}


class Softmax(KnownByName):
    """value = exp(x) / sum of exp along the axis, or its logarithm."""

    name = "softmax"
    exact = True
    signatures = SOFTMAX

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return a term for each element of the axis; the weights are slopes."""
        x = given.tensor("input")
        dim = int(given["dim"]) % max(x.dim(), 1)
        positions, numbers = lane(x, index, dim)
        sign = -1.0 if given.step.op == "softmin" else 1.0
        own = index[dim] if index else 0
        scores = sign * numbers
        found = _log_share(scores, own) if "log" in given.step.op else _share(scores, own, x.dtype)
        total, slopes, magnitude, formula, inside = found
        terms = Terms.build(given.id("input"), positions, numbers, sign * slopes)
        return Account(
            "function", terms, total, magnitude, numbers.size, formula=formula, inside=inside
        )

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return all along the axis."""
        dim = int(given["dim"]) % max(mask.dim(), 1)
        return {given.id("input"): masks.collapse(mask, (dim,)).expand(mask.shape)}

    def cost(self, given: Arguments) -> Cost:
        """Count three operations an element: exponential, sum and division."""
        return Cost(operations=3 * given.output().tensor.numel())


def _share(scores: Floats, own: int, dtype: torch.dtype) -> tuple[float, Floats, float, str, str]:
    """Return total, slopes, magnitude, formula, and what cancels inside, of a softmax."""
    top = float(scores.max())
    powers = np.exp(scores - top)
    shares = powers / powers.sum()
    share = float(shares[own])
    slopes: Floats = share * (_unit(scores.size, own) - shares)
    below = abs(float(scores[own]) - top) if share else 0.0
    magnitude = share * (1 + below) + flushed(dtype)  # powers less than a normal number are 0
    return share, slopes, magnitude, "exp(x) / sum(exp(x))", ""


def _log_share(scores: Floats, own: int) -> tuple[float, Floats, float, str, str]:
    """Return the same of the logarithm of a softmax."""
    top = float(scores.max())
    powers = np.exp(scores - top)
    total = float(scores[own]) - top - math.log(powers.sum())
    slopes: Floats = _unit(scores.size, own) - powers / powers.sum()
    magnitude = abs(float(scores[own]) - top) + abs(total) + abs(top) + 1
    inside = "the logarithm is of a sum of at least 1"
    return total, slopes, magnitude, "x - log(sum(exp(x)))", inside


def _unit(size: int, own: int) -> Floats:
    """Return zeros, with a one at `own`."""
    unit: Floats = np.zeros(size)
    unit[own] = 1
    return unit


class Attending(KnownByName):
    """value = sum over the keys of share x value, shares by softmax(query . key)."""

    name = "attention"
    exact = True
    signatures = ATTENTION

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return a term for each key: its value times its share."""
        if slot:
            raise StepRefused(
                given.step, f"output {slot} is kept for the gradient; explain output 0"
            )
        if given["dropout_p"]:
            raise StepRefused(given.step, "it drops shares at random")
        query, key, value = (given.tensor(name) for name in ("query", "key", "value"))
        heads = query.dim() > 2 and query.shape[-3]
        row = floats(query[(*broadcast_index(index[:-2], query.shape[:-2]), index[-2])])
        keys = floats(key[_shared(index[:-2], key.shape[:-2], heads)])
        lead = _shared(index[:-2], value.shape[:-2], heads)
        column = floats(value[lead][:, index[-1]])
        scale = given["scale"]
        factor = 1 / math.sqrt(query.shape[-1]) if scale is None else float(scale)
        sizes = np.abs(keys) @ np.abs(row) * abs(factor)
        scores = _masked(given, keys @ row * factor, index, query.shape[-2])
        top = float(scores.max(initial=-math.inf))
        if math.isfinite(top):
            powers = np.exp(scores - top)
            shares = powers / powers.sum()
        else:  # every key is masked: torch gives 0
            shares = np.zeros(scores.size)
        start = ravel(lead, value.shape[:-2]) * value.shape[-2] * value.shape[-1]
        positions = start + np.arange(len(shares)) * value.shape[-1] + index[-1]
        terms = Terms.build(given.id("value"), positions, column, shares)
        # A share moves with the rounding of its own score and, through the sum, of all others.
        wobble = float((np.abs(terms.product) * (sizes + float(shares @ sizes))).sum())
        return Account.of_sum(
            terms,
            magnitude=wobble,
            count=len(shares) + row.size,
            formula="sum of share × value, share = softmax(query · key)",
        )

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return the query's row, the keys it may look at, and the column of their values.

        If there is only one such key, its share is 1 whatever the numbers are.
        """
        if slot:
            raise StepRefused(
                given.step, f"output {slot} is kept for the gradient; no region is known"
            )
        query, key, value = (given.value(name).shape for name in ("query", "key", "value"))
        allowed = allowed_keys(given, (*mask.shape[:-1], key[-2]))
        rows = mask.any(-1, keepdim=True) & allowed
        weighed = rows & (allowed.sum(-1, keepdim=True) > 1)
        columns = allowed.transpose(-1, -2).to(torch.float32) @ mask.to(torch.float32) > 0
        parts = {
            "query": (weighed.any(-1, keepdim=True).expand(*rows.shape[:-1], query[-1]), query),
            "key": (weighed.any(-2)[..., None].expand(*rows.shape[:-2], *key[-2:]), key),
            "value": (columns, value),
        }
        if given.has("attn_mask"):
            parts["attn_mask"] = (weighed, given.value("attn_mask").shape)
        found: dict[int, Tensor] = {}
        for name, (part, shape) in parts.items():
            theirs = masks.broadcast_back(_of_groups(part, shape), shape)
            found[given.id(name)] = masks.union(found.get(given.id(name)), theirs)
        return found

    def cost(self, given: Arguments) -> Cost:
        """Count two products for each pair of query and key, and the softmax between them."""
        query, value = given.value("query").shape, given.value("value").shape
        pairs = math.prod(given.output().shape[:-1]) * value[-2]
        return Cost(pairs * (query[-1] + value[-1]), 3 * pairs)


def _shared(index: tuple[int, ...], shape: tuple[int, ...], heads: int) -> tuple[int, ...]:
    """Return where the keys, or values, of a query's head stand; several heads may share one."""
    if shape and 1 < shape[-1] < heads:
        index = (*index[:-1], index[-1] // (heads // shape[-1]))
    return broadcast_index(index, shape)


def _of_groups(mask: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return a mask of all heads as one of the heads of an operand that several share."""
    if len(shape) > 2 and 1 < shape[-3] < mask.shape[-3]:
        mask = mask.unflatten(-3, (shape[-3], -1)).any(-3)
    return mask


def allowed_keys(given: Arguments, shape: tuple[int, ...]) -> Tensor:
    """Return which keys each query may look at: (..., queries, keys)."""
    allowed = torch.ones(shape, dtype=torch.bool)
    if given["is_causal"]:
        allowed = allowed.tril()
    if given.has("attn_mask"):
        mask = given.tensor("attn_mask").cpu()
        allowed = allowed & (mask if mask.dtype == torch.bool else mask != -math.inf)
    return allowed


def _masked(given: Arguments, scores: Floats, index: tuple[int, ...], queries: int) -> Floats:
    """Return the scores of one query, minus infinity where it may not look."""
    if given["is_causal"]:
        scores = np.where(np.arange(scores.size) <= index[-2], scores, -math.inf)
    if not given.has("attn_mask"):
        return scores
    mask = given.tensor("attn_mask")
    shape = (*mask.shape[:-2], queries, scores.size)
    line = mask.expand(shape)[broadcast_index((*index[:-2], index[-2]), shape[:-1])]
    if mask.dtype == torch.bool:
        return np.where(line.cpu().numpy(), scores, -math.inf)
    # A score added to a large number is rounded away, in the run too: if -1e9 masks all keys, all
    # shares are equal. torch adds in float32 where its tensors are shorter.
    dtype = np.float64 if given.value("query").dtype == torch.float64 else np.float32
    with np.errstate(over="ignore"):
        added = scores.astype(dtype) + floats(line).astype(dtype)
    rounded: Floats = added.astype(np.float64)
    return rounded
