"""Data movement, from view to gather: which element went where, by running it on indices."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds import indexing
from convlens.lens.kinds.arguments import Arguments, UnboundCall, bind
from convlens.lens.kinds.indexing import Choice, choices
from convlens.lens.recording import Recording, Ref, Step
from convlens.lens.repeating import run_again
from convlens.lens.terms import PADDING, Account, Cost, Terms, ravel, unravel
from convlens.lens.trees import replace_refs

OPS = frozenset(
    """view reshape reshape_as view_as flatten unflatten permute transpose t adjoint squeeze
    unsqueeze getitem stack hstack vstack dstack column_stack chunk split
    split_with_sizes tensor_split hsplit vsplit unsafe_chunk unsafe_split unbind expand expand_as
    broadcast_to repeat tile repeat_interleave roll flip fliplr flipud rot90 pixel_shuffle
    pixel_unshuffle channel_shuffle native_channel_shuffle pad _pad constant_pad_nd reflection_pad1d
    reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d narrow
    select slice index index_select gather take take_along_dim movedim moveaxis swapaxes swapdims
    get_T get_mT get_H get_mH diagonal setitem unfold im2col slice_scatter select_scatter
    index_put masked_select _unsafe_view _reshape_alias as_strided atleast_1d atleast_2d
    atleast_3d ravel embedding meshgrid broadcast_tensors tril triu diag scatter masked_scatter
    _pack_padded_sequence
    """.split()
)
# The same elements in the same order.
RESHAPES = frozenset(
    """view reshape reshape_as view_as flatten unflatten squeeze unsqueeze ravel _unsafe_view
    _reshape_alias""".split()
)
# Which arguments are data; of the others the first is.
_DATA = {
    "embedding": ("weight",),
    "setitem": ("input", "value"),
    "index_put": ("input", "value"),
    "scatter": ("input", "src"),
    "masked_scatter": ("input", "source"),
    "slice_scatter": ("input", "src"),
    "select_scatter": ("input", "src"),
}
_ALL_DATA = ("meshgrid", "broadcast_tensors", "atleast_1d", "atleast_2d", "atleast_3d")


def bound(step: Step) -> None:
    """Raise UnboundCall for a view of the same bits as numbers of another type."""
    if any(isinstance(argument, torch.dtype) for argument in (*step.args, *step.kwargs.values())):
        raise UnboundCall(f"`{step.op}` reads the same bits as numbers of another type")


JOINS = ("cat", "concat", "concatenate")
_KEPT_MAPS = 16  # index maps of large steps are as large as what they move


class Moving:
    """value = one element of an input, unchanged (or a constant that was put there)."""

    name = "moving"
    exact = True

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """The one element that stands here now; `weight_source` leads to what chose it."""
        if _of_lengths(step, slot):
            raise NotImplementedError(
                f"step {step.index} (`{step.op}`): output 1 says how many sequences have each step"
            )
        origin = int(index_map(recording, step, slot)[index])
        if origin == 0:
            recorded = float(recording.values[step.outputs[slot]].tensor[index])
            note = "a constant put here, an element of nothing"
            return Account("given", Terms.none(), recorded, exact=True, note=note)
        for id, first in data_of(recording, step).items():
            value = recording.values[id]
            position = origin - first
            if 0 <= position < value.tensor.numel():
                at = unravel(position, value.shape)
                number = float(value.tensor[at])
                return _chosen(
                    recording, id, position, number, choices(recording, step, index, id, at)
                )
        raise NotImplementedError(f"step {step.index} (`{step.op}`): moved from nowhere")

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Where the elements under the mask came from."""
        if _of_lengths(step, slot):
            return {}
        if step.op in RESHAPES:
            return {id: mask.reshape(recording.values[id].shape) for id in data_of(recording, step)}
        leaves = {
            id: torch.zeros(recording.values[id].shape, requires_grad=True)
            for id in data_of(recording, step)
        }
        with torch.enable_grad():
            out = _run(recording, step, slot, lambda id: leaves[id].clone(), set(leaves))
        if not out.requires_grad:  # nothing but constants was moved
            return {}
        wanted = mask.to(torch.float32)
        back = torch.autograd.grad(out, list(leaves.values()), wanted, materialize_grads=True)
        return {id: grad.to_dense() != 0 for id, grad in zip(leaves, back, strict=True)}

    def cost(self, recording: Recording, step: Step) -> Cost:
        """Nothing is computed."""
        return Cost()


