"""Carry masks forwards through one step: which elements it makes read any of those masked.

Every rule here is the reverse of a kind's `reads`. A kind without one is searched: `reads` says of
half of its outputs whether they read any of those masked, then of half of that half.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds import (
    Kind,
    attending,
    bound,
    convolving,
    filling,
    moving,
    multiplying,
    normalizing,
    own,
    pointwise,
    pooling,
    putting,
    reducing,
    regions,
    resampling,
    selecting,
    universal,
)
from convlens.lens.kinds.arguments import Arguments
from convlens.lens.kinds.composed import Composed
from convlens.lens.kinds.refusing import StepRefused
from convlens.lens.recording import Recording, Step
from convlens.lens.trees import refs_in, replace_refs

_MOST_SEARCHED = 400
"""The most questions to `reads` in a search; what is undecided then counts as read."""

Held = Mapping[int, Tensor]
"""The masks of the inputs of a step, by value id; the others hold nothing."""

Rule = Callable[[Any, Arguments, int, Held], "Tensor | None"]
"""Return the mask of an output; None where the rule does not know this call."""


@dataclass(frozen=True, slots=True)
class Forward:
    """The elements of one output that read any of those masked; `exact` if no others are in it."""

    mask: Tensor
    exact: bool


def forward(recording: Recording, step: Step, slot: int, held: Held) -> Forward:
    """Return which elements of an output of a step read any of the masked elements."""
    kind, given = bound(recording, step)
    shape = recording.values[step.outputs[slot]].shape
    held = {id: mask for id, mask in held.items() if bool(masks.narrow(mask).any())}
    if not held:
        return Forward(torch.zeros((), dtype=torch.bool).expand(shape), True)
    if isinstance(kind, Composed):
        return _composed(kind, slot, held)
    rule = _RULES.get(type(kind))
    found = None if rule is None else rule(kind, given, slot, held)
    if found is not None:
        return Forward(found.expand(shape), kind.exact)
    if kind.exact and all(recording.values[id].kind != "parameter" for id in held):
        with contextlib.suppress(StepRefused):
            return _searched(kind, given, slot, held)
    return Forward(torch.ones((), dtype=torch.bool).expand(shape), False)


def _searched(kind: Kind, given: Arguments, slot: int, held: Held) -> Forward:
    """Ask `reads` of ever smaller blocks of the output whether they read what is masked."""
    shape = given.output(slot).shape
    found = torch.zeros(shape, dtype=torch.bool)
    waiting, asked = [tuple(slice(0, n) for n in shape)], 0
    while waiting and asked < _MOST_SEARCHED:
        block, asked = waiting.pop(0), asked + 1
        mask = torch.zeros(shape, dtype=torch.bool)
        mask[block] = True
        read = kind.reads(given, slot, mask)
        if not any(bool((read[id] & theirs).any()) for id, theirs in held.items() if id in read):
            continue
        halves = _halved(block)
        if halves:
            waiting += halves
        else:
            found[block] = True
    for block in waiting:
        found[block] = True
    return Forward(found, not waiting)


def _halved(block: tuple[slice, ...]) -> list[tuple[slice, ...]]:
    """Return the two halves of a block along its longest axis; [] of a single element."""
    sizes = [part.stop - part.start for part in block]
    if max(sizes, default=1) <= 1:
        return []
    axis = sizes.index(max(sizes))
    start, stop = block[axis].start, block[axis].stop
    middle = (start + stop) // 2
    parts = slice(start, middle), slice(middle, stop)
    return [(*block[:axis], part, *block[axis + 1 :]) for part in parts]


def _composed(kind: Composed, slot: int, held: Held) -> Forward:
    """Carry the masks through the operators beneath."""
    below = kind.beneath
    found = {below.leaves[id]: mask for id, mask in held.items() if id in below.leaves}
    exact = True
    for step in below.recording.steps:
        mine = {id: found[id] for id in step.inputs if id in found}
        for place, output in enumerate(step.outputs if mine else ()):
            here = forward(below.recording, step, place, mine)
            found[output], exact = here.mask, exact and here.exact
    output = below.recording.output_ids[slot]
    shape = below.recording.values[output].shape
    return Forward(found.get(output, torch.zeros((), dtype=torch.bool).expand(shape)), exact)


def _all(mask: Tensor, axes: Sequence[int], shape: Sequence[int]) -> Tensor:
    """Return everything along the axes where the mask holds anything along them."""
    return masks.collapse(mask, axes).expand(tuple(shape))


def _together(parts: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
    """Return the union of masks that are broadcast to a shape."""
    found = torch.zeros((), dtype=torch.bool).expand(tuple(shape))
    for part in parts:
        found = masks.union(found, part.expand(tuple(shape)))
    return found


def _channels(mask: Tensor, rank: int, axis: int) -> Tensor:
    """Return the mask of a vector, one element a channel, as one to broadcast."""
    return mask[(..., *(None,) * (rank - axis - 1))]


def _convolving(
    kind: convolving.Convolving, given: Arguments, slot: int, held: Held
) -> Tensor | None:
    g, out = kind.geometry(given), given.output(slot).shape
    if isinstance(kind, own.OwnConvolving) and own.mode_of(given) != "zeros":
        return None
    parts, channel = [], len(out) - g.axes - 1
    for name in ("input", "weight", "bias"):
        mask = held.get(given.id(name)) if given.has(name) else None
        if mask is None:
            continue
        if name == "input":
            parts.append(_under_windows(g, mask, out, channel))
        elif name == "weight":
            parts.append(_under_taps(g, mask, out))
        else:
            parts.append(_channels(mask, len(out), channel))
    return _together(parts, out)


def _under_windows(
    g: convolving.ConvolutionGeometry, mask: Tensor, out: Sequence[int], channel: int
) -> Tensor:
    """Return the outputs whose windows hold a masked element, in every channel of its group."""
    mask = masks.narrow(mask)
    if g.groups == 1 or mask.size(channel) == 1:
        mask = mask.any(channel, keepdim=True)
    else:
        mask = mask.unflatten(channel, (g.groups, -1)).any(channel + 1)
    mask = mask.expand(*mask.shape[: -g.axes], *g.space)
    found = masks.into_windows(mask, g.windows, out[-g.axes :], channel + 1)
    if found.size(channel) > 1:
        found = found.repeat_interleave(g.channels_out, channel)
    return found


def _under_taps(g: convolving.ConvolutionGeometry, mask: Tensor, out: Sequence[int]) -> Tensor:
    """Return the outputs that lay a masked tap of the kernel on an element, not on padding."""
    if g.transposed:
        taps = mask.unflatten(0, (g.groups, -1)).any(1).flatten(0, 1)
    else:
        taps = mask.any(1)
    found = taps.to(torch.float32)
    for axis, (window, n, outputs) in enumerate(
        zip(g.windows, g.space, out[-g.axes :], strict=True), start=1
    ):
        laid = torch.zeros(taps.shape[axis], outputs)
        for o in range(outputs):
            laid[list(window.taps(o, n)), o] = 1
        found = torch.matmul(found.movedim(axis, -1), laid).movedim(-1, axis)
    there: Tensor = found > 0
    return there


def _pooling(kind: pooling.Pooling, given: Arguments, slot: int, held: Held) -> Tensor:
    g, out = kind.geometry(given), given.output(slot).shape
    axes = len(g.windows)
    mask = masks.narrow(held[given.id("input")])
    mask = mask.expand(*mask.shape[:-axes], *g.space)
    return masks.into_windows(mask, g.windows, out[-axes:], mask.dim() - axes)


def _multiplying(
    kind: multiplying.Multiplying, given: Arguments, slot: int, held: Held
) -> Tensor | None:
    step, out = given.step, given.output(slot).shape
    left, right = multiplying.factors(given)
    if step.op in ("addr", "addmv", "addbmm") or len(right.shape) < 2:
        return None
    parts = []
    if left.id in held:
        row = masks.collapse(held[left.id], (len(left.shape) - 1,))
        parts.append(row[0] if len(left.shape) == 1 else row)
    if right.id in held and step.op == "linear":
        parts.append(held[right.id].any(-1))
    elif right.id in held:
        column = held[right.id].any(-2, keepdim=len(left.shape) > 1)
        parts.append(column)
    added = given.id("bias") if given.has("bias") else given.id("input") if given["beta"] else -1
    if added in held:
        parts.append(held[added])
    return _together(parts, out)


def _pointwise(kind: pointwise.Pointwise, given: Arguments, slot: int, held: Held) -> Tensor:
    step, out = given.step, given.output(slot).shape
    if step.op in ("where", "masked_fill"):
        return _chosen(given, held, out)
    parts = []
    for id, mask in held.items():
        if step.op in pointwise.CASTS and id != pointwise.cast_source(step):
            continue
        if step.op == "prelu" and id == step.inputs[1] and len(out) > 1 and mask.dim() == 1:
            negative = given.recording.values[step.inputs[0]].tensor.cpu() < 0
            mask = _channels(mask, len(out), 1) & negative
        parts.append(mask)
    found = _together(parts, out)
    if step.op in pointwise.DROPOUTS:
        return found & (given.output(slot).tensor.cpu() != 0)
    return found


def _chosen(given: Arguments, held: Held, out: Sequence[int]) -> Tensor:
    """Return where a condition chose a masked element, or is one."""
    condition, names = "condition", ("input", "other")
    if given.step.op == "masked_fill":
        condition, names = "mask", ("value", "input")
    chosen = given.tensor(condition).cpu().to(torch.bool)
    parts = []
    for name, where in ((names[0], chosen), (names[1], ~chosen), (condition, None)):
        mask = held.get(given.id(name)) if given.has(name) else None
        if mask is not None:
            parts.append(mask if where is None else mask & where)
    return _together(parts, out)


def _normalizing(
    kind: normalizing.Normalizing, given: Arguments, slot: int, held: Held
) -> Tensor | None:
    out, id = given.output(slot).shape, given.id("input")
    if slot:
        return None
    parts = []
    if id in held:
        stored = normalizing.stored(given)
        parts.append(held[id] if stored else normalizing.read_among(given, out, held[id]))
    for name in ("weight", "bias", "running_mean", "running_var"):
        mask = held.get(given.id(name)) if given.has(name) else None
        if mask is not None:
            rows = given.step.op in normalizing.OF_ROWS
            parts.append(mask if rows else _channels(mask, len(out), 1))
    return _together(parts, out)


def _moving(kind: moving.Moving, given: Arguments, slot: int, held: Held) -> Tensor:
    out, data = given.output(slot).shape, moving.data_of(given)
    moved = {id: mask for id, mask in held.items() if id in data}
    if not moved or moving.of_lengths(given, slot):
        return torch.zeros((), dtype=torch.bool).expand(out)
    if given.step.op in moving.RESHAPES:
        (mask,) = moved.values()
        return mask.reshape(out)

    def numbers(id: int) -> Tensor:
        shape = given.recording.values[id].shape
        return moved[id].to(torch.float32) if id in moved else torch.zeros(shape)

    return moving.run_moved(given, slot, numbers, data) != 0


def _joining(kind: moving.Joining, given: Arguments, slot: int, held: Held) -> Tensor:
    ids, dim = moving.joined(given)
    nothing = torch.zeros((), dtype=torch.bool)
    values = given.recording.values
    return torch.cat([held.get(id, nothing.expand(values[id].shape)) for id in ids], dim)


def _putting(kind: putting.Putting, given: Arguments, slot: int, held: Held) -> Tensor:
    values = given.recording.values
    key = replace_refs(given["key"], lambda ref: values[ref.id].tensor.cpu())
    before = held.get(given.id("input"))
    found = torch.zeros(given.output(slot).shape, dtype=torch.bool)
    if before is not None:
        found |= before
    put = held.get(given.id("value")) if given.has("value") else None
    found[key] = False if put is None else put.clone()
    return found


def _reducing(kind: reducing.Reducing, given: Arguments, slot: int, held: Held) -> Tensor:
    mask = masks.narrow(held[given.id("input")])
    dims = reducing.reduced_axes(given, mask.dim()) if mask.dim() else ()
    for dim in dims:
        mask = mask.any(dim, keepdim=True)
    if not given["keepdim"]:
        for dim in reversed(dims):
            mask = mask.squeeze(dim)
    return mask


def _resampling(
    kind: resampling.Resampling, given: Arguments, slot: int, held: Held
) -> Tensor | None:
    x = resampling.resampled(given)
    if set(held) != {x.id}:
        return None
    mask = held[x.id]
    if given.step.op in resampling.PLANEWISE:
        narrow = masks.narrow(mask)
        mask = narrow.expand(*narrow.shape[:2], *mask.shape[2:])
    # Random positive numbers: coefficients of two signs cannot cancel by chance.
    draw = torch.rand(mask.shape, generator=torch.Generator().manual_seed(0)) + 1
    return resampling.run_on(given, slot, draw * mask) != 0


def _softmax(kind: attending.Softmax, given: Arguments, slot: int, held: Held) -> Tensor:
    mask = held[given.id("input")]
    return _all(mask, (int(given["dim"]) % max(mask.dim(), 1),) if mask.dim() else (), mask.shape)


def _attending(kind: attending.Attending, given: Arguments, slot: int, held: Held) -> Tensor | None:
    if slot:
        return None
    out, keys = given.output(slot).shape, given.value("key").shape[-2]
    allowed = attending.allowed_keys(given, (*out[:-1], keys))
    weighed = allowed & (allowed.sum(-1, keepdim=True) > 1)
    parts = []
    for name in ("query", "key", "value", "attn_mask"):
        mask = held.get(given.id(name)) if given.has(name) else None
        if mask is None:
            continue
        if name != "attn_mask" and len(out) > 2 and 1 < mask.shape[-3] < out[-3]:
            mask = mask.repeat_interleave(out[-3] // mask.shape[-3], -3)
        if name == "query":
            parts.append(weighed.any(-1, keepdim=True) & mask.any(-1, keepdim=True))
        elif name == "key":
            parts.append((weighed & mask.any(-1).unsqueeze(-2)).any(-1, keepdim=True))
        elif name == "value":
            parts.append(allowed.to(torch.float32) @ mask.to(torch.float32) > 0)
        else:
            parts.append((weighed & mask).any(-1, keepdim=True))
    return _together(parts, out)


def _selecting(kind: selecting.Selecting, given: Arguments, slot: int, held: Held) -> Tensor:
    mask, out = held[given.id("input")], given.output(slot).shape
    if given["dim"] is None or not mask.dim():
        return masks.everything(mask, out)
    dim = int(given["dim"]) % mask.dim()
    mask = masks.collapse(mask, (dim,))
    return mask.expand(out) if len(out) == mask.dim() else mask.squeeze(dim).expand(out)


def _aliasing(kind: moving.Aliasing, given: Arguments, slot: int, held: Held) -> Tensor:
    step, values, out = given.step, given.recording.values, given.output(slot)
    own = out.shape, step.kwargs["offset"], step.kwargs["strides"]
    places = [(values[ref.id].shape, offset, strides) for ref, offset, strides in step.args]
    memory = torch.zeros(moving.extent([own, *places]), dtype=torch.bool)
    for ref, (shape, offset, strides) in zip(refs_in(step.args), places, strict=True):
        mask = held.get(ref, torch.zeros((), dtype=torch.bool).expand(shape))
        memory.as_strided(shape, strides, offset).copy_(mask)
    return memory.as_strided(own[0], own[2], own[1]).clone()


def _given(kind: universal.Given, given: Arguments, slot: int, held: Held) -> Tensor:
    return torch.zeros(given.output(slot).shape, dtype=torch.bool)


_RULES: dict[type, Rule] = {
    convolving.Convolving: _convolving,
    own.OwnConvolving: _convolving,
    pooling.Pooling: _pooling,
    own.OwnPooling: _pooling,
    multiplying.Multiplying: _multiplying,
    pointwise.Pointwise: _pointwise,
    normalizing.Normalizing: _normalizing,
    moving.Moving: _moving,
    moving.Joining: _joining,
    moving.Aliasing: _aliasing,
    putting.Putting: _putting,
    reducing.Reducing: _reducing,
    resampling.Resampling: _resampling,
    attending.Softmax: _softmax,
    attending.Attending: _attending,
    selecting.Selecting: _selecting,
    regions.Aligning: filling.filled,
    regions.RegionPooling: filling.filled,
    universal.Given: _given,
}
