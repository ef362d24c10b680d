"""Explain data movement, from view to gather: run the step on indices to see what went where."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds import indexing
from convlens.lens.kinds.arguments import Arguments, KnownAsCalled, KnownByName, UnboundCall
from convlens.lens.kinds.indexing import Choice, choices
from convlens.lens.kinds.refusing import StepRefused
from convlens.lens.recording import Recording, Ref, Step
from convlens.lens.repeating import NotRepeated, run_again
from convlens.lens.terms import PADDING, Account, Cost, Element, Terms, ravel, unravel
from convlens.lens.trees import refs_in

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
# These keep the elements in their order.
RESHAPES = frozenset(
    """view reshape reshape_as view_as flatten unflatten squeeze unsqueeze ravel _unsafe_view
    _reshape_alias""".split()
)
# These may give a view: other strides over the same memory.
VIEWS = RESHAPES | frozenset(
    """permute transpose t adjoint getitem chunk split split_with_sizes tensor_split hsplit vsplit
    unsafe_chunk unsafe_split unbind expand expand_as broadcast_to narrow select slice movedim
    moveaxis swapaxes swapdims get_T get_mT get_H get_mH diagonal unfold""".split()
)
# The arguments that are data; of other operations it is the first.
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


JOINS = dict.fromkeys(("cat", "concat", "concatenate"), "tensors, dim=0")

_KEPT_MAPS = 16
"""The index maps kept at a time: those of large steps are as large as what they move."""

_KEPT_VIEWS = 256


class Moving:
    """value = one element of an input, unchanged (or a constant that was put there)."""

    name = "moving"
    exact = True

    def bind(self, recording: Recording, step: Step) -> Arguments:
        """Bind a call that picks elements to its signature; leave others as they are.

        Raises UnboundCall too for a call that adds elements, or reads their bits as another type.
        """
        if step.op in indexing.SIGNATURES:
            return indexing.bound(recording, step)
        arguments = (*step.args, *step.kwargs.values())
        if step.op == "view" and any(isinstance(each, torch.dtype) for each in arguments):
            why = "reads the same bits as numbers of another type"
            raise UnboundCall(step, "input, *size", "dtype", why)
        return Arguments.as_called(recording, step)

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return the one element that stands here; `weight_source` leads to what chose it."""
        if of_lengths(given, slot):
            raise StepRefused(given.step, "output 1 says how many sequences have each step")
        origin = int(origins(given, slot, index))
        if origin == 0:
            note = "a constant put here, not an element of anything"
            recorded = given.recorded(slot, index)
            return Account("given", Terms.none(), recorded, exact=True, note=note)
        for id, first in data_of(given).items():
            value = given.recording.values[id]
            position = origin - first
            if 0 <= position < value.tensor.numel():
                chosen_by = choices(given, index, id, unravel(position, value.shape))
                return _copied(given.recording, (id, position), chosen_by)
        raise StepRefused(given.step, "it moved an element that it was not given")

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return where the elements under the mask came from."""
        if of_lengths(given, slot):
            return {}
        values, data = given.recording.values, data_of(given)
        if given.step.op in RESHAPES:
            return {id: mask.reshape(values[id].shape) for id in data}
        leaves = {id: torch.zeros(values[id].shape, requires_grad=True) for id in data}
        with torch.enable_grad():
            out = run_moved(given, slot, lambda id: leaves[id].clone(), data)
        if not out.requires_grad:  # nothing but constants was moved
            return {}
        wanted = mask.to(torch.float32)
        back = torch.autograd.grad(out, list(leaves.values()), wanted, materialize_grads=True)
        return {id: grad.to_dense() != 0 for id, grad in zip(leaves, back, strict=True)}

    def cost(self, given: Arguments) -> Cost:
        """Count nothing."""
        return Cost()


def of_lengths(given: Arguments, slot: int) -> bool:
    """Return whether an output is made of the lengths of sequences, not of their elements."""
    return given.step.op == "_pack_padded_sequence" and slot == 1


def _copied(recording: Recording, element: Element, by: tuple[Choice, ...]) -> Account:
    """Return the copy of an element; of what chose it, name the step that made the choice."""
    made = [_first_copied(recording, choice.element) for choice in by]
    (id, position), chosen = element, made[0] if made else (PADDING, PADDING)
    value = recording.values[id]
    number = float(value.tensor[unravel(position, value.shape)])
    terms = Terms.build(
        [id], [position], [number], weight_source=chosen[0], weight_position=[chosen[1]]
    )
    words = []
    for choice, (maker, place) in zip(by, made, strict=True):
        index = ",".join(map(str, unravel(place, recording.values[maker].shape)))
        words.append(
            choice.words.format(f"`{recording.name_of(maker)}`" + f"[{index}]" * bool(index))
        )
    return Account.of_copy(terms, note="; ".join(words))


def _first_copied(recording: Recording, element: Element) -> Element:
    """Return the element that this one is a copy of, through all steps that only moved it."""
    while True:
        id, position = element
        value = recording.values[id]
        kind = MOVERS.get(recording.steps[value.step].op) if value.step >= 0 else None
        if kind is None:
            return element
        try:
            given = kind.bind(recording, recording.steps[value.step])
        except UnboundCall:
            return element
        terms = kind.explain(given, value.slot, unravel(position, value.shape)).terms
        if not len(terms):
            return element
        element = int(terms.source[0]), int(terms.position[0])


def data_of(given: Arguments) -> dict[int, int]:
    """Return the ids of the data arguments, with the number of each one's first element."""
    step = given.step
    if step.op in _DATA:
        chosen = [given[name] for name in _DATA[step.op]]
    else:
        args = step.args or tuple(step.kwargs.values())
        chosen = list(args) if step.op in _ALL_DATA else [args[0]]
    numbered, first = {}, 1
    for id in dict.fromkeys(refs_in(chosen)):
        numbered[id] = first
        first += given.recording.values[id].tensor.numel()
    return numbered


