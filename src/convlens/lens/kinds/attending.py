"""Softmax and attention: shares that add up to one."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.arguments import Arguments, bind
from convlens.lens.recording import Recording, Step
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

_SOFTMAX = "input, dim=-1, _stacklevel=3, dtype=None"
SOFTMAX = ("softmax", "log_softmax", "_softmax", "_log_softmax", "softmin")
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


def bound(step: Step) -> None:
    """Raise UnboundCall unless the call fits its signature."""
    bind(step, _SOFTMAX if step.op in SOFTMAX else ATTENTION[step.op])


class Softmax:
    """value = exp(x) / sum of exp along the axis, or its logarithm."""

    name = "softmax"
    exact = True

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """One term for each element of the axis; the weights are slopes."""
        given = Arguments(recording, step, _SOFTMAX)
        x = given.tensor("input")
        dim = int(given["dim"]) % max(x.dim(), 1)
        positions, numbers = lane(x, index, dim)
        sign = -1.0 if step.op == "softmin" else 1.0
        scores = sign * numbers
        own = index[dim] if index else 0
        top = float(scores.max())
        powers = np.exp(scores - top)
        share = float(powers[own] / powers.sum())
        delta = np.zeros(numbers.size)
        delta[own] = 1
        shares = powers / powers.sum()
        if "log" in step.op:
            total = float(scores[own]) - top - math.log(powers.sum())
            slopes: Floats = delta - shares
            magnitude = abs(float(scores[own]) - top) + abs(total) + abs(top) + 1
            formula = "x - log(sum(exp(x)))"
        else:
            total, slopes = share, sign * share * (delta - shares)
            # Powers less than a normal number are 0.
            below = abs(float(scores[own]) - top) if share else 0.0
            magnitude = share * (1 + below) + flushed(x.dtype)
            formula = "exp(x) / sum(exp(x))"
        terms = Terms.build(given.id("input"), positions, numbers, slopes)
        inside = "the logarithm is of a sum of at least 1" if "log" in step.op else ""
        return Account(
            "function", terms, total, magnitude, numbers.size, formula=formula, inside=inside
        )

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """All along the axis."""
        given = Arguments(recording, step, _SOFTMAX)
        dim = int(given["dim"]) % max(mask.dim(), 1)
        return {given.id("input"): masks.collapse(mask, (dim,)).expand(mask.shape)}

    def cost(self, recording: Recording, step: Step) -> Cost:
        """Exponential, sum and division: three an element."""
        return Cost(operations=3 * recording.values[step.outputs[0]].tensor.numel())


class Attending:
    """value = sum over the keys of share x value, shares by softmax(query . key)."""

    name = "attention"
    exact = True

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """One term for each key: its value times its share."""
        given = Arguments(recording, step, ATTENTION[step.op])
        if slot:
            raise NotImplementedError(
                f"step {step.index} (`{step.op}`): output {slot} is kept for the gradient; "
                "explain output 0"
            )
        if given["dropout_p"]:
            raise NotImplementedError(
                f"step {step.index} (`{step.op}`, module `{step.module}`) cannot be taken apart: "
                "it drops shares at random"
            )
        query, key, value = (given.tensor(name) for name in ("query", "key", "value"))
        heads = query.dim() > 2 and query.shape[-3]
        lead = _shared(index[:-2], key.shape[:-2], heads)
        row = floats(query[(*broadcast_index(index[:-2], query.shape[:-2]), index[-2])])
        keys = floats(key[lead])
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

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """The query's row, the keys it may look at, and of their values the column.

        Where it may look at one key alone, that key's share is 1 whatever the numbers are.
        """
        given = Arguments(recording, step, ATTENTION[step.op])
        if slot:
            raise NotImplementedError(
                f"step {step.index} (`{step.op}`): output {slot} is kept for the gradient; no "
                "region of it is known"
            )
        query, key, value = (given.value(name).shape for name in ("query", "key", "value"))
        allowed = _allowed(given, (*mask.shape[:-1], key[-2]))
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

    def cost(self, recording: Recording, step: Step) -> Cost:
        """Two products for each pair of query and key, and the softmax between them."""
        given = Arguments(recording, step, ATTENTION[step.op])
        query, value = given.value("query").shape, given.value("value").shape
        pairs = math.prod(recording.values[step.outputs[0]].shape[:-1]) * value[-2]
        return Cost(pairs * (query[-1] + value[-1]), 3 * pairs)


def _shared(index: tuple[int, ...], shape: tuple[int, ...], heads: int) -> tuple[int, ...]:
    """Where the keys (values) of a query's head stand; several heads may share one."""
    if shape and 1 < shape[-1] < heads:
        index = (*index[:-1], index[-1] // (heads // shape[-1]))
    return broadcast_index(index, shape)


def _of_groups(mask: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A mask of all heads as one of the heads of an operand that several share."""
    if len(shape) > 2 and 1 < shape[-3] < mask.shape[-3]:
        mask = mask.unflatten(-3, (shape[-3], -1)).any(-3)
    return mask


def _allowed(given: Arguments, shape: tuple[int, ...]) -> Tensor:
    """Which keys each query may look at: (..., queries, keys)."""
    allowed = torch.ones(shape, dtype=torch.bool)
    if given["is_causal"]:
        allowed = allowed.tril()
    if given.has("attn_mask"):
        mask = given.tensor("attn_mask").cpu()
        allowed = allowed & (mask if mask.dtype == torch.bool else mask != -math.inf)
    return allowed


def _masked(given: Arguments, scores: Floats, index: tuple[int, ...], queries: int) -> Floats:
    if given["is_causal"]:
        scores = np.where(np.arange(scores.size) <= index[-2], scores, -math.inf)
    if not given.has("attn_mask"):
        return scores
    mask = given.tensor("attn_mask")
    shape = (*mask.shape[:-2], queries, scores.size)
    line = mask.expand(shape)[broadcast_index((*index[:-2], index[-2]), shape[:-1])]
    if mask.dtype == torch.bool:
        return np.where(line.cpu().numpy(), scores, -math.inf)
    # Beside a large number the score is rounded away, as it was: where all keys are masked by
    # -1e9 all shares are alike. torch adds in float32 where its tensors are shorter.
    dtype = np.float64 if given.value("query").dtype == torch.float64 else np.float32
    with np.errstate(over="ignore"):
        added = scores.astype(dtype) + floats(line).astype(dtype)
    rounded: Floats = added.astype(np.float64)
    return rounded
