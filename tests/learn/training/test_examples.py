"""A run keeps a few held-out samples, as files from which the network reads the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from convlens.learn.data.arrays import ArraySamples
from convlens.learn.data.shapes.shapes import shapes_data
from convlens.learn.opening import open_network, opened_module
from convlens.learn.preparing import Preparation
from convlens.learn.reading_inputs import read_inputs
from convlens.learn.recipe import Recipe
from convlens.learn.run_folder import RunFolder
from convlens.learn.tasks import TASKS
from convlens.learn.training.digits import digits_data
from convlens.learn.training.examples import write_examples
from convlens.learn.training.loading import SampleReader, to_network

RANDOM = torch.Generator().manual_seed(2)


def reading(inputs: Tensor, preparation: Preparation | None) -> SampleReader:
    samples = ArraySamples(inputs, torch.arange(len(inputs)) % 3)
    return SampleReader(samples, TASKS["classification"], preparation, Recipe())


def test_digits_are_read_from_their_pictures_as_the_arrays_they_were(tmp_path: Path) -> None:
    folder, opened, held_out = RunFolder(tmp_path), open_network("digits"), digits_data().held_out
    task = TASKS["classification"]
    write_examples(folder, SampleReader(held_out, task, opened.preparation, Recipe()))
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
    write_examples(folder, reading(inputs, prepared))
    assert len(folder.examples()) == 4
    for number, path in enumerate(folder.examples()):
        found = torch.from_numpy(np.asarray(Image.open(path)).copy())
        assert torch.equal(found.movedim(-1, 0), pixels[number])


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_other_numbers_stay_arrays(channels: int, tmp_path: Path) -> None:
    inputs = torch.randn(9, channels, 20, 20, generator=RANDOM)
    folder = RunFolder(tmp_path)
    write_examples(folder, reading(inputs, Preparation(size=20, channels=min(channels, 1))))
    assert [path.name for path in folder.examples()] == [f"{n}.npy" for n in range(6)]
    found = np.load(folder.examples()[1], allow_pickle=False)
    assert np.array_equal(found, inputs[1:2].numpy())


def test_what_is_there_stays(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_examples(folder, reading(torch.randn(3, 1, 5, 5, generator=RANDOM), None))
    before = folder.examples()[0].read_bytes()
    write_examples(folder, reading(torch.randn(3, 1, 5, 5, generator=RANDOM), None))
    assert folder.examples()[0].read_bytes() == before


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_bytes_for_a_network_that_reads_arrays_are_kept_as_it_gets_them(
    channels: int, tmp_path: Path
) -> None:
    """It reads no pictures, and its training divides bytes by 255."""
    pixels = torch.randint(0, 256, (2, channels, 6, 5), dtype=torch.uint8, generator=RANDOM)
    folder = RunFolder(tmp_path)
    write_examples(folder, reading(pixels, None))
    opened = opened_module(torch.nn.Conv2d(channels, 1, 3))
    for number, path in enumerate(folder.examples()):
        assert path.suffix == ".npy"
        assert torch.equal(read_inputs(opened, path)[0][0], pixels[number].float() / 255)


def test_a_clip_is_kept_as_the_numbers_that_the_network_gets(tmp_path: Path) -> None:
    opened = open_network("shapes_clips")
    held_out = shapes_data("clips", 4, 3).held_out
    task = TASKS["video classification"]
    read = SampleReader(held_out, task, opened.preparation, Recipe())
    write_examples(RunFolder(tmp_path), read)
    path = RunFolder(tmp_path).examples()[1]
    batch = read.batch(np.array([1]), None)
    expected = to_network(batch, opened.preparation, torch.device("cpu"))
    assert torch.equal(read_inputs(opened, path)[0], expected)
