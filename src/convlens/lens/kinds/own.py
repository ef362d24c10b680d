"""Explain convlens's own operations: torch's windows, with padding of any kind.

A step of one says what it computes: its function has a `problem`, with the window along every
axis. The operators beneath, `torch.ops.convlens`, say it in their arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from convlens.lens.kinds.arguments import Arguments
from convlens.lens.kinds.convolving import ConvolutionGeometry, Convolving, windows_read
from convlens.lens.kinds.pooling import Pooling, PoolingGeometry
from convlens.lens.kinds.walking import by_slopes, computed, union_of
from convlens.lens.recording import Recording, Step
from convlens.lens.terms import Account, Ints, Terms
from convlens.windows import TransposedWindow, Window, padded_source

_OPERATORS = {
    "convlens::conv": "input, weight, bias, stride, padding, dilation, groups",
    "convlens::conv_transpose": (
        "input, weight, bias, stride, padding, output_padding, dilation, groups"
    ),
    "convlens::max_pool": "input, size, stride, padding, dilation, ceil_mode",
    "convlens::avg_pool": "input, size, stride, padding, dilation, ceil_mode, count_include_pad",
}
"""The operators beneath, with their arguments; `padding` holds both ends of every axis in turn."""


def is_own(step: Step) -> bool:
    """Return whether a step is one of our own operations."""
    return hasattr(step.function, "problem") or _operator(step) in _OPERATORS


def own_kind(step: Step) -> OwnConvolving | OwnPooling:
    """Return the kind of one of our own operations."""
    return OWN_POOLING if step.op in ("max_pool", "avg_pool") else OWN_CONVOLVING


def _operator(step: Step) -> str:
    """Return an operator's name with its library, however it was called; "" for a function."""
    schema = getattr(step.function, "_schema", None)
    packet = getattr(step.function, "_qualified_op_name", "")
    return str(packet if schema is None else schema.name)


def _bound(recording: Recording, step: Step, signature: str) -> Arguments:
    """Bind a call: an operator beneath to its own signature, a function to that of its tensors."""
    return Arguments.of(recording, step, _OPERATORS.get(_operator(step), signature))


def _windows(
    given: Arguments, size: Sequence[int] | None = None
) -> tuple[Window | TransposedWindow, ...]:
    """Return the window along every axis; `size` is the weight's, if there is one."""
    problem = getattr(given.step.function, "problem", None)
    if problem is not None:
        windows: tuple[Window | TransposedWindow, ...] = problem.windows
        return windows
    ends = zip(given["padding"][::2], given["padding"][1::2], strict=True)
    axes = zip(size or given["size"], given["stride"], given["dilation"], ends, strict=True)
    ceil = bool(given["ceil_mode"])
    plain = [Window(k, s, d, low, high, ceil) for k, s, d, (low, high) in axes]
    more = given["output_padding"]
    if more is None:
        return tuple(plain)
    return tuple(w.transposed(extra) for w, extra in zip(plain, more, strict=True))


def mode_of(given: Arguments) -> str:
    """Return the padding mode of a convolution."""
    return getattr(getattr(given.step.function, "problem", None), "padding_mode", "zeros")


class OwnConvolving(Convolving):
    """A convolution of convlens: its padding may be uneven, or repeat elements."""

    def bind(self, recording: Recording, step: Step) -> Arguments:
        """Bind the call to its signature."""
        return _bound(recording, step, "input, weight, bias=None")

    def geometry(self, given: Arguments) -> ConvolutionGeometry:
        """Return the windows of a step."""
        x, weight = given.tensor("input"), given.tensor("weight")
        problem = getattr(given.step.function, "problem", None)
        groups = problem.groups if problem is not None else given["groups"]
        windows = _windows(given, tuple(weight.shape[2:]))
        transposed = isinstance(windows[0], TransposedWindow)
        return ConvolutionGeometry(given, x, weight, windows, transposed, groups)

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return the terms of torch's convolution; integers wrap round, and are exact."""
        account = super().explain(given, slot, index)
        out = given.output(slot).dtype
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

    def _taps(
        self, g: ConvolutionGeometry, place: tuple[int, ...]
    ) -> tuple[list[Ints], list[Ints]]:
        mode = mode_of(g.given)
        if mode == "zeros":
            return super()._taps(g, place)
        taps, reads = [], []
        for window, o, n in zip(_plain(g), place, g.space, strict=True):
            covered = window.covers(o)
            taps.append(np.arange(len(covered)))
            reads.append(np.array([padded_source(p, n, mode) for p in covered], np.int64))
        return taps, reads

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return the windows under the mask; padding is read where what it repeats stands."""
        g, mode, step = self.geometry(given), mode_of(given), given.step
        found = windows_read(g, mask) if mode == "zeros" else _read_round(g, mode, mask)
        if hasattr(step.function, "sloped"):
            step = replace(step, function=step.function.sloped())
        ids = computed(given, "weight", "bias")
        rest = by_slopes(replace(given, step=step), slot, mask, ids)
        return union_of({given.id("input"): found}, rest)


def _plain(g: ConvolutionGeometry) -> list[Window]:
    """Return the windows of a convolution that is not transposed."""
    return [window for window in g.windows if isinstance(window, Window)]


def _read_round(g: ConvolutionGeometry, mode: str, mask: Tensor) -> Tensor:
    """Return the elements read on the padded input, each put where what it repeats stands."""
    windows = _plain(g)
    wide = [n + w.before + w.after for w, n in zip(windows, g.space, strict=True)]
    bare = tuple(Window(w.size, w.stride, w.dilation) for w in windows)
    x = g.x.new_empty((*g.x.shape[: -g.axes], *wide), device="meta")
    found = windows_read(replace(g, windows=bare, x=x), mask)
    for axis, (window, n) in enumerate(zip(windows, g.space, strict=True), start=-g.axes):
        places = range(-window.before, n + window.after)
        sources = torch.tensor([padded_source(p, n, mode) for p in places])
        shape = list(found.shape)
        shape[axis] = n
        found = torch.zeros(shape).index_add_(axis, sources, found.float()) > 0
    return found


class OwnPooling(Pooling):
    """A pooling of convlens: its padding may be uneven, and a window may hold nothing else."""

    def bind(self, recording: Recording, step: Step) -> Arguments:
        """Bind the call to its signature; what an average counts is in its problem."""
        given = _bound(recording, step, "input")
        problem = getattr(step.function, "problem", None)
        if problem is None:
            return given
        return replace(
            given,
            named={**given.named, "count_include_pad": getattr(problem, "count_include_pad", None)},
        )

    def geometry(self, given: Arguments) -> PoolingGeometry:
        """Return the windows of a step."""
        windows = tuple(w for w in _windows(given) if isinstance(w, Window))
        return PoolingGeometry(given, given.tensor("input"), windows, given.step.op == "max_pool")

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return a term for each tap inside the input; none for a window of padding alone."""
        g = self.geometry(given)
        place = index[-len(g.windows) :]
        reads = [w.reads(o, n) for w, o, n in zip(g.windows, place, g.space, strict=True)]
        if all(map(len, reads)):
            return super().explain(given, slot, index)
        recorded = given.recorded(slot, index)
        note = "nothing but padding lies under this window"
        return Account("given", Terms.none(), recorded, exact=True, note=note)


OWN_CONVOLVING, OWN_POOLING = OwnConvolving(), OwnPooling()
