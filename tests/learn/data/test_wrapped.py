"""Data sets of torch as samples."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from convlens.learn.data.splits import split
from convlens.learn.data.wrapped import TorchSamples

PIXELS = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)


@pytest.mark.parametrize(
    "picture",
    [
        PIXELS,
        Image.fromarray(PIXELS),
        torch.from_numpy(PIXELS).permute(2, 0, 1),
        torch.from_numpy(PIXELS).permute(2, 0, 1) / 255,
        torch.from_numpy(PIXELS).permute(2, 0, 1).double() / 255,
    ],
)
@pytest.mark.parametrize("label", [1, np.int64(1), torch.tensor(1)])
def test_kinds_of_pictures_and_labels(picture: Any, label: Any) -> None:
    sample = TorchSamples([(picture, label)], ("a", "b")).read(0)
    assert sample.picture.dtype == torch.uint8
    assert np.array_equal(sample.picture.permute(1, 2, 0).numpy(), PIXELS)
    assert (sample.label, sample.key) == (1, "0")


def test_greys() -> None:
    samples = TorchSamples([(PIXELS[:, :, 0], 0), (torch.ones(1, 2, 2), 0)], ("a",))
    assert samples.read(0).picture.shape == (1, 4, 5)
    assert samples.read(1).picture.tolist() == [[[255, 255], [255, 255]]]


class Own(Dataset[tuple[Tensor, int]]):
    """One with what torchvision's have."""

    classes = ("cat", "dog")
    targets = (0, 1, 0, 1)

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.full((3, 2, 2), index, dtype=torch.uint8), self.targets[index]


def test_classes_and_targets_are_taken() -> None:
    samples = TorchSamples(Own())
    assert samples.classes == ("cat", "dog")
    labels = samples.labels()
    assert labels is not None
    assert labels.tolist() == [0, 1, 0, 1]
    held_out = split(samples, 0.5).held_out.labels()
    assert held_out is not None
    assert sorted(held_out.tolist()) == [0, 1]
    assert pickle.loads(pickle.dumps(samples)).fingerprint == samples.fingerprint
    assert TorchSamples(Own(), ("cat", "cow")).fingerprint != samples.fingerprint
    tensors = TensorDataset(torch.zeros(2, 3, 2, 2), torch.tensor([0, 1]))
    assert TorchSamples(tensors, ("a", "b")).labels() is None
    assert TorchSamples(tensors, ("a", "b")).read(1).label == 1


@pytest.mark.parametrize(
    ("item", "says"),
    [
        (PIXELS, "be a picture and a label, and is ndarray"),
        ((PIXELS,), "be a picture and a label, and is tuple"),
        ((PIXELS, "cat"), "whole number as label, and has str"),
        ((PIXELS, 1.0), "whole number as label, and has float"),
        ((PIXELS, True), "whole number as label, and has bool"),
        ((PIXELS, 2), "a label from 0 to 1, and has 2"),
        ((PIXELS, -1), "a label from 0 to 1, and has -1"),
        (("a.png", 1), "be a PIL image, .* and is str"),
        ((torch.zeros(4, 2, 2), 1), r"and is Tensor \(4, 2, 2\)"),
        ((np.zeros((2, 2, 2, 2)), 1), r"and is ndarray \(2, 2, 2, 2\)"),
        ((torch.full((3, 2, 2), 1.5), 1), "floats from 0 to 1, and has others"),
        ((torch.full((3, 2, 2), float("nan")), 1), "floats from 0 to 1, and has others"),
        ((torch.zeros(3, 2, 2, dtype=torch.int64), 1), r"uint8 or floats, and is torch\.int64"),
    ],
)
def test_wrong_items_are_named(item: Any, says: str) -> None:
    with pytest.raises(ValueError, match=rf"`data` \(item 0\) must .*{says}"):
        TorchSamples([item], ("a", "b")).read(0)


def test_wrong_data_sets() -> None:
    with pytest.raises(ValueError, match=r"\(of type list\) must have a length of at least 1"):
        TorchSamples([], ("a",))
    with pytest.raises(ValueError, match=r"\(of type str_\w*iterator\) must have a length"):
        TorchSamples(iter("ab"), ("a",))
    with pytest.raises(ValueError, match="must have `classes`; name them"):
        TorchSamples([(PIXELS, 1)])
    with pytest.raises(ValueError, match=r"`targets` \(from 0 to 1\) must be from 0 to 0"):
        TorchSamples(Own(), ("a",))
