"""A value as a sheet of maps: which axes are maps, rows and columns, and their bytes to paint."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import torch

from convlens.lens import Recording, Value

# What the axes of an activation and of a weight are called, by the number of axes.
_ACTIVATION = {
    3: ("sample", "channel", "position"),
    4: ("sample", "channel", "row", "column"),
    5: ("sample", "channel", "frame", "row", "column"),
}
_WEIGHT = {
    1: ("channel",),
    2: ("output", "input"),
    3: ("output channel", "input channel", "position"),
    4: ("output channel", "input channel", "row", "column"),
    5: ("output channel", "input channel", "frame", "row", "column"),
}
_MAP_AXES = ("position", "row", "column", "frame", "feature", "input")


@dataclass(frozen=True)
class Layout:
    """How a value lies on a sheet.

    `axes` names every axis. The last `plane` axes (0, 1 or 2) are one map; the axes before them
    count the maps. Where `sliced`, the first axis (the sample of a batch, the output channel of a
    kernel) is not on the sheet: one sheet shows one index of it. `running` is the axis laid out
    side by side when the others are held still, None when there is one map only.
    """

    axes: tuple[str, ...]
    plane: int
    sliced: bool
    running: int | None


def layout(value: Value, *, batched: bool = True, transposed: bool = False) -> Layout:
    """The layout of one value of any rank.

    `batched`: activations begin with a sample axis; `transposed`: the value is the kernel of a
    transposed convolution, whose input channels come first.

    >>> import torch
    >>> layout(Value(0, "input", torch.ones(1, 3, 8, 8), (1, 3, 8, 8), torch.float32)).axes
    ('sample', 'channel', 'row', 'column')
    """
    ndim = len(value.shape)
    given = value.kind in ("parameter", "buffer", "constant")
    if given and ndim in _WEIGHT:
        axes = _WEIGHT[ndim]
        if transposed and ndim >= 3:
            axes = (axes[1], axes[0], *axes[2:])
        if ndim <= 2:
            return Layout(axes, ndim, False, None)
        plane = 1 if ndim == 3 else 2
        return Layout(axes, plane, True, 1)
    if ndim == 0:
        return Layout((), 0, False, None)
    if ndim == 1:
        return Layout(("feature",), 1, False, None)
    if ndim == 2 and value.shape[0] == 1:
        return Layout(("sample", "feature"), 1, True, None)
    if ndim == 2:
        return Layout(("row", "column"), 2, False, None)
    return _many(ndim, batched)


def _many(ndim: int, batched: bool) -> Layout:
    """Activations of three axes and more; without a batch the channels come first."""
    rank = ndim if batched else ndim + 1
    if rank not in _ACTIVATION:
        axes = tuple(f"axis {i}" for i in range(ndim - 2))
        return Layout((*axes, "row", "column"), 2, True, 1)
    axes = _ACTIVATION[rank] if batched else _ACTIVATION[rank][1:]
    plane = 1 if rank == 3 else 2
    return Layout(axes, plane, batched, 1 if batched else 0)


def layout_in(recording: Recording, value: Value) -> Layout:
    """The layout of a value of this recording, told from the steps that read it."""
    readers = (step for step in recording.steps if value.id in step.inputs)
    transposed = any(step.op.startswith("conv_transpose") for step in readers)
    return layout(value, batched=_batched(recording), transposed=transposed)


def _batched(recording: Recording) -> bool:
    """Whether the first input of a convolution has a sample axis, one more than its kernel's."""
    for step in recording.steps:
        if step.op.startswith("conv") and len(step.inputs) > 1:
            x, weight = (recording.values[id] for id in step.inputs[:2])
            return len(x.shape) == len(weight.shape)
    return True


def numbers(value: Value) -> torch.Tensor:
    """The value as real floating-point numbers: complex by size, truth and integers as they are.

    Raises ValueError for a value whose numbers cannot be read one by one, as those of a sparse one.
    """
    if value.opaque:
        raise ValueError(f"`value` (={value.id}) is {value.opaque}; only dense numbers are shown")
    tensor = value.tensor.detach()
    if tensor.is_complex():
        tensor = tensor.abs()
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.to(torch.float64 if tensor.dtype == torch.int64 else torch.float32)
    return tensor.cpu()


