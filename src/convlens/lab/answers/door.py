"""Choose the number at which the page opens, so that a window is in sight at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypedDict

import numpy as np
from torch import Tensor

from convlens.lab.answers.sheets import numbers
from convlens.lab.answers.steps import StepRow
from convlens.lab.answers.windowing import WindowRow
from convlens.lens import Recording, Value

_KERNELS = ("conv", "transposed")


class Door(TypedDict):
    """The number at which the page opens."""

    value: int
    index: list[int]


def door_of(recording: Recording, steps: Sequence[StepRow]) -> Door | None:
    """Return the number to open; None where the network computed none.

    It is the strongest positive number of the first convolution whose kernel is larger than 1, and
    its window touches no padding. A network without such a step opens at its first window, its
    first weights, or the first numbers that it made.
    """
    for step in _candidates(steps):
        value = recording.values[step["outputs"][0]]
        if not value.opaque and value.tensor.numel():
            return {"value": value.id, "index": _strongest(value, step["windows"])}
    return None


def _candidates(steps: Sequence[StepRow]) -> Iterator[StepRow]:
    """Yield the steps that made something, the best to open at first."""
    made = [step for step in steps if step["outputs"]]
    yield from (
        s for s in made if s["family"] in _KERNELS and any(w["size"] > 1 for w in s["windows"])
    )
    yield from (s for s in made if s["windows"])
    yield from (s for s in made if s["weights"])
    yield from made


def _strongest(value: Value, windows: Sequence[WindowRow]) -> list[int]:
    """Return where the largest positive number stands, at best one of a window without padding."""
    found = numbers(value)
    lead = found.ndim - len(windows)
    inner = [_inside(window) for window in windows]
    part = found
    for axis, span in enumerate(inner, lead):
        part = part.narrow(axis, span.start, len(span))
    starts = [0] * lead + [span.start for span in inner]
    at = _largest(part)
    if at is None:
        starts = [0] * found.ndim
        at = _largest(found) or _largest(found.abs()) or [0] * found.ndim
    return [i + start for i, start in zip(at, starts, strict=True)]


def _largest(found: Tensor) -> list[int] | None:
    """Return the index of the largest finite number; None where none is above 0."""
    if not found.numel():
        return None
    finite = found.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    flat = int(finite.argmax())
    if finite.reshape(-1)[flat] <= 0:
        return None
    return [int(i) for i in np.unravel_index(flat, tuple(found.shape))]


def _inside(window: WindowRow) -> range:
    """Return the outputs whose window lies wholly inside the input.

    >>> row: WindowRow = {
    ...     "size": 3,
    ...     "stride": 2,
    ...     "dilation": 1,
    ...     "before": 1,
    ...     "after": 1,
    ...     "transposed": False,
    ...     "inputs": 8,
    ...     "outputs": 4,
    ...     "adaptive": False,
    ... }
    >>> list(_inside(row))
    [1, 2, 3]
    """
    outputs, stride = window["outputs"], window["stride"]
    if window["adaptive"]:
        return range(outputs)
    extent = window["dilation"] * (window["size"] - 1) + 1
    if window["transposed"]:
        first = extent - stride - window["before"]
        last = window["inputs"] * stride - window["before"] - 1
    else:
        first = -(-window["before"] // stride)
        last = (window["inputs"] - extent + window["before"]) // stride
    return range(max(first, 0), max(min(last + 1, outputs), max(first, 0)))
