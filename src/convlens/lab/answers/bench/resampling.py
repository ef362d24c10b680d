"""Seat a resampling: both maps, and along each axis what every output takes of the inputs."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from convlens.lab.answers.bench.seats import Benched, Seats, Unseated
from convlens.lens.kinds.arguments import Arguments
from convlens.lens.kinds.regions import BoxBins
from convlens.lens.terms import PADDING

_SIGNATURE = (
    "input, size=None, scale_factor=None, mode='nearest', align_corners=None, "
    "recompute_scale_factor=None, antialias=False"
)
_LINEAR = ("linear", "bilinear", "trilinear")
_LARGEST = 2**24  # numbers of the matrix that one axis is found by


def resampled(number: Benched, seats: Seats) -> None:
    """Seat the map before and after, and a table of taps (outputs, taps, 2) for each axis.

    A box that is aligned has bins for outputs. A tap is the place of an input and its weight; rows
    with fewer taps end with place -1 and weight 0. A number is the sum of its inputs, each times a
    weight of every axis.
    """
    step, recording = number.step, number.recording
    if math.isnan(number.explanation.total):
        raise Unseated("0 times what is not finite is NaN, and the table has no taps of 0")
    if step.op == "roi_align":
        _aligned(number, seats)
        return
    source = recording.values[step.inputs[0]]
    if step.op not in ("interpolate", "upsample"):
        raise Unseated(f"`{step.op}` is an operator beneath, whose arguments have other names")
    given = Arguments.of(recording, step, _SIGNATURE)
    lead = number.index[:2]
    seats.map("in", source, lead)
    seats.map("out", number.value, lead)
    dtype = torch.float64 if source.dtype == torch.float64 else torch.float32
    tables = []
    for axis, (n, outputs) in enumerate(zip(source.shape[2:], number.value.shape[2:], strict=True)):
        if n * outputs > _LARGEST:
            raise Unseated(f"an axis of {n} places is too long for a table of what it takes")
        tables.append(_taps(_matrix(given, axis, torch.eye(n, dtype=dtype), outputs)))
    _lay_tables(seats, tables)


def _lay_tables(seats: Seats, tables: list[Tensor]) -> None:
    """Seat the table of every axis."""
    for table in tables:
        seats.add("taps", table)
    seats.detail["taps"] = [table.shape[1] for table in tables]


def _aligned(number: Benched, seats: Seats) -> None:
    """Seat the map under a box, the bins of the box, and what each bin takes of the cells."""
    g = BoxBins.of(number.given)
    box = g.box(number.index[0])
    seats.map("in", number.given.value("input"), (box.picture, number.index[1]))
    seats.map("out", number.value, number.index[:2])
    tables = []
    for axis, bins in enumerate(g.bins):
        matrix = torch.zeros(bins, g.x.shape[2 + axis], dtype=torch.float64)
        for bin in range(bins):
            samples = g.samples(box, axis, bin)
            mean = samples.weights / max(g.sampled(box)[axis], 1)
            matrix[bin, torch.from_numpy(samples.cells)] = torch.from_numpy(mean)
        tables.append(_taps(matrix))
    _lay_tables(seats, tables)


def _matrix(given: Arguments, axis: int, units: Tensor, outputs: int) -> Tensor:
    """Return the matrix (outputs, inputs) of one axis: what the step makes of units along it."""
    mode, factor = given["mode"], given["scale_factor"]
    scaled = factor is not None and not given["recompute_scale_factor"]
    along = factor[axis] if isinstance(factor, list | tuple) else factor
    size, scales = (None, [float(along)]) if scaled else ([outputs], None)
    lines, antialias = units[None], bool(given["antialias"])
    if mode == "bicubic" or antialias:
        # torch has these for planes alone, and resamples no plane of one column: this has one row.
        lines = lines[:, :, None]
        size, scales = size and [1, *size], scales and [1.0, *scales]
    elif mode in _LINEAR:
        mode = "linear"
    with torch.no_grad():
        made = F.interpolate(lines, size, scales, mode, given["align_corners"], antialias=antialias)
    return made.reshape(units.shape[0], outputs).T


def _taps(matrix: Tensor) -> Tensor:
    """Return places and weights of the entries of each row that are not 0: (rows, taps, 2)."""
    entries = matrix.numpy()
    rows, places = np.nonzero(entries)
    firsts = np.searchsorted(rows, np.arange(len(entries)))
    ranks = np.arange(len(rows)) - firsts[rows]
    table = np.zeros((len(entries), int(ranks.max(initial=-1)) + 1, 2), entries.dtype)
    table[..., 0] = PADDING
    table[rows, ranks] = np.stack([places, entries[rows, places]], 1)
    return torch.from_numpy(table)
