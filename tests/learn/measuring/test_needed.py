"""Only what cannot matter is left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convlens.learn.measuring.needed import best_of_each_class, mask_overlaps
from convlens.zoo.detection.masks import paste_masks


@pytest.mark.parametrize("width", [64, 61, 7])
@pytest.mark.parametrize("seed", range(3))
def test_masks_that_are_left_out_overlap_too_little(width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    size, k, m = (40, width), 60, 8
    ends = np.sort(random.uniform(0, [width, 40], (k, 2, 2)), 1).reshape(k, 4)
    boxes = torch.tensor(ends, dtype=torch.float32)
    masks = torch.rand(k, 1, 9, 9, generator=torch.Generator().manual_seed(seed)) * 0.5 + 0.35
    true = paste_masks(masks[:m], boxes[:m] * 0.99, size)[:, 0] >= 0.5
    true[-1] = False
    crowd = np.arange(m) % 3 == 1
    same = torch.tensor(random.random((k, m)) < 0.9)
    near = mask_overlaps(masks, boxes, true, crowd, same)
    whole = mask_overlaps(paste_masks(masks, boxes, size), None, true, crowd, same)
    assert near == whole
    assert len(near[0]) >= 5
    pairs = {}
    pasted = paste_masks(masks, boxes, size)[:, 0] >= 0.5
    for i, j in same.nonzero().tolist():
        shared = int((pasted[i] & true[j]).sum())
        either = int(pasted[i].sum() if crowd[j] else (pasted[i] | true[j]).sum())
        if shared and shared / either >= 0.5:
            pairs[i, j] = shared / either
    assert dict(zip(zip(*near[:2], strict=True), near[2], strict=True)) == pairs


def test_the_best_of_each_class_are_kept_in_order() -> None:
    random = np.random.default_rng(0)
    labels, scores = random.integers(0, 4, 200), random.integers(0, 9, 200) / 9
    kept = best_of_each_class(labels, scores, 7)
    expected = []
    for label in range(4):
        places = [i for i in range(200) if labels[i] == label]
        expected += sorted(places, key=lambda i: -scores[i])[:7]
    assert kept.tolist() == sorted(expected)
    assert kept.tolist() != sorted(expected)[::-1]
