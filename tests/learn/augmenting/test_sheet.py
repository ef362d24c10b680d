"""Rows of a sheet show changes only, and the grid holds every picture."""

from __future__ import annotations

import numpy as np
import torch

from convlens.learn.augmenting.applying import AUGMENTATIONS
from convlens.learn.augmenting.flipping import Mirror
from convlens.learn.augmenting.sheet import grid, made_up_sample, sheet_rows
from tests.cases.figures_of_samples import box_in


def test_every_draw_of_every_row_changes_the_sample() -> None:
    sample = made_up_sample(48)
    rows = sheet_rows(sample, AUGMENTATIONS, (0.5, 1.0), seed=3)
    assert [row.name for row in rows] == [one.name for one in AUGMENTATIONS]
    for row in rows:
        assert len(row.samples) == 2
        assert all(one is not sample for one in row.samples)
    again = sheet_rows(sample, AUGMENTATIONS[3:5], (0.5, 1.0), seed=3)
    assert torch.equal(again[1].samples[1].picture, rows[4].samples[1].picture)


def test_a_row_that_cannot_change_is_empty() -> None:
    [row] = sheet_rows(made_up_sample(48), (Mirror(chance=0),), (1.0,))
    assert row.samples == ()


def test_the_made_up_figures_fit_together() -> None:
    sample = made_up_sample()
    assert sample.masks is not None
    assert sample.points is not None
    for mask, box, area in zip(sample.masks, sample.boxes, sample.area, strict=True):
        assert torch.equal(box, box_in(mask))
        assert area == mask.sum()
    assert int(sample.masks.sum(0).max()) == 1
    assert sample.points[:2, :, 2].tolist() == [[2] * 4] * 2
    assert not sample.points[2].any()
    for box, points in zip(sample.boxes[:2], sample.points[:2], strict=True):
        assert (points[:, :2] >= box[:2] - 1).all()
        assert (points[:, :2] <= box[2:] + 1).all()


def test_a_grid_holds_every_picture_in_the_middle_of_its_cell() -> None:
    wide, high = np.full((2, 6, 3), 50, np.uint8), np.full((4, 2, 3), 90, np.uint8)
    sheet = grid([[wide, high], [high]], gap=1, ground=7)
    assert sheet.shape == (1 + 4 + 1 + 4 + 1, 1 + 6 + 1 + 2 + 1, 3)
    assert (sheet[2:4, 1:7] == 50).all()
    assert (sheet[1:5, 8:10] == 90).all()
    assert (sheet[6:10, 3:5] == 90).all()
    assert (sheet == 7).sum() == sheet.size - wide.size - 2 * high.size
    assert grid([]).shape == (4, 4, 3)
