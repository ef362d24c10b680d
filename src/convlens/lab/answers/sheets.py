"""Lay a value out as a sheet of maps: which axes are maps, rows and columns, and their numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy.typing as npt
import torch

from convlens.lab.answers.envelope import Bytes, Doubles, Singles
from convlens.lens import Recording, Value

MOST_EXACT = 2**20
"""A sheet of up to this many numbers brings them exactly, so that the page asks nothing more."""

AT_ONCE = 2**22
"""The numbers that are looked at together."""

# The names of the axes of an activation and of a weight, by the number of axes.
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
# Types whose numbers float32 cannot all hold.
WIDE = (torch.float64, torch.int64, torch.int32, torch.uint64, torch.uint32)


class SheetAnswer(TypedDict):
    """A value's maps, a byte a number.

    `axes`, `plane`, `sliced` and `running` are those of `SheetLayout`; `first` is the index on the
    first axis where it is sliced. There are `maps` maps of `rows` x `columns`, in order. `low` and
    `high` are the ends of each map. A code is 0 for a number that is not finite, 1 for the map's
    low and 255 for its high. `largest`: the largest size of a number in the whole value.
    `negative`: whether any is negative. `exact`: the numbers themselves, None for a large sheet.
    """

    value: int
    shape: list[int]
    dtype: str
    axes: list[str]
    plane: int
    sliced: bool
    running: int | None
    first: int
    maps: int
    rows: int
    columns: int
    largest: float
    negative: bool
    low: Singles
    high: Singles
    codes: Bytes
    exact: Singles | Doubles | None


@dataclass(frozen=True)
class SheetLayout:
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


def layout(value: Value, *, batched: bool = True, transposed: bool = False) -> SheetLayout:
    """Return the layout of one value of any rank.

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
            return SheetLayout(axes, ndim, False, None)
        plane = 1 if ndim == 3 else 2
        return SheetLayout(axes, plane, True, 1)
    if ndim == 0:
        return SheetLayout((), 0, False, None)
    if ndim == 1:
        return SheetLayout(("feature",), 1, False, None)
    if ndim == 2 and value.shape[0] == 1:
        return SheetLayout(("sample", "feature"), 1, True, None)
    if ndim == 2:
        return SheetLayout(("row", "column"), 2, False, None)
    return _many(ndim, batched)


def _many(ndim: int, batched: bool) -> SheetLayout:
    """Return the layout of an activation of three axes or more.

    Without a batch its channels come first.
    """
    rank = ndim if batched else ndim + 1
    if rank not in _ACTIVATION:
        axes = tuple(f"axis {i}" for i in range(ndim - 2))
        return SheetLayout((*axes, "row", "column"), 2, True, 1)
    axes = _ACTIVATION[rank] if batched else _ACTIVATION[rank][1:]
    plane = 1 if rank == 3 else 2
    return SheetLayout(axes, plane, batched, 1 if batched else 0)


def layout_in(recording: Recording, value: Value) -> SheetLayout:
    """Return the layout of a value, which the steps that read it determine."""
    readers = (step for step in recording.steps if value.id in step.inputs)
    transposed = any(step.op.startswith("conv_transpose") for step in readers)
    return layout(value, batched=reads_batches(recording), transposed=transposed)


def reads_batches(recording: Recording) -> bool:
    """Return whether the network reads a batch: a convolution's input has its kernel's axes."""
    return recording.kept("batches", 0, 1, lambda: _reads_batches(recording))


def _reads_batches(recording: Recording) -> bool:
    for step in recording.steps:
        if step.op.startswith("conv") and len(step.inputs) > 1:
            x, weight = (recording.values[id] for id in step.inputs[:2])
            return len(x.shape) == len(weight.shape)
    return True


def numbers(value: Value) -> torch.Tensor:
    """Return a value as float32 or float64: complex numbers by size, all others as they are.

    Raises ValueError for a value whose numbers cannot be read one by one, such as a sparse one.
    """
    if value.opaque:
        raise ValueError(f"`value` (={value.id}) is {value.opaque}; only dense numbers are shown")
    tensor = value.tensor.detach()
    if tensor.is_complex():
        tensor = tensor.abs()
    return tensor.to(torch.float64 if tensor.dtype in WIDE else torch.float32).cpu()


