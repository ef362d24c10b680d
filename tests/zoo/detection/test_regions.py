"""Regions: fast against the slow definition, and against cases worked by hand."""

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
    clip_boxes_to_image,
    nms,
    remove_small_boxes,
)
from convlens.zoo.detection.regions import MultiScaleRoIAlign, roi_align, roi_pool
from tests.cases.boxes import scattered
from tests.oracles.torchvision_networks import torchvision

Array = NDArray[Any]


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
    # A part has as many samples as it is long, two: at 0.5, 1.5; 2.5 and 3.5, clamped to 3.
    assert roi_align(x, box, 2).flatten().tolist() == [5, 6.75, 12, 13.75]
    # Moved by half a cell: at 0 and 1, 2 and 3.
    assert roi_align(x, box, 2, aligned=True).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    # In half as many cells as pixels, and at least one cell wide.
    assert roi_align(x, box, 1, 0.5, 1).item() == 5
    assert roi_align(x, [torch.tensor([[1.0, 1, 1, 1]])], 1, sampling_ratio=1).item() == 7.5
    # An aligned box without width has no samples if their number depends on its size.
    flat = [torch.tensor([[2.0, 1, 2, 3], [2.0, 1, 1, 3], [0.0, 0, 2, 2]])]
    assert roi_align(x, flat, 1, aligned=True).flatten().tolist()[:2] == [0, 0]
    assert roi_align(x, [flat[0][:1]], 1, aligned=True).item() == 0
    # A sample more than one cell outside is 0, a nearer one is the border's.
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
