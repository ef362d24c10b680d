"""Maps tint the picture, and their legend has their shares."""

from __future__ import annotations

import numpy as np
import pytest

from convlens.draw import drawn, drawn_map
from convlens.draw.colours import category_colour
from convlens.draw.segments import legend
from convlens.learn.predicting.predictions import Prediction
from convlens.learn.sources.pictures.picture import Picture
from convlens.zoo import weights
from tests.cases.drawings import has, pixels, plain


def segmented() -> tuple[Picture, Prediction]:
    map_ = np.zeros((240, 320), np.uint8)
    map_[:, :80], map_[200:, 80:] = 8, 15
    return plain(), Prediction(
        "a", 320, 240, map=map_, categories=weights("fcn_resnet50").categories
    )


def test_segments_are_tinted_and_the_background_is_not() -> None:
    picture, said = segmented()
    image = pixels(drawn(picture, said))
    assert (image[50:150, 100:300] == 90).all()
    mixed = (np.full(3, 90) * 7 + np.array(category_colour(8)) * 9) // 16
    assert has(image[:240, 2:70], tuple(mixed.tolist())).all()
    assert has(image[:190, 79], (245, 246, 248)).all()  # where two meet
    assert has(image[240:], category_colour(15)).any()  # in the legend


def test_the_legend_has_only_what_is_there_with_its_share() -> None:
    _, said = segmented()
    bars = legend(said, 8)
    assert [bar.name for bar in bars] == ["cat", "person", "background"]
    assert [bar.value for bar in bars] == pytest.approx([0.25, 0.125, 0.625])
    many = Prediction(
        "a", 21, 1, map=np.arange(21, dtype=np.uint8)[None], categories=said.categories
    )
    bars = legend(many, 6)
    assert len(bars) == 6
    assert [bar.name for bar in bars[-2:]] == ["16 more", "background"]
    assert sum(bar.value for bar in bars) == pytest.approx(1)


def test_a_map_as_a_palette_picture_holds_the_numbers_and_the_colours() -> None:
    _, said = segmented()
    image = drawn_map(said)
    assert image.mode == "P"
    assert np.array_equal(np.asarray(image), said.map if said.map is not None else 0)
    shown = np.asarray(image.convert("RGB"))
    assert tuple(shown[10, 10]) == category_colour(8)
    assert tuple(shown[10, 200]) == (0, 0, 0)
    with pytest.raises(ValueError, match="must have a map"):
        drawn_map(Prediction("a", 2, 2))
