"""convlens's own operations: windows like torch's, of any padding, known by what they are shown as.

A call of ours that torch is shown says what it computes: its function has a `problem`, with the
window along every axis. The operators beneath, `torch.ops.convlens`, say it in their arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.lens.kinds import convolving, pooling
from convlens.lens.kinds.arguments import Arguments
from convlens.lens.recording import Recording, Step
from convlens.lens.terms import Account, Ints, Terms
from convlens.windows import TransposedWindow, Window, padded_source

_OPERATORS = {
    "convlens::conv": "x, weight, bias, stride, padding, dilation, groups",
    "convlens::conv_transpose": (
        "x, weight, bias, stride, padding, output_padding, dilation, groups"
    ),
    "convlens::max_pool": "x, size, stride, padding, dilation, ceil_mode",
    "convlens::avg_pool": "x, size, stride, padding, dilation, ceil_mode, count_include_pad",
}
"""The operators beneath, with their arguments; `padding` holds both ends of every axis in turn."""


def is_own(step: Step) -> bool:
    """Whether a step is one of our own operations."""
    return hasattr(step.function, "problem") or _operator(step) in _OPERATORS


def own_kind(step: Step) -> Convolving | Pooling:
    """The kind of one of our own operations."""
    return POOLING if step.op in ("max_pool", "avg_pool") else CONVOLVING


def _operator(step: Step) -> str:
    """An operator's name with its library, however it was called; "" for a function."""
    schema = getattr(step.function, "_schema", None)
    packet = getattr(step.function, "_qualified_op_name", "")
    return str(packet if schema is None else schema.name)


def _windows(
    step: Step, size: Sequence[int] | None = None
) -> tuple[Window | TransposedWindow, ...]:
    """The window along every axis; `size` where it is the weight's."""
    problem = getattr(step.function, "problem", None)
    if problem is not None:
        windows: tuple[Window | TransposedWindow, ...] = problem.windows
        return windows
    said = _said(step)
    ends = zip(said["padding"][::2], said["padding"][1::2], strict=True)
    axes = zip(size or said["size"], said["stride"], said["dilation"], ends, strict=True)
    ceil = bool(said.get("ceil_mode"))
    plain = [Window(k, s, d, low, high, ceil) for k, s, d, (low, high) in axes]
    if "output_padding" not in said:
        return tuple(plain)
    more = said["output_padding"]
    return tuple(w.transposed(extra) for w, extra in zip(plain, more, strict=True))


def _said(step: Step) -> dict[str, Any]:
    """The arguments of an operator beneath, by name."""
    names = _OPERATORS[_operator(step)].split(", ")
    return dict(zip(names, step.args, strict=False)) | step.kwargs


def _arguments(recording: Recording, step: Step, signature: str) -> Arguments:
    """The tensors of a step by torch's names: of an operator beneath, among its other arguments."""
    names = _OPERATORS.get(_operator(step))
    return Arguments(recording, step, names.replace("x,", "input,") if names else signature)


class Convolving(convolving.Convolving):
    """A convolution of ours: its padding may be uneven, and may repeat what lies inside."""

    def geometry(self, recording: Recording, step: Step) -> convolving.Geometry:
        """The windows of a step."""
        given = _arguments(recording, step, "input, weight, bias=None")
        x, weight = given.tensor("input"), given.tensor("weight")
        problem = getattr(step.function, "problem", None)
        groups = problem.groups if problem is not None else _said(step)["groups"]
        windows = _windows(step, tuple(weight.shape[2:]))
        transposed = isinstance(windows[0], TransposedWindow)
        return convolving.Geometry(given, x, weight, windows, transposed, groups)

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """The terms of torch's convolution; integers are exact, modulo 2 to the number of bits."""
        account = self._sums(recording, step, slot, index)
        out = recording.values[step.outputs[slot]].dtype
        if out.is_floating_point or out == torch.bool:
            return account
        terms = account.terms
        total = int(account.bias) + sum(
            int(value) * int(weight)
            for value, weight in zip(terms.value, terms.weight, strict=True)
        )
        info = torch.iinfo(out)
        wrapped = (total - info.min) % (info.max - info.min + 1) + info.min
        note = f"modulo 2^{info.bits}: the sum is {total}" if wrapped != total else ""
        return replace(account, total=float(wrapped), exact=True, note=note)

    def _sums(self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]) -> Account:
        mode = _mode(step)
        if mode == "zeros":
            return super().explain(recording, step, slot, index)
        return _Padded(mode).explain(recording, step, slot, index)

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """The windows under the mask; what padding repeats is read where it stands inside."""
        mode = _mode(step)
        if hasattr(step.function, "sloped"):
            step = replace(step, function=step.function.sloped())
        if mode == "zeros":
            return super().reads(recording, step, slot, mask)
        return _Padded(mode).reads(recording, step, slot, mask)