def index_map(given: Arguments, slot: int) -> Tensor:
    """Return for each output element the number of the input element it is; 0 is a constant."""
    key = given.step.outputs[slot]
    return given.recording.kept("index maps", key, _KEPT_MAPS, lambda: _numbered(given, slot))


def origins(given: Arguments, slot: int, lead: tuple[int, ...]) -> Tensor:
    """Return the numbers of `index_map` at a leading index; of a view in no more memory."""
    key, recording = given.step.outputs[slot], given.recording
    view = recording.kept("views", key, _KEPT_VIEWS, lambda: _view(given, slot))
    if view is None:
        return index_map(given, slot)[lead]
    first, strides = view
    shape = given.output(slot).shape
    start = first + sum(i * stride for i, stride in zip(lead, strides, strict=False))
    numbers = torch.tensor(start)
    for size, stride in zip(shape[len(lead) :], strides[len(lead) :], strict=True):
        numbers = numbers[..., None] + torch.arange(size) * stride
    return numbers


def _view(given: Arguments, slot: int) -> tuple[int, tuple[int, ...]] | None:
    """Return the number of a view's first element, and how numbers grow along each axis.

    None where the step gives no view of one value. torch makes views of tensors that have no
    memory, too.
    """
    values, data = given.recording.values, data_of(given)
    if given.step.op not in VIEWS or not data.keys() >= set(given.step.inputs):
        return None
    leaves = {id: torch.empty(values[id].shape, device="meta") for id in data}
    try:
        out = run_moved(given, slot, lambda id: leaves[id], data)
    except NotRepeated:  # it needs the numbers
        return None
    for id, leaf in leaves.items():
        if out._base is leaf:
            return data[id] + int(out.storage_offset()), out.stride()
    return None


def _numbered(given: Arguments, slot: int) -> Tensor:
    """Run the step with every data element replaced by its number."""
    data = data_of(given)

    def numbers(id: int, dtype: torch.dtype) -> Tensor:
        shape = given.recording.values[id].shape
        return torch.arange(data[id], data[id] + math.prod(shape), dtype=dtype).view(shape)

    try:
        return run_moved(given, slot, lambda id: numbers(id, torch.int64), data)
    except NotRepeated:  # some kernels take no integers
        return run_moved(given, slot, lambda id: numbers(id, torch.float64), data).to(torch.int64)


def run_moved(
    given: Arguments, slot: int, substitute: Callable[[int], Tensor], data: Container[int]
) -> Tensor:
    """Run the step with other tensors in place of its data, and 0 for what comes from outside."""
    values = given.recording.values

    def tensor(ref: Ref) -> Tensor:
        return substitute(ref.id) if ref.id in data else values[ref.id].tensor.cpu()

    return run_again(_without_constants(given.step), tensor, slot)


