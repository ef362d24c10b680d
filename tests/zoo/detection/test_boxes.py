"""Boxes and regions: fast against the slow definition, and both against cases worked by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import convlens
from convlens.zoo.detection.boxes import (
    batched_nms,
    box_area,
    box_iou,
    clip_boxes_to_image,
    decode_boxes,
    encode_boxes,
    nms,
    remove_small_boxes,
)
from convlens.zoo.detection.keypoints import cells_of_points, points_of_maps
from convlens.zoo.detection.masks import paste_masks
from convlens.zoo.detection.matching import Sampling, draw, match
from convlens.zoo.detection.proposals import anchors
from convlens.zoo.detection.regions import MultiScaleRoIAlign, roi_align, roi_pool
from tests.oracles.torchvision_networks import torchvision

Array = NDArray[Any]

# Definitions: one box, one cell, one sample at a time


def suppress(boxes: Tensor, scores: Tensor, threshold: float) -> list[int]:
    """Take the best box, drop those that overlap it by more than the threshold, go on."""
    left = scores.sort(descending=True, stable=True).indices.tolist()
    kept = []
    while left:
        best, *left = left
        kept.append(best)
        overlaps = iou(boxes[best], boxes[left]) if left else boxes.new_zeros(0)
        passing = (overlaps > threshold).tolist()
        left = [box for box, much in zip(left, passing, strict=True) if not much]
    return kept


def iou(box: Tensor, boxes: Tensor) -> Tensor:
    x1, y1, x2, y2 = boxes.unbind(1)
    wide = (torch.minimum(box[2], x2) - torch.maximum(box[0], x1)).clamp(min=0)
    tall = (torch.minimum(box[3], y2) - torch.maximum(box[1], y1)).clamp(min=0)
    common = wide * tall
    own = (box[2] - box[0]) * (box[3] - box[1])
    result: Tensor = common / (own + (x2 - x1) * (y2 - y1) - common)
    return result


def interpolate(image: Array, y: float, x: float) -> Array:
    """A sample of a map (c, h, w) by its four nearest cells; 0 more than a cell outside."""
    h, w = image.shape[1:]
    if y < -1 or y > h or x < -1 or x > w:
        return np.zeros(len(image))
    y, x = max(y, 0), max(x, 0)
    top, left = int(y), int(x)
    if top >= h - 1:
        top = bottom = h - 1
        y = float(top)
    else:
        bottom = top + 1
    if left >= w - 1:
        left = right = w - 1
        x = float(left)
    else:
        right = left + 1
    below, beside = y - top, x - left
    return np.asarray(
        image[:, top, left] * (1 - below) * (1 - beside)
        + image[:, top, right] * (1 - below) * beside
        + image[:, bottom, left] * below * (1 - beside)
        + image[:, bottom, right] * below * beside
    )


def align(
    x: Tensor, rois: Tensor, size: tuple[int, int], scale: float, ratio: int, aligned: bool
) -> Tensor:
    maps, offset = x.double().numpy(), 0.5 if aligned else 0.0
    found = np.zeros((len(rois), x.shape[1], *size))
    for k, (n, *corners) in enumerate(rois.double().tolist()):
        x1, y1, x2, y2 = (corner * scale - offset for corner in corners)
        least = 0 if aligned else 1
        tall, wide = max(y2 - y1, least) / size[0], max(x2 - x1, least) / size[1]
        down, across = (ratio if ratio > 0 else math.ceil(part) for part in (tall, wide))
        for i, j in np.ndindex(*size):
            for p, q in np.ndindex(down, across):
                y = y1 + tall * (i + (p + 0.5) / down)
                found[k, :, i, j] += interpolate(
                    maps[int(n)], y, x1 + wide * (j + (q + 0.5) / across)
                )
            found[k, :, i, j] /= max(down * across, 1)
    return torch.from_numpy(found)


def pool(x: Tensor, rois: Tensor, size: tuple[int, int], scale: float) -> Tensor:
    found = x.new_zeros(len(rois), x.shape[1], *size)
    h, w = x.shape[2:]
    for k, (n, *corners) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (math.floor(abs(c * scale) + 0.5) * (1 if c > 0 else -1) for c in corners)
        tall, wide = max(y2 - y1 + 1, 1) / size[0], max(x2 - x1 + 1, 1) / size[1]
        for i, j in np.ndindex(*size):
            rows = slice(*(min(max(y1 + f, 0), h) for f in span(i, tall)))
            columns = slice(*(min(max(x1 + f, 0), w) for f in span(j, wide)))
            patch = x[int(n), :, rows, columns]
            if patch.shape[1] and patch.shape[2]:
                found[k, :, i, j] = patch.amax((1, 2))
    return found


def span(part: int, length: float) -> tuple[int, int]:
    return math.floor(part * length), math.ceil((part + 1) * length)


# Cases


def scattered(n: int, seed: int = 0, kind: torch.dtype = torch.float32) -> Tensor:
    """Boxes of 8 to 400 pixels anywhere in a picture of 800 x 1088."""
    generator = torch.Generator().manual_seed(seed)
    sides = 8 * 50 ** torch.rand(n, 2, generator=generator)
    corner = torch.rand(n, 2, generator=generator) * (torch.tensor([1088, 800]) - sides)
    return torch.cat((corner, corner + sides), 1).to(kind)


def crowded(n: int) -> Tensor:
    """Many boxes about each of twenty."""
    generator = torch.Generator().manual_seed(1)
    centres = scattered(20, seed=2)[torch.randint(20, (n,), generator=generator)]
    sides = (centres[:, 2:] - centres[:, :2]).repeat(1, 2)
    return centres + torch.randn(n, 4, generator=generator) * sides * 0.08


def lattice(n: int) -> Tensor:
    """Boxes of 10 x 10 every 8 pixels: whole numbers, whose overlaps are the same many times."""
    at = torch.arange(n)
    corner = torch.stack((at % 40, at // 40), 1) * 8.0
    return torch.cat((corner, corner + 10), 1)


BOXES = {
    "scattered": scattered(700),
    "in double": scattered(500, kind=torch.float64),
    "crowded": crowded(700),
    "a lattice": lattice(700),
    "a chain": torch.arange(600.0)[:, None] * 3 + torch.tensor([0.0, 0.0, 10.0, 10.0]),
    "far apart": scattered(300) + torch.arange(300)[:, None] % 3 * 3e5,
    "one": scattered(1),
    "none": scattered(0),
    "the same": scattered(1).repeat(50, 1),
    "flat, reversed and endless": torch.tensor(
        [
            *([0, 0, 4, 4], [0, 0, 4, 4.1], [2, 2, 2, 5], [3, 3, 1, 1], [0, 4, 4, 0]),
            *([0, 0, math.inf, 4], [0, 0, math.nan, 4], [-math.inf, 0, 3, 3], [0, 0, 4.1, 4]),
        ]
    ),
}


@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("name", BOXES)
def test_suppression_keeps_what_its_definition_keeps(name: str, threshold: float) -> None:
    boxes = BOXES[name]
    scores = torch.rand(len(boxes), generator=torch.Generator().manual_seed(3))
    kept = nms(boxes, scores, threshold)
    assert kept.dtype == torch.int64
    assert kept.tolist() == suppress(boxes, scores, threshold)


def test_the_definition_of_suppression_can_fail() -> None:
    boxes, scores = BOXES["crowded"], torch.rand(700, generator=torch.Generator().manual_seed(3))
    kept = nms(boxes, scores, 0.5).tolist()
    assert kept != suppress(boxes, scores, 0.45)
    assert kept != suppress(boxes, -scores, 0.5)


def test_suppression_in_bounded_memory_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes, scores = BOXES["crowded"], torch.arange(700.0)
    kept = nms(boxes, scores, 0.3)
    monkeypatch.setattr("convlens.zoo.detection.boxes._Index.MOST_PAIRS", 100)
    assert torch.equal(nms(boxes, scores, 0.3), kept)


def test_suppression_by_hand() -> None:
    # The second overlaps the first by 1/3, the third by 1/7 and the second by 3/5.
    boxes = torch.tensor([[0.0, 0, 4, 4], [2, 0, 6, 4], [3, 0, 7, 4]])
    scores = torch.tensor([0.9, 0.8, 0.7])
    torch.testing.assert_close(
        box_iou(boxes, boxes), torch.tensor([[1, 1 / 3, 1 / 7], [1 / 3, 1, 0.6], [1 / 7, 0.6, 1]])
    )
    assert nms(boxes, scores, 0.5).tolist() == [0, 1]
    assert nms(boxes, scores, 0.3).tolist() == [0, 2]
    assert nms(boxes, scores, 0.1).tolist() == [0]
    assert nms(boxes, -scores, 0.5).tolist() == [2, 0]
    # An overlap of exactly the threshold is not more than it; of equal scores the first wins.
    halves = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 2]])
    assert nms(halves, torch.tensor([1.0, 1.0]), 0.5).tolist() == [0, 1]
    assert nms(halves, torch.tensor([1.0, 1.0]), 0.49).tolist() == [0]
    with pytest.raises(ValueError, match=r"`iou_threshold` \(=1\.5\) must be 0 to 1"):
        nms(boxes, scores, 1.5)


@pytest.mark.parametrize("n", [0, 900, 1500])
def test_groups_do_not_suppress_each_other(n: int) -> None:
    boxes, groups = crowded(n), torch.arange(n) % 5
    scores = torch.rand(n, generator=torch.Generator().manual_seed(4))
    kept = batched_nms(boxes, scores, groups, 0.5)
    each = [torch.where(groups == group)[0] for group in range(5)]
    wanted = [
        index for own in each for index in own[suppress(boxes[own], scores[own], 0.5)].tolist()
    ]
    assert sorted(kept.tolist()) == sorted(wanted)
    assert torch.equal(scores[kept], scores[kept].sort(descending=True).values)
    if n:
        assert len(kept) > len(nms(boxes, scores, 0.5))  # able to fail: as if of one group


def test_clipping_small_boxes_and_areas() -> None:
    boxes = torch.tensor([[-3.0, -2, 5, 4], [1, 1, 20, 1.5], [30, 30, 40, 40]])
    inside = clip_boxes_to_image(boxes, (8, 10))
    assert inside.tolist() == [[0, 0, 5, 4], [1, 1, 10, 1.5], [10, 8, 10, 8]]
    assert box_area(inside).tolist() == [20, 4.5, 0]
    assert remove_small_boxes(inside, 0.5).tolist() == [0, 1]
    assert remove_small_boxes(inside, 0.6).tolist() == [0]


def test_codes_give_their_boxes_back() -> None:
    boxes, at = scattered(50, kind=torch.float64), scattered(50, 9, torch.float64)
    weights = (10.0, 10.0, 5.0, 5.0)
    codes = encode_boxes(boxes, at, weights)
    torch.testing.assert_close(decode_boxes(codes, at, weights)[:, 0], boxes)
    # By hand: moved by a tenth of 20 and of 10 pixels, twice as wide, half as high.
    code = torch.tensor([[1.0, -1.0, 5 * math.log(2), -5 * math.log(2)]])
    box = decode_boxes(code, torch.tensor([[0.0, 0, 20, 10]]), weights)
    torch.testing.assert_close(box, torch.tensor([[[-8.0, 1.5, 32, 6.5]]]))
    huge = decode_boxes(torch.tensor([[0.0, 0, 100, 0]]), torch.tensor([[0.0, 0, 2, 2]]), weights)
    assert (huge[0, 0, 2] - huge[0, 0, 0]).item() == pytest.approx(125)


def test_matching_and_drawing() -> None:
    true = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    boxes = torch.tensor([[0.0, 0, 10, 8], [0, 0, 10, 5], [20, 0, 30, 2], [50, 50, 60, 60]])
    strict = Sampling(0.7, 0.3, 4, 0.5)
    assert match(true, boxes, strict).tolist() == [0, -2, -1, -1]
    # The second has no better box than one that overlaps it by 0.2.
    best_too = Sampling(0.7, 0.3, 4, 0.5, best_too=True)
    assert match(true, boxes, best_too).tolist() == [0, -2, 1, -1]
    assert match(true[:0], boxes, strict).tolist() == [-1] * 4
    labels = torch.tensor([1, 0, -1, 2, 0, 3, 0])
    positive, negative = draw(labels, strict)
    assert len(positive) == 2
    assert len(negative) == 2
    assert (labels[positive] > 0).all()
    assert (labels[negative] == 0).all()
    none, rest = draw(torch.tensor([0, 0]), strict)
    assert none.tolist() == []
    assert rest.tolist() == [0, 1]


def test_anchors_by_hand() -> None:
    levels = [torch.zeros(1, 1, 2, 1), torch.zeros(1, 1, 1, 1)]
    found = anchors([[32], [64]], (64, 32), levels)
    # 32 x 32 pixels: 45 x 23 lying and 23 x 45 standing; the second row is 32 pixels below.
    about = [[-23, -11, 23, 11], [-16, -16, 16, 16], [-11, -23, 11, 23]]
    below = [[x1, y1 + 32, x2, y2 + 32] for x1, y1, x2, y2 in about]
    assert found[:6].tolist() == about + below
    assert found[7].tolist() == [-32, -32, 32, 32]


# Regions


def rois(n: int, seed: int = 5) -> Tensor:
    """Boxes in two maps of 12 x 17 cells of 4 pixels: some tiny, some far beyond the border."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=generator) * torch.tensor([90, 70]) - 12
    sides = 60 * torch.rand(n, 2, generator=generator) ** 2
    index = torch.randint(2, (n, 1), generator=generator)
    return torch.cat((index, corner, corner + sides), 1)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [-1, 1, 2, 3])