def planes_of(value: Value, first: int = 0, *, batched: bool = True) -> torch.Tensor:
    """Return the maps of a sheet, (maps, rows, columns), at best without a copy.

    `first` is the index on the first axis, where the layout is sliced.
    """
    plan = layout(value, batched=batched)
    tensor = value.tensor.detach()
    if plan.sliced:
        tensor = tensor[first] if len(tensor) else tensor.sum(0)[:0]
    rows, columns = plane_of(tuple(tensor.shape), plan.plane)
    if not tensor.numel():
        return torch.zeros(0, rows, columns)
    return tensor.reshape(-1, rows, columns)


def parts_of(planes: torch.Tensor) -> Iterator[npt.NDArray[Any]]:
    """Yield a few maps after another, so that no large value is copied as a whole."""
    for part in planes.split(max(1, AT_ONCE // max(planes[0].numel(), 1))) if len(planes) else ():
        yield plain(part)


def plain(part: torch.Tensor) -> npt.NDArray[Any]:
    """Return numbers for NumPy, which reads a few at a time faster than torch: complex by size."""
    if part.is_complex():
        part = part.abs()
    elif part.dtype == torch.bfloat16:
        part = part.float()
    return part.cpu().resolve_neg().numpy()


def largest(tensor: torch.Tensor) -> float:
    """Return the largest finite size of a number in a tensor, 0 if there is none."""
    if tensor.numel() == 0:
        return 0.0
    low, high = (float(end) for end in torch.aminmax(tensor))
    size = max(abs(low), abs(high))
    if size < float("inf"):
        return size
    return float(torch.where(tensor.isfinite(), tensor.abs(), 0).max())


def sheet_of(recording: Recording, value: Value, first: int = 0) -> SheetAnswer:
    """Return a value's maps.

    Args:
        recording: the recording that the value belongs to.
        value: any value of it.
        first: the index on the first axis, where the layout is `sliced`.

    Raises:
        ValueError: `first` lies outside the axis; the numbers cannot be read one by one.
    """
    plan = layout_in(recording, value)
    tensor = numbers(value)
    part = _part(tensor, plan, first)
    rows, columns = plane_of(tuple(part.shape), plan.plane)
    maps = _maps(part, rows * columns)
    low, high, codes = _quantised(maps)
    return {
        "value": value.id,
        "shape": list(value.shape),
        "dtype": str(value.dtype).removeprefix("torch."),
        "axes": list(plan.axes),
        "plane": plan.plane,
        "sliced": plan.sliced,
        "running": plan.running,
        "first": first,
        "maps": maps.shape[0],
        "rows": rows,
        "columns": columns,
        "largest": largest(tensor),
        "negative": bool(tensor.numel()) and bool(torch.nan_to_num(tensor).min() < 0),
        "low": _flat(low.to(torch.float32)),
        "high": _flat(high.to(torch.float32)),
        "codes": _flat(codes),
        "exact": _flat(maps) if maps.numel() <= MOST_EXACT else None,
    }


def _flat(tensor: torch.Tensor) -> npt.NDArray[Any]:
    """Return a tensor's numbers in order, read-only because they may be the recording's own."""
    array = tensor.numpy().reshape(-1)
    array.setflags(write=False)
    return array


def _part(tensor: torch.Tensor, plan: SheetLayout, first: int) -> torch.Tensor:
    if not plan.sliced:
        return tensor
    if tensor.shape[0] == 0 and first == 0:
        return tensor.new_zeros(tensor.shape[1:])[:0]  # no maps, each of the right size
    if not 0 <= first < tensor.shape[0]:
        raise ValueError(f"`first` (={first}) must be below {tensor.shape[0]}, the first axis")
    return tensor[first]


def _maps(part: torch.Tensor, size: int) -> torch.Tensor:
    return part.reshape(-1, size) if part.numel() else part.new_zeros((0, max(size, 1)))


def plane_of(shape: tuple[int, ...], plane: int) -> tuple[int, int]:
    """Return the rows and columns of one map, whose axes are the last `plane` of a shape."""
    if plane == 0:
        return (1, 1)
    return (1, shape[-1]) if plane == 1 else (shape[-2], shape[-1])


def _quantised(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return low and high of every map, and its numbers as codes 1 to 255; 0 where not finite."""
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
    # One new tensor, then in place, because memory traffic is what this costs.
    codes = torch.sub(maps, low[:, None])
    codes = codes.mul_((254 / span)[:, None]).add_(1.5).to(torch.uint8)
    if bad is not None:
        codes = codes.masked_fill(bad, 0)
    return low, high, codes
