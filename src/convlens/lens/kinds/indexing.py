"""Find the element of an index, or of a mask, that chose the element that was moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from convlens.lens.kinds.arguments import Arguments, UnboundCall
from convlens.lens.recording import Recording, Ref, Step
from convlens.lens.terms import Element, broadcast_index, ravel, unravel

Index = tuple[int, ...]


@dataclass(frozen=True)
class Choice:
    """An element of an index or mask, and in `words` what it chose; `{}` stands for its name."""

    element: Element
    words: str


@dataclass(frozen=True)
class Picker:
    """An index or mask among the arguments, and the axes of the data that it picks from.

    `ref` is None for numbers written out in the call. `seen` is the axis of the data as sliced so
    far; it is -1 for a single number, which leaves no axis.
    """

    ref: Ref | None
    shape: tuple[int, ...]
    boolean: bool
    axis: int
    seen: int


def choices(given: Arguments, index: Index, source: int, at: Index) -> tuple[Choice, ...]:
    """Return what chose element `at` of value `source` to stand at `index` of the step's output.

    An index that no input or parameter decides (an `arange`, a stored table) chose nothing.
    """
    find = _FINDERS.get(given.step.op)
    if find is None:
        return ()
    found = find(given, index, source, at)
    return tuple(c for c in found if _decided(given.recording, c.element[0]))


def _decided(recording: Recording, id: int) -> bool:
    """Return whether a value is, or is made from, an input or a parameter."""
    waiting, known = [id], {id}
    while waiting:
        value = recording.values[waiting.pop()]
        if value.kind in ("input", "parameter"):
            return True
        if value.step >= 0:
            new = [i for i in recording.steps[value.step].inputs if i not in known]
            waiting += new
            known.update(new)
    return False


def _choice(given: Arguments, ref: Ref, place: Index, words: str) -> Choice:
    """Return the choice by the element at `place` of an index or mask."""
    return Choice((ref.id, ravel(place, given.recording.values[ref.id].shape)), words)


def _along(name: str, index: str) -> Callable[..., list[Choice]]:
    """Return what finds the choice of an index that gives the position along one axis.

    `index` says where its element stands: along that "axis" of the output only, at the place of the
    "output" or of the "source", or at the "front" axes of the output.
    """

    def find(given: Arguments, out: Index, source: int, at: Index) -> list[Choice]:
        ref, dim = given[name], given["dim"]
        if not isinstance(ref, Ref) or (index == "source" and source == given.id("input")):
            return []
        shape = given.value(name).shape
        axis = int(dim) % len(out) if dim is not None and out else 0
        along = out[axis : axis + 1] or (0,)  # a scalar is its own axis
        places = {"axis": along, "output": out, "source": at, "front": out[: len(shape)]}
        if (dim is None and index == "output") or not at:  # as if the data had one axis
            words = f"position {ravel(at, given.recording.values[source].shape)}"
            flat = ravel(out, given.output().shape)
            places["output"] = unravel(flat, shape)
        else:
            words = f"position {out[axis] if index == 'source' else at[axis]} of axis {axis}"
        place = broadcast_index(places[index], shape)
        return [_choice(given, ref, place, f"{words} chosen by {{}}")]

    return find


def _masked(given: Arguments, out: Index, source: int, at: Index) -> list[Choice]:
    """Return the choice of a mask that is broadcast with the data."""
    ref, mask = given["mask"], given.tensor("mask").cpu()
    if given.step.op == "masked_scatter":
        if source == given.id("input"):
            return []
        place = out
    else:
        shape = np.broadcast_shapes(given.value("input").shape, mask.shape)
        place = tuple(mask.expand(shape).nonzero()[out[0]].tolist())
    return [_choice(given, ref, broadcast_index(place, mask.shape), "chosen as {} is true")]


def _taken(given: Arguments, out: Index, source: int, at: Index) -> list[Choice]:
    """Return the choices of `x[key]`, whose indices are broadcast together.

    Their axes stand where the first of them did, or in front if they are not adjacent.
    """
    pickers = _pickers(given, given["key"], len(at))
    wide = [p for p in pickers if p.seen >= 0]
    shape = _broadcast(given, wide)
    start = _first_axis(wide)
    place = out[start : start + len(shape)]
    found = []
    for p in pickers:
        if p.ref is None:
            continue
        if p.boolean:
            mine = at[p.axis : p.axis + len(p.shape)]
            found.append(_choice(given, p.ref, mine, "chosen as {} is true"))
        else:
            mine = broadcast_index(place, p.shape) if p.seen >= 0 else ()
            words = f"position {at[p.axis]} of axis {p.axis} chosen by {{}}"
            found.append(_choice(given, p.ref, mine, words))
    return found


def _first_axis(wide: Sequence[Picker]) -> int:
    """Return the axis of the output at which the axes of the broadcast indices begin."""
    seen = [p.seen + i for p in wide for i in range(len(p.shape) if p.boolean else 1)]
    adjacent = bool(seen) and seen == list(range(seen[0], seen[0] + len(seen)))
    return seen[0] if adjacent else 0


def _put(given: Arguments, out: Index, source: int, at: Index) -> list[Choice]:
    """Return the choices of `x[key] = value`: the elements that give this position."""
    if source == given.id("input"):
        return []
    pickers = _pickers(given, given["key"], len(out))
    places = _places_put(given, pickers, out)
    found = []
    for p in pickers:
        if p.ref is None or not (p.boolean or len(places)):
            continue
        if p.boolean:
            mine = out[p.axis : p.axis + len(p.shape)]
            found.append(_choice(given, p.ref, mine, "put here as {} is true"))
        else:
            mine = broadcast_index(tuple(places[-1].tolist()), p.shape) if p.seen >= 0 else ()
            words = f"put at position {out[p.axis]} of axis {p.axis} by {{}}"
            found.append(_choice(given, p.ref, mine, words))
    return found


def _places_put(given: Arguments, pickers: Sequence[Picker], out: Index) -> torch.Tensor:
    """Return the places (n, axes) in the broadcast indices whose numbers name a position."""
    wide = [p for p in pickers if not p.boolean and p.seen >= 0 and p.ref]
    here = torch.ones(_broadcast(given, wide), dtype=torch.bool)
    for p in wide:
        numbers = given.recording.values[p.ref.id].tensor.cpu() if p.ref else torch.zeros(())
        here &= numbers % given.value("input").shape[p.axis] == out[p.axis]
    return here.nonzero()


def _pickers(given: Arguments, key: Any, rank: int) -> list[Picker]:
    """Return the indices and masks of a key, with the axes that they pick from."""
    items = list(key) if isinstance(key, (tuple, list)) and not _numbers(key) else [key]
    taken = sum(_axes(given, item) for item in items)
    found, axis, seen = [], 0, 0
    for item in items:
        if item is Ellipsis:
            axis, seen = axis + rank - taken, seen + rank - taken
        elif isinstance(item, Ref):
            value = given.recording.values[item.id]
            boolean, axes = value.dtype == torch.bool, _axes(given, item)
            single = not boolean and not value.shape
            found.append(Picker(item, value.shape, boolean, axis, -1 if single else seen))
            axis, seen = axis + axes, seen + (0 if single else axes)
        elif _numbers(item):
            shape = tuple(torch.as_tensor(item).shape)
            found.append(Picker(None, shape, False, axis, seen))
            axis, seen = axis + 1, seen + 1
        else:
            axes = _axes(given, item)
            axis, seen = axis + axes, seen + (0 if isinstance(item, int) else max(axes, 1))
    return found


def _numbers(item: Any) -> bool:
    """Return whether an item of a key is a list of numbers, written out."""
    return isinstance(item, list) and bool(item) and all(isinstance(i, (int, list)) for i in item)


def _axes(given: Arguments, item: Any) -> int:
    """Return how many axes of the data an item uses up; None of an index operator is a slice."""
    if item is Ellipsis or isinstance(item, bool):
        return 0
    if item is None:
        return int(given.step.op in ("index", "index_put"))
    if isinstance(item, Ref):
        value = given.recording.values[item.id]
        return len(value.shape) if value.dtype == torch.bool else 1
    return 1


def _broadcast(given: Arguments, pickers: Sequence[Picker]) -> tuple[int, ...]:
    """Return the shape of indices together; a mask counts as the list of its true elements."""
    shapes = []
    for p in pickers:
        shape = p.shape
        if p.boolean and p.ref:
            shape = (int(given.recording.values[p.ref.id].tensor.count_nonzero()),)
        shapes.append(shape)
    return np.broadcast_shapes(*shapes) if shapes else ()


def bound(recording: Recording, step: Step) -> Arguments:
    """Bind a call that picks or puts elements to its signature.

    Raises UnboundCall too for a call that does more than move them.
    """
    signature = _signature(step)
    given = Arguments.of(recording, step, signature)
    for name in ("accumulate", "reduce"):
        if given[name]:
            raise UnboundCall(step, signature, name, "adds to what was there before")
    if step.op == "embedding" and given["max_norm"] is not None:
        raise UnboundCall(step, signature, "max_norm", "with `max_norm` scales its rows")
    return given


def _signature(step: Step) -> str:
    """Return the signature of the function, or of torch's operator of that name."""
    if step.op == "embedding" and getattr(step.function, "__module__", "") != "torch.nn.functional":
        return _EMBEDDING_ATEN
    return SIGNATURES[step.op]


