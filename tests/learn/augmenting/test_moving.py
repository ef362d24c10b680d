"""Everything in a sample moves together, and what leaves the picture goes from every field."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from convlens.learn.augmenting import moving
from convlens.learn.augmenting.cutting import Crop, Translate, ZoomOut
from convlens.learn.augmenting.flipping import Flip, Mirror, QuarterTurn
from convlens.learn.augmenting.moving import Geometric, boxes_of
from convlens.learn.augmenting.turning import Affine, Rotate, Shear
from convlens.learn.data.samples import Boxed, ClipSample, Labelled, Mapped
from tests.cases.figures_of_samples import box_in, ellipse, figures, photograph

MOVES: tuple[Any, ...] = (
    *(Mirror(chance=1), Flip(chance=1), QuarterTurn(chance=1), Crop(), Translate(most=0.2)),
    *(ZoomOut(chance=1, fill=0), Rotate(degrees=180), Shear(down=0.15), Affine()),
)
PARALLEL = MOVES[:6]
"""Those that leave rectangles rectangles."""

NAMES = [augmentation.name for augmentation in MOVES]

H, W = 60, 72


@pytest.fixture(autouse=True)
def _no_warning_was_given() -> None:
    moving._SAID.clear()


unit = st.floats(0, 1, exclude_max=True)
numbers_of = st.lists(unit, min_size=6, max_size=6).map(np.array)
middles = st.tuples(st.floats(12, W - 12), st.floats(12, H - 12))
radii = st.tuples(st.floats(5, 20), st.floats(5, 20))


@pytest.mark.parametrize("augmentation", MOVES, ids=NAMES)
@settings(max_examples=25, deadline=None)
@given(numbers_of, middles, radii, unit)
def test_the_box_is_that_of_the_figure_in_the_picture(
    augmentation: Any,
    numbers: Any,
    middle: tuple[float, float],
    radius: tuple[float, float],
    strength: float,
) -> None:
    """The picture moves by interpolation, and the box with the mask: they share no code."""
    sample = figures(ellipse(H, W, middle, radius)[None], pairs=())
    found: Boxed = augmentation.apply(sample, numbers[: augmentation.draws], strength)
    shown = found.picture[0] > 127
    if len(found.boxes):
        assert found.masks is not None
        assert (found.boxes[0] - box_in(shown)).abs().max() <= 1
        assert (found.masks[0] != shown).float().mean() < 0.02
        assert abs(float(found.area[0]) - int(shown.sum())) <= 0.06 * int(shown.sum()) + 6
    else:
        assert shown.sum() < 0.45 * H * W


@pytest.mark.parametrize("augmentation", PARALLEL, ids=NAMES[:6])
@settings(max_examples=25, deadline=None)
@given(numbers_of, middles, radii)
def test_a_box_without_a_mask_is_that_of_the_rectangle_in_the_picture(
    augmentation: Any, numbers: Any, middle: tuple[float, float], radius: tuple[float, float]
) -> None:
    mask = torch.zeros(1, H, W, dtype=torch.bool)
    (x, y), (across, down) = middle, radius
    mask[0, max(0, int(y - down)) : int(y + down), max(0, int(x - across)) : int(x + across)] = True
    sample = figures(mask, has_masks=False)
    found: Boxed = augmentation.apply(sample, numbers[: augmentation.draws], 1.0)
    shown = found.picture[0] > 127
    if len(found.boxes):
        assert (found.boxes[0] - box_in(shown)).abs().max() <= 1
        # Each edge may fall half a pixel beside the pixels that are counted.
        left, top, right, bottom = found.boxes[0].tolist()
        edges = (right - left) + (bottom - top)
        assert float(found.area[0]) == pytest.approx(int(shown.sum()), rel=0.05, abs=edges)


@pytest.mark.parametrize("augmentation", MOVES, ids=NAMES)
@settings(max_examples=25, deadline=None)
@given(numbers_of, st.integers(4, W - 5), st.integers(4, H - 5))
def test_a_pattern_at_a_point_goes_where_the_point_goes(
    augmentation: Any, numbers: Any, x: int, y: int
) -> None:
    picture = torch.zeros(1, H, W, dtype=torch.uint8)
    picture[0, y - 2 : y + 3, x - 2 : x + 3] = 255
    whole = torch.ones(1, H, W, dtype=torch.bool)
    points = torch.tensor([[[x + 0.5, y + 0.5, 2.0]]])
    sample = figures(whole, picture=picture, points=points, pairs=())
    sample = replace(sample, masks=None)
    loose = replace(augmentation, visible=0.0)
    found: Boxed = loose.apply(sample, numbers[: augmentation.draws], 1.0)
    assert found.points is not None
    px, py, seen = found.points[0, 0].tolist()
    h, w = found.picture.shape[-2:]
    if not seen:
        assert (px, py) == (0, 0)
        return
    light = found.picture[0].double()
    if 5 < px < w - 5 and 5 < py < h - 5:  # else a part of the pattern is cut off
        columns, rows = torch.arange(w) + 0.5, torch.arange(h)[:, None] + 0.5
        assert float((light * columns).sum() / light.sum()) == pytest.approx(px, abs=0.6)
        assert float((light * rows).sum() / light.sum()) == pytest.approx(py, abs=0.6)


def three_figures() -> Boxed:
    """Figures at the left, in the middle and at the right, with a point each."""
    masks = torch.stack([ellipse(40, 60, (x, 20), (6, 6)) for x in (8, 30, 52)])
    points = torch.tensor([[[x, 20.0, 2]] for x in (8, 30, 52)])
    return figures(masks, points=points, pairs=())


def test_one_index_cuts_every_field() -> None:
    sample = three_figures()
    # The cut is the right part: 42 of 60 columns.
    found = Crop(area=0.7, ratio=1).apply(sample, np.array([1 - 1e-9, 0.5, 1 - 1e-9, 0.5]), 1.0)
    assert found.labels.tolist() == [2, 3]
    assert found.crowd.tolist() == [True, False]
    assert found.masks is not None
    assert found.points is not None
    assert len(found.boxes) == len(found.area) == len(found.masks) == len(found.points) == 2
    assert found.boxes.dtype == found.area.dtype == found.points.dtype == torch.float32
    assert torch.equal(found.boxes, boxes_of(found.masks))
    assert torch.equal(found.area, found.masks.sum((1, 2)).float())
    none = replace(Crop(area=0.01), visible=1.0).apply(sample, np.array([1 - 1e-9, 0.5, 0, 0]), 1.0)
    assert none.boxes.shape == (0, 4)
    assert none.masks is not None
    assert none.masks.shape == (0, 40, 60)
    again = Rotate().apply(none, np.array([0.1]), 1.0)
    assert again.boxes.shape == (0, 4)


@pytest.mark.parametrize("has_masks", [True, False])
def test_a_figure_goes_when_too_little_of_it_is_left(has_masks: bool) -> None:
    masks = torch.zeros(1, 40, 60, dtype=torch.bool)
    masks[0, 10:20, 0:10] = True
    sample = figures(masks, has_masks=has_masks)
    for columns, left in ((7, 1), (8, 0)):  # of ten; a share of 0.3 stays
        numbers = np.array([(30 - columns + 0.5) / 61, 0.5])
        found = Translate(most=0.5).apply(sample, numbers, 1.0)
        assert len(found.boxes) == left
        if left:
            assert found.boxes.tolist() == [[0, 10, 3, 20]]
            assert found.area.tolist() == [pytest.approx(30)]


def test_a_figure_without_a_mask_among_others_is_moved_by_its_box() -> None:
    sample = three_figures()
    assert sample.masks is not None
    masks = sample.masks.clone()
    masks[1] = False
    found = Translate(most=0.1).apply(replace(sample, masks=masks), np.array([0.99, 0.5]), 1.0)
    assert found.boxes.tolist() == [[8, 14, 20, 26], [30, 14, 42, 26], [52, 14, 60, 26]]
    assert found.area[1] == sample.area[1]


def test_area_grows_with_the_picture() -> None:
    sample = replace(three_figures(), masks=None)
    move = Crop(ratio=1, size=(80, 120)).apply(sample, np.zeros(4), 1.0)
    torch.testing.assert_close(move.area, sample.area * 4)
    torch.testing.assert_close(move.boxes, sample.boxes * 2)


def test_mirrored_points_change_places_by_pairs() -> None:
    points = torch.tensor([[[30, 10, 2], [20, 30, 1], [40, 30, 2], [0, 0, 0]]]).float()
    sample = figures(ellipse(40, 60, (30, 20), (9, 9))[None], points=points, pairs=((1, 2),))
    for augmentation, wanted in (
        (Mirror(chance=1), [[30, 10, 2], [20, 30, 2], [40, 30, 1], [0, 0, 0]]),
        (Flip(chance=1), [[30, 30, 2], [40, 10, 2], [20, 10, 1], [0, 0, 0]]),
    ):
        found = augmentation.apply(sample, np.zeros(1), 1.0)
        assert found.points is not None
        assert found.points[0].tolist() == wanted
    turned = QuarterTurn(chance=1).apply(sample, np.zeros(1), 1.0)  # no mirror: no change
    assert turned.points is not None
    assert turned.points[0, 1].tolist() == [30, 40, 1]


def test_without_pairs_nothing_with_points_is_mirrored_and_that_is_said_once() -> None:
    sample = replace(three_figures(), pairs=None)
    with pytest.warns(UserWarning, match="pictures with points are not mirrored.*figures.*`pairs`"):
        assert Mirror(chance=1).apply(sample, np.zeros(1), 1.0) is sample
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Flip(chance=1).apply(sample, np.zeros(1), 1.0) is sample
    without = replace(sample, points=None)
    assert Mirror(chance=1).apply(without, np.zeros(1), 1.0) is not without
    assert Rotate().apply(sample, np.zeros(1), 1.0) is not sample


def clip(pairs: tuple[tuple[int, int], ...] | None, label: int = 0) -> ClipSample:
    return ClipSample("walk", torch.stack([photograph(seed=k) for k in range(3)]), label, pairs)


def test_a_mirrored_clip_changes_its_category() -> None:
    for label, wanted in ((0, 1), (1, 0), (2, 2)):
        found = Mirror(chance=1).apply(clip(((0, 1),), label), np.zeros(1), 1.0)
        assert found.label == wanted
        assert torch.equal(found.frames, clip(None).frames.flip(-1))
    with pytest.warns(UserWarning, match="clips are not mirrored.*walk"):
        found = Mirror(chance=1).apply(clip(None), np.zeros(1), 1.0)
    assert found.label == 0
    assert torch.equal(found.frames, clip(None).frames)


@pytest.mark.parametrize(
    ("augmentation", "number"),
    [(Flip(chance=1), 0.0), (QuarterTurn(chance=1), 0.5), (Rotate(degrees=90), 0.9)],
)
def test_clips_stay_upright(augmentation: Geometric, number: float) -> None:
    with pytest.warns(UserWarning, match="clips are not turned by more than 45 degrees"):
        found = augmentation.apply(clip(()), np.array([number]), 1.0)
    assert torch.equal(found.frames, clip(()).frames)
    assert Rotate(degrees=44).apply(clip(()), np.array([0.99]), 1.0).label == 0


@pytest.mark.parametrize("augmentation", MOVES, ids=NAMES)
def test_all_frames_move_as_a_picture_does(augmentation: Any) -> None:
    sample, numbers = clip(()), np.array([0.3, 0.6, 0.8, 0.2, 0.9, 0.4])[: augmentation.draws]
    move = augmentation.move((40, 56), numbers, 1.0)
    found = moving.moved(sample, move, 0.3)
    for k in range(3):
        one = moving.moved(Labelled("a", sample.frames[k], 0), move, 0.3)
        assert torch.equal(found.frames[k], one.picture)


@pytest.mark.parametrize("augmentation", MOVES, ids=NAMES)
def test_maps_move_with_pixels_and_get_no_new_categories(augmentation: Any) -> None:
    category = ellipse(40, 56, (28, 20), (20, 15)).byte() * 9 + 1
    picture = (category * 20)[None]
    numbers = np.array([0.3, 0.6, 0.8, 0.2, 0.9, 0.4])[: augmentation.draws]
    found = augmentation.apply(Mapped("a", picture, category), numbers, 1.0)
    assert set(found.map.unique().tolist()) <= {1, 10, 255}
    labelled = found.map != 255
    near = (found.picture[0].int() - found.map.int() * 20).abs() <= 100
    assert (near | ~labelled).float().mean() > 0.97
    assert found.map.shape == found.picture.shape[1:]


@pytest.mark.parametrize("augmentation", MOVES, ids=NAMES)
def test_at_no_strength_a_sample_stays_itself(augmentation: Any) -> None:
    sample = three_figures()
    assert augmentation.apply(sample, np.zeros(augmentation.draws), 0.0) is sample
    pictures = torch.zeros(2, 1, 4, 4)
    numbers = np.zeros((2, augmentation.draws))
    assert augmentation.many(pictures, numbers, 0.0) is pictures


def test_boxes_of_masks_are_those_of_a_search() -> None:
    random = np.random.default_rng(0)
    masks = torch.from_numpy(random.random((50, 7, 9)) < random.uniform(0.02, 0.3, (50, 1, 1)))
    masks[7] = False
    found = boxes_of(masks)
    for mask, box in zip(masks, found, strict=True):
        assert torch.equal(box, box_in(mask) if mask.any() else torch.zeros(4))
    empty: Tensor = boxes_of(masks[:0])
    assert empty.shape == (0, 4)
