"""Masks go forwards through boxes on a map exactly as `reads` takes them back."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from convlens.lens import record
from convlens.lens.kinds import bound
from convlens.lens.kinds.forward import forward
from convlens.zoo.detection.regions import roi_align, roi_pool

X = torch.arange(2 * 2 * 6 * 7.0).reshape(2, 2, 6, 7)
BOXES = torch.tensor(
    [
        [1.0, 0.5, 1.2, 4.0, 5.0],
        [0.0, -3.0, -3.0, 2.0, 2.5],
        [0.0, 2.0, 2.0, 2.0, 2.0],
        [1.0, 5.5, 4.0, 9.0, 9.0],
        [0.0, 8.5, 8.5, 12.0, 12.0],
    ]
)


@pytest.mark.parametrize(
    "call",
    [
        lambda x, b: roi_align(x, b, 2, 1.0, 2),
        lambda x, b: roi_align(x, b, (2, 3), 0.7, -1),
        lambda x, b: roi_align(x, b, (3, 2), 0.5, -1, True),
        lambda x, b: roi_align(x, [b[:, 1:], b[:2, 1:]], 2, 1.0, 1, True),
        lambda x, b: roi_pool(x, b, 2, 0.8),
        lambda x, b: roi_pool(x, b, (3, 1), 1.0),
    ],
)
@pytest.mark.parametrize("alike", [True, False])
def test_bins_are_filled_by_the_cells_they_read(
    call: Callable[[Tensor, Tensor], Tensor], alike: bool
) -> None:
    seen = record(call, X, BOXES)
    step = seen.steps[-1]
    kind, given = bound(seen, step)
    shape = seen.values[step.outputs[0]].shape
    one = torch.zeros(math.prod(shape), dtype=torch.bool)
    reads = []
    for o in range(one.numel()):
        one[o] = True
        reads.append(kind.reads(given, 0, one.view(shape)))
        one[o] = False
    generator = torch.Generator().manual_seed(1)
    for id in {id for read in reads for id in read}:
        size = seen.values[id].shape
        for share in (0.0, 0.02, 0.1, 1.0):
            held = torch.rand(size, generator=generator) < share
            if alike and len(size) == 4:
                held[:] = held[:, :1]
            truth = torch.tensor(
                [id in read and bool((read[id] & held).any()) for read in reads]
            ).view(shape)
            got = forward(seen, step, 0, {id: held})
            assert torch.equal(got.mask, truth)
            assert got.exact


def test_no_boxes_are_filled_by_nothing() -> None:
    seen = record(lambda x, b: roi_align(x, b, 2, 1.0, 2), X, BOXES[:0])
    held = torch.ones(X.shape, dtype=torch.bool)
    assert forward(seen, seen.steps[-1], 0, {0: held}).mask.shape == (0, 2, 2, 2)
