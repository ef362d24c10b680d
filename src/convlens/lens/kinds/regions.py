"""Explain boxes on a map, pooled to one size (`roi_align`, `roi_pool`)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.arguments import Arguments, per_axis
from convlens.lens.recording import Recording, Ref, Step
from convlens.lens.terms import Account, Cost, Floats, Ints, Terms, floats, unit_roundoff

SIGNATURES = {
    "roi_align": (
        "input, boxes, output_size, spatial_scale=1.0, sampling_ratio=-1, aligned=False",
        "input, boxes, spatial_scale, pooled_height, pooled_width, sampling_ratio, aligned",
    ),
    "roi_pool": (
        "input, boxes, output_size, spatial_scale=1.0",
        "input, boxes, spatial_scale, pooled_height, pooled_width",
    ),
}
"""The signature as a function, and as torchvision's operator of that name."""

_ON_A_CELL = 1e-3
"""Nearer than this, in cells, rounding may bring a sample to the other side of a cell."""


@dataclass(frozen=True)
class Box:
    """One box of a step: the value and flat position it starts at, its picture and corners."""

    source: int
    position: int
    picture: int
    corners: Tensor

    def __str__(self) -> str:
        x1, y1, x2, y2 = self.corners.tolist()
        return f"x {x1:.5g} to {x2:.5g}, y {y1:.5g} to {y2:.5g}"


@dataclass(frozen=True)
class BinSamples:
    """Samples along one axis of a bin: `low` and `high` are the cells on either side of each.

    `part` is how far it is from `low` to `high`; samples outside the map are left out of `weights`.
    """

    inside: Tensor
    low: Ints
    high: Ints
    part: Floats

    @classmethod
    def of(cls, at: Tensor, size: int) -> BinSamples:
        """Make samples from their places in cells, where 0 is the first cell's place."""
        clamped = at.clamp(0, size - 1).double()
        low = clamped.floor()
        high = (low + 1).clamp(max=size - 1)
        part = (clamped - low).numpy()
        inside = (at >= -1) & (at <= size)
        return cls(inside, low.long().numpy(), high.long().numpy(), part)

    @property
    def cells(self) -> Ints:
        """The cells that the samples read, each once."""
        inside = self.inside.numpy()
        return np.unique(np.concatenate((self.low[inside], self.high[inside])))

    @property
    def weights(self) -> Floats:
        """The weight of each of the `cells`, over all samples."""
        inside, cells = self.inside.numpy(), self.cells
        found = np.zeros(cells.size)
        np.add.at(found, np.searchsorted(cells, self.low[inside]), 1 - self.part[inside])
        np.add.at(found, np.searchsorted(cells, self.high[inside]), self.part[inside])
        return found

    def steepness(self, steps: Floats) -> float:
        """Return the sum over all samples of the step between the cells on either side.

        `steps[i]` leads from cell i to the next. A sample on a cell counts the larger of two steps.
        """
        if not steps.size:
            return 0.0
        inside = self.inside.numpy()
        on, part = self.low[inside], self.part[inside]
        beside = on - (part < _ON_A_CELL) + (part > 1 - _ON_A_CELL)
        last = steps.size - 1
        return float(np.maximum(steps[on.clip(0, last)], steps[beside.clip(0, last)]).sum())


