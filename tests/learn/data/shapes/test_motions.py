"""A clip shows the motion that it is named after."""

from __future__ import annotations

import numpy as np
import pytest

from convlens.learn.data.shapes.dice import Dice
from convlens.learn.data.shapes.motions import MIRRORED, MOTIONS, clip


def drift(motion: str, place: int) -> tuple[float, float]:
    """How far what a frame has and the others lack moves from the first frame to the last."""
    frames = clip(Dice(2, place), MOTIONS.index(motion), 48, 0.0, 8).astype(float)
    usual = np.median(frames, 0)
    centres = []
    for frame in (frames[0], frames[-1]):
        rows, columns = np.nonzero(np.abs(frame - usual).sum(0) > 90)
        centres.append((columns.mean(), rows.mean()))
    (x1, y1), (x2, y2) = centres
    return float(x2 - x1), float(y2 - y1)


@pytest.mark.parametrize(
    ("motion", "axis", "sign"), [("left", 0, -1), ("right", 0, 1), ("up", 1, -1), ("down", 1, 1)]
)
def test_a_figure_moves_the_way_it_is_named(motion: str, axis: int, sign: int) -> None:
    drifts = [drift(motion, place) for place in range(8)]
    along = [sign * each[axis] for each in drifts]
    across = [abs(each[1 - axis]) for each in drifts]
    assert min(along) > 2
    assert np.mean(along) > 3 * np.mean(across)


@pytest.mark.parametrize("motion", ["clockwise", "anticlockwise"])
def test_a_turning_figure_stays_where_it_is_and_changes(motion: str) -> None:
    assert np.mean([np.abs(drift(motion, place)).max() for place in range(8)]) < 4
    frames = clip(Dice(2, 0), MOTIONS.index(motion), 48, 0.0, 8).astype(float)
    assert np.abs(frames[0] - frames[-1]).sum(0).max() > 150


def test_the_two_turns_are_each_others_time_reversed() -> None:
    """All else of a clip is drawn alike, but for the noise of each frame, of deviation 4."""
    there = clip(Dice(4, 1), MOTIONS.index("clockwise"), 64, 0.0, 6).astype(float)
    back = clip(Dice(4, 1), MOTIONS.index("anticlockwise"), 64, 0.0, 6).astype(float)
    assert (np.abs(there - back[::-1]) > 50).sum() == 0
    assert (np.abs(there - back) > 50).sum() > 50


def test_motions_that_a_mirror_swaps() -> None:
    assert [(MOTIONS[a], MOTIONS[b]) for a, b in MIRRORED] == [
        ("left", "right"),
        ("clockwise", "anticlockwise"),
    ]