_EMBEDDING_ATEN = (
    "weight, input, padding_idx=-1, scale_grad_by_freq=False, sparse=False, max_norm=None"
)
SIGNATURES = {
    "getitem": "input, key",
    "index": "input, key",
    "setitem": "input, key, value",
    "index_put": "input, key, value, accumulate=False",
    "index_select": "input, dim, index",
    "gather": "input, dim, index, sparse_grad=False",
    "take": "input, index",
    "take_along_dim": "input, indices, dim=None",
    "embedding": (
        "input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, "
        "sparse=False"
    ),
    "masked_select": "input, mask",
    "masked_scatter": "input, mask, source",
    "scatter": "input, dim, index, src=None, reduce=None, value=None",
    "slice_scatter": "input, src, dim=0, start=None, end=None, step=1",
    "select_scatter": "input, src, dim, index",
}
_FINDERS: dict[str, Callable[..., list[Choice]]] = {
    "getitem": _taken,
    "index": _taken,
    "setitem": _put,
    "index_put": _put,
    "index_select": _along("index", "axis"),
    "gather": _along("index", "output"),
    "take": _along("index", "output"),
    "take_along_dim": _along("indices", "output"),
    "embedding": _along("input", "front"),
    "masked_select": _masked,
    "masked_scatter": _masked,
    "scatter": _along("index", "source"),
}
