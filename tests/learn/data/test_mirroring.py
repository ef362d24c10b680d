"""Which names change places in a mirror."""

from __future__ import annotations

import pytest

from convlens.learn.data.mirroring import mirrored


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["nose", "left_eye", "right_eye"], ((1, 2),)),
        (["Right Hand", "Left Hand", "right foot", "left foot"], ((0, 1), (2, 3))),
        (["LeftEar", "RightEar"], None),
        (["clockwise", "anticlockwise"], ((0, 1),)),
        (["counter-clockwise", "clockwise"], ((0, 1),)),
        (["turn clockwise", "turn counterclockwise", "stand"], ((0, 1),)),
        (["brightness", "leftover"], None),
        (["left_eye", "right_ear"], None),
        (["nose"], None),
        ([], None),
    ],
)
def test_pairs(names: list[str], pairs: tuple[tuple[int, int], ...] | None) -> None:
    assert mirrored(names) == pairs