def _of_lengths(step: Step, slot: int) -> bool:
    """Whether an output is made of the lengths of sequences, not of their elements."""
    return step.op == "_pack_padded_sequence" and slot == 1


def _chosen(
    recording: Recording, id: int, position: int, number: float, by: tuple[Choice, ...]
) -> Account:
    """The copy of an element; of what chose it, the step that made the choice is named."""
    made = [_origin(recording, choice.source, choice.position) for choice in by]
    source, at = made[0] if made else (PADDING, PADDING)
    terms = Terms.build([id], [position], [number], weight_source=source, weight_position=[at])
    words = []
    for choice, (maker, place) in zip(by, made, strict=True):
        index = ",".join(map(str, unravel(place, recording.values[maker].shape)))
        words.append(
            choice.words.format(f"`{recording.name_of(maker)}`" + f"[{index}]" * bool(index))
        )
    return Account.of_copy(terms, note="; ".join(words))


def _origin(recording: Recording, id: int, position: int) -> tuple[int, int]:
    """The element this one is a copy of, through all steps that only moved it."""
    while True:
        value = recording.values[id]
        kind = MOVERS.get(recording.steps[value.step].op) if value.step >= 0 else None
        if kind is None:
            return id, position
        step, index = recording.steps[value.step], unravel(position, value.shape)
        terms = kind.explain(recording, step, value.slot, index).terms
        if not len(terms):
            return id, position
        id, position = int(terms.source[0]), int(terms.position[0])


def data_of(recording: Recording, step: Step) -> dict[int, int]:
    """Value ids of the data arguments, with the number of each one's first element (from 1)."""
    if step.op in _DATA:
        named = bind(step, indexing.signature(step))
        chosen = [named.get(name) for name in _DATA[step.op]]
    else:
        args = step.args or tuple(step.kwargs.values())
        chosen = list(args) if step.op in _ALL_DATA else [args[0]]
    numbered, first = {}, 1
    for id in dict.fromkeys(_refs(chosen)):
        numbered[id] = first
        first += recording.values[id].tensor.numel()
    return numbered


def _refs(tree: Any) -> list[int]:
    found: list[int] = []
    replace_refs(tree, lambda ref: found.append(ref.id))
    return found


def index_map(recording: Recording, step: Step, slot: int) -> Tensor:
    """For each output element the number of the input element it is; 0 for a constant."""
    key = (step.index, slot)
    if key not in recording.replays:
        while len(recording.replays) >= _KEPT_MAPS:
            recording.replays.pop(next(iter(recording.replays)), None)
        recording.replays[key] = _numbered(recording, step, slot)
    found: Tensor = recording.replays[key]
    return found


def _numbered(recording: Recording, step: Step, slot: int) -> Tensor:
    """Run the step with every data element replaced by its number."""
    data = data_of(recording, step)

    def numbers(id: int, dtype: torch.dtype) -> Tensor:
        shape = recording.values[id].shape
        return torch.arange(data[id], data[id] + math.prod(shape), dtype=dtype).view(shape)

    try:
        return _run(recording, step, slot, lambda id: numbers(id, torch.int64), set(data))
    except RuntimeError:  # some kernels take no integers
        floating = _run(recording, step, slot, lambda id: numbers(id, torch.float64), set(data))
        return floating.to(torch.int64)


