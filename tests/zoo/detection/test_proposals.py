"""Anchors equal those worked out by hand."""

from __future__ import annotations

import torch

from convlens.zoo.detection.proposals import anchors


def test_anchors_by_hand() -> None:
    levels = [torch.zeros(1, 1, 2, 1), torch.zeros(1, 1, 1, 1)]
    found = anchors([[32], [64]], (64, 32), levels)
    # 32 x 32 pixels: 45 x 23 lying and 23 x 45 standing; the second row is 32 pixels below.
    about = [[-23, -11, 23, 11], [-16, -16, 16, 16], [-11, -23, 11, 23]]
    below = [[x1, y1 + 32, x2, y2 + 32] for x1, y1, x2, y2 in about]
    assert found[:6].tolist() == about + below
    assert found[7].tolist() == [-32, -32, 32, 32]
