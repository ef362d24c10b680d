"""A figure covers the pixels inside its outline, wherever it is and however it is turned."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from convlens.learn.data.shapes import figures
from convlens.learn.data.shapes.figures import FIGURES, PAIRS, POINTS, PlacedFigure, points_of


def covered(figure: PlacedFigure, size: int) -> NDArray[np.float32]:
    whole = np.zeros((size, size), np.float32)
    window, share = figure.cover(size)
    whole[window] = share
    return whole


def area(name: str) -> float:
    """The area in a circle of radius 1: of a polygon by the shoelace formula."""
    if name in figures._POLYGONS:
        corners = figures._POLYGONS[name]
        pairs = zip(corners, (*corners[1:], corners[0]), strict=True)
        return abs(sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairs)) / 2
    return math.pi * {"disc": 0.85, "ring": 0.55, "half": 0.425}[name]


@pytest.mark.parametrize("kind", range(8), ids=FIGURES)
def test_the_cover_has_the_area_of_the_outline(kind: int) -> None:
    for turn in (0.0, 0.4, 2.0):
        figure = PlacedFigure(kind, np.array([40.3, 50.8]), 30.0, turn)
        assert covered(figure, 96).sum() == pytest.approx(area(FIGURES[kind]) * 900, rel=0.01)


def by_angles(figure: PlacedFigure, x: float, y: float) -> bool:
    """Whether a polygon goes around a point: the angles to its corners sum to a whole turn."""
    cos, sin = math.cos(figure.turn), math.sin(figure.turn)
    placed = [
        (
            figure.centre[0] + figure.radius * (u * cos - v * sin),
            figure.centre[1] + figure.radius * (u * sin + v * cos),
        )
        for u, v in figures._POLYGONS[FIGURES[figure.kind]]
    ]
    total = 0.0
    for (ax, ay), (bx, by) in zip(placed, (*placed[1:], placed[0]), strict=True):
        step = math.atan2(by - y, bx - x) - math.atan2(ay - y, ax - x)
        total += (step + math.pi) % (2 * math.pi) - math.pi
    return abs(total) > math.pi


@pytest.mark.parametrize("name", ["star", "cross", "arrow"])
def test_each_pixel_is_the_share_of_its_four_samples(name: str) -> None:
    figure = PlacedFigure(FIGURES.index(name), np.array([3.7, 9.1]), 8.3, 1.1)
    wanted = [
        [
            sum(by_angles(figure, x + dx, y + dy) for dx in (0.25, 0.75) for dy in (0.25, 0.75)) / 4
            for x in range(16)
        ]
        for y in range(16)
    ]
    found = covered(figure, 16)
    assert np.array_equal(found, np.array(wanted, np.float32))
    turned = PlacedFigure(figure.kind, figure.centre, figure.radius, -figure.turn)
    assert not np.array_equal(covered(turned, 16), found)


@pytest.mark.parametrize("kind", range(8), ids=FIGURES)
def test_a_mirrored_figure_is_the_figure_turned_the_other_way(kind: int) -> None:
    figure = PlacedFigure(kind, np.array([20.0, 31.0]), 14.0, 0.7)
    mirrored = PlacedFigure(kind, np.array([64 - 20.0, 31.0]), 14.0, -0.7)
    difference = covered(figure, 64)[:, ::-1] - covered(mirrored, 64)
    assert np.abs(difference).sum() <= 4  # samples on an edge belong to one side of it


def test_points_change_places_in_a_mirror() -> None:
    arrow = FIGURES.index("arrow")
    points = points_of(PlacedFigure(arrow, np.array([20.0, 31.0]), 14.0, 0.7))
    mirrored = points_of(PlacedFigure(arrow, np.array([44.0, 31.0]), 14.0, -0.7))
    order = list(range(len(POINTS)))
    for a, b in PAIRS:
        order[a], order[b] = b, a
    swapped = mirrored[order] * [-1, 1] + [64, 0]
    assert swapped == pytest.approx(points)
    assert mirrored * [-1, 1] + [64, 0] != pytest.approx(points)


def test_points_are_on_the_outline_and_a_turn_is_clockwise() -> None:
    arrow = PlacedFigure(FIGURES.index("arrow"), np.array([48.0, 48.0]), 40.0, 0.3)
    points = points_of(arrow)
    cover = covered(arrow, 96)
    for x, y in points.astype(int).tolist():
        near = cover[y - 2 : y + 3, x - 2 : x + 3]
        assert near.min() == 0
        assert near.max() == 1
    assert points[0, 0] > 48  # the tip has moved to the right of straight up


def test_a_figure_across_the_edge_is_cut_off() -> None:
    whole = covered(PlacedFigure(2, np.array([40.0, 40.0]), 20.0, 0.2), 80)
    cut = covered(PlacedFigure(2, np.array([0.0, 40.0]), 20.0, 0.2), 80)
    assert np.array_equal(cut[:, :40], whole[:, 40:])
