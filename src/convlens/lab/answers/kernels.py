"""Cut the kernel of one output map out of a convolution's weights, a slice for each input map."""

from __future__ import annotations

from typing import TypedDict

from convlens.lab.answers.envelope import Doubles, Singles
from convlens.lab.answers.sheets import largest, numbers
from convlens.lens import Recording, Value
from convlens.lens.kinds import bound
from convlens.lens.kinds.convolving import ConvolutionGeometry, Convolving


class KernelsAnswer(TypedDict):
    """The kernel that makes one output map.

    It has a slice of `frames` x `rows` x `columns` numbers for each of the `channels` input maps of
    the group; the first of these is input map `first_channel`. `numbers` has them in that order.
    `largest`: the largest size of a number in the whole weight.
    """

    weight: int
    channels: int
    first_channel: int
    frames: int
    rows: int
    columns: int
    largest: float
    numbers: Singles | Doubles


def kernels_of(recording: Recording, value: Value, map: int) -> KernelsAnswer:
    """Return the kernel of one map of a convolution's output, by the number of the map.

    Raises ValueError if no convolution made the value, and for a map that it does not have.
    """
    geometry = _geometry(recording, value)
    if geometry is None:
        raise ValueError(f"`value` (={value.id}) must be made by a convolution; others have none")
    inputs, outputs = geometry.channels_in, geometry.channels_out
    if not 0 <= map < outputs * geometry.groups:
        raise ValueError(f"`map` (={map}) must be below {outputs * geometry.groups}, the maps made")
    first = map // outputs * inputs
    weight = geometry.given.value("weight")
    found = numbers(weight)
    if geometry.transposed:
        part = found[first : first + inputs, map % outputs]
    else:
        part = found[map]
    size = (1, 1, *part.shape[1:])[-3:]
    return {
        "weight": weight.id,
        "channels": inputs,
        "first_channel": first,
        "frames": size[0],
        "rows": size[1],
        "columns": size[2],
        "largest": largest(found),
        "numbers": part.reshape(-1).numpy(),
    }


def _geometry(recording: Recording, value: Value) -> ConvolutionGeometry | None:
    if value.step < 0:
        return None
    kind, given = bound(recording, recording.steps[value.step])
    return kind.geometry(given) if isinstance(kind, Convolving) else None
