"""Maximum and average pooling, by windows or adaptive, of any dimension."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.arguments import Arguments, bind
from convlens.lens.recording import Recording, Step
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


def bound(step: Step) -> None:
    """Raise UnboundCall unless the call fits its signature."""
    bind(step, SIGNATURES[step.op])


@dataclass(frozen=True)
class Geometry:
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
    def of(cls, recording: Recording, step: Step) -> Geometry:
        """Read a step's arguments."""
        given = Arguments(recording, step, SIGNATURES[step.op])
        x = given.tensor("input")
        axes = int(step.op.split("pool")[1][0])
        maximum = "max_pool" in step.op
        if "adaptive" in step.op:
            outputs = recording.values[step.outputs[0]].shape[-axes:]
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
        """What an average divides by: the window within the padded input, or within the input."""
        if self.given["divisor_override"]:
            return int(self.given["divisor_override"])
        counts = []
        for window, o, n in zip(self.windows, place, self.space, strict=True):
            if isinstance(window, Window) and self.given["count_include_pad"]:
                counts.append(len(window.taps(o, n, padded=True)))
            else:
                counts.append(len(window.reads(o, n)))
        return math.prod(counts)


class Pooling:
    """The largest, or the mean, of the elements under a window; each channel by itself."""

    name = "windowed"
    exact = True
    geometry = staticmethod(Geometry.of)

    def explain(
        self, recording: Recording, step: Step, slot: int, index: tuple[int, ...]
    ) -> Account:
        """One term for each tap inside the input."""
        g = self.geometry(recording, step)
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
        values = floats(block)
        source = g.given.id("input")
        if g.maximum:
            return self._largest(g, step, slot, index, source, positions + start, values, shape)
        divisor = g.divisor(place)
        terms = Terms.build(source, positions + start, values, 1 / divisor, arrangement=shape)
        return Account.of_sum(terms, formula=f"sum / {divisor}")

    def _largest(
        self,
        g: Geometry,
        step: Step,
        slot: int,
        index: tuple[int, ...],
        source: int,
        positions: Ints,
        values: np.ndarray,
        shape: tuple[int, ...],
    ) -> Account:
        best = np.nanmax(values) if not np.isnan(values).any() else math.nan
        equal = np.isnan(values) if math.isnan(best) else values == best
        winner = int(np.flatnonzero(equal.reshape(-1))[0])
        what, formula, total = "the largest", "max", float(best)
        if slot:  # where it stands in its plane; among equals, where torch says
            places = positions.reshape(-1) % math.prod(g.space)
            recorded = int(g.given.recording.values[step.outputs[slot]].tensor[index])
            allowed = places[equal.reshape(-1)]
            what, formula = "the place of the largest", "argmax"
            total = float(recorded if recorded in allowed else allowed[0])
        return Account.of_choice(
            source,
            positions,
            values,
            winner,
            total,
            formula=formula,
            note=f"chosen: {what} of {values.size} in its window",
            arrangement=shape,
        )

    def reads(self, recording: Recording, step: Step, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """The windows under the mask."""
        g = self.geometry(recording, step)
        axes = len(g.windows)
        narrowed = masks.narrow(mask)
        narrowed = narrowed.expand(*narrowed.shape[:-axes], *mask.shape[-axes:])
        found = masks.through_windows(narrowed, g.windows, g.space, mask.dim() - axes)
        return {g.given.id("input"): found.expand(g.x.shape)}

    def cost(self, recording: Recording, step: Step) -> Cost:
        """One operation for each element read by each window."""
        g = self.geometry(recording, step)
        out = recording.values[step.outputs[0]].shape
        axes = len(g.windows)
        taps = 1
        for window, outputs, n in zip(g.windows, out[-axes:], g.space, strict=True):
            taps *= sum(len(window.reads(o, n)) for o in range(outputs))
        return Cost(operations=math.prod(out[:-axes]) * taps)
