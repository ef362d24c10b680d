"""Boxes match true ones by their overlap, and are drawn at random."""

from __future__ import annotations

import torch

from convlens.zoo.detection.matching import Sampling, draw, match


def test_matching_and_drawing() -> None:
    true = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    boxes = torch.tensor([[0.0, 0, 10, 8], [0, 0, 10, 5], [20, 0, 30, 2], [50, 50, 60, 60]])
    strict = Sampling(0.7, 0.3, 4, 0.5)
    assert match(true, boxes, strict).tolist() == [0, -2, -1, -1]
    # The second has no better box than one that overlaps it by 0.2.
    best_too = Sampling(0.7, 0.3, 4, 0.5, best_too=True)
    assert match(true, boxes, best_too).tolist() == [0, -2, 1, -1]
    assert match(true[:0], boxes, strict).tolist() == [-1] * 4
    labels = torch.tensor([1, 0, -1, 2, 0, 3, 0])
    positive, negative = draw(labels, strict)
    assert len(positive) == 2
    assert len(negative) == 2
    assert (labels[positive] > 0).all()
    assert (labels[negative] == 0).all()
    none, rest = draw(torch.tensor([0, 0]), strict)
    assert none.tolist() == []
    assert rest.tolist() == [0, 1]
