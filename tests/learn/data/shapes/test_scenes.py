"""Boxes, masks, maps and points of a scene agree with what was painted, in its order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convlens.learn.data.shapes import scenes
from convlens.learn.data.shapes.dice import Dice
from convlens.learn.data.shapes.figures import FIGURES, POINTS, points_of
from convlens.learn.data.shapes.scenes import Scene, colour, ground, scene


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was painted, in order: each figure, its window, its share, its whole mask."""
    kept: list[Any] = []
    place = scenes._placed

    def keeping(*args: Any) -> Any:
        found = place(*args)
        kept.extend([found] if found else [])
        return found

    monkeypatch.setattr(scenes, "_placed", keeping)
    return kept


def crowded(number: int, hard: float = 0.5, most: int = 12) -> Scene:
    return scene(Dice(5, number), 96, hard, most=most)


def test_the_map_is_what_painting_one_over_the_other_leaves(placed: list[Any]) -> None:
    overlaps = 0
    for number in range(30):
        placed.clear()
        found = crowded(number)
        painted, backwards = np.zeros((96, 96), np.uint8), np.zeros((96, 96), np.uint8)
        for target, figures in ((painted, placed), (backwards, placed[::-1])):
            for figure, _, _, mask in figures:
                target[mask] = figure.kind + 1
        assert np.array_equal(found.map(), painted)
        overlaps += not np.array_equal(painted, backwards)
    assert overlaps > 10  # so that the order matters


def test_boxes_are_the_edges_of_the_masks() -> None:
    for number in range(30):
        found = crowded(number)
        for box, mask in zip(found.boxes().tolist(), found.masks, strict=True):
            rows, columns = np.nonzero(mask)
            assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            x1, y1, x2, y2 = box
            assert 0 <= x1 < x2 <= 96
            assert 0 <= y1 < y2 <= 96
            assert min(x2 - x1, y2 - y1) >= 3


@pytest.mark.parametrize(("size", "hard"), [(48, 1.0), (96, 0.0), (130, 0.6)])
def test_every_scene_has_a_figure_and_each_keeps_two_thirds(
    placed: list[Any], size: int, hard: float
) -> None:
    for number in range(40):
        placed.clear()
        found = scene(Dice(9, number), size, hard, most=1 + number % 9)
        assert 1 <= len(found.labels) <= 1 + number % 9
        assert (found.masks.sum(0) <= 1).all()
        for mask, (_, _, _, whole) in zip(found.masks, placed, strict=True):
            assert mask.sum() >= max(20, 0.67 * whole.sum())


def test_points_are_the_arrows_and_hidden_under_later_figures(placed: list[Any]) -> None:
    seen = {0: 0, 1: 0, 2: 0}
    for number in range(150):
        placed.clear()
        found = crowded(number)
        for k, (figure, _, _, _) in enumerate(placed):
            points = found.points[k]
            if FIGURES[figure.kind] != "arrow":
                assert not points.any()
                continue
            for (x, y, visibility), place in zip(points, points_of(figure), strict=True):
                later = [mask for *_, mask in placed[k + 1 :]]
                outside = place.min() < 0 or place.max() >= 96
                wanted = 0 if outside else 2
                if not outside and any(mask[int(place[1]), int(place[0])] for mask in later):
                    wanted = 1
                assert visibility == wanted
                assert (x, y) == (pytest.approx(tuple(place), abs=1e-4) if wanted else (0, 0))
                seen[wanted] += 1
    assert min(seen.values()) > 3
    assert found.points.shape[1:] == (len(POINTS), 3)


def test_a_harder_scene_has_less_contrast_and_smaller_figures() -> None:
    def contrast(hard: float) -> tuple[float, float]:
        differences, areas = [], []
        for number in range(60):
            found = scene(Dice(1, number), 96, hard, most=1)
            mask = found.masks[0]
            picture = found.picture.astype(float)
            inside, outside = picture[:, mask].mean(1), picture[:, ~mask].mean(1)
            differences.append(np.abs(inside - outside).sum())
            areas.append(mask.sum())
        return float(np.mean(differences)), float(np.mean(areas))

    (strong, large), (weak, small) = contrast(0), contrast(1)
    assert strong > 1.1 * weak
    assert large > 1.2 * small


def test_colours_keep_their_distance_from_every_ground() -> None:
    dice = Dice(0, 0)
    for base in (np.array([0.0, 0, 0]), np.array([127.0, 128, 128]), np.array([255.0, 0, 127])):
        for _ in range(50):
            assert np.abs(colour(dice, base, 200) - base).sum() > 200
        assert np.abs(colour(dice, base, 381) - base).sum() > 381  # hardly ever drawn by chance


def test_a_ground_varies_about_its_colour() -> None:
    pixels, base = ground(Dice(0, 3), 96)
    assert pixels.shape == (96, 96, 3)
    assert pixels.dtype == np.float32
    assert np.abs(pixels.mean((0, 1)) - base).max() < 40
    assert pixels.std((0, 1)).min() > 10