@dataclass(frozen=True)
class BoxBins:
    """The boxes of one step, each divided into bins."""

    given: Arguments
    x: Tensor
    bins: tuple[int, int]

    @classmethod
    def of(cls, given: Arguments) -> BoxBins:
        """Read a step's arguments."""
        if "pooled_height" in given.named:
            rows, columns = int(given["pooled_height"]), int(given["pooled_width"])
        else:
            rows, columns = per_axis(given["output_size"], 2)
        return cls(given, given.tensor("input").cpu(), (rows, columns))

    def box(self, number: int) -> Box:
        """Return a box by its number: a row of one tensor (k, 5), or of several (l, 4)."""
        boxes = self.given["boxes"]
        if isinstance(boxes, Ref):
            row = self.given.tensor("boxes")[number].cpu()
            return Box(boxes.id, number * 5, int(row[0]), row[1:])
        for picture, ref in enumerate(boxes):
            tensor = self.given.recording.values[ref.id].tensor
            if number < len(tensor):
                return Box(ref.id, number * 4, picture, tensor[number].cpu())
            number -= len(tensor)
        raise IndexError(number)

    def on_map(self, box: Box) -> Tensor:
        """Return its corners in cells, in the boxes' own precision."""
        corners: Tensor = box.corners * float(self.given["spatial_scale"])
        return corners - 0.5 if self.given["aligned"] else corners

    def sides(self, box: Box) -> Tensor:
        """Return its width and height in cells."""
        corners = self.on_map(box)
        sides = corners[2:] - corners[:2]
        return sides if self.given["aligned"] else sides.clamp(min=1)

    def sampled(self, box: Box) -> tuple[int, int]:
        """Return how many samples a bin has along rows and columns."""
        ratio = int(self.given["sampling_ratio"])
        if ratio > 0:
            return (ratio, ratio)
        width, height = self.sides(box).clamp(min=0)
        return (math.ceil(height / self.bins[0]), math.ceil(width / self.bins[1]))

    def samples(self, box: Box, axis: int, bin: int) -> BinSamples:
        """Return the samples of a bin along rows (0) or columns (1), where float32 puts them."""
        start, side = self.on_map(box)[1 - axis], self.sides(box)[1 - axis]
        count = self.sampled(box)[axis]
        length = side / self.bins[axis]
        steps = (torch.arange(count) + 0.5).to(start.dtype) * length / max(count, 1)
        return BinSamples.of(start + bin * length + steps, self.x.shape[2 + axis])

    def whole(self, box: Box, axis: int, bin: int) -> range:
        """Return the cells of a bin of `roi_pool` along rows (0) or columns (1)."""
        corners = box.corners * float(self.given["spatial_scale"])
        first, last = (_rounded(float(corners[i])) for i in (1 - axis, 3 - axis))
        length = torch.tensor(max(last - first + 1, 1), dtype=corners.dtype) / self.bins[axis]
        size = self.x.shape[2 + axis]
        low, high = math.floor(bin * length) + first, math.ceil((bin + 1) * length) + first
        return range(min(max(low, 0), size), min(max(high, 0), size))

    def note(self, index: tuple[int, ...], box: Box) -> str:
        """Say which box it is, where it is on which map, and which of its bins it is."""
        recording, scale = self.given.recording, float(self.given["spatial_scale"])
        value = recording.values[box.source]
        row = box.position // value.shape[-1]
        height, width = self.x.shape[2:]
        here = Box(box.source, box.position, box.picture, self.on_map(box))
        return (
            f"box {index[0]}, `{recording.name_of(box.source)}`[{row}] = {box}; picture "
            f"{box.picture}; on the map `{recording.name_of(self.given.id('input'))}` "
            f"({height}x{width}, scale {scale:g}) {here}; bin ({index[2]}, {index[3]}) of "
            f"{self.bins[0]}x{self.bins[1]}"
        )


def _bound(recording: Recording, step: Step) -> Arguments:
    operator = isinstance(step.function, (torch._ops.OpOverload, torch._ops.OpOverloadPacket))
    return Arguments.of(recording, step, SIGNATURES[step.op][operator])


def _rounded(x: float) -> int:
    """Return the nearest integer, halves away from zero."""
    return int(math.copysign(math.floor(abs(x) + 0.5), x))


Cells = Callable[[Box, int, int], Any]
"""The cells a bin reads along an axis: (box, axis, bin) -> positions."""


def _cells(g: BoxBins) -> Cells:
    """Return what gives the cells that a bin of this step reads."""
    if g.given.step.op == "roi_pool":
        return g.whole
    return lambda box, axis, bin: g.samples(box, axis, bin).cells


def _block(g: BoxBins, box: Box, channel: int, rows: Ints, columns: Ints) -> tuple[Ints, Floats]:
    """Return flat positions and numbers of the map's cells at rows x columns."""
    _, channels, height, width = g.x.shape
    plane = (box.picture * channels + channel) * height * width
    positions = plane + rows[:, None] * width + columns
    numbers = floats(g.x[box.picture, channel])[np.ix_(rows, columns)]
    return positions, numbers


class Aligning:
    """value = the mean of samples in a bin of a box, each interpolated between four cells."""

    name = "region"
    exact = True

    def bind(self, recording: Recording, step: Step) -> Arguments:
        """Bind the call to the signature of the function, or of the operator."""
        return _bound(recording, step)

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return a term for each cell read; its weight is that of all samples together.

        The weights are made from the box: `weight_source` leads to its row.
        """
        g = BoxBins.of(given)
        box = g.box(index[0])
        rows, columns = (g.samples(box, axis, index[2 + axis]) for axis in (0, 1))
        counts = g.sampled(box)
        n = max(math.prod(counts), 1)
        positions, numbers = _block(g, box, index[1], rows.cells, columns.cells)
        terms = Terms.build(
            g.given.id("input"),
            positions,
            numbers,
            np.outer(rows.weights, columns.weights) / n,
            weight_source=box.source,
            weight_position=box.position + given.recording.values[box.source].shape[-1] - 4,
            arrangement=(1, *numbers.shape) if numbers.size else None,
        )
        return Account.of_sum(
            terms,
            magnitude=_unsteadiness(g, box, index[1], (rows, columns), n),
            formula=f"sum of cell × bilinear weight, mean of {counts[0]}x{counts[1]} samples",
            note=g.note(index, box),
            inside="where it samples is a rounded number too",
        )

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return the cells of the bins under the mask, and their boxes."""
        return _reads(BoxBins.of(given), mask)

    def cost(self, given: Arguments) -> Cost:
        """Count four operations a sample, one for each cell around it."""
        g = BoxBins.of(given)
        boxes, *rest = given.output().shape
        samples = sum(math.prod(g.sampled(g.box(k))) for k in range(boxes))
        return Cost(operations=4 * samples * math.prod(rest))