def largest(tensor: torch.Tensor) -> float:
    """The largest finite size of a number in a tensor, 0 for none: half the span of its colours."""
    if tensor.numel() == 0:
        return 0.0
    low, high = (float(end) for end in torch.aminmax(tensor))
    size = max(abs(low), abs(high))
    if size < float("inf"):
        return size
    return float(torch.where(tensor.isfinite(), tensor.abs(), 0).max())


def sheet(recording: Recording, value: Value, first: int = 0) -> bytes:
    """A value's maps as bytes: a byte a number, with every map's own low and high.

    The answer is one little-endian uint32 (bytes of the header), the header (JSON, padded with
    spaces to a multiple of four), then float32 lows and float32 highs, one a map, then the maps in
    order, row by row, as uint8: 0 is a number that is not finite, 1 the map's low, 255 its high.

    Args:
        recording: where the value belongs.
        value: any value of it.
        first: index on the first axis, where the layout is `sliced`.

    Raises:
        ValueError: `first` lies outside the axis.
    """
    plan = layout_in(recording, value)
    tensor = numbers(value)
    part = _part(tensor, plan, first)
    rows, columns = _plane(tuple(part.shape), plan.plane)
    maps = _maps(part, rows * columns)
    low, high, codes = _quantised(maps)
    header = {
        "value": value.id,
        "shape": list(value.shape),
        "dtype": str(value.dtype).removeprefix("torch."),
        "axes": list(plan.axes),
        "sliced": plan.sliced,
        "first": first,
        "running": plan.running,
        "plane": plan.plane,
        "maps": maps.shape[0],
        "rows": rows,
        "columns": columns,
        "largest": largest(tensor),
        "negative": bool(tensor.numel()) and bool(torch.nan_to_num(tensor).min() < 0),
    }
    return _packed(header, low, high, codes)


def exact(recording: Recording, value: Value, first: int, number: int) -> bytes:
    """One map of a sheet as the numbers themselves: little-endian float64, row by row.

    Raises:
        ValueError: no such map.
    """
    plan = layout_in(recording, value)
    part = _part(numbers(value), plan, first)
    rows, columns = _plane(tuple(part.shape), plan.plane)
    maps = _maps(part, rows * columns)
    if not 0 <= number < maps.shape[0]:
        raise ValueError(f"`map` (={number}) must be one of the sheet's {maps.shape[0]} maps")
    return maps[number].to(torch.float64).numpy().astype("<f8").tobytes()


def _part(tensor: torch.Tensor, plan: Layout, first: int) -> torch.Tensor:
    if not plan.sliced:
        return tensor
    if tensor.shape[0] == 0 and first == 0:
        return tensor.new_zeros(tensor.shape[1:])[:0]  # no maps, of the size they would have
    if not 0 <= first < tensor.shape[0]:
        raise ValueError(f"`first` (={first}) must be below {tensor.shape[0]}, the first axis")
    return tensor[first]


def _maps(part: torch.Tensor, size: int) -> torch.Tensor:
    return part.reshape(-1, size) if part.numel() else part.new_zeros((0, max(size, 1)))


def _plane(shape: tuple[int, ...], plane: int) -> tuple[int, int]:
    if plane == 0:
        return (1, 1)
    return (1, shape[-1]) if plane == 1 else (shape[-2], shape[-1])


def _quantised(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Low and high of every map, and its numbers as codes 1 to 255; 0 where not finite."""
    if maps.numel() == 0:
        none = torch.zeros(0)
        return none, none, maps.to(torch.uint8)
    low, high = torch.aminmax(maps, dim=1)
    bad = None
    if not bool((high - low).isfinite().all()):
        bad = ~maps.isfinite()
        maps = maps.to(torch.float64).masked_fill(bad, 0)
        inf = float("inf")
        low = maps.masked_fill(bad, inf).amin(1).nan_to_num(0, 0, 0)
        high = maps.masked_fill(bad, -inf).amax(1).nan_to_num(0, 0, 0)
    span = torch.where(high > low, high - low, 1)
    # One new tensor, then in place: memory traffic is what this costs.
    codes = torch.sub(maps, low[:, None])
    codes = codes.mul_((254 / span)[:, None]).add_(1.5).to(torch.uint8)
    if bad is not None:
        codes = codes.masked_fill(bad, 0)
    return low, high, codes


def _packed(
    header: dict[str, Any], low: torch.Tensor, high: torch.Tensor, codes: torch.Tensor
) -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    ends = (end.to(torch.float32).numpy().astype("<f4").tobytes() for end in (low, high))
    return b"".join((struct.pack("<I", len(text)), text, *ends, codes.numpy().tobytes()))