@pytest.mark.parametrize("size", [(1, 1), (3, 2)])
def test_alignment_is_its_definition(size: tuple[int, int], ratio: int, aligned: bool) -> None:
    boxes = rois(25)
    x = torch.randn(2, 5, 12, 17, generator=torch.Generator().manual_seed(6))
    truth = align(x, boxes, size, 0.25, ratio, aligned)
    torch.testing.assert_close(
        roi_align(x.double(), boxes.double(), size, 0.25, ratio, aligned), truth
    )
    plain = roi_align(x, boxes, size, 0.25, ratio, aligned)
    assert plain.dtype == torch.float32
    torch.testing.assert_close(plain.double(), truth, rtol=1e-5, atol=1e-5)
    last = roi_align(
        x.contiguous(memory_format=torch.channels_last), boxes, size, 0.25, ratio, aligned
    )
    torch.testing.assert_close(last, plain)
    # Able to fail: another scale, and boxes of the other picture.
    other = align(x, boxes, size, 0.26, ratio, aligned)
    assert (truth - other).abs().max() > 0.01


def test_alignment_some_channels_at_a_time_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(2, 70, 12, 17, generator=torch.Generator().manual_seed(6)).requires_grad_()
    whole = roi_align(x, rois(25), 3, 0.25, 2)
    (gradient,) = torch.autograd.grad(whole.square().sum(), x)
    monkeypatch.setattr("convlens.zoo.detection.regions._AT_ONCE", 2 * 12 * 17 * 4 * 9)
    parts = roi_align(x, rois(25), 3, 0.25, 2)
    assert torch.equal(parts, whole)
    torch.testing.assert_close(torch.autograd.grad(parts.square().sum(), x)[0], gradient)


