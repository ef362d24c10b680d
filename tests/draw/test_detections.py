"""Boxes, tags, masks and skeletons are where they belong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from convlens.draw import drawn
from convlens.draw.colours import category_colour, ink_on
from convlens.draw.detections import _free_place, limbs_of
from convlens.learn.predicting.predictions import Prediction
from convlens.zoo import weights
from tests.cases.drawings import Pixels, floats, has, pixels, plain

COCO = weights("maskrcnn_resnet50_fpn").categories


# Boxes


def boxes(h: int, w: int, *found: tuple[int, float, tuple[float, ...]]) -> Prediction:
    labels = np.array([label for label, _, _ in found], np.int64)
    scores = floats(*(score for _, score, _ in found))
    places = floats(*(place for _, _, place in found)).reshape(-1, 4)
    return Prediction("a", w, h, labels, scores, places, categories=COCO)


def test_a_box_is_where_it_is_in_the_colour_of_its_category() -> None:
    image = pixels(drawn(plain(), boxes(240, 320, (17, 0.9, (100, 80, 200, 180)))))
    line = has(image, category_colour(17))
    assert line[80:180, 100].all()
    assert line[80:180, 200].all()
    assert line[180, 100:200].all()
    assert image.shape == (240, 320, 3)
    assert (image[100:170, 110:190] == 90).all()  # the inside does not change


@pytest.mark.parametrize("size", [(240, 320), (60, 900), (900, 60), (1500, 2000), (9, 5)])
@pytest.mark.parametrize(
    "box", [(0, 0, 1, 1), (0.9, 0.9, 1, 1), (-0.5, -0.5, 0.01, 0.01), (2, 2, 3, 3), (0, 0, 0, 0)]
)
def test_tags_are_whole_wherever_the_box_is(
    size: tuple[int, int], box: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    h, w = size
    tags = []

    def free_place(*words: Any) -> tuple[int, int, int, int]:
        tags.append(_free_place(*words))
        return tags[-1]

    monkeypatch.setattr("convlens.draw.detections._free_place", free_place)
    place = (box[0] * w, box[1] * h, box[2] * w, box[3] * h)
    image = pixels(drawn(plain(h, w), boxes(h, w, (1, 0.87, place))))
    middle = (0.2 * w, 0.6 * h, 0.8 * w, 0.95 * h)
    usual = pixels(drawn(plain(h, w), boxes(h, w, (1, 0.87, middle))))
    (left, top, right, bottom), other = tags
    assert left >= 0
    assert top >= 0
    assert right < image.shape[1]
    assert bottom < image.shape[0]
    within = usual[other[1] : other[3] + 1, other[0] : other[2] + 1]
    assert has(within, ink_on(category_colour(1))).sum() > 10
    # Letters and ground are the same at every place, except for the round corners.
    shown = image[top : bottom + 1, left : right + 1]
    assert np.array_equal(shown[3:-3, 3:-3], within[3:-3, 3:-3])


@pytest.mark.parametrize("size", [(500, 12), (12, 500), (300, 1)])
def test_a_strip_too_narrow_for_a_tag_has_its_box(size: tuple[int, int]) -> None:
    image = pixels(drawn(plain(*size), boxes(*size, (1, 0.87, (0, 0, size[1], size[0])))))
    assert image.shape == (*size, 3)
    assert has(image, category_colour(1)).any()
    assert not has(image, ink_on(category_colour(1))).any()


def test_tags_keep_out_of_each_others_way() -> None:
    """Two boxes in one place have legible names, one above and one in the box."""
    found = boxes(240, 320, (1, 0.9, (100, 80, 220, 180)), (17, 0.8, (100, 80, 220, 180)))
    image = pixels(drawn(plain(), found))
    for label in (1, 17):
        filled = has(image, category_colour(label))
        widest = max(int(filled[row].sum()) for row in range(240))
        assert widest > 40
        assert (filled.sum(1) > 40).sum() >= 8


def test_no_box_leaves_the_picture() -> None:
    picture = plain()
    assert np.array_equal(pixels(drawn(picture, boxes(240, 320))), picture.pixels)


# Masks and skeletons


def test_a_mask_tints_its_pixels_and_has_a_contour() -> None:
    mask = np.zeros((1, 240, 320), bool)
    mask[0, 60:160, 120:220] = True
    found = boxes(240, 320, (17, 0.9, (120, 60, 220, 160)))
    found = Prediction(
        *("a", 320, 240, found.labels, found.scores, found.boxes), masks=mask, categories=COCO
    )
    image = pixels(drawn(plain(), found))
    mixed = (np.full(3, 90) * 9 + np.array(category_colour(17)) * 7) // 16
    assert has(image[90:150, 130:210], tuple(mixed.tolist())).all()
    assert (image[165:, :] == 90).all()
    round_ = np.zeros((1, 240, 320), bool)
    y, x = np.mgrid[:240, :320]
    round_[0] = (y - 110) ** 2 + (x - 170) ** 2 < 45**2
    found = Prediction(
        *("a", 320, 240, found.labels, found.scores, found.boxes), masks=round_, categories=COCO
    )
    image = pixels(drawn(plain(), found))
    assert has(image, category_colour(17))[110 - 44, 165:175].all()


def skeleton(scores: NDArray[np.float32]) -> Pixels:
    points = np.zeros((1, 17, 3), np.float32)
    points[0, :, 0] = 40 + 14 * np.arange(17)
    points[0, :, 1] = 120 + 60 * np.sin(np.arange(17))
    points[0, :, 2] = 1
    found = boxes(240, 320, (1, 0.9, (10, 10, 310, 230)))
    said = Prediction(
        *("a", 320, 240, found.labels, found.scores, found.boxes),
        keypoints=points,
        keypoint_scores=scores[None],
        categories=COCO,
    )
    return pixels(drawn(plain(), said))


def test_a_skeleton_joins_the_points_that_are_seen() -> None:
    image = skeleton(np.full(17, 9, np.float32))
    for number in range(17):
        x, y = 40 + 14 * number, 120 + 60 * np.sin(number)
        assert (image[round(float(y)), x] >= 250).all()  # a white dot
    scores = np.full(17, 9, np.float32)
    scores[16] = 1  # a guess
    without = skeleton(scores)
    y = round(float(120 + 60 * np.sin(16)))
    assert (without[y, 40 + 14 * 16] == 90).all()
    assert (skeleton(np.zeros(17, np.float32))[100:140, 100:200] == 90).all()


def test_the_limbs_join_all_17_keypoints_of_coco() -> None:
    limbs = limbs_of("keypoints", 17)
    assert {end for a, b, _ in limbs for end in (a, b)} == set(range(17))
    names = weights("keypointrcnn_resnet50_fpn").keypoint_names
    sides = {("left", (64, 196, 255)), ("right", (255, 158, 64))}
    for a, b, colour in limbs:
        for side, its in sides:
            if names[a].startswith(side) and names[b].startswith(side):
                assert colour == its
