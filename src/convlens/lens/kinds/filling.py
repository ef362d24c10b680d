"""Carry masks forwards through boxes on a map: the bins that read a masked cell, box by box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from convlens.lens import masks
from convlens.lens.kinds.arguments import Arguments
from convlens.lens.kinds.regions import Aligning, Box, BoxBins, RegionPooling


def filled(
    kind: Aligning | RegionPooling, given: Arguments, slot: int, held: Mapping[int, Tensor]
) -> Tensor:
    """Return the bins that read a masked cell, and all bins of a box that is masked itself."""
    g, out = BoxBins.of(given), given.output(slot).shape
    boxes = [g.box(k) for k in range(out[0])]
    found = torch.zeros(out, dtype=torch.bool)
    cells = held.get(given.id("input"))
    if cells is not None and boxes:
        found |= _over(g, boxes, cells)
    for k, box in enumerate(boxes):
        theirs = held.get(box.source)
        if theirs is not None:
            found[k] |= bool(theirs[box.position // theirs.shape[-1]].any())
    return found


def _over(g: BoxBins, boxes: Sequence[Box], cells: Tensor) -> Tensor:
    """Return the bins over the masked cells; one channel of them where all are equal."""
    rows, columns = (_members(g, boxes, axis).to(torch.float32) for axis in (0, 1))
    pictures = torch.tensor([box.picture for box in boxes])
    cells = masks.narrow(cells)
    cells = cells.expand(g.x.shape[0], cells.shape[1], *g.x.shape[2:])
    under = torch.zeros(len(boxes), cells.shape[1], *g.bins, dtype=torch.bool)
    seen: list[int] = []
    for channel in cells.any(-1).any(-1).any(0).nonzero().flatten().tolist():
        twin = seen[0] if seen and torch.equal(cells[:, channel], cells[:, seen[0]]) else None
        if twin is not None:
            under[:, channel] = under[:, twin]
            continue
        seen.append(channel)
        plane = cells[:, channel].to(torch.float32)[pictures]
        under[:, channel] = rows @ plane @ columns.transpose(1, 2) > 0
    return under


def _members(g: BoxBins, boxes: Sequence[Box], axis: int) -> Tensor:
    """Return which cells each bin of each box reads along an axis, (boxes, bins, cells)."""
    members = torch.zeros(len(boxes), g.bins[axis], g.x.shape[2 + axis], dtype=torch.bool)
    if g.given.step.op == "roi_pool":
        for k, box in enumerate(boxes):
            for bin in range(g.bins[axis]):
                members[k, bin, list(g.whole(box, axis, bin))] = True
        return members
    corners = torch.stack([g.on_map(box) for box in boxes])
    sides = torch.stack([g.sides(box) for box in boxes])[:, 1 - axis]
    counts = torch.tensor([g.sampled(box)[axis] for box in boxes])
    for count in counts.unique().tolist():
        some = counts == count
        length = sides[some] / g.bins[axis]
        steps = (torch.arange(count) + 0.5).to(length.dtype) * length[:, None] / max(count, 1)
        first = corners[some, 1 - axis, None] + torch.arange(g.bins[axis]) * length[:, None]
        members[some] = _around(first[:, :, None] + steps[:, None], members.shape[2])
    return members


def _around(at: Tensor, size: int) -> Tensor:
    """Return the cells on either side of samples at (boxes, bins, samples), as `BinSamples` does.

    >>> _around(torch.tensor([[[0.5, 9.0]]]), 4).int().tolist()
    [[[1, 1, 0, 0]]]
    """
    low = at.clamp(0, size - 1).double().floor().long()
    high = (low + 1).clamp(max=size - 1)
    inside = ((at >= -1) & (at <= size)).to(torch.uint8)
    members = torch.zeros(*at.shape[:2], size, dtype=torch.uint8)
    for cells in (low, high):
        members.scatter_reduce_(2, cells, inside, "amax")
    return members.bool()