def test_alignment_by_hand() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)  # 4 y + x
    box = [torch.tensor([[0.0, 0, 4, 4]])]
    # Samples at 1 and 3 along each axis: the linear map itself.
    assert roi_align(x, box, 2, sampling_ratio=1).flatten().tolist() == [5, 7, 13, 15]
    # As many as a part is long, two: at 0.5, 1.5; 2.5 and 3.5, which is held at 3.
    assert roi_align(x, box, 2).flatten().tolist() == [5, 6.75, 12, 13.75]
    # Moved by half a cell: at 0 and 1, 2 and 3.
    assert roi_align(x, box, 2, aligned=True).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    # In half as many cells as pixels, and at least one cell wide.
    assert roi_align(x, box, 1, 0.5, 1).item() == 5
    assert roi_align(x, [torch.tensor([[1.0, 1, 1, 1]])], 1, sampling_ratio=1).item() == 7.5
    # An aligned box without width has no samples where their number follows its size.
    flat = [torch.tensor([[2.0, 1, 2, 3], [2.0, 1, 1, 3], [0.0, 0, 2, 2]])]
    assert roi_align(x, flat, 1, aligned=True).flatten().tolist()[:2] == [0, 0]
    assert roi_align(x, [flat[0][:1]], 1, aligned=True).item() == 0
    # A sample further than one cell outside is 0, one up to there the border's.
    for left, value in ((-1.5, 4.0), (-1.51, 0.0), (3.5, 7.0), (3.51, 0.0)):
        at = [torch.tensor([[left, 0.5, left + 1, 1.5]])]
        assert roi_align(x, at, 1, sampling_ratio=1).item() == value


