"""Masks of outlines and of run lengths are those of pycocotools, pixel for pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_masks

from convlens.learn.data.outlines import fifths, fill_counts, fill_outline, read_letters
from convlens.learn.data.run_lengths import run_lengths

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # of pycocotools


def theirs(points: list[float], h: int, w: int) -> NDArray[np.bool_]:
    decoded: Any = coco_masks.decode(coco_masks.frPyObjects([points], h, w))
    return np.asarray(decoded[:, :, 0], bool)


def filled(points: list[float], h: int, w: int) -> NDArray[np.bool_]:
    mask = np.zeros((h, w), bool)
    fill_outline(mask, fifths(points))
    return mask


@pytest.mark.parametrize("kind", ["whole", "real", "far", "degenerate", "small"])
def test_outlines_are_filled_as_by_pycocotools(kind: str) -> None:
    random = np.random.default_rng(len(kind))
    differs = 0
    for _ in range(300):
        h, w = (int(n) for n in random.integers(1, 60, 2))
        count = int(random.integers(3, 12))
        points = random.random((count, 2)) * (w, h)
        if kind == "whole":
            points = np.rint(points)
        elif kind == "far":
            points = points * 3 - (w, h)
        elif kind == "degenerate":
            points[1] = points[0]
            points[2:4, 0] = points[0, 0]
        elif kind == "small":
            points = points / 20 + (w / 2, h / 2)
        outline = points.reshape(-1).tolist()
        expected = theirs(outline, h, w)
        assert np.array_equal(filled(outline, h, w), expected)
        moved = filled((points + 1).reshape(-1).tolist(), h, w)
        differs += not np.array_equal(moved, expected)
    assert differs > 30


def test_a_large_circle() -> None:
    angle = np.linspace(0, 2 * np.pi, 500)
    points = np.stack([320 + 250.3 * np.cos(angle), 240 + 200.7 * np.sin(angle)], 1).reshape(-1)
    assert np.array_equal(filled(points.tolist(), 480, 640), theirs(points.tolist(), 480, 640))


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ([1, 2, 3, 4], "4 numbers has no area"),
        ([1, 2, 3, 4, 5, 6, 7], "7 numbers has no area"),
        ([1, 2, 3, 4, 5, float("nan")], "not numbers, or far away"),
        ([1, 2, 3, 4, 5, 1e30], "not numbers, or far away"),
    ],
)
def test_outlines_that_are_none(points: list[float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        fifths(points)


def test_a_long_way_round_takes_no_memory() -> None:
    with pytest.raises(ValueError, match="longer than that of any picture"):
        filled([0, 0, 1e7, 1e7, 0, 1e7, 1e7, 0], 2, 2)


@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 1.0])
def test_compressed_text_is_read_as_it_was_written(density: float) -> None:
    random = np.random.default_rng(1)
    for _ in range(60):
        expected = random.random(random.integers(1, 70, 2)) < density
        expected = expected.repeat(random.integers(1, 40), 0)
        letters = coco_masks.encode(np.asfortranarray(expected.astype(np.uint8)))["counts"]
        assert run_lengths(expected)["counts"] == letters.decode()
        mask = np.zeros(expected.shape, bool)
        fill_counts(mask, read_letters(letters.decode()))
        assert np.array_equal(mask, expected)


@pytest.mark.parametrize("letters", ["", "!", "1z", "né", "oooooooooooo1", "P"])
def test_texts_that_are_none(letters: str) -> None:
    with pytest.raises(ValueError, match="the run lengths are"):
        read_letters(letters)
