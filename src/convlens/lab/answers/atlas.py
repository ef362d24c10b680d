"""Draw every activation small, all in one answer: the map that is liveliest, and five others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
from torch import Tensor

from convlens.lab.answers.envelope import Bytes, Doubles, Ints, Singles
from convlens.lab.answers.sheets import layout, parts_of, plain, planes_of, reads_batches
from convlens.lab.answers.steps import StepRow
from convlens.lens import Recording, Value

SIDE = 48
"""The places along a side of a thumbnail."""

STACK = 6
"""The maps of one value that are drawn."""

MOST = 3_000
"""The most values that are drawn, the first ones: with their stacks these are 50 MB."""

Sizes = npt.NDArray[np.int64]


class AtlasAnswer(TypedDict):
    """A thumbnail of every input and of the first output of every step that is no plumbing.

    Each list has an entry for each of the `values`, at most 3,000. A value has `maps` maps of
    `rows` x `columns`, one row for a vector; they are numbered as on its sheet, and only the first
    sample counts. `low` and `high` are the ends of all of them. `liveliest` has six entries for
    each value: the maps with the largest numbers, the largest first, -1 where there are fewer. The
    first of them is `map`.

    A thumbnail is 48 x 48 codes, row by row. A map of up to 48 rows is in its first rows, a larger
    one is sampled down to 48; so are columns. A longer row shows the number farthest from 0 in each
    of 48 parts, and of a clip each channel is there once, with its liveliest frame. A code is 0 for
    a number that is not finite, 1 for `low` and 255 for `high`. `codes` has that of `map` for each
    value, and `stacks` those of the six `liveliest`.
    """

    side: int
    values: Ints
    rows: Ints
    columns: Ints
    maps: Ints
    map: Ints
    low: Singles
    high: Singles
    codes: Bytes
    liveliest: Ints
    stacks: Bytes


def atlas_of(recording: Recording, steps: Sequence[StepRow]) -> AtlasAnswer:
    """Return thumbnails of the activations of a recording; values without plain numbers miss."""
    values = list(_drawn(recording, steps))[:MOST]
    count, batched = len(values), reads_batches(recording)
    sizes, ends = np.zeros((3, count), np.int32), np.zeros((2, count), np.float32)
    liveliest = np.full((count, STACK), -1, np.int32)
    stacks = np.zeros((count, STACK, SIDE, SIDE), np.uint8)
    for at, value in enumerate(values):
        planes = planes_of(value, batched=batched)
        sizes[:, at] = planes.shape
        if planes.numel():
            low, high = _ends(planes)
            ends[:, at] = low.min(), high.max()
            first = _liveliest(np.maximum(-low, high), _frames(value, batched=batched))
            liveliest[at, : len(first)] = first
            _draw(planes, first, ends[:, at], stacks[at])
    return {
        "side": SIDE,
        "values": np.array([value.id for value in values], np.int32),
        "rows": sizes[1],
        "columns": sizes[2],
        "maps": sizes[0],
        "map": np.maximum(liveliest[:, 0], 0),
        "low": ends[0],
        "high": ends[1],
        "codes": stacks[:, 0].reshape(-1),
        "liveliest": liveliest.reshape(-1),
        "stacks": stacks.reshape(-1),
    }


def _drawn(recording: Recording, steps: Sequence[StepRow]) -> Iterator[Value]:
    """Yield the values to draw: inputs, and what the steps made that do more than hand on."""
    made = [step["outputs"][0] for step in steps if step["outputs"] and not step["plumbing"]]
    for value in (*recording.inputs, *(recording.values[id] for id in made)):
        if not value.opaque and not value.tensor.is_meta:
            yield value


def _ends(planes: Tensor) -> tuple[Doubles, Doubles]:
    """Return the least and the largest finite number of each map; 0 where none is finite."""
    found = [_finite_ends(part) for part in parts_of(planes)]
    low, high = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return low, high


def _finite_ends(maps: npt.NDArray[Any]) -> tuple[Doubles, Doubles]:
    low, high = (np.asarray(end, np.float64) for end in (maps.min((1, 2)), maps.max((1, 2))))
    if not (np.isfinite(low) & np.isfinite(high)).all():
        finite = np.isfinite(maps)
        some = finite.any((1, 2))
        low = np.where(some, maps.min((1, 2), where=finite, initial=np.inf), 0).astype(np.float64)
        high = np.where(some, maps.max((1, 2), where=finite, initial=-np.inf), 0).astype(np.float64)
    return low, high


def _frames(value: Value, *, batched: bool) -> int:
    """Return how many maps are the frames of one channel."""
    return value.shape[-3] if "frame" in layout(value, batched=batched).axes else 1


def _liveliest(largest: Doubles, frames: int) -> Sizes:
    """Return the maps with the largest numbers in order: one frame of each channel.

    >>> _liveliest(np.array([1.0, 4, 3, 2]), 1), _liveliest(np.array([1.0, 4, 3, 2]), 2)
    (array([1, 2, 3, 0]), array([1, 2]))
    """
    of_channel = largest.reshape(-1, frames).argmax(1)
    best = of_channel + frames * np.arange(len(of_channel))
    chosen: Sizes = best[np.argsort(-largest[best], kind="stable")[:STACK]]
    return chosen


def _draw(planes: Tensor, maps: Sizes, ends: Singles, stack: Bytes) -> None:
    """Draw some maps of a value into a stack of thumbnails, sampled down where they are larger."""
    picked = np.stack([_small(plain(planes[int(map)])) for map in maps])
    low, high = (float(end) for end in ends)
    scale = 254 / (high - low) if high > low else 0.0
    with np.errstate(invalid="ignore"):  # a signalling NaN, or an infinite number times 0
        codes = (picked.astype(np.float64) - low) * scale + 1.5
    codes = np.where(np.isfinite(codes), np.clip(codes, 1, 255), 0)
    stack[tuple(map(slice, codes.shape))] = codes


def _small(numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return at most 48 x 48 numbers of a map; of a long row those farthest from 0.

    A sample of a row would miss its peak.
    """
    rows, columns = numbers.shape
    if rows > 1 or columns <= SIDE:
        return numbers[np.ix_(_sampled(rows), _sampled(columns))]
    parts = np.array_split(numbers[0], SIDE)
    return np.array([[part[np.abs(part).argmax()] for part in parts]])


def _sampled(size: int) -> Sizes:
    """Return the places that a thumbnail shows of a side: all, or the middles of 48 equal parts.

    >>> _sampled(3).tolist(), _sampled(96)[:3].tolist()
    ([0, 1, 2], [1, 3, 5])
    """
    if size <= SIDE:
        return np.arange(size)
    return (2 * np.arange(SIDE) + 1) * size // (2 * SIDE)
