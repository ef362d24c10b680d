"""What a network said is on the picture, legible, in its own place, and the picture is not lost."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from convlens.draw import Film, drawn, drawn_map
from convlens.draw.colours import category_colour, ink_on
from convlens.draw.detections import _free_place, limbs_of
from convlens.draw.fonts import font_of
from convlens.draw.lettering import fitted, text_width
from convlens.draw.segments import legend
from convlens.learn.predicting.predictions import Prediction
from convlens.learn.sources.clips import clip_frames
from convlens.learn.sources.pictures.picture import Picture
from convlens.zoo import weights
from tests.cases.clips import number_of, shade

COCO = weights("maskrcnn_resnet50_fpn").categories
Pixels = NDArray[np.uint8]


def plain(h: int = 240, w: int = 320, value: int = 90) -> Picture:
    return Picture(np.full((h, w, 3), value, np.uint8))


def pixels(image: Image.Image) -> Pixels:
    assert image.mode == "RGB"
    return np.asarray(image)


def floats(*values: object) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def classified(h: int, w: int, scores: NDArray[np.float32], *names: str) -> Prediction:
    return Prediction("a", w, h, np.arange(len(scores)), scores, categories=names)


def has(image: Pixels, colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    near: NDArray[np.bool_] = np.abs(image.astype(int) - colour).max(-1) <= 2
    return near


# Categories


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
    assert np.array_equal(short[:, :12], with_long[:, :12])  # nothing runs over the border


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
    assert (image[100:170, 110:190] == 90).all()  # inside nothing is changed


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
    # The letters and their ground are the same, wherever the tag is; its round corners aside.
    shown = image[top : bottom + 1, left : right + 1]
    assert np.array_equal(shown[3:-3, 3:-3], within[3:-3, 3:-3])


@pytest.mark.parametrize("size", [(500, 12), (12, 500), (300, 1)])
def test_a_strip_too_narrow_for_a_tag_has_its_box(size: tuple[int, int]) -> None:
    image = pixels(drawn(plain(*size), boxes(*size, (1, 0.87, (0, 0, size[1], size[0])))))
    assert image.shape == (*size, 3)
    assert has(image, category_colour(1)).any()
    assert not has(image, ink_on(category_colour(1))).any()


def test_tags_keep_out_of_each_others_way() -> None:
    """Two boxes in one place: both names can be read, one above and one in the box."""
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


# Maps


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


# Colours


def test_colours_are_legible_and_neighbours_differ() -> None:
    def light(colour: tuple[int, int, int]) -> float:
        parts = zip((0.2126, 0.7152, 0.0722), colour, strict=True)
        return sum(part * math.pow(value / 255, 2.2) for part, value in parts)

    colours = [category_colour(label) for label in range(1000)]
    for colour in colours:
        a, b = sorted((light(colour), light(ink_on(colour))))
        assert (b + 0.05) / (a + 0.05) > 4.5  # WCAG 2.2, 1.4.3, for small text
    first = np.array(colours[:21])
    apart = np.abs(first[:, None] - first[None]).sum(-1) + 999 * np.eye(21)
    assert apart.min() > 40


# Films


@pytest.mark.parametrize("pyav", [True, False])
def test_a_film_has_its_frames_at_their_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pyav: bool
) -> None:
    if not pyav:
        monkeypatch.setitem(sys.modules, "av", None)
    times = [0.0, 0.1, 0.25, 0.3]
    with Film(tmp_path / "film") as film:
        for number, at in enumerate(times):
            film.write(Image.new("RGB", (63, 47), (shade(number),) * 3), at)
    monkeypatch.undo()
    frames = list(clip_frames(film.path))
    assert film.path.suffix == (".mp4" if pyav else ".webp")
    assert [frame.time for frame in frames] == pytest.approx(times, abs=2e-3)
    assert [number_of(frame.picture.pixels[:40, :60]) for frame in frames] == [0, 1, 2, 3]
    assert frames[0].picture.pixels.shape == (48, 64, 3)


def test_a_film_that_is_broken_off_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"the one before")
    film = Film(tmp_path / "film")
    film.write(Image.new("RGB", (32, 32)), 0.0)
    film.__exit__(RuntimeError, RuntimeError(), None)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]
    assert (tmp_path / "film.mp4").read_bytes() == b"the one before"
    with Film(tmp_path / "empty"):
        pass
    assert len(list(tmp_path.iterdir())) == 1