def test_alignment_gives_gradients_to_the_map_alone() -> None:
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[0.0, 0.3, 0.2, 4.1, 3.9], [1, -1, 1.2, 7, 2]], dtype=torch.float64)
    boxes.requires_grad_()
    for ratio in (-1, 2):
        assert torch.autograd.gradcheck(lambda x, r=ratio: roi_align(x, boxes, 2, 1.0, r), x)
    roi_align(x, boxes, 2, 1.0, 2).sum().backward()
    assert boxes.grad is None
    assert torch.autograd.gradcheck(lambda x: roi_pool(x, boxes, 2), x)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (2, 7)])
def test_maximum_is_its_definition(size: tuple[int, int]) -> None:
    x = torch.randn(2, 5, 12, 17, generator=torch.Generator().manual_seed(6))
    boxes = rois(40)
    found = roi_pool(x, boxes, size, 0.25)
    assert torch.equal(found, pool(x, boxes, size, 0.25))
    assert not torch.equal(found, pool(x, boxes, size, 0.3))


def test_maximum_by_hand() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    # Corners 0.5 and 2.5 round to 1 and 3: cells 1, 2 and 3, of which the middle is in both parts.
    at = [torch.tensor([[0.5, 0.5, 2.5, 2.5]])]
    assert roi_pool(x, at, 2).flatten().tolist() == [10, 11, 14, 15]
    assert roi_pool(x, [torch.tensor([[9.0, 9, 12, 12]])], 1).item() == 0


