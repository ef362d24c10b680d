"""Labels are drawn where they are, and a sheet has a row for each augmentation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from convlens.draw.samples import draw_sample, draw_sheet
from convlens.learn.augmenting.flipping import Mirror
from convlens.learn.augmenting.sheet import SheetRow, made_up_sample, sheet_rows
from convlens.learn.data.samples import ClipSample, Labelled, Mapped


def test_labels_are_drawn_at_their_places_and_nowhere_else() -> None:
    sample = made_up_sample()
    plain = np.array(draw_sample(Labelled("a", sample.picture, 0), 2)).astype(int)
    drawn = np.array(draw_sample(sample, 2)).astype(int)
    assert drawn.shape == (192, 192, 3)
    changed = np.abs(drawn - plain).max(2) > 0
    assert sample.masks is not None
    masks = sample.masks.any(0).numpy().repeat(2, 0).repeat(2, 1)
    assert changed[masks].mean() > 0.95
    assert not changed[60:76, 2:14].any()  # left of all figures
    bare = replace(sample, masks=None, points=None)
    assert 0 < (np.array(draw_sample(bare, 2)) != plain).mean() < changed.mean()


def test_pixels_without_a_label_are_dark() -> None:
    picture = torch.full((1, 6, 8), 90, dtype=torch.uint8)
    labels = torch.zeros(6, 8, dtype=torch.uint8)
    labels[:, 6:] = 255
    drawn = np.array(draw_sample(Mapped("a", picture, labels)))
    assert drawn[:, 7].max() < 90


def test_of_a_clip_the_middle_frame_is_drawn() -> None:
    frames = torch.arange(2, dtype=torch.uint8).reshape(2, 1, 1, 1).expand(2, 3, 4, 5) * 9
    assert np.array(draw_sample(ClipSample("a", frames, 0))).min() == 9


def test_a_sheet_has_a_row_for_each_augmentation() -> None:
    sample = made_up_sample(48)
    rows = (*sheet_rows(sample, (Mirror(),), (1.0, 1.0)), SheetRow("none", "do nothing", ()))
    one = draw_sheet(sample, rows[:1], ["a", "b"], side=48)
    both = draw_sheet(sample, rows, ["a", "b"], side=48)
    assert both.width == one.width
    assert both.height == one.height + 48 + 6
    assert draw_sheet(sample, rows, ["a", "b"], side=96).width > both.width
