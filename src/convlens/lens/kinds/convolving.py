"""Explain convolution and transposed convolution of any dimension: a dot product under a window."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.arguments import Arguments, KnownByName
from convlens.lens.kinds.walking import by_slopes, computed, union_of
from convlens.lens.terms import PADDING, Account, Cost, Ints, Terms, floats, ravel
from convlens.windows import TransposedWindow, Window

_FORWARD = "input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1"
_TRANSPOSED = (
    "input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1"
)
_ATEN = (
    "input, weight, bias=None, stride=1, padding=0, dilation=1, transposed=False, "
    "output_padding=0, groups=1"
)
SIGNATURES = {
    **{f"conv{axes}d": _FORWARD for axes in (1, 2, 3)},
    **{f"conv_transpose{axes}d": _TRANSPOSED for axes in (1, 2, 3)},
    "convolution": _ATEN,
    "mkldnn_convolution": "input, weight, bias=None, padding=0, stride=1, dilation=1, groups=1",
    "_convolution": _ATEN
    + ", benchmark=False, deterministic=False, cudnn_enabled=True, allow_tf32=True",
}


@dataclass(frozen=True)
class ConvolutionGeometry:
    """The windows of one convolution step, one for each axis, and how its channels are grouped."""

    given: Arguments
    x: Tensor
    weight: Tensor
    windows: tuple[Window | TransposedWindow, ...]
    transposed: bool
    groups: int

    @property
    def axes(self) -> int:
        """Number of axes the window slides along."""
        return len(self.windows)

    @property
    def space(self) -> tuple[int, ...]:
        """Input size along those axes."""
        return tuple(self.x.shape[-self.axes :])

    @property
    def channels_in(self) -> int:
        """Input channels of one group."""
        return self.x.shape[-self.axes - 1] // self.groups

    @property
    def channels_out(self) -> int:
        """Output channels of one group."""
        return self.weight.shape[1] if self.transposed else self.weight.shape[0] // self.groups

    @classmethod
    def of(cls, given: Arguments) -> ConvolutionGeometry:
        """Read a step's arguments."""
        x, weight = given.tensor("input"), given.tensor("weight")
        size = tuple(weight.shape[2:])
        axes = len(size)
        stride, dilation = given.per_axis("stride", axes), given.per_axis("dilation", axes)
        transposed = "transpose" in given.step.op or bool(given["transposed"])
        padding = given["padding"]
        if isinstance(padding, str):
            windows = [Window.padded(padding, size[a], stride[a], dilation[a]) for a in range(axes)]
        else:
            pads = given.per_axis("padding", axes)
            windows = [
                Window(size[a], stride[a], dilation[a], pads[a], pads[a]) for a in range(axes)
            ]
        groups = int(given["groups"])
        if not transposed:
            return cls(given, x, weight, tuple(windows), False, groups)
        extra = given.per_axis("output_padding", axes)
        turned = tuple(w.transposed(extra[a]) for a, w in enumerate(windows))
        return cls(given, x, weight, turned, True, groups)


