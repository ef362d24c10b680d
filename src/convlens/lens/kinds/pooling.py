"""Explain maximum and average pooling, by windows or adaptive, of any dimension."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.arguments import Arguments, KnownByName
from convlens.lens.terms import Account, Cost, Ints, Terms, floats, ravel
from convlens.windows import AdaptiveWindow, Window

_MAX = (
    "input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False"
)
_AVERAGE = (
    "input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, "
    "divisor_override=None"
)
_ADAPTIVE = "input, output_size, return_indices=False"
SIGNATURES = {
    f"{prefix}{name}{axes}d{suffix}": signature
    for axes in (1, 2, 3)
    for prefix, name, suffix, signature in (
        ("", "max_pool", "", _MAX),
        ("", "max_pool", "_with_indices", _MAX),
        ("", "avg_pool", "", _AVERAGE),
        ("", "adaptive_avg_pool", "", _ADAPTIVE),
        ("_", "adaptive_avg_pool", "", _ADAPTIVE),
        ("", "adaptive_max_pool", "", _ADAPTIVE),
        ("", "adaptive_max_pool", "_with_indices", _ADAPTIVE),
    )
}


@dataclass(frozen=True)
class PoolingGeometry:
    """The windows of one pooling step."""

    given: Arguments
    x: Tensor
    windows: tuple[Window | AdaptiveWindow, ...]
    maximum: bool

    @property
    def space(self) -> tuple[int, ...]:
        """Input size along the pooled axes."""
        return tuple(self.x.shape[-len(self.windows) :])

    @classmethod
    def of(cls, given: Arguments) -> PoolingGeometry:
        """Read a step's arguments."""
        op, x = given.step.op, given.tensor("input")
        axes = int(op.split("pool")[1][0])
        maximum = "max_pool" in op
        if "adaptive" in op:
            outputs = given.output().shape[-axes:]
            return cls(given, x, tuple(AdaptiveWindow(o) for o in outputs), maximum)
        size = given.per_axis("kernel_size", axes)
        stride = given.per_axis("stride", axes) if given["stride"] else size
        padding = given.per_axis("padding", axes)
        dilation = given.per_axis("dilation", axes) if given["dilation"] else (1,) * axes
        ceil = bool(given["ceil_mode"])
        windows = tuple(
            Window(size[a], stride[a], dilation[a], padding[a], padding[a], ceil)
            for a in range(axes)
        )
        return cls(given, x, windows, maximum)

    def divisor(self, place: tuple[int, ...]) -> int:
        """Return what an average divides by: the taps in the padded input, or in the input."""
        if self.given["divisor_override"]:
            return int(self.given["divisor_override"])
        counts = []
        for window, o, n in zip(self.windows, place, self.space, strict=True):
            if isinstance(window, Window) and self.given["count_include_pad"]:
                counts.append(len(window.taps(o, n, padded=True)))
            else:
                counts.append(len(window.reads(o, n)))
        return math.prod(counts)


class Pooling(KnownByName):
    """value = the largest, or the mean, of the elements under a window, channel by channel."""

    name = "windowed"
    exact = True
    signatures = SIGNATURES

    def geometry(self, given: Arguments) -> PoolingGeometry:
        """Return the windows of a step."""
        return PoolingGeometry.of(given)

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return a term for each tap inside the input."""
        g = self.geometry(given)
        axes = len(g.windows)
        lead, place = index[:-axes], index[-axes:]
        reads = [
            np.array(w.reads(o, n), np.int64)
            for w, o, n in zip(g.windows, place, g.space, strict=True)
        ]
        block = g.x[lead] if lead else g.x
        for axis, at in enumerate(reads):
            block = block.index_select(axis, torch.as_tensor(at, device=g.x.device))
        positions = np.ravel_multi_index(np.ix_(*reads), g.space)
        start = ravel(lead, g.x.shape[:-axes]) * math.prod(g.space)
        shape = (1, *map(len, reads))
        positions, values = (positions + start).reshape(shape), floats(block).reshape(shape)
        if g.maximum:
            return self._largest(g, slot, index, positions, values)
        divisor = g.divisor(place)
        source = given.id("input")
        terms = Terms.build(source, positions, values, 1 / divisor, arrangement=shape)
        return Account.of_sum(terms, formula=f"sum / {divisor}")

    def _largest(
        self,
        g: PoolingGeometry,
        slot: int,
        index: tuple[int, ...],
        positions: Ints,
        values: np.ndarray,
    ) -> Account:
        """Return the choice among the elements under a window; in slot 1, of their places."""
        best = np.nanmax(values) if not np.isnan(values).any() else math.nan
        equal = np.isnan(values) if math.isnan(best) else values == best
        winner = int(np.flatnonzero(equal.reshape(-1))[0])
        what, formula, total = "the largest", "max", float(best)
        if slot:  # where it stands in its plane; among equals, the place that torch recorded
            places = positions.reshape(-1) % math.prod(g.space)
            recorded = int(g.given.recorded(slot, index))
            allowed = places[equal.reshape(-1)]
            what, formula = "the place of the largest", "argmax"
            total = float(recorded if recorded in allowed else allowed[0])
        return Account.of_choice(
            g.given.id("input"),
            positions,
            values,
            winner,
            total,
            formula=formula,
            note=f"chosen: {what} of {values.size} in its window",
            arrangement=values.shape,
        )

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return the windows under the mask."""
        g = self.geometry(given)
        axes = len(g.windows)
        narrowed = masks.narrow(mask)
        narrowed = narrowed.expand(*narrowed.shape[:-axes], *mask.shape[-axes:])
        found = masks.through_windows(narrowed, g.windows, g.space, mask.dim() - axes)
        return {given.id("input"): found.expand(g.x.shape)}

    def cost(self, given: Arguments) -> Cost:
        """Count one operation for each element read by each window."""
        g = self.geometry(given)
        out = given.output().shape
        axes = len(g.windows)
        taps = 1
        for window, outputs, n in zip(g.windows, out[-axes:], g.space, strict=True):
            taps *= sum(len(window.reads(o, n)) for o in range(outputs))
        return Cost(operations=math.prod(out[:-axes]) * taps)
