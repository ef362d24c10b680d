"""Run lengths are those of pycocotools."""

from __future__ import annotations

import numpy as np
import pytest

from convlens.learn.data.run_lengths import run_lengths


@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_run_lengths_are_pycocotools(density: float) -> None:
    from pycocotools import mask as coco_masks

    random = np.random.default_rng(0)
    for _ in range(100):
        mask = random.random(random.integers(1, 70, 2)) < density
        mask = mask.repeat(random.integers(1, 30), 0)
        theirs = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
        expected = {"size": theirs["size"], "counts": theirs["counts"].decode()}
        assert run_lengths(mask) == expected
        if mask.size > 1:
            other = mask.copy()
            other.flat[mask.size // 2] ^= True
            assert run_lengths(other) != expected
