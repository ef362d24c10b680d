"""Cut the kernels out of a convolution's weights, by output map, a slice for each input map."""

from __future__ import annotations

from typing import TypedDict

import torch

from convlens.lab.answers.envelope import Bytes, Doubles, Singles
from convlens.lab.answers.sheets import numbers
from convlens.lens import Recording, Value
from convlens.lens.kinds import bound
from convlens.lens.kinds.convolving import ConvolutionGeometry, Convolving

MOST_EXACT = 2**18
"""Kernels of up to this many numbers come exactly, larger ones as a byte a number."""

MOST = 2**22
"""Weights of up to this many numbers come as a whole, of larger ones only the kernel asked for."""


class KernelsAnswer(TypedDict):
    """The kernels of `maps` output maps, of which map `first` is the first.

    Each has a slice of `frames` x `rows` x `columns` numbers for each of the `channels` input maps
    of its group; a group makes `outputs` maps. The numbers come in that order, either exactly in
    `numbers` or as `codes`: 0 for a number that is not finite, otherwise 128 + 127 times its part
    of the largest size in its own kernel.
    """

    weight: int
    first: int
    maps: int
    outputs: int
    channels: int
    frames: int
    rows: int
    columns: int
    numbers: Singles | Doubles | None
    codes: Bytes | None


def kernels_of(recording: Recording, value: Value, map: int) -> KernelsAnswer:
    """Return the kernels that made a convolution's output, of a large weight only that of one map.

    Raises ValueError if no convolution made the value, and for a map that it does not have.
    """
    geometry = _geometry(recording, value)
    if geometry is None:
        raise ValueError(f"`value` (={value.id}) must be made by a convolution; others have none")
    inputs, outputs = geometry.channels_in, geometry.channels_out
    if not 0 <= map < outputs * geometry.groups:
        raise ValueError(f"`map` (={map}) must be below {outputs * geometry.groups}, the maps made")
    weight = geometry.given.value("weight")
    found = numbers(weight)
    if geometry.transposed:
        found = found.unflatten(0, (geometry.groups, inputs)).transpose(1, 2).flatten(0, 1)
    first = 0 if found.numel() <= MOST else map
    found = found if found.numel() <= MOST else found[map : map + 1]
    frames, rows, columns = (1, 1, *found.shape[2:])[-3:]
    exact = found.numel() <= MOST_EXACT
    return {
        "weight": weight.id,
        "first": first,
        "maps": len(found),
        "outputs": outputs,
        "channels": inputs,
        "frames": frames,
        "rows": rows,
        "columns": columns,
        "numbers": found.reshape(-1).numpy() if exact else None,
        "codes": None if exact else _codes(found.flatten(1)),
    }


def _codes(kernels: torch.Tensor) -> Bytes:
    finite = kernels.isfinite()
    kernels = kernels.masked_fill(~finite, 0)
    largest = kernels.abs().amax(1, keepdim=True)
    parts = kernels / torch.where(largest > 0, largest, 1)
    codes = (parts * 127 + 128).round().masked_fill(~finite, 0).to(torch.uint8)
    return codes.reshape(-1).numpy()


def _geometry(recording: Recording, value: Value) -> ConvolutionGeometry | None:
    if value.step < 0:
        return None
    kind, given = bound(recording, recording.steps[value.step])
    return kind.geometry(given) if isinstance(kind, Convolving) else None