def test_empty_lists_of_boxes_give_empty_regions() -> None:
    x = torch.zeros(2, 3, 4, 5)
    none = [torch.zeros(0, 4), torch.zeros(0, 4)]
    for ratio in (-1, 2):
        assert roi_align(x, none, (2, 3), 1.0, ratio).shape == (0, 3, 2, 3)
    assert roi_pool(x, none, 2).shape == (0, 3, 2, 2)
    pooling = MultiScaleRoIAlign(7, 2)
    assert pooling([x, x[:, :, :2, :2]], none, [(16, 20)] * 2).shape == (0, 3, 7, 7)


def test_boxes_of_another_shape_are_refused() -> None:
    x = torch.zeros(2, 3, 4, 5)
    with pytest.raises(ValueError, match=r"`boxes` \(=\(1, 4\)\) must be \(k, 5\)"):
        roi_align(x, torch.zeros(1, 4), 2)
    with pytest.raises(ValueError, match=r"`boxes` \(=\(5,\)\) must be"):
        roi_pool(x, [torch.zeros(5), torch.zeros(0, 4)], 2)
    with pytest.raises(ValueError, match=r"`boxes` \(=1\) must hold one tensor for each of the 2"):
        roi_align(x, [torch.zeros(1, 4)], 2)


def test_a_box_reads_the_level_of_its_size() -> None:
    # Each level holds its own number.
    levels = [torch.full((1, 1, 1024 // 2**i, 1024 // 2**i), float(i)) for i in range(2, 6)]
    sides = torch.tensor([20.0, 111.9, 112, 223.9, 224, 447.9, 448, 900])
    boxes = torch.stack((sides * 0, sides * 0, sides, sides), 1)
    found = MultiScaleRoIAlign(1, 1)(levels, [boxes], [(1024, 1024)])
    assert found.flatten().tolist() == pytest.approx([2, 2, 3, 3, 4, 4, 5, 5])


def test_pooling_over_a_pyramid_is_torchvisions() -> None:
    torchvision()
    from torchvision.ops import MultiScaleRoIAlign as Theirs

    generator = torch.Generator().manual_seed(7)
    sizes = [(800, 1088), (768, 1000)]
    levels = [
        torch.randn(2, 2, 800 // 2**i, 1088 // 2**i, generator=generator, dtype=torch.float64)
        for i in range(2, 6)
    ]
    boxes = [
        clip_boxes_to_image(scattered(40, seed, torch.float64), size)
        for seed, size in enumerate(sizes)
    ]
    boxes = [each[remove_small_boxes(each, 33)] for each in boxes]  # no sample beyond the border
    theirs = Theirs(["0", "1", "2", "3"], 7, 2)(
        {str(i): level for i, level in enumerate(levels)}, boxes, sizes
    )
    found = MultiScaleRoIAlign(7, 2)(levels, boxes, sizes)
    assert len(found) > 30
    torch.testing.assert_close(found, theirs)
    assert not torch.allclose(found, MultiScaleRoIAlign(7, 3)(levels, boxes, sizes))


# Masks and keypoints


def test_masks_are_pasted_as_torchvision_pastes_them() -> None:
    torchvision()
    from torchvision.models.detection.roi_heads import paste_masks_in_image

    generator = torch.Generator().manual_seed(8)
    masks = torch.rand(30, 1, 28, 28, generator=generator)
    boxes = clip_boxes_to_image(scattered(30) / 4, (150, 200))
    found = paste_masks(masks, boxes, (150, 200))
    assert torch.equal(found, paste_masks_in_image(masks, boxes, (150, 200)))
    assert not torch.equal(found, paste_masks_in_image(masks, boxes + 1, (150, 200)))
    assert paste_masks(masks[:0], boxes[:0], (15, 20)).shape == (0, 1, 15, 20)
    tiny = torch.tensor([[0.0, 0, 1, 1]])
    assert torch.equal(
        paste_masks(masks[:1], tiny, (1, 1)), paste_masks_in_image(masks[:1], tiny, (1, 1))
    )


def test_peaks_of_maps_are_torchvisions() -> None:
    torchvision()
    from torchvision.models.detection.roi_heads import heatmaps_to_keypoints, keypoints_to_heatmap

    maps = torch.randn(10, 17, 56, 56, generator=torch.Generator().manual_seed(8))
    boxes = scattered(10)
    found, theirs = points_of_maps(maps, boxes), heatmaps_to_keypoints(maps, boxes)
    assert torch.equal(found[0], theirs[0])
    assert torch.equal(found[1], theirs[1])
    assert not torch.equal(found[0], heatmaps_to_keypoints(maps, boxes + 1)[0])
    # And back: the cell of each point; some unseen, some outside, some on the far edges.
    points = found[0].clone()
    points[0, :9, 2] = 0
    points[1, :5] += 300
    points[2, :4, :2] = boxes[2, 2:]
    cells, valid = keypoints_to_heatmap(points, boxes, 56)
    assert 10 < int((valid == 0).sum()) < 100
    assert torch.equal(cells_of_points(points, boxes, 56), torch.where(valid > 0, cells, -1))


# Recorded


class Regions(nn.Module):
    """Both poolings and a suppression."""

    def forward(self, x: Tensor) -> Tensor:
        boxes = torch.tensor([[0.0, 0, 4, 4], [1, 1, 5, 5]])
        kept = nms(boxes, torch.tensor([0.5, 0.6]), 0.5)
        aligned: Tensor = roi_align(x, [boxes[kept]], 2, 1.0, sampling_ratio=2)
        return aligned + roi_pool(x, [boxes[kept]], output_size=2)


def test_each_is_one_step_of_a_recording() -> None:
    recording = convlens.record(Regions(), torch.rand(1, 2, 6, 6))
    ops = [step.op for step in recording.steps]
    assert [op for op in ops if op in ("nms", "roi_align", "roi_pool")] == [
        *("nms", "roi_align", "roi_pool")
    ]
    assert not {"embedding_bag", "sort", "floor", "max"} & set(ops)
    step = next(step for step in recording.steps if step.op == "roi_align")
    assert recording.values[step.outputs[0]].shape == (2, 2, 2, 2)