def _unsteadiness(
    g: BoxBins, box: Box, channel: int, lines: tuple[BinSamples, BinSamples], count: int
) -> float:
    """Return how much a value moves with its samples' places, which are float32 too.

    A place is wrong by some roundings of the corner farther away, and the value by as much of the
    steps between the cells around it.
    """
    plane, moved = floats(g.x[box.picture, channel]), 0.0
    corners = g.on_map(box).abs()
    for axis, (line, other) in enumerate((lines, lines[::-1])):
        steps = np.abs(np.diff(plane, axis=axis)).take(other.cells, 1 - axis)
        steps = (steps if axis == 0 else steps.T) @ other.weights
        farther = max(float(corners[1 - axis]), float(corners[3 - axis]))
        moved += farther * line.steepness(steps) / count
    coarser = unit_roundoff(box.corners.dtype) / unit_roundoff(g.x.dtype)
    return moved * max(coarser, 1.0) if math.isfinite(moved) else 0.0


class RegionPooling:
    """value = the largest cell of a bin of a box whose corners are whole cells."""

    name = "region"
    exact = True

    def bind(self, recording: Recording, step: Step) -> Arguments:
        """Bind the call to the signature of the function, or of the operator."""
        return _bound(recording, step)

    def explain(self, given: Arguments, slot: int, index: tuple[int, ...]) -> Account:
        """Return a term for each cell of the bin; an empty bin gives 0."""
        g = BoxBins.of(given)
        box = g.box(index[0])
        rows, columns = (np.array(g.whole(box, a, index[2 + a]), np.int64) for a in (0, 1))
        positions, numbers = _block(g, box, index[1], rows, columns)
        note = g.note(index, box)
        formula = "argmax" if slot else "max"
        if not numbers.size:
            total = -1.0 if slot else 0.0
            note = f"chosen: no cell lies in this bin, so {total:g}; {note}"
            return Account("chosen", Terms.none(), total, exact=True, formula=formula, note=note)
        winner = int(numbers.argmax())
        plane = g.x.shape[2] * g.x.shape[3]
        total = float(positions.reshape(-1)[winner] % plane) if slot else float(numbers.max())
        return Account.of_choice(
            g.given.id("input"),
            positions,
            numbers,
            winner,
            total,
            formula=formula,
            note=f"chosen: the largest of {numbers.size} cells; {note}",
            arrangement=(1, *numbers.shape),
        )

    def reads(self, given: Arguments, slot: int, mask: Tensor) -> dict[int, Tensor]:
        """Return the cells of the bins under the mask, and their boxes."""
        return _reads(BoxBins.of(given), mask)

    def cost(self, given: Arguments) -> Cost:
        """Count one operation for each cell read by each bin."""
        g = BoxBins.of(given)
        boxes, channels, *bins = given.output().shape
        cells = 0
        for k in range(boxes):
            box = g.box(k)
            cells += math.prod(
                sum(len(g.whole(box, axis, bin)) for bin in range(bins[axis])) for axis in (0, 1)
            )
        return Cost(operations=channels * cells)


def _reads(g: BoxBins, mask: Tensor) -> dict[int, Tensor]:
    """Return cells for bins, along rows and then along columns, box by box."""
    recording, map_id = g.given.recording, g.given.id("input")
    wanted = masks.narrow(mask)
    wanted = wanted.expand(*mask.shape[:1], *wanted.shape[1:2], *mask.shape[2:])
    if bool((wanted == wanted[:, :1]).all()):
        wanted = wanted[:, :1]  # a whole layer is asked for: all channels read the same cells
    lead = (g.x.shape[0], wanted.shape[1])
    found = torch.zeros(*lead, *g.x.shape[2:], dtype=torch.bool)
    boxes: dict[int, Tensor] = {}
    for k in wanted.flatten(1).any(1).nonzero().flatten().tolist():
        box = g.box(k)
        read, rows, columns = _read_by_box(g, box, wanted[k].to(torch.float32))
        found[box.picture][:, rows, columns] |= read > 0
        shape = recording.values[box.source].shape
        theirs = boxes.setdefault(box.source, torch.zeros(shape, dtype=torch.bool))
        theirs[box.position // shape[-1]] = True
    return {map_id: found.expand(g.x.shape), **boxes}


def _read_by_box(g: BoxBins, box: Box, read: Tensor) -> tuple[Tensor, slice, slice]:
    """Return a mask (channels, *bins) as cells, and the rows and columns of these."""
    cells, under = _cells(g), []
    for axis in (0, 1):
        of_bins = [list(cells(box, axis, bin)) for bin in range(g.bins[axis])]
        all_cells = [cell for of_bin in of_bins for cell in of_bin]
        first, last = min(all_cells, default=0), max(all_cells, default=-1)
        matrix = torch.zeros(g.bins[axis], last + 1 - first)
        for bin, of_bin in enumerate(of_bins):
            matrix[bin, [cell - first for cell in of_bin]] = 1
        read = (read.movedim(1 + axis, -1) @ matrix).movedim(-1, 1 + axis)
        under.append(slice(first, last + 1))
    return read, under[0], under[1]
