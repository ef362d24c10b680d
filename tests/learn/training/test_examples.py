"""A run keeps a few held-out samples, as files from which the network reads the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from convlens.learn.data.arrays import ArraySamples
from convlens.learn.opening import open_network
from convlens.learn.preparing import Preparation
from convlens.learn.reading_inputs import read_inputs
from convlens.learn.run_folder import RunFolder
from convlens.learn.training.digits import digits_data
from convlens.learn.training.examples import write_examples

RANDOM = torch.Generator().manual_seed(2)


def samples(inputs: Tensor) -> ArraySamples:
    return ArraySamples(inputs, torch.arange(len(inputs)) % 3)


def test_digits_are_read_from_their_pictures_as_the_arrays_they_were(tmp_path: Path) -> None:
    folder, opened, held_out = RunFolder(tmp_path), open_network("digits"), digits_data().held_out
    write_examples(folder, held_out, opened.preparation)
    paths = folder.examples()
    assert [path.name for path in paths] == [f"{n}.png" for n in range(6)]
    for number, path in enumerate(paths):
        expected = held_out.read(number * len(held_out) // 6).picture
        assert torch.equal(read_inputs(opened, path)[0][0], expected)


@pytest.mark.parametrize("normalized", [False, True])
def test_pixels_and_normalised_numbers_become_pictures(normalized: bool, tmp_path: Path) -> None:
    pixels = torch.randint(0, 256, (4, 3, 20, 20), dtype=torch.uint8, generator=RANDOM)
    prepared = Preparation(size=20, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    inputs = prepared.normalize(pixels) if normalized else pixels
    folder = RunFolder(tmp_path)
    write_examples(folder, samples(inputs), prepared)
    assert len(folder.examples()) == 4
    for number, path in enumerate(folder.examples()):
        found = torch.from_numpy(np.asarray(Image.open(path)).copy())
        assert torch.equal(found.movedim(-1, 0), pixels[number])


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_other_numbers_stay_arrays(channels: int, tmp_path: Path) -> None:
    inputs = torch.randn(9, channels, 20, 20, generator=RANDOM)
    folder = RunFolder(tmp_path)
    write_examples(folder, samples(inputs), Preparation(size=20, channels=min(channels, 1)))
    assert [path.name for path in folder.examples()] == [f"{n}.npy" for n in range(6)]
    found = np.load(folder.examples()[1], allow_pickle=False)
    assert np.array_equal(found, inputs[1:2].numpy())


def test_what_is_there_stays(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_examples(folder, samples(torch.randn(3, 1, 5, 5, generator=RANDOM)), None)
    before = folder.examples()[0].read_bytes()
    write_examples(folder, samples(torch.randn(3, 1, 5, 5, generator=RANDOM)), None)
    assert folder.examples()[0].read_bytes() == before