def _mode(step: Step) -> str:
    return getattr(getattr(step.function, "problem", None), "padding_mode", "zeros")


class _Padded(convolving.Convolving):
    """A convolution whose padding is read from inside: no tap lies on nothing."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def geometry(self, recording: Recording, step: Step) -> convolving.Geometry:
        """The windows of a step."""
        return CONVOLVING.geometry(recording, step)

    def _taps(
        self, g: convolving.Geometry, place: tuple[int, ...]
    ) -> tuple[list[Ints], list[Ints]]:
        taps, reads = [], []
        plain = [window for window in g.windows if isinstance(window, Window)]
        for window, o, n in zip(plain, place, g.space, strict=True):
            covered = window.covers(o)
            taps.append(np.arange(len(covered)))
            reads.append(np.array([padded_source(p, n, self.mode) for p in covered], np.int64))
        return taps, reads

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """The windows on the padded input, and then what stands at each of its places."""
        g = self.geometry(recording, step)
        wide = [n + w.before + w.after for w, n in zip(g.windows, g.space, strict=True)]
        bare = tuple(
            Window(w.size, w.stride, w.dilation) for w in g.windows if isinstance(w, Window)
        )
        padded = replace(
            g, windows=bare, x=g.x.new_empty((*g.x.shape[: -g.axes], *wide), device="meta")
        )
        (found,) = _Bare(padded).reads(recording, step, slot, mask).values()
        for axis, (window, n) in enumerate(zip(g.windows, g.space, strict=True), start=-g.axes):
            places = range(-window.before, n + window.after)
            sources = torch.tensor([padded_source(p, n, self.mode) for p in places])
            shape = list(found.shape)
            shape[axis] = n
            found = torch.zeros(shape).index_add_(axis, sources, found.float()) > 0
        return {g.given.id("input"): found}


class _Bare(convolving.Convolving):
    """A convolution of windows that are given."""

    def __init__(self, given: convolving.Geometry) -> None:
        self.given = given

    def geometry(self, recording: Recording, step: Step) -> convolving.Geometry:
        """The windows given."""
        return self.given


class Pooling(pooling.Pooling):
    """A pooling of ours: its padding may be uneven and larger than the window."""

    def geometry(self, recording: Recording, step: Step) -> pooling.Geometry:
        """The windows of a step."""
        given = _arguments(recording, step, "input")
        problem = getattr(step.function, "problem", None)
        counted = problem.count_include_pad if problem else _said(step).get("count_include_pad")
        given.named["count_include_pad"] = counted
        windows = tuple(w for w in _windows(step) if isinstance(w, Window))
        return pooling.Geometry(given, given.tensor("input"), windows, step.op == "max_pool")

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """One term for each tap inside the input; of padding alone, none."""
        g = self.geometry(recording, step)
        place = index[-len(g.windows) :]
        reads = [w.reads(o, n) for w, o, n in zip(g.windows, place, g.space, strict=True)]
        if all(map(len, reads)):
            return super().explain(recording, step, slot, index)
        recorded = float(recording.values[step.outputs[slot]].tensor[index])
        note = "nothing but padding lies under this window"
        return Account("given", Terms.none(), recorded, exact=True, note=note)


CONVOLVING, POOLING = Convolving(), Pooling()