class Convolving(KnownByName):
    """value = sum over the group's channels and the window of input x kernel, + bias."""

    name = "windowed"
    exact = True
    signatures = SIGNATURES

    def geometry(self, given: Arguments) -> ConvolutionGeometry:
        """Return the windows of a step."""
        return ConvolutionGeometry.of(given)

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return a term for each channel of the group and each tap, those in the padding too."""
        g = self.geometry(given)
        lead, out, place = index[: -g.axes - 1], index[-g.axes - 1], index[-g.axes :]
        group = out // g.channels_out
        channels = np.arange(group * g.channels_in, (group + 1) * g.channels_in)
        taps, reads = self._taps(g, place)
        values, positions, inside = _gather(g.x, lead, channels, reads)
        if g.transposed:
            local = out - group * g.channels_out
            kernel_index = np.ix_(channels, np.array([local]), *taps)
            kernels = g.weight[group * g.channels_in : (group + 1) * g.channels_in, local]
        else:
            kernel_index = np.ix_(np.array([out]), np.arange(g.channels_in), *taps)
            kernels = g.weight[out]
        shape = (len(channels), *map(len, taps))
        kernel = floats(kernels)[np.ix_(np.arange(len(channels)), *taps)]
        terms = Terms.build(
            np.where(inside, given.id("input"), PADDING),
            np.where(inside, positions, PADDING),
            values,
            kernel,
            weight_source=given.id("weight"),
            weight_position=np.ravel_multi_index(kernel_index, tuple(g.weight.shape)).reshape(
                shape
            ),
            arrangement=shape,
        )
        if not given.has("bias"):
            return Account.of_sum(terms, formula="sum of input × kernel")
        bias = given.number("bias", (out,))
        source = (given.id("bias"), out)
        return Account.of_sum(terms, bias, source, formula="sum of input × kernel, + bias")

    def _taps(
        self, g: ConvolutionGeometry, place: tuple[int, ...]
    ) -> tuple[list[Ints], list[Ints]]:
        """Return kernel and input positions along each axis; -1 for a tap in the padding.

        A transposed convolution has only the taps that meet an input.
        """
        taps, reads = [], []
        for window, o, n in zip(g.windows, place, g.space, strict=True):
            pairs = list(zip(window.taps(o, n), window.reads(o, n), strict=True))
            if isinstance(window, TransposedWindow):
                taps.append(np.array([tap for tap, _ in pairs], np.int64))
                reads.append(np.array([i for _, i in pairs], np.int64))
            else:
                at = np.full(window.size, PADDING, np.int64)
                for tap, i in pairs:
                    at[tap] = i
                taps.append(np.arange(window.size))
                reads.append(at)
        return taps, reads

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return the windows under the mask, in every channel of its groups."""
        found = windows_read(self.geometry(given), mask)
        rest = by_slopes(given, slot, mask, computed(given, "weight", "bias"))
        return union_of({given.id("input"): found}, rest)

    def cost(self, given: Arguments) -> Cost:
        """Count each kernel element once for each position it is laid on, padding too."""
        g = self.geometry(given)
        out = given.output()
        laid = g.x if g.transposed else out.tensor
        places = laid.numel() // max(laid.shape[-g.axes - 1], 1)
        multiply_adds = places * g.weight.numel()
        return Cost(multiply_adds, math.prod(out.shape) if given.has("bias") else 0)


def windows_read(g: ConvolutionGeometry, mask: Tensor) -> Tensor:
    """Return the elements of the input under the windows of the masked outputs."""
    channel = mask.dim() - g.axes - 1
    grouped = masks.narrow(mask)
    if g.groups == 1 or grouped.size(channel) == 1:
        grouped = grouped.any(channel, keepdim=True)
    else:
        grouped = grouped.unflatten(channel, (g.groups, -1)).any(channel + 1)
    grouped = grouped.expand(*grouped.shape[: -g.axes], *mask.shape[-g.axes :])
    found = masks.through_windows(grouped, g.windows, g.space, channel + 1)
    if found.size(channel) > 1:
        found = found.repeat_interleave(g.channels_in, channel)
    return found.expand(g.x.shape)


def _gather(
    x: Tensor, lead: tuple[int, ...], channels: Ints, reads: list[Ints]
) -> tuple[np.ndarray, Ints, np.ndarray]:
    """Return the block of `x` at lead, channels and reads; its flat positions; what is inside."""
    block = x[lead] if lead else x
    block = block[int(channels[0]) : int(channels[-1]) + 1] if len(channels) else block[:0]
    for axis, at in enumerate(reads):
        block = block.index_select(axis + 1, torch.as_tensor(np.maximum(at, 0), device=x.device))
    shape = (len(channels), *map(len, reads))
    index = np.ix_(channels, *(np.maximum(at, 0) for at in reads))
    inside = np.ones(shape, bool)
    for axis, at in enumerate(reads):
        inside &= (at >= 0).reshape([-1 if a == axis + 1 else 1 for a in range(len(shape))])
    plane = tuple(x.shape[len(lead) :])
    start = ravel(lead, x.shape[: len(lead)]) * math.prod(plane)
    positions = np.ravel_multi_index(index, plane) + start
    return np.where(inside, floats(block), 0.0), positions.reshape(shape), inside
