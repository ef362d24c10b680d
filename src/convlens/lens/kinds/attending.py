"""Softmax and attention: shares that add up to one."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.arguments import Arguments
from convlens.lens.steps import Recording, Step
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


class Softmax:
    """value = exp(x) / sum of exp along the axis, or its logarithm."""

    name = "softmax"

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """One term for each element of the axis; the weights are slopes."""
        given = Arguments(recording, step, _SOFTMAX)
        x = given.tensor("input")
        dim = int(given["dim"]) % x.dim()
        positions, numbers = lane(x, index, dim)
        sign = -1.0 if step.op == "softmin" else 1.0
        scores = sign * numbers
        own = index[dim]
        top = float(scores.max())
        powers = np.exp(scores - top)
        share = float(powers[own] / powers.sum())
        delta = np.zeros(numbers.size)
        delta[own] = 1
        shares = powers / powers.sum()
        if "log" in step.op:
            total = float(scores[own]) - top - math.log(powers.sum())
            slopes: Floats = delta - shares
            magnitude = abs(float(scores[own]) - top) + abs(total) + abs(top)
            formula = "x - log(sum(exp(x)))"
        else:
            total, slopes = share, sign * share * (delta - shares)
            # Powers less than a normal number are 0.
            magnitude = share * (1 + abs(float(scores[own]) - top)) + flushed(x.dtype)
            formula = "exp(x) / sum(exp(x))"
        terms = Terms.build(given.id("input"), positions, numbers, slopes)
        return Account("function", terms, total, magnitude, numbers.size, formula=formula)

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """All along the axis."""
        given = Arguments(recording, step, _SOFTMAX)
        dim = int(given["dim"]) % mask.dim()
        return {given.id("input"): masks.collapse(mask, (dim,)).expand(mask.shape)}

    def cost(self, recording: Recording, step: Step) -> Cost:
        """Exponential, sum and division: three an element."""
        return Cost(operations=3 * recording.values[step.outputs[0]].tensor.numel())


class Attending:
    """value = sum over the keys of share x value, shares by softmax(query . key)."""

    name = "attention"

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
        query, key, value = (given.tensor(name) for name in ("query", "key", "value"))
        lead = broadcast_index(index[:-2], key.shape[:-2])
        row = floats(query[(*index[:-2], index[-2])])
        keys, column = floats(key[lead]), floats(value[lead][:, index[-1]])
        scale = given["scale"]
        scores = keys @ row * (1 / math.sqrt(query.shape[-1]) if scale is None else float(scale))
        scores = _masked(given, scores, index, query.shape[-2])
        top = float(scores.max())
        if math.isfinite(top):
            powers = np.exp(scores - top)
            shares = powers / powers.sum()
        else:  # every key is masked: torch gives 0
            shares = np.zeros(scores.size)
        start = ravel(lead, value.shape[:-2]) * value.shape[-2] * value.shape[-1]
        positions = start + np.arange(len(shares)) * value.shape[-1] + index[-1]
        terms = Terms.build(given.id("value"), positions, column, shares)
        finite = np.abs(scores[np.isfinite(scores)])
        wobble = float(finite.max(initial=0.0)) * float(np.abs(terms.product).sum())
        return Account.of_sum(
            terms,
            magnitude=wobble,
            count=len(shares) + row.size,
            formula="sum of share × value, share = softmax(query · key)",
        )

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """The query's row, every key, and the column of every value."""
        given = Arguments(recording, step, ATTENTION[step.op])
        found: dict[int, Tensor] = {}
        rows = masks.collapse(mask, (mask.dim() - 1,))
        anything = masks.collapse(mask, (mask.dim() - 2, mask.dim() - 1))
        columns = masks.collapse(mask, (mask.dim() - 2,))
        for name, part in (("query", rows), ("key", anything), ("value", columns)):
            shape = given.value(name).shape
            theirs = masks.broadcast_back(part.expand(*part.shape[:-2], *_last(part, shape)), shape)
            found[given.id(name)] = masks.union(found.get(given.id(name)), theirs)
        return found

    def cost(self, recording: Recording, step: Step) -> Cost:
        """Two products for each pair of query and key, and the softmax between them."""
        given = Arguments(recording, step, ATTENTION[step.op])
        query, value = given.value("query").shape, given.value("value").shape
        pairs = math.prod(query[:-1]) * value[-2]
        return Cost(pairs * (query[-1] + value[-1]), 3 * pairs)


def _last(part: Tensor, shape: tuple[int, ...]) -> tuple[int, int]:
    """The last two sizes of a mask once expanded to an operand's."""
    rows = part.shape[-2] if part.shape[-2] > 1 else shape[-2]
    columns = part.shape[-1] if part.shape[-1] > 1 else shape[-1]
    return rows, columns


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
    return scores + floats(line)