def _without_constants(step: Step) -> Step:
    """Return a step that puts 0 for each number in its call, which is not an element."""
    args, kwargs = list(step.args), dict(step.kwargs)
    if step.op in ("pad", "constant_pad_nd"):
        if len(args) > 3:
            args[3] = 0
        kwargs.pop("value", None)
        if step.op == "constant_pad_nd":
            args = args[:2]
    if step.op == "embedding":  # the rest is about gradients: a padding row has none
        args = args[:2]
        kwargs = {name: kwargs[name] for name in ("input", "weight", "indices") if name in kwargs}
    if step.op in ("setitem", "scatter", "index_put"):
        at = 3 if step.op == "scatter" else 2
        if len(args) > at and not isinstance(args[at], Ref):
            args[at] = 0
        kwargs |= {
            name: 0
            for name in ("value", "values")
            if name in kwargs and not isinstance(kwargs[name], Ref)
        }
    return replace(step, args=tuple(args), kwargs=kwargs)


class Joining(KnownByName):
    """value = the element that is here when the inputs stand one after the other (`cat`)."""

    name = "moving"
    exact = True
    signatures = JOINS

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return the one element that stands here."""
        ids, dim = joined(given)
        at = list(index)
        for id in ids:
            value = given.recording.values[id]
            if at[dim] < value.shape[dim]:
                break
            at[dim] -= value.shape[dim]
        number = float(value.tensor[tuple(at)])
        return Account.of_copy(Terms.build([id], [ravel(at, value.shape)], [number]))

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return the part of the mask that covers each input."""
        ids, dim = joined(given)
        found: dict[int, Tensor] = {}
        first = 0
        for id in ids:
            size = given.recording.values[id].shape[dim]
            found[id] = masks.union(found.get(id), mask.narrow(dim, first, size))
            first += size
        return found

    def cost(self, given: Arguments) -> Cost:
        """Count nothing."""
        return Cost()


def joined(given: Arguments) -> tuple[list[int], int]:
    """Return the inputs in order and the axis they are joined along, without empty vectors."""
    values = given.recording.values
    ids = [id for id in refs_in(given["tensors"]) if values[id].shape != (0,)]
    return ids, int(given["dim"]) % len(values[ids[0]].shape)


class Aliasing(KnownAsCalled):
    """value = the element at the same address, in the value that wrote this memory last."""

    name = "moving"
    exact = True

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return the one element that was written here last."""
        step = given.step
        address = step.kwargs["offset"] + sum(
            i * s for i, s in zip(index, step.kwargs["strides"], strict=True)
        )
        for ref, offset, strides in reversed(step.args):
            value = given.recording.values[ref.id]
            if (at := _index_at(address - offset, value.shape, strides)) is not None:
                position = ravel(at, value.shape)
                number = float(value.tensor[at])
                return Account.of_copy(Terms.build([ref.id], [position], [number]), step.note)
        raise StepRefused(step, "no recorded value wrote this memory")

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return the addresses under the mask, each in the value that wrote it last."""
        step, values = given.step, given.recording.values
        size = extent(
            [
                (mask.shape, step.kwargs["offset"], step.kwargs["strides"]),
                *((values[r.id].shape, o, s) for r, o, s in step.args),
            ]
        )
        memory = torch.zeros(size, dtype=torch.bool)
        own = memory.as_strided(mask.shape, step.kwargs["strides"], step.kwargs["offset"])
        own |= mask
        found: dict[int, Tensor] = {}
        for ref, offset, strides in reversed(step.args):
            view = memory.as_strided(values[ref.id].shape, strides, offset)
            found[ref.id] = masks.union(found.get(ref.id), view.clone())
            view.zero_()
        return found

    def cost(self, given: Arguments) -> Cost:
        """Count nothing."""
        return Cost()


def extent(places: Iterable[tuple[Sequence[int], int, Sequence[int]]]) -> int:
    """Return the size of the memory that holds all of these shapes, offsets and strides."""
    return 1 + max(
        offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True) if n)
        for shape, offset, strides in places
    )


def _index_at(
    address: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[int, ...] | None:
    """Return the index at which a strided value holds an address; None if it does not."""
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