def _run(
    recording: Recording,
    step: Step,
    slot: int,
    substitute: Callable[[int], Tensor],
    data: set[int],
) -> Tensor:
    """Run the step with other tensors in place of its data, and 0 for what comes from outside."""

    def tensor(ref: Ref) -> Tensor:
        return substitute(ref.id) if ref.id in data else recording.values[ref.id].tensor.cpu()

    args, kwargs = list(step.args), dict(step.kwargs)
    if step.op in ("pad", "constant_pad_nd"):
        if len(args) > 3:
            args[3] = 0
        kwargs.pop("value", None)
        if step.op == "constant_pad_nd":
            args = args[:2]
    if step.op == "embedding":  # the rest is about gradients: of a padding row, that it has none
        args = args[:2]
        kwargs = {name: kwargs[name] for name in ("input", "weight", "indices") if name in kwargs}
    if step.op in ("setitem", "scatter", "index_put"):  # a number put there is no element
        at = 3 if step.op == "scatter" else 2
        if len(args) > at and not isinstance(args[at], Ref):
            args[at] = 0
        kwargs |= {
            name: 0
            for name in ("value", "values")
            if name in kwargs and not isinstance(kwargs[name], Ref)
        }
    return run_again(replace(step, args=tuple(args), kwargs=kwargs), tensor, slot)


class Joining:
    """value = the element of the input that lies here after another (`cat`)."""

    name = "moving"
    exact = True

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """The one element that stands here."""
        ids, dim = _joined(recording, step)
        at = list(index)
        for id in ids:
            size = recording.values[id].shape[dim]
            if at[dim] < size:
                break
            at[dim] -= size
        value = recording.values[id]
        number = float(value.tensor[tuple(at)])
        return Account.of_copy(Terms.build([id], [ravel(at, value.shape)], [number]))

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """The part of the mask that lies on each input."""
        ids, dim = _joined(recording, step)
        found: dict[int, Tensor] = {}
        first = 0
        for id in ids:
            size = recording.values[id].shape[dim]
            found[id] = masks.union(found.get(id), mask.narrow(dim, first, size))
            first += size
        return found

    def cost(self, recording: Recording, step: Step) -> Cost:
        """Nothing is computed."""
        return Cost()


def _joined(recording: Recording, step: Step) -> tuple[list[int], int]:
    """The inputs in order and the axis they are joined along; an empty vector joins nothing."""
    given = Arguments(recording, step, "tensors, dim=0")
    ids = [id for id in _refs(given["tensors"]) if recording.values[id].shape != (0,)]
    return ids, int(given["dim"]) % len(recording.values[ids[0]].shape)


class Aliasing:
    """value = the element at the same address of the latest writer of this memory."""

    name = "moving"
    exact = True

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """The one element that was written here last."""
        address = step.kwargs["offset"] + sum(
            i * s for i, s in zip(index, step.kwargs["strides"], strict=True)
        )
        for ref, offset, strides in reversed(step.args):
            value = recording.values[ref.id]
            if (at := _index_at(address - offset, value.shape, strides)) is not None:
                position = ravel(at, value.shape)
                number = float(value.tensor[at])
                return Account.of_copy(Terms.build([ref.id], [position], [number]), step.note)
        raise NotImplementedError(f"step {step.index}: no recorded value wrote this memory")

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """The addresses under the mask, each in its latest writer."""
        size = 1 + max(
            sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + offset
            for shape, offset, strides in [
                (mask.shape, step.kwargs["offset"], step.kwargs["strides"]),
                *((recording.values[r.id].shape, o, s) for r, o, s in step.args),
            ]
        )
        memory = torch.zeros(size, dtype=torch.bool)
        own = memory.as_strided(mask.shape, step.kwargs["strides"], step.kwargs["offset"])
        own |= mask
        found: dict[int, Tensor] = {}
        for ref, offset, strides in reversed(step.args):
            value = recording.values[ref.id]
            view = memory.as_strided(value.shape, strides, offset)
            found[ref.id] = masks.union(found.get(ref.id), view.clone())
            view.zero_()
        return found

    def cost(self, recording: Recording, step: Step) -> Cost:
        """Nothing is computed."""
        return Cost()


def _index_at(
    address: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The index at which a strided value holds an address; None where it does not."""
    at = [0] * len(shape)
    for axis in sorted(range(len(shape)), key=lambda a: -strides[a]):
        if strides[axis] and shape[axis] > 1:
            at[axis], address = divmod(address, strides[axis])
            if not 0 <= at[axis] < shape[axis]:
                return None
    return tuple(at) if address == 0 else None


MOVERS: dict[str, Moving | Joining] = {
    **dict.fromkeys(OPS, Moving()),
    **dict.fromkeys(JOINS, Joining()),
}
