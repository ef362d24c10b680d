"""Masks are the network's own, laid over the picture one at a time, and kept small."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from convlens.draw import drawn
from convlens.learn.data.run_lengths import RunLengths, counts, part_counts, run_lengths
from convlens.learn.predicting.forms import predictions_of
from convlens.learn.predicting.masks import masks_of
from convlens.learn.predicting.predictions import Limits, Prediction, View
from convlens.learn.predicting.starting import predict
from convlens.learn.preparing import Preparation
from convlens.learn.sources.pictures.picture import Picture
from convlens.zoo.detection import Detector
from convlens.zoo.detection.masks import paste_masks, pasted_parts


def found(h: int, w: int, count: int = 30) -> dict[str, Tensor]:
    """Detections as the heads of a detector return them: boxes up to the border, small masks."""
    generator = torch.Generator().manual_seed(h + w)
    corners = torch.rand(count, 2, 2, generator=generator).sort(1).values
    boxes = ((1.2 * corners - 0.1).clamp(0, 1) * torch.tensor([w, h])).reshape(count, 4)
    boxes[0], boxes[1] = torch.tensor([0.0, 0.0, w, h]), torch.tensor([0.5, 0.2, 0.7, 0.3])
    return {
        "boxes": boxes,
        "labels": torch.arange(count) % 5 + 1,
        "scores": torch.linspace(1, 0.01, count),
        "box_masks": torch.rand(count, 1, 28, 28, generator=generator),
    }


class Fixed(Detector):
    """A detector that finds the same in every picture, in the form that heads return."""

    preparation = Preparation(None, crop=False)

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.bias = nn.Parameter(torch.zeros(1))
        self.asked: list[bool] = []

    def forward(
        self,
        images: Tensor | Sequence[Tensor],
        targets: object = None,
        *,
        whole_masks: bool = True,
    ) -> Any:
        self.asked.append(whole_masks)
        answers = []
        for image in images:
            one = found(image.shape[1], image.shape[2])
            if whole_masks:
                masks = one.pop("box_masks")
                one["masks"] = paste_masks(masks, one["boxes"], (image.shape[1], image.shape[2]))
            answers.append(one)
        return answers


def noise(h: int, w: int) -> Picture:
    return Picture(np.random.default_rng(0).integers(0, 256, (h, w, 3), np.uint8))


@pytest.mark.parametrize("size", [(60, 91), (1, 1), (5, 200), (300, 7)])
def test_parts_are_the_whole_masks_without_zeros_around(size: tuple[int, int]) -> None:
    one = found(*size)
    whole = paste_masks(one["box_masks"], one["boxes"], size)
    for mask, (part, (top, left)) in zip(
        whole[:, 0], pasted_parts(one["box_masks"], one["boxes"], size), strict=True
    ):
        put = torch.zeros(size)
        put[top : top + part.shape[0], left : left + part.shape[1]] = part
        assert torch.equal(put, mask)


@pytest.mark.parametrize("shape", [(60, 91), (30, 45)])
def test_masks_are_the_networks_at_a_half(shape: tuple[int, int]) -> None:
    view = View((60, 91), shape)
    small = found(*shape)
    whole = {**small, "masks": paste_masks(small["box_masks"], small["boxes"], shape)}
    del whole["box_masks"]
    order = torch.tensor([7, 0, 1, 29])
    ours, truth = (
        masks_of(small, "masks", order, view).array(),
        masks_of(whole, "masks", order, view).array(),
    )
    assert (ours == truth).all()
    expected = view.maps(whole["masks"][order, 0], around=0) >= 0.5
    assert (truth == expected.numpy()).all()
    assert ours.any()


def test_predicting_asks_for_small_masks_and_tells_the_same() -> None:
    network = Fixed()
    (seen,) = predict(network, noise(60, 91), threshold=0.4)
    assert not any(network.asked)
    (fields,) = predictions_of(
        network(torch.zeros(1, 3, 60, 91)), [View((60, 91), (60, 91))], Limits(0.4)
    )
    assert network.asked[-1]  # other callers get whole masks
    assert seen.masks is not None
    assert (seen.masks == fields["masks"].array()).all()
    assert len(seen.masks) == len(seen.labels) == 18
    rows = seen.to_dict()["predictions"]
    assert [row["segmentation"] for row in rows] == [run_lengths(mask) for mask in seen.masks]


class Largest(TorchDispatchMode):
    """The bytes of the largest tensor that any operation made."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for tensor in output if isinstance(output, list | tuple) else (output,):
            if isinstance(tensor, Tensor):
                self.bytes = max(self.bytes, tensor.untyped_storage().nbytes())
        return output


@pytest.mark.parametrize("threshold", [1.0, 0.0])
def test_no_tensor_is_larger_than_the_pictures_of_a_batch(threshold: float) -> None:
    pictures = [noise(600, 800)] * 4
    inputs = 4 * 3 * 600 * 800 * 4
    with Largest() as largest:
        predictions = list(predict(Fixed(), pictures, threshold=threshold))
    assert largest.bytes <= inputs
    assert [len(one.labels) for one in predictions] == [1 if threshold else 30] * 4
    # All masks of a picture take much less memory than one of them as pixels.
    assert all(kept_bytes(one) < 30 * 600 * 800 / 8 for one in predictions)
    # Able to fail: whole masks of all detections are larger.
    with Largest() as largest:
        Fixed()(torch.zeros(4, 3, 600, 800))
    assert largest.bytes > inputs


def kept_bytes(prediction: Prediction) -> int:
    runs = prediction.mask_runs
    return 0 if runs is None else sum(lengths.nbytes for lengths in runs.counts)


def test_a_prediction_takes_and_gives_masks() -> None:
    masks = np.random.default_rng(0).random((2, 6, 9)) < 0.5
    boxes = np.array([[0, 0, 9, 6]] * 2, np.float32)
    one = Prediction("a", 9, 6, np.array([1, 2]), np.ones(2, np.float32), boxes, masks)
    assert one.masks is not None
    assert (one.masks == masks).all()
    changed = dataclasses.replace(one, name="b")
    assert changed.masks is not None
    assert (changed.masks == masks).all()
    assert Prediction("a").masks is None
    assert dataclasses.replace(one, masks=None).masks is None
    assert drawn(noise(6, 9), one).size[0] > 0


@pytest.mark.parametrize("seed", range(200))
def test_run_lengths_of_a_part_are_those_of_the_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    h, w = (int(n) for n in rng.integers(1, 9, 2))
    top, left = int(rng.integers(0, h + 1)), int(rng.integers(0, w + 1))
    tall, wide = int(rng.integers(0, h - top + 1)), int(rng.integers(0, w - left + 1))
    part = rng.random((tall, wide)) < rng.choice([0, 0.3, 0.7, 1.0])
    whole = np.zeros((h, w), bool)
    whole[top : top + tall, left : left + wide] = part
    assert part_counts(part, (top, left), (h, w)).tolist() == counts(whole).tolist()
    assert (RunLengths.of(whole[None]).array()[0] == whole).all()
