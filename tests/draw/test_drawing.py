"""A drawing shows the answer, legible and in its place, and all of the picture."""

from __future__ import annotations

import numpy as np
import pytest

from convlens.draw import drawn
from convlens.draw.colours import category_colour
from convlens.draw.fonts import font_of
from convlens.draw.lettering import fitted, text_width
from convlens.learn.predicting.predictions import Prediction
from convlens.learn.sources.pictures.picture import Picture
from tests.cases.drawings import classified, floats, has, pixels, plain


@pytest.mark.parametrize("size", [(240, 320), (320, 240), (1080, 1920), (700, 90)])
def test_the_picture_stays_as_it_is_beside_or_above_its_panel(size: tuple[int, int]) -> None:
    picture = Picture(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))
    image = drawn(picture, classified(*size, floats(0.9, 0.1), "cat", "dog"))
    h, w = size
    assert np.array_equal(pixels(image)[:h, :w], picture.pixels)
    assert image.height > h if w > h else image.width > w


def test_bars_are_as_long_as_their_scores() -> None:
    image = pixels(drawn(plain(), classified(240, 320, floats(0.8, 0.2), "cat", "dog")))
    first, second = (int(has(image, category_colour(n)).any(0).sum()) for n in (0, 1))
    assert first / second == pytest.approx(4, rel=0.06)
    full = pixels(drawn(plain(), classified(240, 320, floats(1.0, 0.0), "cat", "dog")))
    assert int(has(full, category_colour(0)).any(0).sum()) == pytest.approx(1.25 * first, abs=4)
    assert not has(full, category_colour(1)).any()


def test_long_names_end_in_an_ellipsis_and_leave_the_number() -> None:
    font = font_of(13)
    long = "a very long name of a category that nobody could read in time"
    assert text_width(fitted(long, font, 120), font) <= 120
    assert fitted(long, font, 120).endswith("...")
    assert fitted(long, font, 2) == ""
    short = pixels(drawn(plain(), classified(240, 320, floats(0.5), "x")))
    with_long = pixels(drawn(plain(), classified(240, 320, floats(0.5), long * 3)))
    assert short.shape == with_long.shape
    assert np.array_equal(short[:, -60:], with_long[:, -60:])  # the percent
    assert np.array_equal(short[:, :12], with_long[:, :12])  # nothing crosses the border


def test_small_pictures_are_enlarged_by_a_whole_number() -> None:
    picture = Picture(np.arange(8 * 6 * 3, dtype=np.uint8).reshape(8, 6, 3))
    image = pixels(drawn(picture, classified(8, 6, floats(0.9), "cat")))
    assert np.array_equal(image[:256, :192], picture.pixels.repeat(32, 0).repeat(32, 1))
    dot = drawn(Picture(np.zeros((1, 1, 3), np.uint8)), classified(1, 1, floats(0.9), "cat"))
    assert min(dot.size) >= 256


def test_an_error_leaves_the_picture() -> None:
    picture = plain()
    assert np.array_equal(pixels(drawn(picture, Prediction("a", error="no"))), picture.pixels)


def test_the_prediction_of_another_picture_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`prediction` \(a, 4 x 4\) must be of the `picture`"):
        drawn(plain(), Prediction("a", 4, 4))
